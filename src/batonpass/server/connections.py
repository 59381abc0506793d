"""One HTTP connection: uvicorn's fastest protocol, with an end to what is kept of a request's head.

Uvicorn bounds a head with h11 only; with httptools one connection that never ends its head takes as
much memory as it likes (measured: 60 MB of short headers took 1.2 GB). A body needs no bound here:
it is read piece by piece, and nobody reads further than the gate allows.

Source: docs/security.md, S-OPS-3; ASVS 5.0 V15.2.2.
"""

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from batonpass.errors import BatonpassError, HeadersTooLargeError, MalformedRequestError
from batonpass.http.answers import refusal

# Above what the gate refuses (16 KiB under /auth): here the connection ends as well.
MAX_HEAD_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 16 * 1024


class Connection(HttpToolsProtocol):
    """Closes where more than MAX_HEAD_BYTES came that are neither a whole head nor a body."""

    _kept = 0  # bytes since the parser last had something whole

    def data_received(self, data: bytes) -> None:
        """Give the parser a piece at a time: a read brings up to 256 KiB, of the next head too."""
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self._kept += len(piece)
            super().data_received(piece)
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            if self._kept > MAX_HEAD_BYTES:
                self._hang_up(HeadersTooLargeError())
                return

    def send_400_response(self, _msg: str) -> None:
        """Refuse what the parser cannot read, as every other refusal looks."""
        self._hang_up(MalformedRequestError())

    def on_headers_complete(self) -> None:
        """Begin anew: a body follows, or the next head."""
        self._kept = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begin anew: what came was handed on."""
        self._kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin anew: trailers are over as well."""
        self._kept = 0
        super().on_message_complete()

    def _hang_up(self, error: BatonpassError) -> None:
        """Answer below the app, which never hears of the request, and close."""
        answer = refusal(error)
        status = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}"
        headers = (name + b": " + value for name, value in answer.raw_headers)
        head = (status.encode(), *headers, b"connection: close", b"", b"")
        self.transport.write(b"\r\n".join(head) + bytes(answer.body))
        self.transport.close()
