"""The settings: environment variables with the prefix BATONPASS_, also from `.env`.

A bad value is one sentence that names the setting and its cure, never a traceback. What is unsafe
in production, and can be known without asking the database, is listed here as well.

Source: docs/reference/settings.md.
"""

import difflib
import logging
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from batonpass.access_tokens import MAX_LIFETIME
from batonpass.errors import ConfigurationError
from batonpass.http.csrf import check_origin
from batonpass.policy import (
    ACCESS_TOKEN_EXPIRE_MINUTES,
    REFRESH_GRACE_SECONDS,
    REFRESH_TOKEN_EXPIRE_DAYS,
    SESSION_MAX_DAYS,
    SESSIONS_PER_USER,
    Policy,
)
from batonpass.secret_key import parse_secrets
from batonpass.server.mail import SmtpServer
from batonpass.server.throttle import LoginLimits

logger = logging.getLogger(__name__)

PREFIX = "BATONPASS_"
ENV_FILE = ".env"
MOUNTS = Path("/proc/self/mounts")
DEFAULT_LIMITS = "pair=10/15m,address=50/15m,strangers=100/1h"
MAX_GRACE_SECONDS = 300  # 300 s would give the blind thief 17 % of refreshes (docs/security.md)
MAX_ACCESS_TOKEN_MINUTES = MAX_LIFETIME.total_seconds() / 60
_MAX_DAYS = 36_500  # a century: what is longer has no end, and dates that cannot be written
_DEVELOPMENT_HISTORY_DAYS = 7.0
_DEBUG_SWITCHES = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE")
_SECRET_FILE = "batonpass.key"  # noqa: S105 - a file's name
_OWNER_ONLY = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

Network = IPv4Network | IPv6Network
_NETWORK_FILE_SYSTEMS = frozenset(
    {"afs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"}
)
_WITH_TLS = frozenset({"require", "verify-ca", "verify-full"})  # prefer and allow may go without

