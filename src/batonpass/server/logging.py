"""The server's log: one line a decision, for people or as JSON, that no client can forge.

The library logs through the standard library and configures nothing; here structlog renders those
records.

Source: docs/security.md, S-LOG-1 to S-LOG-3; OWASP Logging Cheat Sheet.
"""

import logging
import re
import unicodedata
from collections.abc import MutableMapping
from secrets import token_hex
from typing import Any, Literal

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.http.edge import header

MAX_VALUE_CHARACTERS = 512
MAX_TRACEBACK_CHARACTERS = 16_384
# Refresh tokens and JWTs, also those that were cut off.
_TOKEN = re.compile(r"bpr_[\w-]{8,}|eyJ[\w-]{8,}(\.[\w-]*){0,2}", re.ASCII)
# What PostgreSQL says beside an error: the row that it was about, a password's hash in it.
_ROW = re.compile(
    r"^([ |]*DETAIL:).*?"
    r"(?=^[ |]*(?:HINT:|CONTEXT:|\[SQL|\(Background|The above|During|Traceback|$)|\Z)",
    re.DOTALL | re.MULTILINE,
)
_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_REQUEST_ID_BYTES = 16
_NOISY = ("uvicorn.access", "alembic", "asyncio")

Event = MutableMapping[str, Any]


class RequestIds:
    """Gives every request an id: the caller's where it is harmless, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the id in the scope, and answer with it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope, line = identified(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], line]}
            await send(message)

        await self.app(scope, receive, send_with_id)


def identified(scope: Scope) -> tuple[Scope, tuple[bytes, bytes]]:
    """Return the scope with the request's id in its state, and the header that answers with it."""
    given = header(scope, b"x-request-id") or ""
    request_id = given if _REQUEST_ID.fullmatch(given) else token_hex(_REQUEST_ID_BYTES)
    scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id}}
    return scope, (b"x-request-id", request_id.encode())


def configure(log_format: Literal["console", "json"]) -> None:
    """Set up the process' log; a second call replaces the first."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_colour,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        clean,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def clean(_logger: object, _method: str, event: Event) -> Event:
    """Make every value safe to print: one line, no control or direction characters, bounded.

    A token that got here by mistake does not get further (S-LOG-2).
    """
    cleaned: Event = {}
    for key, value in event.items():
        if key.startswith("_"):  # structlog's own: the record, for its formatter
            cleaned[key] = value
        elif key == "exception":
            cleaned[key] = _clean_traceback(str(value))
        else:
            cleaned[key] = _clean(value)
    return cleaned


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_clean_text(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return _clean_text(str(value))


def _clean_text(text: str) -> str:
    shown = "".join(map(_visible, _without_secrets(text[:MAX_VALUE_CHARACTERS])))
    return shown if len(text) <= MAX_VALUE_CHARACTERS else shown + "…"


def _clean_traceback(text: str) -> str:
    # Its lines are kept, but indented: what an error quotes cannot pass for a line of the log.
    text = _without_secrets(text[-MAX_TRACEBACK_CHARACTERS:])  # the end says what went wrong
    return "\n".join("  " + "".join(map(_visible, line)) for line in text.split("\n"))


def _without_secrets(text: str) -> str:
    return _ROW.sub(r"\1 [row]\n", _TOKEN.sub("[token]", text))


def _visible(letter: str) -> str:
    # Cc: CR, LF, ESC; Cf: bidi and zero-width; Zl, Zp: line separators; Cs: lone surrogates
    if unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
        return f"\\u{ord(letter):04x}" if letter <= "\uffff" else f"\\U{ord(letter):08x}"
    return letter


def _without_colour(_logger: object, _method: str, event: Event) -> Event:
    event.pop("color_message", None)  # uvicorn says everything twice
    return event
