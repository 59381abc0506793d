"""What a neighbour, a page or a late answer does with cookies and headers: A08, A13, A21.

Read beside tests/http/test_cookies.py, test_csrf.py and test_gate.py, which hold most of these.
"""

from collections.abc import AsyncIterator, Callable
from http.cookies import SimpleCookie

import pytest

from batonpass.http.cookies import CookiePolicy
from tests.support.servers import Server, a_server, log_in, refusal, set_cookies

OVER_HTTPS = "https://app.example"
REFRESH_TOKEN = "__Host-Http-refresh_token"
TOKEN = "bpr_" + "A" * 92


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url) as server:
        yield server


@pytest.mark.parametrize("tossed_first", [True, False])
async def test_a08_cookies_tossed_by_a_sibling_leave_the_owner_signed_in(
    server: Server, tossed_first: bool
) -> None:
    """All but the one of `__Host-`, which a browser takes from nobody else."""
    await server.a_user("eve@example.com")
    planted = (await server.signed_in("eve@example.com")).cookies["refresh_token"]
    owner = server.somebody(OVER_HTTPS)
    login = await log_in(owner)
    own = f"{REFRESH_TOKEN}={owner.cookies[REFRESH_TOKEN]}"
    tossed = f"refresh_token={planted}; session_state=x.9; __Host-session_state=y.9"
    cookie = f"{tossed}; {own}" if tossed_first else f"{own}; {tossed}"

    answer = await server.somebody(OVER_HTTPS).post("/auth/refresh", headers={"cookie": cookie})

    assert answer.status_code == 200
    assert answer.json()["session_id"] == login.json()["session_id"]


@pytest.mark.parametrize("before", ['theme="a', '$Version=1; theme="a', "theme='a"])
@pytest.mark.parametrize("after", ['other=b"', "other=b'"])
def test_a08_a_sandwich_of_quotes_carries_the_token_to_no_handler(before: str, after: str) -> None:
    """Between two tossed cookies with a quote, the token is a part of `theme` to some parsers."""
    header = f"{before}; {REFRESH_TOKEN}={TOKEN}; {after}".encode()

    hidden = CookiePolicy(secure=True, samesite="strict").hide([(b"cookie", header)])

    assert TOKEN.encode() not in b"".join(value for _, value in hidden)
    read = SimpleCookie(hidden[0][1].decode())
    assert not any(TOKEN in morsel.value for morsel in read.values())


@pytest.mark.parametrize("name", [
    "Refresh_Token", "refresh%5Ftoken", "refresh-token", "refresh_token\u00a0x", "xrefresh_token",
    "refresh_tokenx", "$refresh_token", '"refresh_token"', "__Host-Http-refresh_token",
])  # fmt: skip
async def test_a_cookie_of_a_similar_name_is_another_cookie(server: Server, name: str) -> None:
    token = (await server.signed_in()).cookies["refresh_token"]
    before = server.rows()

    cookie = f"{name}={token}".encode("latin-1")
    answer = await server.somebody().post("/auth/refresh", headers={b"cookie": cookie})

    assert refusal(answer) == (401, "refresh_missing")
    assert server.rows() == before


@pytest.mark.parametrize("spelt", [
    lambda token: "".join(f"%{ord(letter):02x}" for letter in token),
    lambda token: token.replace("_", "%5F", 1),
    lambda token: token.replace("_", r"\137", 1),
    lambda token: token + "==",
    lambda token: token[:-1] + "\u00a0",
    lambda token: token + ", " + token,
], ids=["percent", "one percent", "octal", "padded", "a hard blank", "a list"])  # fmt: skip
async def test_a_token_has_one_spelling(server: Server, spelt: Callable[[str], str]) -> None:
    token = (await server.signed_in()).cookies["refresh_token"]
    before = server.rows()

    cookie = f"refresh_token={spelt(token)}".encode("latin-1")
    answer = await server.somebody().post("/auth/refresh", headers={b"cookie": cookie})

    assert refusal(answer) == (401, "refresh_invalid")
    assert server.rows() == before


async def test_a13_where_any_site_sends_the_cookie_silence_is_not_believed(
    sqlite_url: str,
) -> None:
    async with a_server(sqlite_url, cookie_samesite="none", cookie_secure=True) as server:
        client = server.somebody(OVER_HTTPS)
        await log_in(client)
        before = server.rows()

        silent = await client.post("/auth/refresh")
        said = await client.post("/auth/refresh", headers={"sec-fetch-site": "same-origin"})

        assert refusal(silent) == (403, "csrf")
        assert said.status_code == 200
        assert server.rows() != before


async def test_a21_a_refresh_that_is_answered_after_the_logout_brings_nothing_back(
    server: Server,
) -> None:
    client = await server.signed_in()
    late = await client.post("/auth/refresh")
    await client.post("/auth/logout")
    client.cookies.set("refresh_token", set_cookies(late)["refresh_token"][0], "app.example")
    bearer = {"authorization": f"Bearer {late.json()['access_token']}"}

    renewed = await client.post("/auth/refresh")
    asked = await client.get("/auth/me", headers=bearer)
    login = await log_in(client)
    again = await client.post("/auth/refresh")

    assert refusal(renewed) == (401, "refresh_revoked")
    assert refusal(asked) == (401, "session_revoked")
    assert (login.status_code, again.status_code) == (200, 200)
    assert again.json()["session_id"] == login.json()["session_id"]


@pytest.mark.parametrize("where", ["query", "cookie", "body"])
async def test_s_csrf_7_an_access_token_counts_in_its_header_alone(
    server: Server, where: str
) -> None:
    client = await server.signed_in()
    token = client.headers["authorization"].removeprefix("Bearer ")
    stranger = server.somebody()

    answer = await stranger.request(
        "GET",
        "/auth/me",
        params={"access_token": token} if where == "query" else None,
        headers={"cookie": f"access_token={token}"} if where == "cookie" else None,
        data={"access_token": token} if where == "body" else None,
    )

    assert refusal(answer) == (401, "token_missing")
