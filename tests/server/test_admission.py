"""More logins than passwords may wait for: the next costs nobody anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from batonpass.server import passwords
from batonpass.server.fast_lane import BOUNDED, ServerApp
from batonpass.server.passwords import QUEUE_PER_THREAD
from batonpass.storage.engine import Database
from tests.support.servers import EMAIL, PASSWORD, Server, a_server, log_in, refusal

PLACES = 1 + QUEUE_PER_THREAD
THEIRS = "https://app.example.org"
BODIES: dict[str, dict[str, Any]] = {
    "/token": {"data": {"username": EMAIL, "password": "wrong"}},
    "/register": {"json": {"email": "bel@example.com", "password": PASSWORD}},
    "/confirm": {"json": {"password": PASSWORD}},
    "/password": {
        "json": {"current_password": PASSWORD, "new_password": "eleven kettles, all mine"}
    },
}


@pytest.fixture
async def server(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """Give a server that hashes one password at a time."""
    monkeypatch.setattr(passwords, "_own_cores", lambda: 1)
    async with a_server(sqlite_url, cors_origins=THEIRS) as server:
        yield server


@asynccontextmanager
async def as_many_as_there_are_places(server: Server) -> AsyncIterator[list[httpx.Response]]:
    """Have all places taken meanwhile; give the answers afterwards."""
    answers: list[httpx.Response] = []
    clients = [server.somebody() for _ in range(PLACES)]
    logins = [asyncio.create_task(log_in(client)) for client in clients]
    await asyncio.sleep(0)  # each gets as far as the database
    yield answers
    answers += await asyncio.gather(*logins)


@pytest.mark.parametrize("path", BOUNDED)
@pytest.mark.parametrize("origin", [None, THEIRS])
async def test_s_pw_5_what_has_no_place_is_refused_before_the_database_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str, origin: str | None
) -> None:
    """By the lane or, from a page of another origin, by the route."""
    client = await server.signed_in()
    headers = {} if origin is None else {"Origin": origin}
    asked: list[object] = []
    line_up = Database._line_up

    async def note(database: Database, queue: asyncio.Semaphore) -> None:
        asked.append(asyncio.current_task())
        await line_up(database, queue)

    monkeypatch.setattr(Database, "_line_up", note)
    async with as_many_as_there_are_places(server) as others:
        one_more = asyncio.create_task(client.post(f"/auth{path}", headers=headers, **BODIES[path]))
        busy = await one_more

    assert refusal(busy) == (429, "busy")
    assert busy.headers["retry-after"] == "1"
    assert one_more not in asked
    assert len(set(asked)) >= PLACES
    assert [answer.status_code for answer in others] == [200] * PLACES
    assert (await log_in(server.somebody())).status_code == 200, "each gave its place back"


async def test_both_ways_refuse_alike(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_own_cores", lambda: 1)
    async with a_server(sqlite_url) as server:
        app = server.app
        assert isinstance(app, ServerApp)
        client = server.somebody()
        async with as_many_as_there_are_places(server):
            fast = await client.post("/auth/token", **BODIES["/token"])
            app.fast_lane = None
            ordinary = await client.post("/auth/token", **BODIES["/token"])

    assert fast.headers.pop("x-request-id") != ordinary.headers.pop("x-request-id")
    assert fast.content == ordinary.content
    assert dict(fast.headers) == dict(ordinary.headers)


async def test_a_failure_gives_its_place_back(server: Server) -> None:
    client = server.somebody()

    answers = [await client.post("/auth/token", data={"username": ""}) for _ in range(PLACES + 1)]

    assert {answer.status_code for answer in answers} == {422}


async def test_the_lane_knows_every_route_that_may_be_busy(server: Server) -> None:
    paths = server.app.openapi()["paths"]
    busy = {
        path
        for path, item in paths.items()
        if "429" in item.get("post", {"responses": {}})["responses"]
    }

    assert busy == {f"/auth{path}" for path in BOUNDED}
