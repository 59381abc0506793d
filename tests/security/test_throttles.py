"""Guessing passwords: how often, from where, by how many processes.

The buckets' own arithmetic, and how many are kept (S-THR-6), is held by
tests/server/test_throttle.py; that nobody is locked out (S-THR-2) by tests/server/test_accounts.py;
here somebody attacks them through the server.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from batonpass.server.app import CONFIRMATIONS, REGISTRATIONS_IN_PRODUCTION
from batonpass.server.throttle import Limit, LoginLimits
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
    settings_of,
)
from tests.support.work import noted

UNKNOWN = "nob@example.com"


def test_s_thr_1_the_defaults_are_those_of_the_security_page(sqlite_url: str) -> None:
    quarter, hour = timedelta(minutes=15), timedelta(hours=1)

    assert settings_of(sqlite_url).login_limits == LoginLimits(
        pair=Limit(10, quarter), address=Limit(50, quarter), strangers=Limit(100, hour)
    )
    assert Limit(20, hour) == REGISTRATIONS_IN_PRODUCTION
    assert Limit(10, quarter) == CONFIRMATIONS


async def test_s_thr_1_of_forty_at_once_on_four_processes_ten_are_hashed(
    database_url: str,
) -> None:
    """And a restart forgives none of them."""
    async with AsyncExitStack() as four:
        work = four.enter_context(noted())
        servers = [await four.enter_async_context(a_server(database_url))]
        servers += [
            await four.enter_async_context(a_server(database_url, users=())) for _ in range(3)
        ]
        work.taken()

        clients = [server.somebody() for server in servers]
        answers = await asyncio.gather(
            *(log_in(clients[n % 4], password=f"wrong password {n}") for n in range(40))
        )

        assert len(work.hashes) == 10
    assert sorted(refusal(one)[0] for one in answers) == [401] * 10 + [429] * 30
    async with a_server(database_url, users=(), clock=servers[0].clock) as restarted:
        assert refusal(await log_in(restarted.somebody())) == (429, "rate_limited")


# --- one answer --------------------------------------------------------------------------------

SMALL = "pair=2/15m,address=4/15m,strangers=3/1h"


async def fill_pair(server: Server, email: str) -> str:
    for _ in range(2):
        await log_in(server.somebody(address="10.0.0.1"), email, "wrong password")
    return "10.0.0.1"


async def fill_address(server: Server, email: str) -> str:
    for number in range(4):
        await log_in(server.somebody(address="10.0.0.2"), f"{number}@example.com", "wrong")
    return "10.0.0.2"


async def fill_site(server: Server, email: str) -> str:
    for number in range(16):
        thief = server.somebody(address=f"2001:db8:7:{number:x}::1")
        await log_in(thief, f"{number}@example.com", "wrong")
    return "2001:db8:7:ffff::1"


async def fill_strangers(server: Server, email: str) -> str:
    for number in range(3):
        await log_in(server.somebody(address=f"10.0.1.{number}"), email, "wrong password")
    return "10.0.0.4"


async def test_s_thr_3_no_refusal_tells_which_bucket_is_full_or_whose(database_url: str) -> None:
    shown = set()
    async with a_server(database_url, rate_limit_login=SMALL) as server:
        for fill in (fill_pair, fill_address, fill_site, fill_strangers):
            for email in (EMAIL, UNKNOWN):
                client = server.somebody(address=await fill(server, email))
                for password in (PASSWORD, "wrong password"):
                    with noted() as work:
                        answer = await log_in(client, email, password)
                    assert work.hashes == []
                    assert refusal(answer) == (429, "rate_limited"), fill.__name__
                    assert int(answer.headers["retry-after"]) >= 1
                    headers = [one for one in answer.headers.items() if one[0] != "x-request-id"]
                    shown.add((answer.content, *headers))
            server.clock.advance(timedelta(hours=1))

    assert len(shown) == 1


# --- who is counted ----------------------------------------------------------------------------


@pytest.mark.parametrize(("proxies", "hops", "refused"), [
    pytest.param("", "203.0.113.{n}", True, id="nobody is believed"),
    pytest.param("10.0.0.0/8", "203.0.113.{n}", True, id="but the proxies"),
    pytest.param("192.0.2.0/24", "203.0.113.{n}, 198.51.100.1", True, id="what a client wrote"),
    pytest.param("192.0.2.0/24", "::ffff:198.51.100.1", True, id="one address, mapped"),
    pytest.param("192.0.2.0/24", "203.0.113.{n}", False, id="another client behind the proxy"),
])  # fmt: skip
async def test_s_thr_4_no_header_gives_more_guesses(
    sqlite_url: str, proxies: str, hops: str, refused: bool
) -> None:
    limits = "pair=2/15m,address=3/15m,strangers=100/1h"
    async with a_server(
        sqlite_url, rate_limit_login=limits, trusted_proxies=proxies, users=()
    ) as server:
        client = server.somebody()
        answers = [
            await log_in(
                client, f"{n}@example.com", "wrong", headers={"X-Forwarded-For": hops.format(n=n)}
            )
            for n in range(4)
        ]

    assert [refusal(one)[0] for one in answers] == [401, 401, 401, 429 if refused else 401]


async def test_s_thr_5_registrations_count_by_block_whatever_becomes_of_them(
    sqlite_url: str,
) -> None:
    production: dict[str, Any] = {
        "environment": "production", "public_url": "https://app.example", "trusted_proxies": "",
    }  # fmt: skip
    async with a_server(sqlite_url, users=(), **production) as server:

        async def ask(address: str, email: str) -> int:
            client = server.somebody("https://app.example", address)
            return (await client.post("/auth/register", json=login_json(email))).status_code

        same = [await ask(f"2001:db8:0:1::{n:x}", EMAIL) for n in range(20)]
        refused = await ask("2001:db8:0:1:ffff::1", UNKNOWN)
        elsewhere = await ask("2001:db8:0:2::1", UNKNOWN)
        server.clock.advance(timedelta(hours=1))
        later = await ask("2001:db8:0:1::1", "later@example.com")

    assert same == [201] + [409] * 19
    assert (refused, elsewhere, later) == (429, 201, 201)


async def test_s_thr_5_confirming_and_changing_share_a_sessions_ten(sqlite_url: str) -> None:
    async with a_server(sqlite_url) as server:
        mine, other = await server.signed_in(), await server.signed_in()
        change = {"current_password": "wrong", "new_password": "another horse battery"}
        for _ in range(5):
            await mine.post("/auth/confirm", json={"password": "wrong"})
            await mine.post("/auth/password", json=change)

        confirmed = await mine.post("/auth/confirm", json={"password": PASSWORD})
        changed = await mine.post("/auth/password", json={**change, "current_password": PASSWORD})
        elsewhere = await other.post("/auth/confirm", json={"password": PASSWORD})

    assert refusal(confirmed) == refusal(changed) == (429, "rate_limited")
    assert elsewhere.status_code == 200


async def test_s_thr_5_nobody_counts_refreshes_for_the_mac_comes_first(sqlite_url: str) -> None:
    async with a_server(sqlite_url) as server:
        client = await server.signed_in()
        with noted() as work:
            garbage = [
                await server.somebody().post(
                    "/auth/refresh", headers={"Cookie": f"refresh_token=bpr_{n:092d}"}
                )
                for n in range(150)
            ]
            good = [(await client.post("/auth/refresh")).status_code for _ in range(150)]
            statements, _ = work.taken()

    assert {refusal(one) for one in garbage} == {(401, "refresh_invalid")}
    assert set(good) == {200}
    assert not [one for one in statements if "throttle" in one]
