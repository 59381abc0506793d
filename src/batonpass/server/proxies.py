"""Who is asking, and by which origin, where proxies stand in front.

X-Forwarded-* is believed only from TRUSTED_PROXIES; the client's address is then the rightmost hop
that is none of them. Uvicorn's own reading of these headers is off: it would trust 127.0.0.1.

Source: docs/security.md, S-THR-4; ASVS 5.0 V4.1.3, V15.3.4.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import Scope

from batonpass.http.edge import peer_address, request_origin
from batonpass.server.settings import Network

_MAX_HOPS: Final = 100
_PEERS_REMEMBERED: Final = 4096
_SCHEMES: Final = frozenset({"http", "https"})
_HOST: Final = re.compile(r"[a-z0-9._-]+(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?", re.IGNORECASE)
_WITH_PORT: Final = re.compile(r"\[(?P<v6>.+)\](:\d+)?|(?P<v4>[\d.]+):\d+", re.ASCII)

Address = IPv4Address | IPv6Address


class Proxies:
    """Reads addresses and origins, believing only whom the operator named."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Take the proxies' networks."""
        self._trusted = tuple(trusted)
        self._ask_networks = lru_cache(_PEERS_REMEMBERED)(self._read_peer)

    def address_of(self, scope: Scope) -> str | None:
        """Return the client's address."""
        peer = peer_address(scope)
        if not self._is_peer_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(_listed(scope, b"x-forwarded-for")[-_MAX_HOPS:]):
            found = _address(hop)
            if found is None:  # whoever wrote this is no proxy of ours, or hides somebody
                break
            nearest = str(found)
            if not self._is_trusted(found):
                break
        return nearest

    def origin_of(self, scope: Scope) -> str:
        """Return the origin that the request was sent to, as the user's browser knows it.

        Of several values the last: the nearest proxy wrote it, a client may have written the first.
        """
        seen = request_origin(scope)
        if not self._is_peer_trusted(peer_address(scope)):
            return seen
        scheme, _, host = seen.partition("://")
        said_scheme = _last(scope, b"x-forwarded-proto").lower()
        said_host = _last(scope, b"x-forwarded-host")
        return "://".join(
            (
                said_scheme if said_scheme in _SCHEMES else scheme,
                said_host if _HOST.fullmatch(said_host) else host,
            )
        )

    def _is_peer_trusted(self, peer: str | None) -> bool:
        return bool(self._trusted) and self._ask_networks(peer)

    def _read_peer(self, peer: str | None) -> bool:
        return self._is_trusted(_address(peer))

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _listed(scope: Scope, name: bytes) -> list[str]:
    """Return a header's values over all its lines: a client's own may stand before a proxy's."""
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [value.strip() for value in ",".join(lines).split(",")] if lines else []


def _last(scope: Scope, name: bytes) -> str:
    return next(reversed(_listed(scope, name)), "")


def _address(text: str | None) -> Address | None:
    """Read an address, with or without a port; IPv4 inside IPv6 is IPv4."""
    found = _WITH_PORT.fullmatch(text or "")
    if found is not None:
        text = found["v6"] or found["v4"]
    try:
        parsed = ip_address(text or "")
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or IPv6Address(int(parsed))  # less any zone
    return parsed