Listed = Annotated[tuple[str, ...], NoDecode]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is unsafe in production.

    Attributes:
        setting: Its full name.
        problem: What is wrong.
        cure: What to do.
    """

    setting: str
    problem: str
    cure: str


class Settings(BaseSettings):
    """What an operator may choose. The names and defaults are a contract."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True
    )

    environment: Literal["development", "production"] = "development"
    database_url: str = Field(default="sqlite:///batonpass.db", repr=False)  # holds a password
    secret_key_text: str | None = Field(default=None, alias="BATONPASS_SECRET_KEY", repr=False)
    public_url: str | None = None
    access_token_expire_minutes: float = Field(default=ACCESS_TOKEN_EXPIRE_MINUTES, gt=0)
    refresh_token_expire_days: float = Field(default=REFRESH_TOKEN_EXPIRE_DAYS, gt=0, le=_MAX_DAYS)
    session_max_days: float = Field(default=SESSION_MAX_DAYS, gt=0, le=_MAX_DAYS)
    refresh_grace_seconds: float = Field(
        default=REFRESH_GRACE_SECONDS, ge=0, le=_MAX_DAYS * 24 * 3600
    )
    sessions_per_user: int = Field(default=SESSIONS_PER_USER, ge=1)
    jwt_algorithm: Literal["ES256", "EdDSA", "HS256"] = "ES256"
    jwt_issuer: str = Field(default="batonpass", min_length=1)
    jwt_audience: str = Field(default="batonpass", min_length=1)
    cors_origins: Listed = ()
    cookie_secure_choice: Literal["auto", "true", "false"] = Field(
        default="auto", alias="BATONPASS_COOKIE_SECURE"
    )
    cookie_samesite: Literal["strict", "lax", "none"] = "strict"
    rotation_history_days: float | None = Field(default=None, ge=0, le=_MAX_DAYS)
    device_binding: Literal["off", "offer", "require"] = "off"
    rate_limit_login: str = DEFAULT_LIMITS
    smtp_url: str | None = Field(default=None, repr=False)
    registration: Literal["open", "confirm", "closed"] = "open"  # after smtp_url, which it needs
    trusted_proxies: Listed = ()
    metrics: bool = False
    log_format: Literal["console", "json"] | None = None

    # --- reading -------------------------------------------------------------------------------

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("access_token_expire_minutes")
    @classmethod
    def _check_access_token_lifetime(cls, value: float) -> float:
        if not value <= MAX_ACCESS_TOKEN_MINUTES:  # neither is NaN
            message = "no access token is believed that lives longer than a day: set it to 30"
            raise ValueError(message)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            check_origin(one)
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        return None if value is None else check_origin(value.rstrip("/"))

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ip_network(one, strict=False)
        return value

    @field_validator("registration")
    @classmethod
    def _check_mail(cls, value: str, info: ValidationInfo) -> str:
        if value == "confirm" and not info.data.get("smtp_url"):
            message = (
                "confirm sends mail: set BATONPASS_SMTP_URL (smtp://user:password@host:587), "
                "or this to open or closed"
            )
            raise ValueError(message)
        return value

    @field_validator("device_binding")
    @classmethod
    def _check_binding(cls, value: str) -> str:
        if value != "off":  # pretending to bind would be worse than not binding
            message = "binding sessions to devices is not part of this release: set it to off"
            raise ValueError(message)
        return value

    @field_validator("rate_limit_login")
    @classmethod
    def _check_limits(cls, value: str) -> str:
        LoginLimits.parse(value)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp(cls, value: str | None) -> str | None:
        if not value:
            return None
        SmtpServer.parse(value)
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        try:
            url = make_url(_standard(value))
        except (ArgumentError, ValueError) as error:
            message = "it is no database URL: write sqlite:///path or postgresql://…"
            raise ValueError(message) from error
        backend = url.get_backend_name()
        if backend == "sqlite" and url.database in {None, "", ":memory:"}:
            message = "every process needs the same database: name a file, as sqlite:///path"
            raise ValueError(message)
        if backend not in {"sqlite", "postgresql"}:
            message = f"{backend} is not supported: write sqlite:///path or postgresql://…"
            raise ValueError(message)
        return _standard(value)

    # --- what follows from them ----------------------------------------------------------------

    @property
    def is_production(self) -> bool:
        """Whether unsafe settings are refused."""
        return self.environment == "production"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.database_url.startswith("sqlite")

    @property
    def cookie_secure(self) -> bool | None:
        """True, False, or None: by the request's scheme. Production is always over https."""
        if self.cookie_secure_choice == "auto":
            return True if self.is_production else None
        return self.cookie_secure_choice == "true"

    @property
    def login_limits(self) -> LoginLimits | None:
        """RATE_LIMIT_LOGIN; None: off."""
        return LoginLimits.parse(self.rate_limit_login)

    @property
    def smtp_server(self) -> SmtpServer | None:
        """Where mail goes out; None: nowhere."""
        return None if self.smtp_url is None else SmtpServer.parse(self.smtp_url)

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The addresses whose X-Forwarded-* is believed."""
        return tuple(ip_network(one, strict=False) for one in self.trusted_proxies)

    @property
    def policy(self) -> Policy:
        """How long things last."""
        history = self.rotation_history_days
        if history is None:
            history = 0.0 if self.is_production else _DEVELOPMENT_HISTORY_DAYS
        return Policy(
            access_token_lifetime=timedelta(minutes=self.access_token_expire_minutes),
            idle_limit=timedelta(days=self.refresh_token_expire_days),
            absolute_limit=timedelta(days=self.session_max_days),
            grace=timedelta(seconds=self.refresh_grace_seconds),
            sessions_per_user=self.sessions_per_user,
            history=timedelta(days=history),
        )

    @cached_property
    def secrets(self) -> tuple[bytes, ...]:
        """SECRET_KEY; in development made once, into a file that only its owner reads.

        Raises:
            ConfigurationError: It is missing or weak, or others can read the file.
        """
        if self.secret_key_text is not None:
            try:
                return parse_secrets(self.secret_key_text)
            except ConfigurationError as error:
                message = f"{PREFIX}SECRET_KEY: {error.detail}"
                raise ConfigurationError(message) from error
        if self.is_production:
            message = (
                f"{PREFIX}SECRET_KEY is not set. Make one with: "
                "python3 -c 'import secrets; print(secrets.token_hex(32))'"
            )
            raise ConfigurationError(message)
        return parse_secrets(read_or_make_secret(self.secret_path))

    @property
    def secret_path(self) -> Path:
        """Where development keeps its key: beside the database."""
        return (self.database_path or Path(_SECRET_FILE)).with_name(_SECRET_FILE)

    @property
    def database_path(self) -> Path | None:
        """The database's file; None for PostgreSQL."""
        database = make_url(self.database_url).database if self.is_sqlite else None
        return None if database is None else Path(database)


