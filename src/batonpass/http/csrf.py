"""Whether a page of ours, or of an origin that the operator listed, sent a request.

No token in a form: the browser itself says where a request comes from, and no page can make it lie.
What says nothing is no browser, and then no cookie of a user's browser is in play either.

Source: W3C Fetch Metadata §2.3 (Sec-Fetch-Site), RFC 6454 §7 (Origin); docs/security.md, S-CSRF.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batonpass.errors import ConfigurationError, CsrfError

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})  # they change nothing (S-CSRF-6)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_MAX_PORT = 65_535
# As a browser writes it: lower case, a host beyond ASCII in its xn-- form.
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:(?P<port>\d{1,5}))?",
    re.ASCII,
)
_USER_INFO = re.compile(r"//[^/]*@")


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
        if site is None and origin is None:  # no browser (S-CSRF-4)
            if has_cookie and self.cookies_cross_site:
                raise CsrfError
            return
        if origin in self.allowed_origins:  # "null" never is: it has no scheme
            return
        if site is None:  # compared whole: scheme, host and port (S-CSRF-5)
            own = self.own_origin or serialised(request_origin)
            if origin != own:
                raise CsrfError
        elif site != "same-origin" or origin == "null":  # whatever else it says (S-CSRF-3)
            raise CsrfError


def exact_origins(origins: Iterable[str]) -> frozenset[str]:
    """Take a list of origins, each as `check_origin` wants it.

    Raises:
        ConfigurationError: One is none, or is written otherwise.
    """
    found = frozenset((origins,) if isinstance(origins, str) else origins)
    for origin in found:
        if isinstance(origins, str) or not _is_exact(origin):
            message = (
                f"cors_origins: {_quotable(origin)!r} is no list of exact origins: write for "
                "instance ['https://app.example.com']."
            )
            raise ConfigurationError(message)
    return found


def _is_exact(origin: str) -> bool:
    try:
        check_origin(origin)
    except ValueError:
        return False
    return True


def _quotable(origin: str) -> str:
    """Leave out what may be a password (S-OPS-1)."""
    return _USER_INFO.sub("//", origin)


def serialised(origin: str) -> str:
    """Write the origin of a URL as browsers do: in small letters, without the scheme's own port.

    Source: RFC 6454 §6.2.
    """
    scheme, _, rest = origin.lower().partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def check_origin(text: str) -> str:
    """Return an origin as a browser writes it: any other text would never be met (S-CORS-1).

    Raises:
        ValueError: It is none: `*`, `null`, a path, a pattern, a default port.

    Source: RFC 6454 §6.2.
    """
    found = _ORIGIN.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port <= _MAX_PORT):
        message = (
            f"{_quotable(text)!r} is no exact origin: write for instance https://app.example.com"
        )
        raise ValueError(message)
    if f":{port}" == _DEFAULT_PORTS[found["scheme"]]:
        message = f"{text!r} is not what a browser sends: leave out :{port}"
        raise ValueError(message)
    return text


def _the_one(values: Sequence[bytes]) -> str | None:
    if not values:
        return None
    if len(values) > 1:
        raise CsrfError
    return values[0].decode("latin-1")
