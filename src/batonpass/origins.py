"""Where a request came from: an address and a device, as far as the session list shows them."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

_IPV6_BLOCK_BITS = 64  # one subscriber's network; within it an address changes by the hour


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


@lru_cache(maxsize=4096)
def block(address: str | None) -> str | None:
    """Return the address block that counts as one place: an IPv4 /32 or an IPv6 /64.

    What is no address (a Unix socket's empty name) stands for itself.
    """
    if address is None:
        return None
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _IPV6_BLOCK_BITS), strict=False))
    return str(parsed)
