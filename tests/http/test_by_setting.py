"""What an operator's settings change in the answers: cookies, CORS, how tokens travel."""

import logging
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.servers import (
    EMAIL,
    PASSWORD,
    Server,
    a_server,
    log_in,
    refusal,
    set_cookies,
)

HTTP = "http://app.example"
HTTPS = "https://app.example"
LISTED = "https://spa.example"
FOREIGN = "https://evil.example"
PROXY = "10.0.0.7"
STRANGER = "192.0.2.1"
NEW_PASSWORD = "another horse battery"

# --- cookies -----------------------------------------------------------------------------------

SECURE = {"__Host-Http-refresh_token", "__Host-session_state"}
PLAIN = {"refresh_token", "session_state"}
BEHIND_A_PROXY = {"trusted_proxies": "10.0.0.0/8"}
PRODUCTION = {"environment": "production", "public_url": HTTPS}


@pytest.mark.parametrize(("settings", "origin", "peer", "forwarded", "names"), [
    # COOKIE_SECURE            sent to  from      X-Forwarded-Proto  cookies
    ({"BATONPASS_COOKIE_SECURE": "auto"},  HTTP,  STRANGER, None,          PLAIN),
    ({"BATONPASS_COOKIE_SECURE": "auto"},  HTTPS, STRANGER, None,          SECURE),
    ({"BATONPASS_COOKIE_SECURE": "true"},  HTTP,  STRANGER, None,          SECURE),
    ({"BATONPASS_COOKIE_SECURE": "true"},  HTTPS, STRANGER, None,          SECURE),
    ({"BATONPASS_COOKIE_SECURE": "false"}, HTTP,  STRANGER, None,          PLAIN),
    ({"BATONPASS_COOKIE_SECURE": "false"}, HTTPS, STRANGER, None,          PLAIN),
    # auto, and nobody is named who may say it
    ({},                                   HTTP,  STRANGER, "https",       PLAIN),
    ({},                                   HTTP,  PROXY,    "https",       PLAIN),
    # auto behind a proxy: what it says, not what a client wrote before
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    "https",       SECURE),
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    "HTTPS",       SECURE),
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    "http, https", SECURE),
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    "https, http", PLAIN),
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    None,          PLAIN),
    (BEHIND_A_PROXY,                       HTTP,  PROXY,    "ftp",         PLAIN),
    (BEHIND_A_PROXY,                       HTTPS, PROXY,    "http",        PLAIN),
    (BEHIND_A_PROXY,                       HTTP,  STRANGER, "https",       PLAIN),
    (BEHIND_A_PROXY,                       HTTPS, STRANGER, "http",        SECURE),
    # production is over https, whatever the last hop was
    (PRODUCTION,                           HTTP,  STRANGER, None,          SECURE),
    (PRODUCTION | BEHIND_A_PROXY,          HTTP,  PROXY,    "http",        SECURE),
])  # fmt: skip
async def test_cookie_secure_decides_name_and_attributes(
    sqlite_url: str,
    settings: dict[str, Any],
    origin: str,
    peer: str,
    forwarded: str | None,
    names: set[str],
) -> None:
    async with a_server(sqlite_url, **settings) as server:
        client = server.somebody(origin, peer)
        if forwarded is not None:
            client.headers["X-Forwarded-Proto"] = forwarded
        answers = await every_answer_with_cookies(client)

    for told in answers:
        assert set(told) == names
        for name, (_, *attributes) in told.items():
            wanted = {"Path=/", "SameSite=Strict"}
            wanted |= {"Secure"} if names is SECURE else set()
            wanted |= {"HttpOnly"} if name.endswith("refresh_token") else set()
            ages = [one for one in attributes if one.startswith(("Max-Age=", "Expires="))]
            assert set(attributes) - set(ages) == wanted
            assert len(attributes) == len(set(attributes))


async def every_answer_with_cookies(client: httpx.AsyncClient) -> list[dict[str, list[str]]]:
    """Log in, refresh, give the password, change it, log out; read the cookies of each."""
    told = []
    jar: dict[str, str] = {}
    bearer: dict[str, str] = {}
    asked: list[tuple[str, dict[str, Any]]] = [  # keyword arguments of httpx
        ("token", {"data": {"username": EMAIL, "password": PASSWORD}}),
        ("refresh", {}),
        ("confirm", {"json": {"password": PASSWORD}}),
        ("password", {"json": {"current_password": PASSWORD, "new_password": NEW_PASSWORD}}),
        ("logout", {}),
    ]
    for path, request in asked:
        # By hand: httpx' jar returns no Secure cookie over http, which here is a proxy's last hop.
        client.cookies.clear()
        cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}
        answer = await client.post(f"/auth/{path}", headers={**cookie, **bearer}, **request)
        assert answer.status_code == (204 if path == "logout" else 200), answer.text
        told.append(set_cookies(answer))
        jar = {name: value for name, (value, *_) in told[-1].items()}
        if path != "logout":
            bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return told


