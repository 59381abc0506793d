"""Our cookies at the whole server: how long they last, how much they weigh, who touches them.

Read beside tests/http/test_cookies.py (how they are read and written) and, for what a browser
makes of them, tests/browser/sites/test_hostile_pages.py.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from batonpass.auth_service import AuthService
from batonpass.errors import StoreUnavailableError
from tests.support.families import GRACE, TICK
from tests.support.servers import Server, a_server, log_in, refusal, set_cookies

HOUR = timedelta(hours=1)
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url) as server:
        yield server


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Note what any SQLite database of this process is told of sessions."""
    told: list[str] = []

    def note(statement: str) -> None:
        if "refresh_tokens" in statement:
            told.append(statement)

    def watch(connection: Any, *_: object) -> None:  # the driver's own
        connection.set_trace_callback(note)

    event.listen(Pool, "checkout", watch)
    yield told
    event.remove(Pool, "checkout", watch)


# --- how long ----------------------------------------------------------------------------------


async def test_s_cookie_2_an_hour_before_the_absolute_limit_an_hour_is_left(server: Server) -> None:
    """Whatever a browser makes of that: the server counts for itself."""
    client = await server.signed_in()
    for _ in range(4):
        server.clock.advance(timedelta(days=6) - HOUR / 5)
        await client.post("/auth/refresh")
    server.clock.advance(timedelta(days=6) - HOUR / 5)
    renewed = await client.post("/auth/refresh")
    server.clock.advance(HOUR - TICK)
    last = await client.post("/auth/refresh")
    server.clock.advance(TICK)
    kept = set_cookies(last)["refresh_token"][0]

    late = await server.somebody().post(
        "/auth/refresh", headers={"cookie": f"refresh_token={kept}"}
    )

    assert "Max-Age=3600" in set_cookies(renewed)["refresh_token"]
    assert "Max-Age=0" in set_cookies(last)["refresh_token"]
    assert refusal(late) == (401, "refresh_expired")


# --- how much ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "expected"), [
    pytest.param("x" * 2**20,          (431, "headers_too_large"), id="a megabyte"),
    pytest.param("x" * 15_000,         (401, "refresh_invalid"),   id="as much as a head may have"),
    pytest.param("bpr_" + "A" * 93,    (401, "refresh_invalid"),   id="a character too long"),
    pytest.param("bpr_" + "A" * 91,    (401, "refresh_invalid"),   id="a character too short"),
])  # fmt: skip
async def test_s_cookie_3_a_value_of_another_length_asks_no_database(
    server: Server, statements: list[str], value: str, expected: tuple[int, str]
) -> None:
    client = server.somebody()
    statements.clear()

    answer = await client.post("/auth/refresh", headers={"cookie": f"refresh_token={value}"})

    assert refusal(answer) == expected
    assert statements == []
    await log_in(client)
    assert statements, "nobody listened"


# --- who touches them --------------------------------------------------------------------------

Refused = Callable[[Server, httpx.AsyncClient], Awaitable[httpx.Response]]


def _sending(**request: Any) -> Refused:
    async def refused(_server: Server, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/auth/refresh", **request)

    return refused


async def _expired(server: Server, client: httpx.AsyncClient) -> httpx.Response:
    server.clock.advance(timedelta(days=7))
    return await client.post("/auth/refresh")


async def _revoked(server: Server, client: httpx.AsyncClient) -> httpx.Response:
    bearer = {"authorization": client.headers["authorization"]}
    await server.somebody().post("/auth/logout", headers=bearer)
    return await client.post("/auth/refresh")


async def _spent(server: Server, client: httpx.AsyncClient, later: timedelta) -> httpx.Response:
    spent = client.cookies["refresh_token"]
    for _ in range(3):
        await client.post("/auth/refresh")
        server.clock.advance(later)
    return await client.post("/auth/refresh", headers={"cookie": f"refresh_token={spent}"})


async def _superseded(server: Server, client: httpx.AsyncClient) -> httpx.Response:
    return await _spent(server, client, TICK)


async def _reused(server: Server, client: httpx.AsyncClient) -> httpx.Response:
    return await _spent(server, client, 3 * GRACE)


def _broken(error: Exception) -> Refused:
    async def refused(_server: Server, client: httpx.AsyncClient) -> httpx.Response:
        async def fail(*_: object) -> None:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AuthService, "rotate_refresh_token", fail)
            return await client.post("/auth/refresh")

    return refused


REFUSALS: list[tuple[Refused, tuple[int, str]]] = [
    (_sending(headers={"cookie": "refresh_token=x"}),     (401, "refresh_invalid")),
    (_expired,                                            (401, "refresh_expired")),
    (_revoked,                                            (401, "refresh_revoked")),
    (_reused,                                             (401, "refresh_reused")),
    (_sending(headers={"sec-fetch-site": "cross-site"}),  (403, "csrf")),
    (_superseded,                                         (409, "refresh_superseded")),
    (_sending(content=b"x" * 65_537),                     (413, "body_too_large")),
    (_sending(content=b"{}", headers=TEXT),               (415, "unsupported_media_type")),
    (_sending(headers={"x": "x" * 17_000}),               (431, "headers_too_large")),
    (_broken(LookupError()),                              (500, "internal_error")),
    (_broken(StoreUnavailableError()),                    (503, "unavailable")),
]  # fmt: skip


@pytest.mark.parametrize(("refused", "expected"), REFUSALS, ids=[code for _, (_, code) in REFUSALS])
async def test_s_cookie_5_no_refusal_of_a_refresh_touches_a_cookie(
    server: Server, refused: Refused, expected: tuple[int, str]
) -> None:
    client = await server.signed_in()

    answer = await refused(server, client)

    assert refusal(answer) == expected  # and it sets none
    assert set(client.cookies) == {"refresh_token", "session_state"}


async def test_s_cookie_5_a_refusal_that_comes_late_leaves_the_newer_login_alone(
    server: Server,
) -> None:
    client = await server.signed_in()
    late = client.build_request("POST", "/auth/refresh")
    await client.post("/auth/logout")
    login = await log_in(client)

    answer = await client.send(late)

    assert refusal(answer) == (401, "refresh_revoked")
    renewed = await client.post("/auth/refresh")
    assert renewed.json()["session_id"] == login.json()["session_id"]


@pytest.mark.parametrize("said", ["0000aaaa.9", "logged-out", "x" * 4_000, "", None])
async def test_s_cookie_7_the_server_never_reads_the_hint(server: Server, said: str | None) -> None:
    token = (await server.signed_in()).cookies["refresh_token"]
    hint = "" if said is None else f"; session_state={said}; __Host-session_state={said}"

    answer = await server.somebody().post(
        "/auth/refresh", headers={"cookie": f"refresh_token={token}{hint}"}
    )

    assert answer.json()["generation"] == 1
