"""One HTTP connection: uvicorn's fastest protocol, with an end to what a peer may take of it.

Uvicorn bounds a head with h11 only; with httptools one connection that never ends its head takes as
much memory as it likes (measured: 60 MB of short headers took 1.2 GB). It waits for the rest of a
head, for a body and for whoever does not read an answer for ever, and it takes connections until
the system has no more files. A body's size needs no bound here: it is read piece by piece, and
nobody reads further than the gate allows.

Source: docs/security.md, S-OPS-3; ASVS 5.0 V15.2.2; RFC 9110 §15.5.9 (408).
"""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from http import HTTPStatus
from math import inf
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from batonpass.errors import (
    BatonpassError,
    HeadersTooLargeError,
    MalformedRequestError,
    StoreUnavailableError,
    TooSlowError,
)
from batonpass.http.answers import refusal

if sys.platform != "win32":  # which bounds no process' files
    import resource

# Above what the gate refuses (16 KiB under /auth): here the connection ends as well.
MAX_HEAD_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 16 * 1024
_SPARE_FILES: Final = 128  # the database's connections, SQLite's files, the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a process grants its peers (S-OPS-3).

    Attributes:
        head_seconds: From a connection's begin, or a later head's first byte, to the head's end.
        body_seconds: From there to the body's end.
        answer_seconds: How long a peer may read nothing of an answer that does not fit in buffers.
        connections: How many are open at once; fewer where the system allows fewer open files.
    """

    head_seconds: float = 10
    body_seconds: float = 20
    answer_seconds: float = 60
    connections: int = 4096


class _Awaited(Enum):
    """What the peer has yet to do."""

    HEAD = auto()
    BODY = auto()
    READING = auto()  # of our answer


class Connection(HttpToolsProtocol):
    """Closes where a peer sends too much or too slowly, or takes no answer.

    Where there is no room for another connection, the one whose peer has kept us waiting longest
    makes it: who sends a whole request at once is served beside any number of slow ones. Only where
    every request is in our own hands the newcomer is refused.
    """

    limits: ClassVar[Limits] = Limits()
    # Of this process, in the order in which the waiting began; each class has its own.
    _theirs: ClassVar[dict["Connection", None]] = {}

    _kept = 0  # bytes since the parser last had something whole
    _reading: _Awaited | None = _Awaited.HEAD
    _awaited: _Awaited | None = None
    _due = 0.0  # by when, on the loop's clock
    _timer: asyncio.TimerHandle | None = None
    _timer_at = 0.0

    def __init_subclass__(cls) -> None:
        """Count the subclass' connections by themselves."""
        cls._theirs = {}

    def make_room(self) -> None:
        """End it in favour of another one."""
        self._hang_up(StoreUnavailableError())

    # --- what happens on the connection ---------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find room for it, and begin to wait for its first head."""
        super().connection_made(transport)
        if len(self.connections) > min(self.limits.connections, room_for_files()):
            if not self._theirs:
                self._hang_up(StoreUnavailableError(), unasked=True)
                return
            next(iter(self._theirs)).make_room()
        self._theirs[self] = None
        self._consider()

    def data_received(self, data: bytes) -> None:
        """Give the parser a piece at a time: a read brings up to 256 KiB, of the next head too."""
        if self._reading is None:  # whatever it is: line ends alone would not begin a message
            self._reading = _Awaited.HEAD
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self._kept += len(piece)
            super().data_received(piece)
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            if self._kept > MAX_HEAD_BYTES:
                self._hang_up(HeadersTooLargeError())
                return
        self._consider()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Leave it to another protocol."""
        self._forget()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Wait for the peer to read."""
        super().pause_writing()
        self._consider()

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._consider()

    def send_400_response(self, _msg: str) -> None:
        """Refuse what the parser cannot read, as every other refusal looks."""
        self._hang_up(MalformedRequestError())

    # --- what the parser finds, and what the app has done ---------------------------------------

    def on_message_begin(self) -> None:
        """A head begins, of a later request in the same piece too."""
        self._reading = _Awaited.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin anew: a body follows, or the next head."""
        self._kept = 0
        self._reading = _Awaited.BODY
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begin anew: what came was handed on."""
        self._kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin anew: trailers are over as well, and the request is in our hands."""
        self._kept = 0
        self._reading = self._awaited = None
        self._theirs.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is the peer's turn again, if only to read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_soon()
        elif self.cycle.response_complete:
            self._theirs[self] = None

    def timeout_keep_alive_handler(self) -> None:
        """Close after a long pause, though the last answer be unread."""
        super().timeout_keep_alive_handler()
        self._close_soon()

    # --- how long we wait -----------------------------------------------------------------------

    def _consider(self) -> None:
        """Set the clock where something else is awaited than before."""
        awaited = _Awaited.READING if self.flow.write_paused else self._reading
        if awaited is self._awaited:
            return
        self._awaited = awaited
        if awaited is _Awaited.HEAD:
            self._wait(self.limits.head_seconds)
        elif awaited is _Awaited.BODY:
            self._wait(self.limits.body_seconds)
        elif awaited is _Awaited.READING:
            self._theirs.setdefault(self)
            self._wait(self.limits.answer_seconds)
        elif self._is_working():
            self._theirs.pop(self, None)

    def _wait(self, seconds: float) -> None:
        """Look again then. A timer that goes off earlier is left alone: setting one costs more."""
        self._due = self.loop.time() + seconds
        if self._timer is not None and self._timer_at > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer_at = self._due
            self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._awaited is None:
            return
        if self.loop.time() < self._due:
            self._timer_at = self._due
            self._timer = self.loop.call_at(self._due, self._look)
        elif self._awaited is _Awaited.HEAD and self._is_working():
            self._wait(self.limits.head_seconds)  # a pipeline's: first what came before it
        else:
            self._hang_up(TooSlowError())

    def _is_working(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _forget(self) -> None:
        self._theirs.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- how it ends ----------------------------------------------------------------------------

    def _hang_up(self, error: BatonpassError, *, unasked: bool = False) -> None:
        """Answer below the app, and close.

        An answer that has begun is cut off; and nothing is said where nothing was asked, for it
        would be taken for the answer to what is asked next.
        """
        self._forget()
        if self.flow.write_paused:
            self.transport.abort()
            return
        is_working = self._is_working()
        asked = self._kept > 0 or is_working or unasked
        if asked and not (is_working and self.cycle.response_started):
            self.transport.write(_WRITTEN[type(error)])
        self.transport.close()
        self._close_soon()

    def _close_soon(self) -> None:
        """End a connection that would otherwise stay until its peer reads what was said last."""
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.limits.answer_seconds, self.transport.abort)


def _write_out(error: BatonpassError) -> bytes:
    """Write a refusal as it stands on the wire."""
    answer = refusal(error)
    status = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}"
    headers = (name + b": " + value for name, value in answer.raw_headers)
    head = (status.encode(), *headers, b"connection: close", b"", b"")
    return b"\r\n".join(head) + bytes(answer.body)


# Once for all: who floods us gets thousands of them.
_WRITTEN: Final[Mapping[type[BatonpassError], bytes]] = {
    type(error): _write_out(error)
    for error in (
        HeadersTooLargeError(),
        MalformedRequestError(),
        StoreUnavailableError(),
        TooSlowError(),
    )
}


def allow_many_files() -> None:
    """Take as many open files as the system grants: many start a process with 1,024."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # a system that grants less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@cache
def room_for_files() -> float:
    """Return how many connections the system's bound on open files leaves room for."""
    if sys.platform == "win32":
        return inf
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if allowed == resource.RLIM_INFINITY else max(1, allowed - _SPARE_FILES)
