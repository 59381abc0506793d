"""Whose word about a request's origin is believed."""

from ipaddress import ip_network

import pytest
from starlette.types import Scope

from batonpass.server.proxies import Proxies

CLIENT, SPOOFED = "203.0.113.9", "198.51.100.66"
PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")])
NO_PROXIES = Proxies([])


def a_scope(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> Scope:
    return {
        "type": "http",
        "scheme": scheme,
        "client": None if peer is None else (peer, 40_000),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def forwarded(*lines: str) -> tuple[tuple[str, str], ...]:
    return tuple(("X-Forwarded-For", line) for line in lines)


UNBELIEVED = [
    pytest.param(CLIENT, id="a client"),
    pytest.param("127.0.0.1", id="this machine"),
    pytest.param("::1", id="this machine, newer"),
]


@pytest.mark.parametrize("peer", UNBELIEVED)
@pytest.mark.parametrize("hops", [1, 3, 100])
@pytest.mark.parametrize("proxies", [NO_PROXIES, PROXIES])
def test_s_thr_4_nobody_else_is_believed(peer: str, hops: int, proxies: Proxies) -> None:
    scope = a_scope(
        peer,
        *forwarded(", ".join([SPOOFED] * hops)),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("Host", "app.test"),
    )

    assert proxies.address_of(scope) == peer
    assert proxies.origin_of(scope) == "http://app.test"


BEHIND = "10.0.0.1"
ADDRESSES = [
    pytest.param(BEHIND, [CLIENT], CLIENT, id="one proxy"),
    pytest.param(BEHIND, [f"{CLIENT}, 10.0.0.2"], CLIENT, id="two proxies"),
    pytest.param(BEHIND, [f"{SPOOFED}, {CLIENT}, 10.0.0.2"], CLIENT, id="what a client invents"),
    pytest.param(BEHIND, [SPOOFED, CLIENT], CLIENT, id="in a line of its own"),
    pytest.param(BEHIND, [f"10.0.0.9, {CLIENT}"], CLIENT, id="a proxy's address, invented"),
    pytest.param(BEHIND, [f"{SPOOFED}, " * 99 + CLIENT], CLIENT, id="a hundred hops"),
    pytest.param(BEHIND, [f"{CLIENT},  10.0.0.2 ,"], "10.0.0.1", id="an empty hop ends it"),
    pytest.param(BEHIND, [f"{SPOOFED}, unknown, 10.0.0.2"], "10.0.0.2", id="a word ends it"),
    pytest.param(BEHIND, ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="proxies among themselves"),
    pytest.param(BEHIND, [], BEHIND, id="no header"),
    pytest.param(BEHIND, [""], BEHIND, id="an empty header"),
    pytest.param(BEHIND, [f"{CLIENT}:5123"], CLIENT, id="with a port"),
    pytest.param(BEHIND, ["[2001:db8::7]:5123"], "2001:db8::7", id="with a port, newer"),
    pytest.param(BEHIND, ["2001:DB8:0::7"], "2001:db8::7", id="written long"),
    pytest.param(BEHIND, ["fe80::7%eth0"], "fe80::7", id="with a zone"),
    pytest.param(BEHIND, [f"::ffff:{CLIENT}"], CLIENT, id="mapped"),
    pytest.param("::ffff:10.0.0.1", [CLIENT], CLIENT, id="behind a mapped proxy"),
    pytest.param(BEHIND, [f"{CLIENT}, ::ffff:10.0.0.2"], CLIENT, id="over a mapped proxy"),
    pytest.param("2001:db8:ffff::1", [CLIENT], CLIENT, id="behind an IPv6 proxy"),
]


@pytest.mark.parametrize(("peer", "lines", "address"), ADDRESSES)
def test_s_thr_4_the_client_is_the_rightmost_hop_that_is_no_proxy(
    peer: str, lines: list[str], address: str
) -> None:
    assert PROXIES.address_of(a_scope(peer, *forwarded(*lines))) == address


HOST = ("Host", "inner.test")
ORIGINS = [
    pytest.param([], "http://inner.test", id="nothing said"),
    pytest.param([("X-Forwarded-Proto", "https")], "https://inner.test", id="the scheme"),
    pytest.param([("X-Forwarded-Proto", "HTTPS")], "https://inner.test", id="in capitals"),
    pytest.param(
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "app.test")],
        "https://app.test",
        id="scheme and host",
    ),
    pytest.param([("X-Forwarded-Host", "app.test:8443")], "http://app.test:8443", id="a port"),
    pytest.param([("X-Forwarded-Proto", "http, https")], "https://inner.test", id="last in a list"),
    pytest.param(
        [("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https")],
        "https://inner.test",
        id="last of two lines",
    ),
    pytest.param(
        [("X-Forwarded-Host", "evil.test, app.test")], "http://app.test", id="last host in a list"
    ),
    pytest.param([("X-Forwarded-Proto", "gopher")], "http://inner.test", id="no scheme of ours"),
    pytest.param([("X-Forwarded-Proto", "")], "http://inner.test", id="an empty scheme"),
    pytest.param([("X-Forwarded-Host", "a/b@c")], "http://inner.test", id="what is no host"),
    pytest.param([("X-Forwarded-Host", "")], "http://inner.test", id="an empty host"),
]


@pytest.mark.parametrize(("headers", "origin"), ORIGINS)
def test_the_origin_is_what_the_nearest_proxy_says(
    headers: list[tuple[str, str]], origin: str
) -> None:
    assert PROXIES.origin_of(a_scope(BEHIND, HOST, *headers)) == origin
