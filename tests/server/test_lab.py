"""The Lab's server half: a thief, a lost answer and an hour, in development; 404 in production."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from batonpass.http.cookies import PLAIN_REFRESH_TOKEN
from batonpass.server.lab import THIEF_ADDRESS
from tests.support.servers import Server, a_server

PATHS = ["/lab/api/copies", "/lab/api/copies/a", "/lab/api/lost", "/lab/api/hours"]
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with a_server(database_url) as server:
        yield server


@pytest.fixture
async def owner(server: Server) -> httpx.AsyncClient:
    return await server.signed_in()


async def steal(owner: httpx.AsyncClient) -> str:
    """Copy the owner's cookie; return where the copy can be presented."""
    answer = await owner.post("/lab/api/copies")
    assert answer.status_code == 201
    return f"/lab/api/copies/{answer.json()['name']}"


async def go_on_an_hour_later(owner: httpx.AsyncClient) -> None:
    assert (await owner.post("/lab/api/hours")).status_code == 204
    answer = await owner.post("/auth/refresh")
    assert answer.status_code == 200
    owner.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def test_a_spent_copy_ends_the_session_and_the_owner_is_told(
    owner: httpx.AsyncClient,
) -> None:
    copy = await steal(owner)
    await go_on_an_hour_later(owner)
    await go_on_an_hour_later(owner)

    decided = await owner.post(copy)

    assert decided.json() == {"status": 401, "code": "refresh_reused", "generation": None}
    assert (await owner.get("/auth/me")).json()["reason"] == "reused"
    assert (await owner.post("/auth/refresh")).json()["code"] == "refresh_revoked"


async def test_a_copy_that_is_not_spent_yet_moves_the_session_on_from_elsewhere(
    server: Server, owner: httpx.AsyncClient
) -> None:
    copy = await steal(owner)

    decided = await owner.post(copy)
    server.clock.advance(timedelta(minutes=2))  # a rotation younger than grace is not shown

    assert decided.json() == {"status": 200, "code": None, "generation": 1}
    me = (await owner.get("/auth/me")).json()
    lineage = (await owner.get(f"/auth/sessions/{me['session_id']}")).json()["lineage"]
    assert lineage[-1]["kind"] == "rotated"
    assert lineage[-1]["ip"] == THIEF_ADDRESS


async def test_s_hdr_7_no_answer_holds_a_token_or_touches_a_cookie(
    owner: httpx.AsyncClient,
) -> None:
    token = owner.cookies[PLAIN_REFRESH_TOKEN]
    copied = await owner.post("/lab/api/copies")
    lost = await owner.post("/lab/api/lost")
    replayed = await owner.post(f"/lab/api/copies/{copied.json()['name']}")

    for answer in (copied, lost, replayed):
        assert token not in answer.text
        assert "token" not in answer.json()
        assert "access_token" not in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    assert owner.cookies[PLAIN_REFRESH_TOKEN] == token


async def test_a_lost_answer_is_repeated(owner: httpx.AsyncClient) -> None:
    lost = await owner.post("/lab/api/lost")

    again = await owner.post("/auth/refresh")

    assert lost.json() == {"status": 200, "code": None, "generation": 1}
    assert (again.status_code, again.json()["generation"]) == (200, 1)


@pytest.mark.parametrize("path", PATHS[:3])
async def test_s_hdr_7_a_page_of_another_site_gets_nothing_out_of_it(
    owner: httpx.AsyncClient, path: str
) -> None:
    before = owner.cookies[PLAIN_REFRESH_TOKEN]

    answer = await owner.post(path, headers=FROM_ELSEWHERE)
    refreshed = await owner.post("/auth/refresh")

    assert answer.json()["code"] == "csrf"
    assert refreshed.json()["generation"] == 1
    assert owner.cookies[PLAIN_REFRESH_TOKEN] != before


async def test_only_the_session_of_whoever_asks_gets_older(
    server: Server, owner: httpx.AsyncClient
) -> None:
    other = await server.signed_in()
    before = {one["id"]: one for one in (await owner.get("/auth/sessions")).json()}

    await other.post("/lab/api/hours")

    after = {one["id"]: one for one in (await owner.get("/auth/sessions")).json()}
    mine = next(one["id"] for one in before.values() if one["current"])
    assert after.pop(mine) == before.pop(mine)
    assert [one["created_at"] for one in after.values()] != [
        one["created_at"] for one in before.values()
    ]


async def test_who_has_no_session_gets_nothing(server: Server) -> None:
    async with server.somebody() as nobody:
        copied = await nobody.post("/lab/api/copies")
        unknown = await nobody.post("/lab/api/copies/unknown")
        aged = await nobody.post("/lab/api/hours")

    assert (copied.status_code, copied.json()["code"]) == (401, "refresh_missing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (aged.status_code, aged.json()["code"]) == (401, "token_missing")


async def test_s_hdr_7_production_has_none_of_it(sqlite_url: str) -> None:
    public = "https://app.example"
    async with (
        a_server(sqlite_url, users=(), environment="production", public_url=public) as server,
        server.somebody(public) as client,
    ):
        answers = [await client.post(path) for path in PATHS]
        page = await client.get("/lab")

    assert {answer.status_code for answer in [*answers, page]} == {404}
