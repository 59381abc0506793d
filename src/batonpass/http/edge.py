"""What a request says of itself: its path, its cookies, where it comes from, how its tokens travel.

One object an app, shared by gate, routes and dependencies, so that no two of them read a header
differently.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from uuid import UUID

from starlette._utils import get_route_path  # the one reading of mounts and root_path
from starlette.types import Scope

from batonpass.auth_service import AuthService
from batonpass.errors import BatonpassError, ConfigurationError, UnsupportedMediaTypeError
from batonpass.http.cookies import CookiePolicy
from batonpass.http.csrf import CsrfPolicy
from batonpass.http.devices import device_name
from batonpass.http.refusal_log import Refusals
from batonpass.origins import Origin, address
from batonpass.refresh_tokens import Transport
from batonpass.visits import Visit

logger = logging.getLogger(__name__)

AddressOf = Callable[[Scope], str | None]
OriginOf = Callable[[Scope], str]
Headers = list[tuple[bytes, bytes]]

JSON_TYPES = ("application/json",)
CLAIMS = "batonpass.claims"  # in the scope: those of the access token that was verified
TELL_REFUSAL = "batonpass.tell_refusal"  # in the scope: whom a refusal is told to
_PREFIX = re.compile(r"(/[\w.~-]+)+")


def check_prefix(prefix: str) -> None:
    """Take a path that our routes can stand under.

    Raises:
        ConfigurationError: It is none.
    """
    if not _PREFIX.fullmatch(prefix):
        message = f"prefix: {prefix!r} is no path such as '/auth'."
        raise ConfigurationError(message)


def peer_address(scope: Scope) -> str | None:
    """Return the address at the other end of the connection; no header is believed."""
    client = scope.get("client")
    return address(client[0]) if client else None


def request_origin(scope: Scope) -> str:
    """Return the origin that the request was sent to, as its own head says."""
    host = header(scope, b"host") or ""
    return f"{scope.get('scheme', 'http')}://{host}"


class Head:
    """A request's headers by name; what came twice is told from what came once."""

    __slots__ = ("_first", "_lines")

    def __init__(self, scope: Scope) -> None:
        """Take what the request carries; names are in small letters (ASGI)."""
        self._lines: Headers = scope["headers"]
        self._first = dict(reversed(self._lines))

    def __contains__(self, name: bytes) -> bool:
        """Whether there is such a header."""
        return name in self._first

    def get(self, name: bytes) -> str | None:
        """Return a header's first value."""
        value = self._first.get(name)
        return None if value is None else value.decode("latin-1")

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return all values of a header, line by line."""
        first = self._first.get(name)
        if first is None:
            return ()
        if len(self._first) == len(self._lines):  # no name comes twice
            return (first,)
        return [value for key, value in self._lines if key == name]

    @property
    def size(self) -> int:
        """How many bytes names and values take."""
        return sum([len(name) + len(value) for name, value in self._lines])


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header's first value."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def told(scope: Scope, error: BatonpassError) -> BatonpassError:
    """Tell the log of an error that is about to be answered, and return it."""
    tell = scope.get(TELL_REFUSAL)
    if tell is not None:  # else no gate stands before this app
        tell(scope, error)
    return error


def check_media_type(scope: Scope, accepted: tuple[str, ...]) -> None:
    """Hold a body to what its route takes (S-CSRF-6: no page's form says it is JSON).

    Raises:
        UnsupportedMediaTypeError: It says to be something else, or nothing.
    """
    found = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if found not in accepted:
        message = f"This route takes {' or '.join(accepted)}."
        raise UnsupportedMediaTypeError(message)


def require_json(scope: Scope, body: bytes) -> None:
    """Take a body as JSON or not at all (S-CSRF-6); most have none, whatever their type says.

    Raises:
        UnsupportedMediaTypeError: There is one, and it is of another type.
    """
    if body.strip():
        check_media_type(scope, JSON_TYPES)


class _AsItCame:
    """A request's headers, in the scope, and yet not to be seen where somebody prints that."""

    __slots__ = ("headers",)

    def __init__(self, headers: Headers) -> None:
        self.headers = headers


@dataclass(frozen=True, kw_only=True)
class Edge:
    """How one app's requests are read.

    Attributes:
        service: What they act on.
        name: The Batonpass' own, where an app has several.
        prefix: Under which our routes stand.
        cookie_secure: True and False as said; None: Secure on https, plain names on http.
        cookie_samesite: The cookies' SameSite.
        own_origin: The origin that users see; None: what the request says.
        allowed_origins: Other origins that may send credentials.
        address_of: Reads the client's address.
        origin_of: Reads the origin a request was sent to.
    """

    service: AuthService
    name: str = ""
    prefix: str = "/auth"
    cookie_secure: bool | None = None
    cookie_samesite: Literal["strict", "lax", "none"] = "strict"
    own_origin: str | None = None
    allowed_origins: frozenset[str] = field(default_factory=frozenset)
    address_of: AddressOf = peer_address
    origin_of: OriginOf = request_origin

    def path(self, scope: Scope) -> str:
        """Return the path inside the app, mounts and root_path taken off."""
        return get_route_path(scope)

    def cookies(self, scope: Scope) -> CookiePolicy:
        """Return the cookie names and attributes that hold for this request."""
        return self.cookies_at(self.origin_of(scope) if self.cookie_secure is None else "")

    def cookies_at(self, origin: str) -> CookiePolicy:
        """Return the same, where the origin that the request was sent to has been read."""
        is_secure = self.cookie_secure
        if is_secure is None:
            is_secure = origin.startswith("https:")
        return self._secure_cookies if is_secure else self._plain_cookies

    def hide_cookie(self, scope: Scope) -> None:
        """Take the refresh cookie, by either name, out of what a request's handlers see.

        `head` still knows it: a login in a route of the app's ends the session that was here.
        """
        headers = scope["headers"]
        scope[self._as_it_came] = _AsItCame(headers)
        scope["headers"] = self._secure_cookies.hide(headers)

    def head(self, scope: Scope) -> "Head":
        """Return a request's headers as they came, the refresh cookie with them."""
        kept = scope.get(self._as_it_came)
        return Head(scope) if kept is None else Head({"headers": kept.headers})

    def visit(self, scope: Scope) -> Visit:
        """Return from where the request comes, as the session list will show it."""
        return Visit(
            origin=Origin(self.address_of(scope), device_name(header(scope, b"user-agent"))),
            request_id=scope.get("state", {}).get("request_id"),
        )

    def tell_refusal(
        self, scope: Scope, error: BatonpassError, *, family_id: UUID | None = None
    ) -> None:
        """Tell the log of a request that is refused (S-LOG-1)."""
        claims = scope.get(CLAIMS)
        self.refusals.tell(error, self.visit(scope), claims=claims, family_id=family_id)

    def may_use_body(self, head: Head) -> bool:
        """Whether a refresh token may travel in the body: no sign of a browser (S-RT-10)."""
        return not any(name in head for name in (b"cookie", b"origin", b"sec-fetch-site"))

    def login_transport(self, scope: Scope) -> Transport:
        """Return how the tokens of a login made by this request will travel."""
        asked = (header(scope, b"x-token-transport") or "").strip().lower() == "body"
        return Transport.BODY if asked and self.may_use_body(self.head(scope)) else Transport.COOKIE

    def check_csrf(self, method: str, head: Head, origin: str) -> None:
        """Refuse what a page that is not ours sent.

        Args:
            method: The request's.
            head: Its headers.
            origin: The one it was sent to.

        Raises:
            CsrfError: It comes from elsewhere.
        """
        self._csrf.check(
            method,
            sites=head.values(b"sec-fetch-site"),
            origins=head.values(b"origin"),
            has_cookie=b"cookie" in head,
            request_origin=origin,
        )

    @cached_property
    def refusals(self) -> Refusals:
        """What this process tells of the requests that it refuses."""
        return Refusals(self.service.clock)

    @cached_property
    def _as_it_came(self) -> str:
        return f"batonpass.as_it_came.{self.name}"  # of several, each hides a cookie of its own

    @cached_property
    def _csrf(self) -> CsrfPolicy:
        return CsrfPolicy(
            own_origin=self.own_origin,
            allowed_origins=self.allowed_origins,
            cookies_cross_site=self.cookie_samesite == "none",
        )

    @cached_property
    def _secure_cookies(self) -> CookiePolicy:
        return CookiePolicy(secure=True, samesite=self.cookie_samesite, owner=self.name)

    @cached_property
    def _plain_cookies(self) -> CookiePolicy:
        if self.cookie_secure is None:  # nobody said so: it may be a proxy that nobody named
            logger.warning("cookies_without_secure")
        return CookiePolicy(secure=False, samesite=self.cookie_samesite, owner=self.name)
