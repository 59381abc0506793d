"""A refresh that passes FastAPI by is answered as one that does not, header for header."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from batonpass.server.fast_lane import ServerApp
from tests.support.servers import ORIGIN, Server, a_server, log_in

PUBLIC = "https://app.example"
PRODUCTION: dict[str, Any] = {"environment": "production", "public_url": PUBLIC}
# Values that no two answers share.
_DIFFER = frozenset({"set-cookie", "x-request-id", "content-length"})


@pytest.fixture(params=["development", "production"])
async def server(request: pytest.FixtureRequest, sqlite_url: str) -> AsyncIterator[Server]:
    """Give a server on http, and one on https behind a proxy."""
    overrides = PRODUCTION if request.param == "production" else {}
    async with a_server(sqlite_url, **overrides) as server:
        yield server


def app_of(server: Server) -> ServerApp:
    assert isinstance(server.app, ServerApp)
    return server.app


def shape(answer: httpx.Response) -> tuple[int, dict[str, str], list[str]]:
    """Status, headers, and the names that stand in the body."""
    headers = {
        name: "" if name in _DIFFER else value for name, value in answer.headers.multi_items()
    }
    return answer.status_code, headers, sorted(answer.json())


REQUESTS: dict[str, dict[str, Any]] = {
    "renewed": {},
    "from a page": {"headers": {"Sec-Fetch-Site": "same-origin"}},
    "from elsewhere": {"headers": {"Sec-Fetch-Site": "cross-site"}},
    "with an id": {"headers": {"X-Request-ID": "an-id-of-mine"}},
    "a body of another type": {"content": b"x", "headers": {"Content-Type": "text/plain"}},
    "a body too large": {"content": b"x" * 70_000, "headers": {"Content-Type": "application/json"}},
    "a head too large": {"headers": {"X-Long": "x" * 20_000}},
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_both_ways_answer_alike(server: Server, what: str) -> None:
    app = app_of(server)
    lane = app.fast_lane
    origin = PUBLIC if server.settings.is_production else ORIGIN
    client = server.somebody(origin)
    await log_in(client)

    fast = await client.post("/auth/refresh", **REQUESTS[what])
    app.fast_lane = None
    ordinary = await client.post("/auth/refresh", **REQUESTS[what])
    app.fast_lane = lane

    assert shape(fast) == shape(ordinary)
    assert (fast.status_code == 200) is (ordinary.status_code == 200)


async def test_without_a_cookie_both_ways_refuse_alike(server: Server) -> None:
    app = app_of(server)
    lane, client = app.fast_lane, server.somebody()

    fast = await client.post("/auth/refresh")
    app.fast_lane = None
    ordinary = await client.post("/auth/refresh")
    app.fast_lane = lane

    assert shape(fast) == shape(ordinary)
    assert fast.json()["code"] == "refresh_missing"


@pytest.mark.parametrize(
    ("method", "path", "headers", "taken"),
    [
        ("POST", "/auth/refresh", [], True),
        ("POST", "/auth/refresh", [(b"origin", b"https://other.example")], True),
        ("GET", "/auth/refresh", [], False),
        ("POST", "/auth/refresh/", [], False),
        ("POST", "/auth/logout", [], False),
        ("POST", "/auth/token", [], False),
        ("GET", "/", [], False),
    ],
)
async def test_what_takes_the_lane(
    sqlite_url: str, method: str, path: str, headers: list[tuple[bytes, bytes]], *, taken: bool
) -> None:
    async with a_server(sqlite_url, users=()) as server:
        lane = app_of(server).fast_lane
        scope = {"type": "http", "method": method, "path": path, "headers": headers}

        assert lane is not None
        assert (lane.way_of(scope) is not None) is taken
        assert lane.way_of({**scope, "type": "websocket"}) is None


async def test_a_page_of_another_origin_goes_through_cors(sqlite_url: str) -> None:
    theirs = "https://app.example.org"
    async with a_server(sqlite_url, cors_origins=theirs) as server:
        client = server.somebody()
        await log_in(client)

        answer = await client.post("/auth/refresh", headers={"Origin": theirs})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == theirs
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "x-request-id" in answer.headers
