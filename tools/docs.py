"""`python -m tools.docs`: writes docs/reference/ from the code; a test compares the two."""

import importlib
import importlib.util
import inspect
import re
import secrets
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from batonpass import cli, errors
from batonpass.family import Ending
from batonpass.server.app import build_app
from batonpass.server.settings import PREFIX, Settings, load_settings
from tools.steps import ROOT, explained

REFERENCE = ROOT / "docs" / "reference"
_GENERATED = "<!-- Written by `python -m tools.docs`; changes here are lost. -->\n\n"
_SECTION = re.compile(r"^# --- (?P<title>.+?) -+$", re.MULTILINE)

# Refused at the start or raised inside: no answer carries them.
_NEVER_ANSWERED = (errors.ConfigurationError,)

# Modules with public names: those in their `__all__`, else all that they define.
_PUBLIC = (
    "batonpass",
    "batonpass.verifier",
    "batonpass.httpx_auth",
    "batonpass.testing",
    "batonpass.contrib.fastapi_users",
    "batonpass.contrib.otel",
)
_FIRST = {"Batonpass": 0, "Login": 1, "Policy": 2, "Verifier": 3}  # what a reader looks for

_REASONS = {
    Ending.LOGOUT: "logged out, or replaced by a new login in the same browser",
    Ending.REVOKED: "ended from another session, or by an operator",
    Ending.PASSWORD: "the password was changed",
    Ending.REFRESH_TOKEN_REUSED: "an old token of it was used again: somebody holds a copy",
    Ending.HISTORY_FORKED: "a restored backup gave it two histories",
    Ending.RIGHTS_CHANGED: "the answer to a password change was lost; nobody is called a thief",
    Ending.EXPIRED: "past its idle or its absolute limit",
    Ending.EXCESS: "the user has more sessions than SESSIONS_PER_USER; the oldest ends",
    Ending.USER_DISABLED: "the account was disabled or deleted",
}

_MEANINGS = {
    "ENVIRONMENT": "`production` refuses to start with an unsafe setting, and names its cure",
    "DATABASE_URL": "`sqlite:///path` or `postgresql://…`; the driver is ours to choose",
    "SECRET_KEY": (
        "every key is derived from it. At least 32 bytes, hex or base64url; required in "
        "production, in development made once into a 0600 file beside the database. "
        "Comma-separated: all are accepted, the first issues. Change it as `old,new`, then "
        "`new,old`, then, after one idle limit, `new`"
    ),
    "PUBLIC_URL": (
        "the origin that users see; required in production with TRUSTED_PROXIES. Not set: what the "
        "request says"
    ),
    "ACCESS_TOKEN_EXPIRE_MINUTES": "how long an access token lives; fractions allowed",
    "REFRESH_TOKEN_EXPIRE_DAYS": "idle limit: each rotation renews it; fractions allowed",
    "SESSION_MAX_DAYS": "absolute limit of a session, rotations or not; fractions allowed",
    "REFRESH_GRACE_SECONDS": (
        "how long a spent token is answered with the same successor "
        "([the rules](../security.md#the-rules)); fractions allowed. 0 is strict: every spent "
        "token ends its session"
    ),
    "SESSIONS_PER_USER": "live sessions of one user; the oldest ends",
    "JWT_ALGORITHM": "how access tokens are signed",
    "JWT_ISSUER": "their claim `iss`",
    "JWT_AUDIENCE": "their claim `aud`",
    "CORS_ORIGINS": "exact origins allowed with credentials, comma-separated; `*` is refused",
    "COOKIE_SECURE": (
        "`true`: `__Host-` names and Secure, always. `auto`: the same on https and in production; "
        "on plain http in development plain names. `false`: plain names"
    ),
    "COOKIE_SAMESITE": "the cookies' SameSite",
    "ROTATION_HISTORY_DAYS": (
        "how long each single rotation is kept for a session's lineage. Not set: 7 in "
        "development, 0 in production"
    ),
    "DEVICE_BINDING": "only `off` in this release; the others are refused at start",
    "RATE_LIMIT_LOGIN": (
        "failed logins in a time, per bucket "
        "([throttles](../security.md#throttles-and-registration)); `off` disables them"
    ),
    "REGISTRATION": "who may make an account; `confirm`: who opens a mailed link (needs SMTP_URL)",
    "SMTP_URL": "where mail goes out",
    "TRUSTED_PROXIES": ("addresses or networks whose X-Forwarded-* is believed, comma-separated"),
    "METRICS": "serves /metrics; every worker answers for all of them",
    "LOG_FORMAT": "Not set: `console` in development, `json` in production",
}


