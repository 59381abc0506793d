"""`kill -9` of the server under load, ten times: nobody is logged out, no token has two successors.

Source: docs/security.md, invariants I2 and I7.
"""

import asyncio
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from tests.support.postgres import PostgresServer, fresh_database
from tests.support.processes import (
    ServerProcess,
    log_in,
    refresh,
    refresh_until_answered,
    serving,
)

CLIENTS = 32
TABS = 2
IDLE = 8
KILLS = 10
UNDER_LOAD_SECONDS = 0.3
# The second tab's answer may have to wait for a start of the server: still the same successor.
SETTINGS = {"SESSIONS_PER_USER": "1000", "REFRESH_GRACE_SECONDS": "120"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_session_is_lost_when_the_server_is_killed_under_load(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "sqlite":
        await _kill_ten_times(f"sqlite:///{tmp_path / 'crash.db'}", tmp_path)
        return
    durable: PostgresServer = request.getfixturevalue("own_postgres")
    with fresh_database(durable.url) as url:
        await _kill_ten_times(url, tmp_path)


async def _kill_ten_times(database_url: str, folder: Path) -> None:
    successors: defaultdict[str, set[str]] = defaultdict(set)
    refused: list[str] = []
    over = asyncio.Event()
    async with (
        serving(database_url, folder, workers=1, **SETTINGS) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        tokens = [await _a_session(client) for _ in range(CLIENTS + IDLE)]

        async def go_on_refreshing(token: str) -> str:
            while not over.is_set():
                # Two tabs: one may be answered before the kill, the other one after it.
                answers = await asyncio.gather(
                    *(refresh_until_answered(client, token) for _ in range(TABS))
                )
                refused.extend(answer.text for answer in answers if answer.status_code != 200)
                if refused:
                    break
                successors[token] |= {answer.json()["refresh_token"] for answer in answers}
                token = answers[0].json()["refresh_token"]
            return token

        load = [asyncio.create_task(go_on_refreshing(token)) for token in tokens[:CLIENTS]]
        await _kill_and_restart(server)
        over.set()
        newest = await asyncio.gather(*load)

        assert refused == []
        assert len(successors) > KILLS * CLIENTS  # there was a load
        assert {len(answered) for answered in successors.values()} == {1}
        for token in [*newest, *tokens[CLIENTS:]]:
            assert (await refresh(client, token)).status_code == 200


async def _kill_and_restart(server: ServerProcess) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(UNDER_LOAD_SECONDS)
        server.kill()
        await server.start()
    await asyncio.sleep(UNDER_LOAD_SECONDS)


async def _a_session(client: httpx.AsyncClient) -> str:
    token: str = (await log_in(client)).json()["refresh_token"]
    return token