def load_settings(**overrides: Any) -> Settings:  # any field of Settings
    """Read the settings from the environment and `.env`.

    Raises:
        ConfigurationError: A value is not what its setting takes; the sentence names both.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        message = "\n".join(_sentence(one) for one in error.errors(include_input=False))
        raise ConfigurationError(message) from error
    for name, near in unknown_settings().items():
        # In the message: the command line shows nothing else of a record.
        hint = f" Did you mean {near}?" if near else ""
        logger.warning("unknown_setting: %s is none of ours.%s", name, hint)
    return settings


def unknown_settings() -> dict[str, str | None]:
    """Return the variables of ours that are no settings, each with the name that is nearest."""
    said = {*os.environ, *dotenv_values(ENV_FILE)}
    ours = {name for name in said if name.startswith(PREFIX)}
    unknown = sorted(ours - set(_names()) - {PREFIX + "TEST_POSTGRES"})
    return {name: _nearest(name) for name in unknown}


def _nearest(name: str) -> str | None:
    # Without the prefix, by which all are alike.
    known = [one.removeprefix(PREFIX) for one in _names()]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
    return PREFIX + near[0] if near else None


def production_problems(settings: Settings) -> list[Problem]:
    """List what is unsafe in production, as far as settings and files tell (S-OPS-1)."""
    found = [
        Problem(PREFIX + name, problem, cure)
        for unsafe, name, problem, cure in _unsafe(settings)
        if unsafe
    ]
    return [*found, *map(_debugging, _debug_switches())]


def require_safe(settings: Settings) -> None:
    """Refuse to serve in production with an unsafe setting.

    Raises:
        ConfigurationError: A line for each, with its cure.
    """
    problems = production_problems(settings) if settings.is_production else []
    if problems:
        message = "\n".join(f"{one.setting}: {one.problem} {one.cure}" for one in problems)
        raise ConfigurationError(message)


def _debug_switches() -> list[str]:
    # `python -X dev` sets the flag without its variable.
    named = [name for name in _DEBUG_SWITCHES if os.environ.get(name)]
    return named or (["-X dev"] if sys.flags.dev_mode else [])


def _debugging(switch: str) -> Problem:
    return Problem(
        switch,
        "switches Python's debug mode on: its log shows what functions were called with.",
        "Unset it." if switch in _DEBUG_SWITCHES else "Start Python without it.",
    )


def _unsafe(settings: Settings) -> list[tuple[bool, str, str, str]]:
    networks = settings.proxy_networks
    plain = [o for o in settings.cors_origins if o.startswith("http:") and not _is_local(o)]
    public = settings.public_url or ""
    idle, absolute = settings.refresh_token_expire_days, settings.session_max_days
    return [
        (
            settings.cookie_secure_choice == "false",
            "COOKIE_SECURE",
            "is false: the session cookie would travel in the clear.",
            "Set it to true.",
        ),
        (
            bool(networks) and not public,
            "PUBLIC_URL",
            "is not set behind TRUSTED_PROXIES.",
            "Set it to the origin that users see.",
        ),
        (
            settings.registration == "confirm" and not public,
            "PUBLIC_URL",
            "is not set, and REGISTRATION=confirm mails links: whoever asks for one would choose, "
            "by the Host header, where it leads.",
            "Set it to the origin that users see.",
        ),
        (
            public.startswith("http:") and not _is_local(public),
            "PUBLIC_URL",
            "is not https.",
            "Serve over https.",
        ),
        (
            settings.cookie_samesite == "none" and not settings.cors_origins,
            "COOKIE_SAMESITE",
            "is none, yet no other origin is listed.",
            "List the origins in CORS_ORIGINS, or set it to strict.",
        ),
        (
            bool(plain),
            "CORS_ORIGINS",
            f"lists {', '.join(plain)}, which is not https.",
            "List https origins only.",
        ),
        (
            _are_everybody(networks),
            "TRUSTED_PROXIES",
            "trusts everybody.",
            "List the addresses of your proxies.",
        ),
        (
            settings.login_limits is None,
            "RATE_LIMIT_LOGIN",
            "is off: passwords could be guessed as fast as the machine hashes.",
            f"Set it to {DEFAULT_LIMITS}.",
        ),
        (
            settings.refresh_grace_seconds > MAX_GRACE_SECONDS,
            "REFRESH_GRACE_SECONDS",
            f"is over {MAX_GRACE_SECONDS}: a thief would go unseen too often.",
            "Set it to 30.",
        ),
        (
            idle > absolute,
            "REFRESH_TOKEN_EXPIRE_DAYS",
            "is longer than SESSION_MAX_DAYS.",
            "Make it shorter, or the other longer.",
        ),
        (
            _goes_far_without_tls(settings),
            "DATABASE_URL",
            "reaches another machine, perhaps without TLS.",
            "Add ?sslmode=verify-full (or require) to it.",
        ),
        (
            _is_readable_by_others(settings.database_path),
            "DATABASE_URL",
            "names a file that others on this machine can read.",
            f"Run: chmod 600 {settings.database_path}",
        ),
        (
            network_file_system(settings.database_path, MOUNTS) is not None,
            "DATABASE_URL",
            "names a file on a network file system, where SQLite's locks do not hold.",
            "Put it on a local disk, or use PostgreSQL.",
        ),
        (
            (weakness := _weakness_of_secret(settings)) is not None,
            "SECRET_KEY",
            f"cannot be used: {weakness}",
            "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
        ),
        (
            PREFIX + "SECRET_KEY" in dotenv_values(ENV_FILE)
            and _is_readable_by_others(Path(ENV_FILE)),
            "SECRET_KEY",
            "stands in a file that others on this machine can read.",
            f"Run: chmod 600 {ENV_FILE}",
        ),
    ]


def read_or_make_secret(path: Path) -> str:
    """Read the key file, or make it; several processes at once get the same key.

    Raises:
        ConfigurationError: Others can read the file.
    """
    if not path.parent.is_dir():
        message = f"{path} cannot be made: there is no folder {path.parent}. Make it."
        raise ConfigurationError(message)
    if not path.exists():
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
        try:
            # Linking fails where another process was first; a reader never sees half a key.
            path.hardlink_to(mine)
        except FileExistsError:
            logger.debug("secret_made_elsewhere")
        finally:
            mine.unlink()
    if _is_readable_by_others(path):
        message = f"{path} can be read by others on this machine. Run: chmod 600 {path}"
        raise ConfigurationError(message)
    return path.read_text().strip()


def _is_readable_by_others(path: Path | None) -> bool:
    return path is not None and path.exists() and bool(path.stat().st_mode & _OTHERS)


def _are_everybody(networks: Sequence[Network]) -> bool:
    # Collapsed, so that two halves are a whole.
    v4 = [network for network in networks if isinstance(network, IPv4Network)]
    v6 = [network for network in networks if isinstance(network, IPv6Network)]
    whole: list[Network] = [*collapse_addresses(v4), *collapse_addresses(v6)]
    return any(network.prefixlen == 0 for network in whole)


def _goes_far_without_tls(settings: Settings) -> bool:
    if settings.is_sqlite:
        return False
    url = make_url(settings.database_url)
    hosts = [url.host or "", *url.normalized_query.get("host", ())]
    if all(_is_this_machine(host) for host in hosts):
        return False
    modes = [*url.normalized_query.get("sslmode", ()), *url.normalized_query.get("ssl", ())]
    return not modes or not _WITH_TLS.issuperset(modes)


def _is_this_machine(host: str) -> bool:
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _weakness_of_secret(settings: Settings) -> str | None:
    if settings.secret_key_text is None:
        return "there is none."
    try:
        parse_secrets(settings.secret_key_text)
    except ConfigurationError as error:
        problem = error.detail.removeprefix("SECRET_KEY: ")
        return problem.partition(". Make")[0] + "."  # the cure is told beside
    return None


def network_file_system(path: Path | None, mounts: Path) -> str | None:
    """Return the network file system that a file is on, or would be; None: a local disk.

    Args:
        path: The file; None: there is none.
        mounts: Where the kernel lists what is mounted.
    """
    if path is None or not mounts.is_file():
        return None
    target, nearest, kind = path.resolve(), Path("/"), ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, point, mounted, *_ = line.split(" ")
        place = Path(point.replace("\\040", " "))
        if target.is_relative_to(place) and len(place.parts) >= len(nearest.parts):
            nearest, kind = place, mounted
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


def _is_local(origin: str) -> bool:
    return urlsplit(origin).hostname in {"localhost", "127.0.0.1", "::1"}


def _standard(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    name = scheme.partition("+")[0]
    return ("postgresql" if name == "postgres" else name) + separator + rest


def _names() -> list[str]:
    return [field.alias or PREFIX + name.upper() for name, field in Settings.model_fields.items()]


def _sentence(error: Any) -> str:  # pydantic's ErrorDetails
    place = str(error["loc"][0]) if error["loc"] else ""
    name = place if place.startswith(PREFIX) else PREFIX + place.upper()
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}."