def errors_page() -> str:
    """Write the table of error codes, in the order and under the headings of errors.py."""
    source = inspect.getsource(errors)
    headings = [(found.start(), found["title"]) for found in _SECTION.finditer(source)]
    parts = [
        _GENERATED,
        "# Errors\n\nEvery refusal is JSON: `detail`, a sentence for people, and `code`, which is "
        "stable: branch on it. `refresh_revoked` and\n`session_revoked` also carry `reason`. A 401 "
        "on a bearer route carries a `WWW-Authenticate` challenge; a 429 and a 503\ncarry "
        "`Retry-After`.\n",
    ]
    current = None
    for error in _answered():
        at = source.index(f"class {error.__name__}(")
        heading = next((title for start, title in reversed(headings) if start < at), "In general")
        if heading != current:
            current = heading
            parts.append(f"\n## {heading[0].upper()}{heading[1:]}\n\n")
            parts.append("| code | status | means | detail |\n| --- | --- | --- | --- |\n")
        parts.append(
            f"| `{error.code}` | {error.status} | {_first_paragraph(error)} | {error.detail} |\n"
        )
    parts.append("\n## Reasons\n\nWhy a session ended.\n\n| reason | means |\n| --- | --- |\n")
    parts += [f"| `{ending.value}` | {_REASONS[ending]} |\n" for ending in Ending]
    return "".join(parts)


def settings_page() -> str:
    """Write the table of settings."""
    parts = [
        _GENERATED,
        "# Settings\n\nThe server reads them from environment variables with the prefix "
        f"`{PREFIX}`, and from `.env`; a variable wins over the\nfile. The library takes the same "
        "choices as arguments of `Batonpass` and `Policy`.\n\n",
        "| name | default | values | meaning |\n| --- | --- | --- | --- |\n",
    ]
    for field_name, field in Settings.model_fields.items():
        name = (field.alias or field_name.upper()).removeprefix(PREFIX)
        parts.append(f"| {name} | {_default(field)} | {_values(field)} | {_MEANINGS[name]} |\n")
    return "".join(parts)


def cli_page() -> str:
    """Write the commands, as `--help` tells them."""
    parts = [
        _GENERATED,
        "# Command line\n\n`make setup` puts it at `.venv/bin/batonpass`. An error is one clear "
        "line and a non-zero exit status. A listing prints\nJSON with `--json`. `--help` after "
        "any command says the same as this page.\n\n",
        "| command | what it does |\n| --- | --- |\n",
    ]
    root = typer.main.get_group(cli.app)
    parts += [f"| `{usage}` | {what} |\n" for usage, what in _commands(root, "batonpass")]
    return "".join(parts)


def http_page() -> str:
    """Write the routes and their bodies, as the OpenAPI schema has them."""
    schema = _schema()
    bodies = schema["components"]["schemas"]
    parts = [
        _GENERATED,
        "# HTTP\n\nThe routes, as the server's OpenAPI schema has them; `batonpass openapi` prints "
        "the whole. The codes of refusals:\n[errors](errors.md). A body is JSON, but for the "
        "login, which is a form.\n",
    ]
    for title, ours in (("In every app", True), ("In the server only", False)):
        parts.append(f"\n## {title}\n")
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                if _is_in_every_app(path, operation) is ours:
                    parts.append(f"\n### {method.upper()} {path}\n\n{_operation(operation)}")
    parts.append("\n## Bodies\n")
    for name, body in bodies.items():
        parts.append(f"\n### {_body_name(name)}\n\n")
        parts += [f"{body['description']}\n\n"] if "description" in body else []
        parts.append("| field | type | |\n| --- | --- | --- |\n")
        for field, kind in body["properties"].items():
            needed = "" if field in body.get("required", ()) else "may be missing"
            parts.append(f"| `{field}` | {_type(kind)} | {needed} |\n")
    return "".join(parts)


