"""Addresses and their blocks: in one form, whoever wrote them."""

import pytest

from batonpass.origins import Origin, address, block


@pytest.mark.parametrize(("client_host", "expected", "its_block"), [
    ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
    pytest.param("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", id="IPv4 inside IPv6"),
    pytest.param("::FFFF:c000:207", "192.0.2.7", "192.0.2.7", id="the same in hex"),
    pytest.param("2001:DB8:1:2:0:0:0:3", "2001:db8:1:2::3", "2001:db8:1:2::/64", id="IPv6"),
    pytest.param("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2:ffff:ffff:ffff:ffff",
                 "2001:db8:1:2::/64", id="the last of that block"),
    pytest.param("2001:db8:1:3::", "2001:db8:1:3::", "2001:db8:1:3::/64", id="the next block"),
    pytest.param("fe80::1%eth0", "fe80::1", "fe80::/64", id="a zone"),
    ("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::/64"),
    *(pytest.param(host, "unknown", "unknown", id=repr(host)[:20]) for host in (
        None, "", "testclient", "/run/app.sock", "192.0.2.7, 10.0.0.1", "192.0.2.7:80", "192.0.2",
        "0x7f.1", "192.0.2.07", "1" * 10**6, "\r\n", "\u0661.2.3.4",
    )),
])  # fmt: skip
def test_an_address_and_its_block(client_host: str | None, expected: str, its_block: str) -> None:
    assert address(client_host) == expected
    assert block(address(client_host)) == its_block


@pytest.mark.parametrize(("one", "other", "elsewhere"), [
    (Origin("192.0.2.7", "Firefox on Linux"), Origin("192.0.2.7", "Firefox on Linux"), False),
    (Origin("192.0.2.7", "Firefox on Linux"), Origin("192.0.2.8", "Firefox on Linux"), True),
    (Origin("192.0.2.7", "Firefox on Linux"), Origin("192.0.2.7", "curl"), True),
    (Origin("2001:db8::1", "curl"), Origin("2001:db8::2", "curl"), False),
    (Origin("2001:db8::1", "curl"), Origin("2001:db8:0:1::1", "curl"), True),
])  # fmt: skip
def test_another_device_or_block_is_elsewhere(one: Origin, other: Origin, elsewhere: bool) -> None:
    assert one.is_elsewhere(other) is elsewhere
