"""Requests in somebody's name, at the whole server: S-CSRF-1, 2 and 4 to 6.

Read beside tests/http/test_csrf.py (every pair of what a browser says), test_gate.py (A11 to A13 on
each route) and tests/browser/sites/test_hostile_pages.py (from pages that a browser has open).
"""

from collections.abc import AsyncIterator
from itertools import product

import httpx
import pytest

from tests.support.servers import (
    EMAIL,
    ORIGIN,
    PASSWORD,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
)

ELSEWHERE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
PROXY, STRANGER = "10.0.0.7", "192.0.2.1"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url) as server:
        yield server


async def test_s_csrf_1_another_site_is_refused_before_its_token_is_read(server: Server) -> None:
    client = await server.signed_in()
    before = server.rows()

    refused = await client.post("/auth/refresh", headers=ELSEWHERE)
    unread = await server.somebody().post(
        "/auth/refresh", headers={**ELSEWHERE, "cookie": "refresh_token=a; refresh_token=b"}
    )

    assert refusal(refused) == refusal(unread) == (403, "csrf")
    assert server.rows() == before
    assert (await client.post("/auth/refresh")).json()["generation"] == 1, "it was not consumed"


@pytest.mark.parametrize("path", ["/auth/token", "/auth/register", "/auth/logout"])
@pytest.mark.parametrize("signed_in", [True, False])
async def test_s_csrf_2_nobody_is_logged_in_out_or_up_by_another_site(
    server: Server, path: str, signed_in: bool
) -> None:
    """With the right password too: a login that somebody else chose is an attack of its own."""
    client = await server.signed_in() if signed_in else server.somebody()
    before, jar = server.rows(), dict(client.cookies)

    if path == "/auth/register":
        answer = await client.post(path, json=login_json("eve@example.com"), headers=ELSEWHERE)
    else:
        login = {"username": EMAIL, "password": PASSWORD}
        answer = await client.post(path, data=login, headers=ELSEWHERE)

    assert refusal(answer) == (403, "csrf")
    assert server.rows() == before
    assert dict(client.cookies) == jar


@pytest.mark.parametrize(("samesite", "has_cookie", "expected"), [
    pytest.param("strict", True,  200, id="no browser: ours would not come from elsewhere"),
    pytest.param("none",   True,  403, id="SameSite=none with a cookie: nobody can tell"),
    pytest.param("none",   False, 401, id="SameSite=none without: there is nothing to abuse"),
])  # fmt: skip
async def test_s_csrf_4_a_request_that_says_nothing(
    sqlite_url: str, samesite: str, has_cookie: bool, expected: int
) -> None:
    async with a_server(sqlite_url, cookie_samesite=samesite, cookie_secure=True) as server:
        client = server.somebody("https://app.example")
        if has_cookie:
            await log_in(client)
        answer = await client.post("/auth/refresh")

    assert answer.status_code == expected


@pytest.mark.parametrize(("proxies", "peer", "origin", "expected"), [
    pytest.param("",    STRANGER, "https://seen.example",      403, id="nobody may say so"),
    pytest.param(PROXY, STRANGER, "https://seen.example",      403, id="a stranger says so"),
    pytest.param(PROXY, PROXY,    "https://seen.example",      204, id="our proxy says so"),
    pytest.param(PROXY, PROXY,    "http://seen.example",       403, id="another scheme"),
    pytest.param(PROXY, PROXY,    "https://seen.example:8443", 403, id="another port"),
    pytest.param(PROXY, PROXY,    "https://seen.example.evil", 403, id="a prefix"),
    pytest.param(PROXY, PROXY,    "https://a.seen.example",    403, id="a suffix"),
    pytest.param(PROXY, PROXY,    ORIGIN,                      403, id="what the proxy asked for"),
])  # fmt: skip
async def test_s_csrf_5_what_our_own_origin_is_a_trusted_proxy_alone_may_say(
    sqlite_url: str, proxies: str, peer: str, origin: str, expected: int
) -> None:
    said = {
        "origin": origin,
        "x-forwarded-proto": "https",
        "x-forwarded-host": "seen.example",
    }
    async with a_server(sqlite_url, users=(), trusted_proxies=proxies) as server:
        answer = await server.somebody(address=peer).post("/auth/logout", headers=said)

    assert answer.status_code == expected


async def test_s_csrf_6_only_the_methods_of_a_route_do_anything(server: Server) -> None:
    client = await server.signed_in()
    before = server.rows()
    paths: dict[str, dict[str, object]] = server.app.openapi()["paths"]
    tried = 0

    for (path, known), method in product(paths.items(), METHODS):
        if method.lower() in known and method not in {"GET", "HEAD", "OPTIONS"}:
            continue
        answer = await client.request(method, path.replace("{session_id}", "x"))
        tried += 1
        if method.lower() not in known and not (method == "HEAD" and answer.status_code == 200):
            assert answer.status_code == 405, (method, path)
        assert "set-cookie" not in answer.headers

    assert tried > 80
    assert server.rows() == before


async def test_s_csrf_6_every_route_that_takes_json_takes_nothing_else(server: Server) -> None:
    client = await server.signed_in()
    before = server.rows()
    paths = server.app.openapi()["paths"]
    takers = [
        path
        for path, methods in paths.items()
        if "application/json" in methods.get("post", {}).get("requestBody", {}).get("content", {})
    ]
    assert {"/auth/register", "/auth/confirm", "/auth/password"} <= set(takers)

    for path in takers:
        for media_type in (
            "text/plain",
            "text/plain; a=application/json",
            "",
            "application/x-json",
        ):
            answer = await _by_a_form(client, path, media_type)
            assert refusal(answer) == (415, "unsupported_media_type"), path

    assert server.rows() == before


async def _by_a_form(client: httpx.AsyncClient, path: str, media_type: str) -> httpx.Response:
    """Send JSON as a form can: `a={"…": …}` of enctype text/plain is JSON with a little luck."""
    body = b'{"email":"eve@example.com","password":"correct horse battery","token":"="}'
    return await client.post(path, content=body, headers={"content-type": media_type})
