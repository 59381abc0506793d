"""A proxy that keeps every answer it may: nobody is served what was another's. A24, S-SES-10.

A service worker, which may keep more, is in tests/browser/test_kept_answers.py.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.servers import EMAIL, PASSWORD, Server, a_server, log_in

ADA, BEL = EMAIL, "bel@example.com"
TOKENS = ("eyJ", "bpr_")  # how every one of ours begins


class CachingProxy(httpx.AsyncBaseTransport):
    """Keeps what RFC 9111 lets a shared cache keep, and a good deal more.

    It asks for neither method nor status nor age, heeds no `Vary`, and minds no Authorization and
    no cookie: an answer is kept for all who ask the same, unless it says `no-store` or `private`.
    """

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        """Stand in front of a server."""
        self._behind = behind
        self.kept: dict[tuple[str, str], httpx.Response] = {}
        self.served = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Serve what was kept; else ask, and keep the answer."""
        key = (request.method, str(request.url))
        found = self.kept.get(key)
        if found is None:
            found = await self._behind.handle_async_request(request)
            await found.aread()
            said = found.headers.get("cache-control", "")
            if "no-store" not in said and "private" not in said:
                self.kept[key] = found
        else:
            self.served += 1
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url, users=(ADA, BEL)) as server:
        yield server


async def test_a24_two_people_behind_a_caching_proxy_see_each_their_own(server: Server) -> None:
    proxy = CachingProxy(server.somebody()._transport)
    seen: dict[str, list[str]] = {}

    for email in (ADA, BEL):
        client = httpx.AsyncClient(transport=proxy, base_url="http://app.example")
        await client.post("/auth/refresh")
        login = await log_in(client, email, PASSWORD)
        renewed = await client.post("/auth/refresh")
        again = await client.post("/auth/refresh")
        client.headers["Authorization"] = f"Bearer {again.json()['access_token']}"
        me = await client.get("/auth/me")
        sessions = await client.get("/auth/sessions")
        assert [one.json()["generation"] for one in (login, renewed, again)] == [0, 1, 2]
        assert (me.json()["email"], len(sessions.json())) == (email, 1)
        await client.get("/")
        await client.post("/auth/logout")
        seen[email] = [(await client.get("/auth/me")).json()["code"], me.json()["session_id"]]

    assert [code for code, _ in seen.values()] == ["session_revoked"] * 2
    assert seen[ADA] != seen[BEL]
    assert not [path for _, path in proxy.kept if "/auth/" in path]


async def test_a24_whatever_a_proxy_may_keep_holds_no_token(server: Server) -> None:
    """Every path, asked with a token in each hand."""
    client = await server.signed_in()
    proxy = CachingProxy(client._transport)
    client._transport = proxy
    for path in (*server.app.openapi()["paths"], "/openapi.json", "/docs", "/login", "/no/such"):
        for method in ("GET", "POST", "OPTIONS"):
            if path != "/auth/logout":
                await client.request(method, path)

    kept = [answer.text for answer in proxy.kept.values()]

    assert kept, "it keeps nothing: this has shown nothing"
    assert not [text for text in kept if any(token in text for token in TOKENS)]
    assert not [answer for answer in proxy.kept.values() if "set-cookie" in answer.headers]
    assert not [path for _, path in proxy.kept if "/auth/" in path]
