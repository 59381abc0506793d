"""Our two cookies: their names, how they are read, written, cleared and hidden, all in one place.

The refresh cookie is for the browser and us alone (S-COOKIE-1). Beside it stands one that scripts
may read: it says which session and generation the browser holds, so that a tab sees what another
tab did. It is worth nothing to a thief, and the server never reads it (S-COOKIE-7).

Source: RFC 6265 §4.1 and 5.4, draft-ietf-httpbis-rfc6265bis (prefixes); docs/security.md, S-COOKIE.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
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
        owner: The Batonpass of several in one app whose cookies these are; its name stands in
            theirs. "": the only one, or the first.
        refresh_token_name: The only one that is read.
        session_state_name: The one that scripts read.
    """

    secure: bool
    samesite: SameSite
    owner: str = ""
    refresh_token_name: str = field(init=False)
    session_state_name: str = field(init=False)
    _attributes: str = field(init=False, repr=False)
    _plain_name: bytes = field(init=False, repr=False)  # also the end of the prefixed one
    _hidden: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Write down what stands in every Set-Cookie."""
        samesite = "lax" if self.samesite == "none" and not self.secure else self.samesite
        attributes = f"Path=/; {'Secure; ' if self.secure else ''}SameSite={_SAMESITE[samesite]}"
        secure, plain = refresh_token_names(self.owner)
        states = (SECURE_SESSION_STATE, PLAIN_SESSION_STATE)
        secure_state, plain_state = (_owned(name, self.owner) for name in states)
        for name, value in {
            "refresh_token_name": secure if self.secure else plain,
            "session_state_name": secure_state if self.secure else plain_state,
            "_attributes": attributes,
            "_plain_name": plain.encode(),
            "_hidden": frozenset({secure.encode(), plain.encode()}),
        }.items():
            object.__setattr__(self, name, value)

    def read_refresh_token(self, cookies: Iterable[bytes]) -> str | None:
        """Find the refresh token in a request's Cookie headers; None when there is none.

        HTTP/2 may split them (RFC 9113 §8.2.3). The same value twice counts once. The text may
        still be anything of the right length.

        Raises:
            RefreshTokenInvalidError: There are two different ones, and nobody can say which is the
                user's (S-COOKIE-4); or it has another length than ours, which is seen before it is
                decoded (S-COOKIE-3).
        """
        wanted = self.refresh_token_name.encode()
        values: set[bytes] = set()
        for header in cookies:
            if wanted in header:
                if len(header) > MAX_COOKIE_HEADER:
                    raise RefreshTokenInvalidError
                found = _candidates(header, self._plain_name)
                values.update([pair.value for pair in found if pair.name == wanted])
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

    def hide(self, headers: Iterable[Header]) -> list[Header]:
        """Take the refresh cookie, by either name, out of a request's headers.

        Every other cookie and header stays as it is, byte for byte; a Cookie header in which
        nothing is left goes.
        """
        hidden = (
            (name, self._without_refresh_token(value) if name == b"cookie" else value)
            for name, value in headers
        )
        return [(name, value) for name, value in hidden if value is not None]

    def _without_refresh_token(self, header: bytes) -> bytes | None:
        if self._plain_name not in header:
            return header
        found = _candidates(header, self._plain_name)
        return _without([pair for pair in found if pair.name in self._hidden], header)

    def _set(self, token: str, state: str, lasts: str) -> list[Header]:
        attributes = f"; {lasts}{self._attributes}"
        return [
            (b"set-cookie", f"{self.refresh_token_name}={token}{attributes}; HttpOnly".encode()),
            (b"set-cookie", f"{self.session_state_name}={state}{attributes}".encode()),
        ]


def refresh_token_names(owner: str = "") -> tuple[str, str]:
    """Return the refresh cookie's name over https and over plain http."""
    return _owned(SECURE_REFRESH_TOKEN, owner), _owned(PLAIN_REFRESH_TOKEN, owner)


def _owned(name: str, owner: str) -> str:
    """Put a Batonpass' name into a cookie's, behind the prefix that browsers heed."""
    if not owner:
        return name
    prefix, dash, rest = name.rpartition("-")
    return f"{prefix}{dash}{owner}_{rest}"


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


def _candidates(header: bytes, plain_name: bytes) -> Iterator[_Pair]:
    """Yield each cookie in which the name of ours stands, whatever stands around it.

    Searched for, not split: a megabyte of `;` would take 0.15 s to split, on every request.
    """
    end = -1
    while (at := header.find(plain_name, end + 1)) >= 0:
        start = header.rfind(b";", end + 1, at) + 1 or end + 1
        end = header.find(b";", at)
        if end < 0:
            end = len(header)
        name, _, value = header[start:end].partition(b"=")
        yield _Pair(name.strip(_BLANKS), value.strip(b" \t"), start, end)


def _without(hidden: Sequence[_Pair], header: bytes) -> bytes | None:
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
