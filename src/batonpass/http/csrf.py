"""Whether a page of ours, or of an origin that the operator listed, sent a request.

No token in a form: the browser itself says where a request comes from, and no page can make it lie.
What says nothing is no browser, and then no cookie of a user's browser is in play either.

Source: W3C Fetch Metadata §2.3 (Sec-Fetch-Site), RFC 6454 §7 (Origin); docs/security.md, S-CSRF.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batonpass.errors import ConfigurationError, CsrfError

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
        *,
        sites: Sequence[bytes],
        origins: Sequence[bytes],
        has_cookie: bool,
        request_origin: str,
    ) -> None:
        """Let the request pass, or refuse it before anything else is read.

        Args:
            method: As HTTP writes it, in capitals.
            sites: The values of Sec-Fetch-Site.
            origins: The values of Origin.
            has_cookie: Whether our refresh cookie came along.
            request_origin: scheme://host[:port] by which the request reached us.

        Raises:
            CsrfError: Another site sent it, or nobody can tell; or it said one of them twice, as no
                browser does.
        """
        if method in _HARMLESS:
            return
        site, origin = _the_one(sites), _the_one(origins)
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


def exact_origins(origins: Iterable[str]) -> frozenset[str]:
    """Take origins as browsers write them: any other would never be met (S-CORS-1).

    Raises:
        ConfigurationError: One is none, or is written otherwise.
    """
    found = frozenset((origins,) if isinstance(origins, str) else origins)
    for origin in found:
        if isinstance(origins, str) or not _is_exact(origin):
            message = (
                f"cors_origins: {origin!r} is no list of exact origins: write for instance "
                "['https://app.example.com']."
            )
            raise ConfigurationError(message)
    return found


def _is_exact(origin: str) -> bool:
    return origin.startswith(("http://", "https://")) and serialised(origin) == origin


def serialised(origin: str) -> str:
    """Write the origin of a URL as browsers do: in small letters, without the scheme's own port.

    Source: RFC 6454 §6.2.
    """
    scheme, _, rest = origin.lower().partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _the_one(values: Sequence[bytes]) -> str | None:
    if not values:
        return None
    if len(values) > 1:
        raise CsrfError
    return values[0].decode("latin-1")
