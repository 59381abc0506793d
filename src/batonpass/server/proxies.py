"""Who is asking, and by which origin, where proxies stand in front.

X-Forwarded-* is believed only from TRUSTED_PROXIES; the client's address is then the rightmost hop
that is none of them. Uvicorn's own reading of these headers is off: it would trust 127.0.0.1.

Source: docs/security.md, S-THR-4; ASVS 5.0 V4.1.3, V15.3.4.
"""

from collections.abc import Sequence
from ipaddress import ip_address

from starlette.types import Scope

from batonpass.http.edge import header, peer_address, request_origin
from batonpass.server.settings import Network

_MAX_HOPS = 100
_SCHEMES = frozenset({"http", "https"})


class Proxies:
    """Reads addresses and origins, believing only whom the operator named."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Take the proxies' networks."""
        self._trusted = tuple(trusted)

    def address_of(self, scope: Scope) -> str | None:
        """Return the client's address."""
        peer = peer_address(scope)
        if not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for hop in (header(scope, b"x-forwarded-for") or "").split(",")]
        nearest = peer
        for hop in reversed(hops[-_MAX_HOPS:]):
            if not _is_address(hop):
                break
            nearest = hop
            if not self._is_trusted(hop):
                break
        return nearest

    def origin_of(self, scope: Scope) -> str:
        """Return the origin that the request was sent to, as the user's browser knows it."""
        if not self._is_trusted(peer_address(scope)):
            return request_origin(scope)
        scheme = header(scope, b"x-forwarded-proto") or scope.get("scheme", "http")
        host = header(scope, b"x-forwarded-host") or header(scope, b"host") or ""
        if scheme not in _SCHEMES:
            return request_origin(scope)
        return f"{scheme}://{host}"

    def _is_trusted(self, address: str | None) -> bool:
        if not self._trusted or address is None or not _is_address(address):
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
