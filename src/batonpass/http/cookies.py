"""Our two cookies: their names, how they are read, written, cleared and hidden, all in one place.

The refresh cookie is for the browser and us alone. Beside it stands one that scripts may read: it
says which session and generation the browser holds, so that a tab sees what another tab did. It is
worth nothing to a thief, and the server never reads it.

Source: RFC 6265 §4.1 and 5.4, draft-ietf-httpbis-rfc6265bis (prefixes); docs/security.md, S-COOKIE.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from uuid import UUID

from batonpass.errors import RefreshTokenInvalidError
from batonpass.refresh_tokens import TEXT_LENGTH

SameSite = Literal["strict", "lax", "none"]
Header = tuple[bytes, bytes]

# `__Host-` holds siblings' cookies off; `-Http-` those that a script wrote
SECURE_REFRESH_TOKEN = "__Host-Http-refresh_token"  # noqa: S105 -- a name
SECURE_SESSION_STATE = "__Host-session_state"
PLAIN_REFRESH_TOKEN = "refresh_token"  # noqa: S105 -- a name
PLAIN_SESSION_STATE = "session_state"
SESSION_NAME_LENGTH = 8
MAX_COOKIE_HEADER = 64 * 1024  # browsers send 180 cookies of 4 KiB at worst; nobody ever does
_REFRESH_TOKEN_NAMES = frozenset({SECURE_REFRESH_TOKEN.encode(), PLAIN_REFRESH_TOKEN.encode()})
_PLAIN_NAME = PLAIN_REFRESH_TOKEN.encode()  # also the end of the prefixed one
_BLANKS = bytes([*range(0x21), 0x7F, 0x85, 0xA0])  # what any framework's parser strips, and more
_OVER = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
_SAMESITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """How our cookies are called and what they carry: one for https, one for plain http.

    Attributes:
        secure: The `__Host-` names and Secure; else the plain names without it.
        samesite: For both cookies. Browsers drop `none` without Secure, so plain cookies are then
            `lax`.
        refresh_token_name: The only one that is read.
        session_state_name: The one that scripts read.
    """

    secure: bool
    samesite: SameSite
    refresh_token_name: str = field(init=False)
    session_state_name: str = field(init=False)
    _attributes: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Write down what stands in every Set-Cookie."""
        samesite = "lax" if self.samesite == "none" and not self.secure else self.samesite
        attributes = f"Path=/; {'Secure; ' if self.secure else ''}SameSite={_SAMESITE[samesite]}"
        for name, value in {
            "refresh_token_name": SECURE_REFRESH_TOKEN if self.secure else PLAIN_REFRESH_TOKEN,
            "session_state_name": SECURE_SESSION_STATE if self.secure else PLAIN_SESSION_STATE,
            "_attributes": attributes,
        }.items():
            object.__setattr__(self, name, value)

    def read_refresh_token(self, cookies: Iterable[bytes]) -> str | None:
        """Find the refresh token in a request's Cookie headers; None when there is none.

        HTTP/2 may split them (RFC 9113 §8.2.3). The same value twice counts once. The text may
        still be anything of the right length.

        Raises:
            RefreshTokenInvalidError: There are two different ones, and nobody can say which is the
                user's; or it has another length than ours, which is seen before it is decoded.
        """
        wanted = self.refresh_token_name.encode()
        values: set[bytes] = set()
        for header in cookies:
            if wanted in header:
                if len(header) > MAX_COOKIE_HEADER:
                    raise RefreshTokenInvalidError
                values.update([pair.value for pair in _candidates(header) if pair.name == wanted])
        if not values:
            return None
        if len(values) > 1:
            raise RefreshTokenInvalidError
        text = values.pop()
        if len(text) != TEXT_LENGTH:
            raise RefreshTokenInvalidError
        return text.decode("latin-1")

    def issue(
        self, token: str, family_id: UUID, generation: int, max_age: int | None
    ) -> list[Header]:
        """Write the Set-Cookie headers of a token answer.

        Args:
            token: The refresh token's text.
            family_id: Its family.
            generation: Its generation.
            max_age: Seconds until the nearer limit; None: until the browser is closed.
        """
        lasts = "" if max_age is None else f"Max-Age={max_age}; "
        state = session_state(family_id, generation)
        return self._set(token, state, lasts)

    def clear(self) -> list[Header]:
        """Write the Set-Cookie headers of a logout. Nothing but a logout clears."""
        return self._set("", "", _OVER)

    @staticmethod
    def hide(headers: Iterable[Header]) -> list[Header]:
        """Take the refresh cookie, by either name, out of a request's headers.

        Every other cookie and header stays as it is, byte for byte; a Cookie header in which
        nothing is left goes.
        """
        hidden = (
            (name, _without_refresh_token(value) if name == b"cookie" else value)
            for name, value in headers
        )
        return [(name, value) for name, value in hidden if value is not None]

    def _set(self, token: str, state: str, lasts: str) -> list[Header]:
        attributes = f"; {lasts}{self._attributes}"
        return [
            (b"set-cookie", f"{self.refresh_token_name}={token}{attributes}; HttpOnly".encode()),
            (b"set-cookie", f"{self.session_state_name}={state}{attributes}".encode()),
        ]


def session_state(family_id: UUID, generation: int) -> str:
    """Name the family, without its id, and its generation: what tabs compare."""
    name = urlsafe_b64encode(hashlib.sha256(family_id.bytes).digest())[:SESSION_NAME_LENGTH]
    return f"{name.decode()}.{generation}"


class _Pair(NamedTuple):
    """One cookie in a Cookie header, from `start` to the `;` at `end`."""

    name: bytes
    value: bytes
    start: int
    end: int


def _candidates(header: bytes) -> Iterator[_Pair]:
    """Yield each cookie in which the name of ours stands, whatever stands around it.

    Searched for, not split: a megabyte of `;` would take 0.15 s to split, on every request.
    """
    end = -1
    while (at := header.find(_PLAIN_NAME, end + 1)) >= 0:
        start = header.rfind(b";", end + 1, at) + 1 or end + 1
        end = header.find(b";", at)
        if end < 0:
            end = len(header)
        name, _, value = header[start:end].partition(b"=")
        yield _Pair(name.strip(_BLANKS), value.strip(b" \t"), start, end)


def _without_refresh_token(header: bytes) -> bytes | None:
    if _PLAIN_NAME not in header:
        return header
    hidden = [pair for pair in _candidates(header) if pair.name in _REFRESH_TOKEN_NAMES]
    if not hidden:
        return header
    kept, at = [], 0
    for pair in hidden:
        kept.append(header[at : pair.start])
        at = pair.end + 1
    rest = b"".join([*kept, header[at:]])
    # The `;` before the last cookie, and the blank after the first one, stand between nothing now.
    if hidden[-1].end == len(header):
        rest = rest.removesuffix(b";")
    if hidden[0].start == 0:
        rest = rest.lstrip(b" \t")
    return rest or None
