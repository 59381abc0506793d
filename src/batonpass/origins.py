"""Where a request came from: an address and a device, as far as the session list shows them.

Source: RFC 4291 §2.5.5.2 (IPv4 in IPv6); docs/security.md, "block".
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

UNKNOWN_ADDRESS = "unknown"
_MAX_ADDRESS_LENGTH = 64  # an IPv6 address has 39 at most, and a zone some more
_IPV6_BLOCK_BITS = 64  # one subscriber's network; within it an address changes by the hour
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from.

    Attributes:
        ip: The client's address; None where there is none (CLI).
        device: Short: "Firefox on Linux".
    """

    ip: str | None = None
    device: str | None = None

    def is_elsewhere(self, other: "Origin") -> bool:
        """Whether this is another device, or another address block, than `other`."""
        return self.device != other.device or block(self.ip) != block(other.ip)


def address(client_host: str | None) -> str:
    """Write a client's address in its one short form: IPv4 inside IPv6 is IPv4, no zone.

    What is no address (a test client, a socket file) is "unknown".
    """
    return _read(client_host)[0]


def block(address: str | None) -> str | None:
    """Return the block that counts as one place, an IPv4 address or an IPv6 /64; None for None."""
    return None if address is None else _read(address)[1]


def _read(text: str | None) -> tuple[str, str]:
    """Return the address and its block. What is too long to be one is not remembered."""
    if text is None or len(text) > _MAX_ADDRESS_LENGTH:
        return UNKNOWN_ADDRESS, UNKNOWN_ADDRESS
    return _remembered(text)


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> tuple[str, str]:
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN_ADDRESS, UNKNOWN_ADDRESS
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv6Address):
        return str(ip), str(ip_network((ip, _IPV6_BLOCK_BITS), strict=False))
    return str(ip), str(ip)