def python_page() -> str:
    """Write where each public name's docstring is shown; the site puts it there."""
    parts = [
        _GENERATED,
        "# Python\n\nThe public names, from their docstrings. All other names may change in any "
        "release.\n",
    ]
    for module in filter(_exists, _PUBLIC):
        parts.append(f"\n## {module}\n")
        names = _exports(module)
        ordered = sorted(names, key=lambda name: (_FIRST.get(name, len(_FIRST)), name.isupper()))
        parts += [f"\n::: {module}.{name}\n" for name in ordered]
        if not names:
            parts.append(f"\n::: {module}\n    options:\n      show_root_heading: false\n")
    return "".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "settings.md": settings_page,
    "cli.md": cli_page,
    "http.md": http_page,
    "python.md": python_page,
}

_COOKIE, _BEARER = "RefreshCookie", "OAuth2PasswordBearer"
_SHOWN = {_COOKIE: "the refresh cookie", _BEARER: "an access token"}
_FIRST_REFUSAL = 400


def _exists(module: str) -> bool:
    package = module.rpartition(".")[0]
    return (not package or _exists(package)) and importlib.util.find_spec(module) is not None


def _exports(module: str) -> list[str]:
    """Return `__all__`; nothing where there is none, or where the module wants what is not here."""
    try:
        return list(getattr(importlib.import_module(module), "__all__", ()))
    except ImportError:
        return []


def _schema() -> Any:  # an OpenAPI document
    settings = load_settings(
        _env_file=None,
        database_url="sqlite:///nobody-asks-it.db",
        BATONPASS_SECRET_KEY=secrets.token_hex(32),
    )
    return build_app(settings).openapi()


def _is_in_every_app(path: str, operation: Any) -> bool:
    return operation["tags"] == ["sessions"] or path == "/auth/token"


def _operation(operation: Any) -> str:
    answers = operation["responses"]
    good = [status for status in answers if int(status) < _FIRST_REFUSAL]
    refused = [status for status in answers if int(status) >= _FIRST_REFUSAL]
    shown = [_SHOWN[name] for one in operation.get("security", ()) for name in one]
    queried = [f"`?{p['name']}`" for p in operation.get("parameters", ()) if p["in"] == "query"]
    told = {
        "wants": " or ".join(shown),
        "takes": ", ".join([*_bodies(operation.get("requestBody", {})), *queried]),
        "answers": ", ".join(" ".join([one, *_bodies(answers[one])]) for one in good),
        "refuses with": ", ".join(refused),
    }
    rows = "".join(f"| {name} | {text} |\n" for name, text in told.items() if text)
    return f"{operation['summary']}.\n\n| | |\n| --- | --- |\n{rows}"


def _bodies(described: Any) -> list[str]:
    return [_type(one["schema"]) for one in described.get("content", {}).values() if one["schema"]]


def _body_name(name: str) -> str:
    return "LoginForm" if name.startswith("Body_log_in") else name


def _type(schema: Any) -> str:
    if "$ref" in schema:
        name = _body_name(schema["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return "time" if schema.get("format") == "date-time" else str(schema.get("type", "anything"))


def _answered() -> list[type[errors.BatonpassError]]:
    """Return the errors that an answer may carry: the leaves, in the order they are declared."""
    declared = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.BatonpassError)
    ]
    parents = {parent for one in declared for parent in one.__bases__}
    return [one for one in declared if one not in parents and one not in _NEVER_ANSWERED]


def _first_paragraph(of: object) -> str:
    return " ".join((inspect.getdoc(of) or "").split("\n\n")[0].split())


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value:g}`" if isinstance(value, float | int) else f"`{value}`"


def _values(field: FieldInfo) -> str:
    annotation = field.annotation
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        annotation = next(one for one in typing.get_args(annotation) if one is not NoneType)
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{one}`" for one in typing.get_args(annotation))
    kinds = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text"}
    return kinds.get(typing.cast("type", annotation), "list")


def _commands(command: TyperCommand | TyperGroup, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            assert isinstance(child, TyperCommand | TyperGroup)  # what Typer makes
            yield from _commands(child, f"{path} {name}")
        return
    words = [_usage(one) for one in command.params if isinstance(one, TyperOption | TyperArgument)]
    yield " ".join([path, *words]), " ".join((command.help or "").split("\n\n")[0].split())


def _usage(parameter: TyperOption | TyperArgument) -> str:
    name = (parameter.name or "").upper()
    if isinstance(parameter, TyperArgument):
        return name if parameter.required else f"[{name}]"
    option = parameter.opts[0]
    if parameter.is_flag:
        return f"[{option}]"
    return f"[{option} {option.removeprefix('--').upper()}]"


def write(folder: Path = REFERENCE) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    with explained():
        write()
