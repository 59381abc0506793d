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
# The second tab's answer may have to wait for a start of the server: still the same successor.
SETTINGS = {"SESSIONS_PER_USER": "1000", "REFRESH_GRACE_SECONDS": "120"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a42_no_session_is_lost_when_the_server_is_killed_under_load(
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
    answered = asyncio.Semaphore(0)
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
                assert [answer.status_code for answer in answers] == [200] * TABS, answers[-1].text
                successors[token] = {answer.json()["refresh_token"] for answer in answers}
                token = answers[0].json()["refresh_token"]
                answered.release()
            return token

        async with asyncio.TaskGroup() as load:
            refreshing = [load.create_task(go_on_refreshing(token)) for token in tokens[:CLIENTS]]
            await _kill_and_restart(server, answered)
            over.set()

        assert {len(of_a_token) for of_a_token in successors.values()} == {1}
        for token in [*(task.result() for task in refreshing), *tokens[CLIENTS:]]:
            assert (await refresh(client, token)).status_code == 200


async def _kill_and_restart(server: ServerProcess, answered: asyncio.Semaphore) -> None:
    """Kill it whenever it has answered as often as there are clients, who all ask on and on."""
    for _ in range(KILLS):
        await _so_many(answered)
        server.kill()
        await server.start()
    await _so_many(answered)


async def _so_many(answered: asyncio.Semaphore) -> None:
    for _ in range(CLIENTS):
        await answered.acquire()


async def _a_session(client: httpx.AsyncClient) -> str:
    token: str = (await log_in(client)).json()["refresh_token"]
    return token