@pytest.mark.parametrize(("samesite", "origin", "attribute"), [
    ("strict", HTTPS, "SameSite=Strict"), ("strict", HTTP, "SameSite=Strict"),
    ("lax",    HTTPS, "SameSite=Lax"),    ("lax",    HTTP, "SameSite=Lax"),
    ("none",   HTTPS, "SameSite=None"),   ("none",   HTTP, "SameSite=Lax"),  # browsers drop None
])  # fmt: skip
async def test_s_cookie_1_samesite_stands_on_both(
    sqlite_url: str, samesite: str, origin: str, attribute: str
) -> None:
    async with a_server(sqlite_url, cookie_samesite=samesite) as server:
        login = await log_in(server.somebody(origin))

    for _, *attributes in set_cookies(login).values():
        assert [one for one in attributes if one.startswith("SameSite")] == [attribute]


@pytest.mark.parametrize(("choice", "origin", "warnings"), [
    ("auto", HTTP, 1), ("auto", HTTPS, 0), ("true", HTTP, 0), ("false", HTTP, 0),
])  # fmt: skip
async def test_plain_cookies_that_nobody_chose_are_warned_of_once(
    sqlite_url: str, caplog: pytest.LogCaptureFixture, choice: str, origin: str, warnings: int
) -> None:
    async with a_server(sqlite_url, users=(), BATONPASS_COOKIE_SECURE=choice) as server:
        with caplog.at_level(logging.WARNING, "batonpass"):
            for _ in range(3):
                await server.somebody(origin).post("/auth/refresh")

    told = [one.levelname for one in caplog.records if one.message == "cookies_without_secure"]
    assert told == ["WARNING"] * warnings


# --- CORS --------------------------------------------------------------------------------------


async def _a_fault(server: Server, client: httpx.AsyncClient) -> httpx.Response:
    async def fail() -> None:
        raise LookupError

    server.app.add_api_route("/auth/fault", fail, methods=["POST"])
    server.app.router.routes.insert(0, server.app.router.routes.pop())  # before the web app's
    return await client.post("/auth/fault")


async def _by_status(server: Server, client: httpx.AsyncClient) -> dict[int, httpx.Response]:
    """Have a request succeed, and fail in every way that a page of another origin may meet."""
    login = await log_in(client)
    client.headers["Authorization"] = f"Bearer {login.json().get('access_token')}"
    answers = [
        login,
        await client.post("/auth/refresh"),
        await client.post("/auth/refresh", headers={"Cookie": "refresh_token=rubbish"}),
        await client.post("/auth/confirm", json={"password": "wrong"}),
        await client.get("/auth/nothing"),
        await client.get("/auth/refresh"),
        await client.get("/auth/me", headers={"Authorization": "Bearer x"}),
        await client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD}),
        await client.post("/auth/refresh", content=b"x" * 65_537),
        await client.post("/auth/register", content=b"x"),
        await client.post("/auth/register", json={}),
        *[await log_in(client, "nobody@example.com", "wrong") for _ in range(11)],
        await client.get("/auth/me", headers={"X": "x" * 17_000}),
        await _a_fault(server, client),
    ]
    return {answer.status_code: answer for answer in answers}


