"""Races over HTTP against two worker processes that know of each other only by the database.

The processes have clocks of their own, so here grace is short and real time passes.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.processes import log_in, refresh, serving

SHORT_GRACE_SECONDS = 0.5
REVOKED_EVERYWHERE_SECONDS = 2.0
AT_ONCE = 20


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of two workers with the usual grace."""
    async with (
        serving(database_url, tmp_path, workers=2) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as found,
    ):
        yield found


@pytest.fixture
async def hasty(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of two workers whose grace is over in a moment; each request connects anew."""
    grace = str(SHORT_GRACE_SECONDS)
    async with (
        serving(database_url, tmp_path, workers=2, REFRESH_GRACE_SECONDS=grace) as server,
        httpx.AsyncClient(
            base_url=server.url, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
        ) as found,
    ):
        yield found


async def test_twenty_refreshes_at_once_get_one_successor(client: httpx.AsyncClient) -> None:
    token = (await log_in(client)).json()["refresh_token"]

    answers = await asyncio.gather(*(refresh(client, token) for _ in range(AT_ONCE)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert {answer.json()["generation"] for answer in answers} == {1}


async def test_two_behind_after_two_rotations_within_grace_is_superseded(
    client: httpx.AsyncClient,
) -> None:
    first = (await log_in(client)).json()["refresh_token"]
    second = (await refresh(client, first)).json()["refresh_token"]
    third = (await refresh(client, second)).json()["refresh_token"]

    behind = await refresh(client, first)

    assert (behind.status_code, behind.json()["code"]) == (409, "refresh_superseded")
    assert (await refresh(client, third)).status_code == 200


async def test_an_old_token_once_a_later_one_has_settled_ends_the_session_everywhere(
    hasty: httpx.AsyncClient,
) -> None:
    first = (await log_in(hasty)).json()["refresh_token"]
    second = (await refresh(hasty, first)).json()["refresh_token"]
    await anyio.sleep(2 * SHORT_GRACE_SECONDS + 0.1)
    newest = (await refresh(hasty, second)).json()

    replay = await refresh(hasty, first)

    assert (replay.status_code, replay.json()["code"]) == (401, "refresh_reused")
    dead = await refresh(hasty, newest["refresh_token"])
    assert (dead.json()["code"], dead.json()["reason"]) == ("refresh_revoked", "reused")

    await anyio.sleep(REVOKED_EVERYWHERE_SECONDS)
    bearer = {"Authorization": f"Bearer {newest['access_token']}"}
    asked = await asyncio.gather(*(hasty.get("/auth/me", headers=bearer) for _ in range(AT_ONCE)))
    assert {answer.json()["code"] for answer in asked} == {"session_revoked"}

    again = (await log_in(hasty)).json()["access_token"]
    events = await hasty.get("/auth/events", headers={"Authorization": f"Bearer {again}"})
    assert "refresh_token_reused" in {event["event"] for event in events.json()["events"]}


async def test_a_late_retry_of_a_lost_answer_is_recovered(hasty: httpx.AsyncClient) -> None:
    token = (await log_in(hasty)).json()["refresh_token"]
    lost = (await refresh(hasty, token)).json()
    await anyio.sleep(SHORT_GRACE_SECONDS + 0.1)

    retry = await refresh(hasty, token)

    assert retry.status_code == 200
    assert retry.json()["generation"] == lost["generation"] + 1
    assert retry.json()["refresh_token"] != lost["refresh_token"]
    assert (await refresh(hasty, retry.json()["refresh_token"])).status_code == 200
