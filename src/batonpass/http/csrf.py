"""Whether a page of ours, or of an origin that the operator listed, sent a request.

No token in a form: the browser itself says where a request comes from, and no page can make it lie.
What says nothing is no browser, and then no cookie of a user's browser is in play either.

Source: W3C Fetch Metadata §2.3 (Sec-Fetch-Site), RFC 6454 §7 (Origin); docs/security.md, S-CSRF.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from batonpass.errors import CsrfError

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})  # they change nothing (S-CSRF-6)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class CsrfPolicy:
    """Who may send what changes something.

    Attributes:
        own_origin: PUBLIC_URL's; None: what each request itself says.
        allowed_origins: CORS_ORIGINS.
        cookies_cross_site: COOKIE_SAMESITE=none: a browser sends our cookie from any site, so a
            request that says nothing of where it comes from is not believed.
    """

    own_origin: str | None
    allowed_origins: frozenset[str]
    cookies_cross_site: bool

    def __post_init__(self) -> None:
        """Write the origins down as a browser does."""
        own = None if self.own_origin is None else serialised(self.own_origin)
        allowed = frozenset(serialised(origin) for origin in self.allowed_origins)
        object.__setattr__(self, "own_origin", own)
        object.__setattr__(self, "allowed_origins", allowed)

    def check(
        self,
        method: str,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        has_cookie: bool,
        request_origin: str,
    ) -> None:
        """Let the request pass, or refuse it before anything else is read.

        Args:
            method: As HTTP writes it, in capitals.
            headers: The request's, names in small letters.
            has_cookie: Whether our refresh cookie came along.
            request_origin: scheme://host[:port] by which the request reached us.

        Raises:
            CsrfError: Another site sent it, or nobody can tell.
        """
        if method in _HARMLESS:
            return
        site, origin = _read(headers)
        if site is None and origin is None:
            if has_cookie and self.cookies_cross_site:
                raise CsrfError
            return
        if origin in self.allowed_origins:  # "null" never is: it has no scheme
            return
        if site is None:
            own = self.own_origin or serialised(request_origin)
            if origin != own:
                raise CsrfError
        elif site != "same-origin" or origin == "null":
            raise CsrfError


def serialised(origin: str) -> str:
    """Write the origin of a URL as browsers do: in small letters, without the scheme's own port.

    Source: RFC 6454 §6.2.
    """
    scheme, _, rest = origin.lower().partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, str | None]:
    """Return Sec-Fetch-Site and Origin.

    Raises:
        CsrfError: One came twice: a browser sends it once.
    """
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in {b"sec-fetch-site", b"origin"}:
            if name in found:
                raise CsrfError
            found[name] = value.decode("latin-1")
    return found.get(b"sec-fetch-site"), found.get(b"origin")