def cors_headers(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


async def test_s_cors_2_a_listed_origin_hears_every_answer(database_url: str) -> None:
    async with a_server(database_url, cors_origins=f"https://other.example,{LISTED}") as server:
        client = server.somebody()
        client.headers["Origin"] = LISTED
        answers = await _by_status(server, client)

    assert set(answers) == {200, 401, 403, 404, 405, 409, 413, 415, 422, 429, 431, 500}
    for answer in answers.values():
        assert cors_headers(answer) == {
            "access-control-allow-origin": LISTED,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "Retry-After, WWW-Authenticate, X-Request-ID",
        }
        assert "Origin" in answer.headers["vary"]
    assert refusal(answers[500]) == (500, "internal_error")


@pytest.mark.parametrize("listed", ["", LISTED])
async def test_s_cors_2_an_unlisted_origin_hears_of_no_answer(
    database_url: str, listed: str
) -> None:
    async with a_server(database_url, cors_origins=listed) as server:
        client = server.somebody()
        client.headers["Origin"] = FOREIGN
        answers = await _by_status(server, client)

    assert set(answers) == {401, 403, 404, 405, 431}
    assert refusal(answers[403]) == (403, "csrf")
    for answer in answers.values():
        assert not cors_headers(answer)


@pytest.mark.parametrize(("origin", "method", "asked", "allowed"), [
    (LISTED,                "POST",   "authorization, content-type", True),
    (LISTED,                "DELETE", "authorization",               True),
    (LISTED,                "GET",    "x-request-id",                True),
    (LISTED,                "PUT",    "authorization",               False),
    (LISTED,                "POST",   "x-token-transport",           False),
    (FOREIGN,               "POST",   "authorization",               False),
    ("null",                "POST",   "authorization",               False),
    (LISTED + ".evil.test", "POST",   "authorization",               False),
    ("http://spa.example",  "POST",   "authorization",               False),
])  # fmt: skip
async def test_s_cors_2_what_a_preflight_allows(
    sqlite_url: str, origin: str, method: str, asked: str, allowed: bool
) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    async with a_server(sqlite_url, users=(), cors_origins=LISTED) as server:
        answer = await server.somebody().options("/auth/refresh", headers=headers)

    assert (answer.status_code == 200) is allowed
    if origin != LISTED:
        assert not cors_headers(answer)
    if allowed:
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "*" not in cors_headers(answer).values()


# --- how tokens travel -------------------------------------------------------------------------

SAID = {
    "X-Token-Transport": "body", "Cookie": "theme=dark", "Origin": HTTP,
    "Sec-Fetch-Site": "same-origin",
}  # fmt: skip
COMBINATIONS = [
    {name: value for (name, value), said in zip(SAID.items(), chosen, strict=True) if said}
    for chosen in product([False, True], repeat=len(SAID))
]


def sentences(combination: dict[str, str]) -> str:
    return ", ".join(combination) or "nothing"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Serve what no setting changes."""
    database = tmp_path_factory.mktemp("by-setting") / "batonpass.db"
    async with a_server(f"sqlite:///{database}") as server:
        yield server


@pytest.mark.parametrize("said", COMBINATIONS, ids=sentences)
@pytest.mark.parametrize("path", ["confirm", "password"])
async def test_a15_a_session_of_cookies_never_moves_into_the_body(
    server: Server, path: str, said: dict[str, str]
) -> None:
    """A script in the page has the access token; it must not get the refresh token by it."""
    body = {"password": PASSWORD, "current_password": PASSWORD, "new_password": NEW_PASSWORD}
    email = f"{uuid4().hex}@example.com"  # whose password may change
    await server.a_user(email)
    bearer = (await server.signed_in(email)).headers["Authorization"]

    answer = await server.somebody().post(
        f"/auth/{path}", json=body, headers={"Authorization": bearer, **said}
    )

    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert "bpr_" not in answer.text
    assert set(set_cookies(answer)) == PLAIN


@pytest.mark.parametrize("said", COMBINATIONS, ids=sentences)
async def test_a15_a_refresh_by_cookie_answers_by_cookie(
    server: Server, said: dict[str, str]
) -> None:
    token = (await server.signed_in()).cookies["refresh_token"]
    cookies = "; ".join(filter(None, [said.get("Cookie"), f"refresh_token={token}"]))

    answer = await server.somebody().post("/auth/refresh", headers={**said, "Cookie": cookies})

    assert answer.status_code == 200
    assert "bpr_" not in answer.text
    assert set(set_cookies(answer)) == PLAIN


@pytest.mark.parametrize("said", COMBINATIONS, ids=sentences)
async def test_s_rt_10_a_token_in_a_body_is_taken_from_no_browser(
    server: Server, said: dict[str, str]
) -> None:
    native = server.somebody()
    login = await log_in(native, headers={"X-Token-Transport": "body"})
    token = {"refresh_token": login.json()["refresh_token"]}
    before = server.rows()

    answer = await server.somebody().post("/auth/refresh", json=token, headers=said)

    if said.keys() <= {"X-Token-Transport"}:
        assert answer.json()["generation"] == 1
        assert answer.json()["refresh_token"] != token["refresh_token"]
        assert not set_cookies(answer)
    else:
        assert refusal(answer) == (401, "refresh_invalid")
        assert server.rows() == before


@pytest.mark.parametrize("path", ["confirm", "password"])
async def test_a_native_clients_session_keeps_its_body(sqlite_url: str, path: str) -> None:
    body = {"password": PASSWORD, "current_password": PASSWORD, "new_password": NEW_PASSWORD}
    async with a_server(sqlite_url) as server:
        native = server.somebody()
        login = await log_in(native, headers={"X-Token-Transport": "body"})
        native.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        answer = await native.post(f"/auth/{path}", json=body)
        renewed = await native.post(
            "/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]}
        )

    assert not set_cookies(answer)
    assert renewed.status_code == 200
