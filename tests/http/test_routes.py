"""Every route of the contract, with its good answer, as a program outside would hold us to it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from tests.support.families import GRACE, IDLE, POLICY
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
    set_cookies,
)

TICK = timedelta(microseconds=1)
NOBODYS = "0199b1de-0000-7000-8000-000000000000"
TOKEN_ANSWER = {"access_token", "token_type", "expires_in", "session_id", "generation"}
SESSION = {
    "id", "created_at", "last_used_at", "idle_expires_at", "expires_at", "ended_at",
    "ended_reason", "ip", "device", "current",
}  # fmt: skip
INVALID = (
    'Bearer error="invalid_token", error_description="The access token is invalid or has expired."'
)


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url) as server:
        yield server


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[Server]:
    """Run on SQLite and on PostgreSQL: what reads and writes the most."""
    async with a_server(database_url) as server:
        yield server


def refresh_token(client: httpx.AsyncClient) -> str:
    value = client.cookies["refresh_token"]
    assert value.startswith("bpr_")
    return value


def presenting(token: str) -> dict[str, str]:
    return {"Cookie": f"refresh_token={token}"}


# --- login, refresh, logout --------------------------------------------------------------------


async def test_the_whole_life_of_a_session(both: Server) -> None:
    client = both.somebody()

    login = await log_in(client)
    renewed = await client.post("/auth/refresh")
    bearer = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
    me = await client.get("/auth/me", headers=bearer)
    sessions = await client.get("/auth/sessions", headers=bearer)
    logout = await client.post("/auth/logout", headers=bearer)
    refused = await client.get("/auth/me", headers=bearer)

    assert (login.status_code, renewed.status_code, me.status_code) == (200, 200, 200)
    assert set(login.json()) == set(renewed.json()) == TOKEN_ANSWER
    assert [answer.json()["generation"] for answer in (login, renewed)] == [0, 1]
    assert renewed.json()["token_type"] == "bearer"
    assert renewed.json()["expires_in"] == 1800
    assert set(me.json()) == {"id", "email", "created_at", "session_id"}
    assert me.json()["session_id"] == login.json()["session_id"]
    assert [set(one) for one in sessions.json()] == [SESSION]
    assert sessions.json()[0]["current"] is True
    assert logout.status_code == 204
    assert refusal(refused) == (401, "session_revoked")
    assert refused.json()["reason"] == "logout"


async def test_s_cookie_1_the_cookies_of_a_login_carry_each_attribute_once(server: Server) -> None:
    plain, secure = server.somebody(), server.somebody("https://app.example")

    on_http, on_https = await log_in(plain), await log_in(secure)

    week = "Max-Age=604800"
    held = set_cookies(on_https)
    assert set(held) == {"__Host-Http-refresh_token", "__Host-session_state"}
    assert sorted(held["__Host-Http-refresh_token"][1:]) == [
        "HttpOnly", week, "Path=/", "SameSite=Strict", "Secure",
    ]  # fmt: skip
    assert sorted(held["__Host-session_state"][1:]) == [week, "Path=/", "SameSite=Strict", "Secure"]
    name, _, generation = held["__Host-session_state"][0].partition(".")
    assert (len(name), generation) == (8, "0")
    held = set_cookies(on_http)
    assert set(held) == {"refresh_token", "session_state"}
    assert sorted(held["refresh_token"][1:]) == ["HttpOnly", week, "Path=/", "SameSite=Strict"]


@pytest.mark.parametrize("path", ["/auth/token", "/auth/refresh"])
async def test_without_remember_the_cookies_end_with_the_browser(server: Server, path: str) -> None:
    client = server.somebody()
    answer = await log_in(client, remember="false")

    if path == "/auth/refresh":
        answer = await client.post(path)

    assert answer.status_code == 200
    for attributes in set_cookies(answer).values():
        assert not any(one.lower().startswith(("max-age", "expires")) for one in attributes)


async def test_s_cookie_2_max_age_is_what_is_left_of_the_nearer_limit(server: Server) -> None:
    client = server.somebody()
    await log_in(client)
    for _ in range(5):
        server.clock.advance(timedelta(days=5, hours=23))
        await client.post("/auth/refresh")

    answer = await client.post("/auth/refresh")

    left = int(POLICY.absolute_limit.total_seconds()) - 5 * (6 * 86400 - 3600)
    assert f"Max-Age={left}" in set_cookies(answer)["refresh_token"]


async def test_s_cookie_5_a_logout_clears_both_cookies_as_they_were_set(server: Server) -> None:
    client = server.somebody("https://app.example")
    await log_in(client)

    answer = await client.post("/auth/logout")

    held = set_cookies(answer)
    assert set(held) == {"__Host-Http-refresh_token", "__Host-session_state"}
    for value, *attributes in held.values():
        assert value == ""
        assert {"Max-Age=0", "Path=/", "Secure"} <= set(attributes)
    assert not client.cookies


@pytest.mark.parametrize("by", ["current", "spent", "expired", "bearer", "expired bearer"])
async def test_s_ses_2_a_logout_ends_the_session_by_whatever_is_left_of_it(
    server: Server, by: str
) -> None:
    client = await server.signed_in()
    spent = refresh_token(client)
    renewed = await client.post("/auth/refresh")
    current = refresh_token(client)
    stranger = server.somebody()
    if by == "expired":
        server.clock.advance(IDLE)
    if by == "expired bearer":
        server.clock.advance(timedelta(hours=24, minutes=29))

    headers = {
        "current": presenting(current),
        "spent": presenting(spent),
        "expired": presenting(current),
        "bearer": {"Authorization": client.headers["Authorization"]},
        "expired bearer": {"Authorization": client.headers["Authorization"]},
    }[by]
    answer = await stranger.post("/auth/logout", headers=headers)

    assert answer.status_code == 204
    after = await stranger.post("/auth/refresh", headers=presenting(current))
    assert refusal(after)[1] == ("refresh_revoked")
    assert after.json()["reason"] == ("expired" if by == "expired" else "logout")
    assert renewed.status_code == 200


@pytest.mark.parametrize("headers", [
    {},
    {"Cookie": "refresh_token=rubbish"},
    {"Cookie": "refresh_token=a; refresh_token=b"},
    {"Authorization": "Bearer rubbish"},
    {"Authorization": "Basic YTpi"},
])  # fmt: skip
async def test_a_logout_with_nothing_to_end_is_no_error(
    server: Server, headers: dict[str, str]
) -> None:
    before = server.rows()

    answer = await server.somebody().post("/auth/logout", headers=headers)

    assert answer.status_code == 204
    assert server.rows() == before


# --- what a refresh refuses --------------------------------------------------------------------


async def test_a_refresh_without_a_token_is_told_so(server: Server) -> None:
    assert refusal(await server.somebody().post("/auth/refresh")) == (401, "refresh_missing")


async def test_the_idle_limit_is_exclusive(server: Server) -> None:
    client = await server.signed_in()
    server.clock.advance(IDLE - TICK)
    assert (await client.post("/auth/refresh")).status_code == 200

    server.clock.advance(IDLE)

    assert refusal(await client.post("/auth/refresh")) == (401, "refresh_expired")


async def test_a_slow_tab_is_told_to_look_again_and_a_thief_ends_the_session(both: Server) -> None:
    client = await both.signed_in()
    first = refresh_token(client)
    await client.post("/auth/refresh")
    await client.post("/auth/refresh")
    stranger = both.somebody()

    slow = await stranger.post("/auth/refresh", headers=presenting(first))
    for _ in range(2):
        both.clock.advance(3 * GRACE)
        assert (await client.post("/auth/refresh")).status_code == 200
    stolen = await stranger.post("/auth/refresh", headers=presenting(first))
    owner = await client.post("/auth/refresh")

    assert refusal(slow) == (409, "refresh_superseded")
    assert refusal(stolen) == (401, "refresh_reused")
    assert refusal(owner) == (401, "refresh_revoked")
    assert owner.json()["reason"] == "reused"


async def test_the_same_token_within_grace_gets_the_same_successor(both: Server) -> None:
    client = await both.signed_in()
    token = refresh_token(client)
    first = await client.post("/auth/refresh")
    kept = refresh_token(client)
    both.clock.advance(GRACE)

    again = await both.somebody().post("/auth/refresh", headers=presenting(token))

    assert again.status_code == 200
    assert set_cookies(again)["refresh_token"][0] == kept
    assert again.json()["generation"] == first.json()["generation"]


# --- sessions ----------------------------------------------------------------------------------


async def test_a_session_shows_its_lineage_and_no_secret(both: Server) -> None:
    client = await both.signed_in()
    tokens = [refresh_token(client)]
    renewed = await client.post("/auth/refresh")
    tokens.append(refresh_token(client))
    for _ in range(1):
        both.clock.advance(2 * GRACE)
        renewed = await client.post("/auth/refresh")
        tokens.append(refresh_token(client))
    client.headers["Authorization"] = f"Bearer {renewed.json()['access_token']}"

    both.clock.advance(GRACE + TICK)
    answer = await client.get(f"/auth/sessions/{renewed.json()['session_id']}")

    assert answer.status_code == 200
    shown = answer.json()
    assert set(shown) == SESSION | {"lineage"}
    assert [(one["generation"], one["kind"]) for one in shown["lineage"]] == [
        (0, "created"), (1, "rotated"), (2, "rotated"),
    ]  # fmt: skip
    assert set(shown["lineage"][0]) == {"generation", "at", "kind", "ip", "device"}
    assert not any(token[4:] in answer.text for token in tokens)


async def test_a_rotation_younger_than_grace_does_not_show(server: Server) -> None:
    client = await server.signed_in()
    before = (await client.get("/auth/sessions")).json()
    server.clock.advance(timedelta(minutes=5))

    await client.post("/auth/refresh")

    assert (await client.get("/auth/sessions")).json() == before


@pytest.mark.parametrize(("query", "own_survives"), [("", True), ("?all=true", False)])
async def test_ending_every_other_session(both: Server, query: str, own_survives: bool) -> None:
    client, other = await both.signed_in(), await both.signed_in()

    answer = await client.delete(f"/auth/sessions{query}")

    assert answer.status_code == 204
    assert (await client.get("/auth/me")).status_code == (200 if own_survives else 401)
    assert refusal(await other.get("/auth/me")) == (401, "session_revoked")


async def test_ending_one_session_keeps_it_in_the_list_for_a_day(server: Server) -> None:
    client, other = await server.signed_in(), await server.signed_in()
    session_id = (await other.get("/auth/me")).json()["session_id"]

    answer = await client.delete(f"/auth/sessions/{session_id}")

    assert answer.status_code == 204
    shown = {one["id"]: one for one in (await client.get("/auth/sessions")).json()}
    assert shown[session_id]["ended_reason"] == "revoked"
    assert (await other.get("/auth/me")).json()["reason"] == "revoked"


@pytest.mark.parametrize("session_id", [
    "-1", str(2**63), "..%5c", "1%20OR%201", "%ff", "%00", "x" * 500, "{}", NOBODYS, "null",
])  # fmt: skip
async def test_a33_no_session_by_a_bad_id(server: Server, session_id: str) -> None:
    client = await server.signed_in()
    before = server.rows()

    shown = await client.get(f"/auth/sessions/{session_id}")
    ended = await client.delete(f"/auth/sessions/{session_id}")

    assert refusal(shown) == refusal(ended) == (404, "not_found")
    assert server.rows() == before


async def test_s_ses_4_anothers_session_is_as_unknown_as_any(server: Server) -> None:
    await server.a_user("eve@example.com")
    client, eve = await server.signed_in(), await server.signed_in("eve@example.com")
    session_id = (await client.get("/auth/me")).json()["session_id"]

    shown = await eve.get(f"/auth/sessions/{session_id}")
    ended = await eve.delete(f"/auth/sessions/{session_id}")

    assert refusal(shown) == refusal(ended) == (404, "not_found")
    assert (await client.get("/auth/me")).status_code == 200


async def test_a10_a_login_over_anothers_cookie_shares_nothing_with_it(server: Server) -> None:
    await server.a_user("eve@example.com")
    eve = await server.signed_in("eve@example.com")
    planted = refresh_token(eve)
    victim = server.somebody()

    login = await log_in(victim, headers=presenting(planted))
    stolen = await eve.post("/auth/refresh")

    assert login.status_code == 200
    assert refusal(stolen) == (401, "refresh_revoked")
    assert (await victim.post("/auth/refresh")).json()["session_id"] == login.json()["session_id"]


# --- events ------------------------------------------------------------------------------------


async def test_events_come_newest_first_and_in_pages(both: Server) -> None:
    both.clock.advance(timedelta(minutes=1))
    client = await both.signed_in()
    for _ in range(3):
        both.clock.advance(timedelta(minutes=1))
        await both.signed_in()

    first = (await client.get("/auth/events?limit=3")).json()
    second = (await client.get(f"/auth/events?limit=100&before={first['next']}")).json()

    events = first["events"] + second["events"]
    assert len(first["events"]) == 3
    assert second["next"] is None
    assert len({one["id"] for one in events}) == len(events)
    assert all(later["at"] >= earlier["at"] for later, earlier in pairwise(events))
    assert events[-1]["event"] == "user_created"


# --- accounts ----------------------------------------------------------------------------------


async def test_register_answers_with_the_account_alone(both: Server) -> None:
    fields = {**login_json("Bob@Example.com"), "id": str(uuid4()), "is_admin": "1"}

    answer = await both.somebody().post("/auth/register", json=fields)
    again = await both.somebody().post("/auth/register", json=login_json("bob@example.COM"))

    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "email", "created_at"}
    assert answer.json()["id"] != fields["id"]
    assert answer.json()["email"] == "Bob@Example.com"
    assert refusal(again) == (409, "email_taken")


@pytest.mark.parametrize(("fields", "expected"), [
    ({"password": "short"},         (422, "weak_password")),
    ({"password": "password1"},     (422, "weak_password")),
    ({"password": "x" * 1025},      (422, "weak_password")),
    ({"email": "no address"},       (422, "invalid_request")),
    ({"email": "a@" + "a." * 5000}, (422, "invalid_request")),
    ({"email": 7},                  (422, "invalid_request")),
    ({"email": None},               (422, "invalid_request")),
    ({"email": ["a@b.example"]},    (422, "invalid_request")),
    ({"password": {"a": 1}},        (422, "invalid_request")),
    ({"email": "a\x00b@c.example"}, (422, "invalid_request")),
])  # fmt: skip
async def test_what_register_refuses(
    server: Server, fields: dict[str, object], expected: tuple[int, str]
) -> None:
    before = server.rows()

    answer = await server.somebody().post(
        "/auth/register", json={**login_json("new@example.com"), **fields}
    )

    assert refusal(answer) == expected
    assert server.rows() == before


async def test_s_enum_3_a_weak_password_tells_nothing_of_the_email(server: Server) -> None:
    taken = await server.somebody().post("/auth/register", json=login_json(EMAIL, "short"))

    assert refusal(taken) == (422, "weak_password")


async def test_registration_can_be_closed(sqlite_url: str) -> None:
    async with a_server(sqlite_url, users=(), registration="closed") as server:
        answer = await server.somebody().post("/auth/register", json=login_json())

    assert refusal(answer) == (403, "registration_closed")


async def test_a_login_link_from_no_mail_is_over(server: Server) -> None:
    answer = await server.somebody().post("/auth/register/finish", json={"token": "no link"})

    assert refusal(answer) == (410, "link_expired")


async def test_no_answer_to_a_login_tells_whether_the_account_exists(server: Server) -> None:
    client = server.somebody()

    wrong, unknown = [await log_in(client, email, "wrong") for email in (EMAIL, "no@example.com")]

    assert refusal(wrong) == (401, "invalid_credentials")
    assert wrong.content == unknown.content
    ignored = {"x-request-id"}
    assert [(k, v) for k, v in wrong.headers.multi_items() if k not in ignored] == [
        (k, v) for k, v in unknown.headers.multi_items() if k not in ignored
    ]


async def test_the_eleventh_failure_is_refused_also_with_the_right_password(both: Server) -> None:
    client = both.somebody()
    for _ in range(10):
        assert refusal(await log_in(client, password="wrong")) == (401, "invalid_credentials")

    refused = await log_in(client)
    both.clock.advance(timedelta(minutes=15, seconds=1))
    later = await log_in(client)

    assert refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert later.status_code == 200


async def test_a_new_password_ends_every_other_session_and_the_older_tokens(both: Server) -> None:
    client, other = await both.signed_in(), await both.signed_in()
    old = refresh_token(client)
    new = "another horse battery"

    answer = await client.post(
        "/auth/password", json={"current_password": PASSWORD, "new_password": new}
    )
    by_old = await both.somebody().post("/auth/refresh", headers=presenting(old))

    assert answer.status_code == 200
    assert set(answer.json()) == TOKEN_ANSWER
    assert answer.json()["generation"] == 1
    assert refusal(by_old) == (409, "refresh_superseded")
    assert (await client.post("/auth/refresh")).status_code == 200
    assert (await other.get("/auth/me")).json()["reason"] == "password"
    assert refusal(await log_in(both.somebody())) == (401, "invalid_credentials")
    assert (await log_in(both.somebody(), password=new)).status_code == 200


@pytest.mark.parametrize(("path", "fields", "expected"), [
    ("/auth/confirm",  {"password": "wrong"},                             (403, "wrong_password")),
    ("/auth/confirm",  {},                                                (422, "invalid_request")),
    ("/auth/password", {"current_password": "wrong", "new_password": "x" * 20},
                                                                          (403, "wrong_password")),
    ("/auth/password", {"current_password": PASSWORD, "new_password": "short"},
                                                                          (422, "weak_password")),
    ("/auth/password", {"current_password": PASSWORD},                    (422, "invalid_request")),
])  # fmt: skip
async def test_what_giving_a_password_again_refuses(
    server: Server, path: str, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    client = await server.signed_in()
    before = server.rows()

    answer = await client.post(path, json=fields)

    assert refusal(answer) == expected
    assert server.rows() == before


async def test_s_thr_5_a_session_has_ten_wrong_passwords(server: Server) -> None:
    client = await server.signed_in()
    for _ in range(10):
        await client.post("/auth/confirm", json={"password": "wrong"})

    answer = await client.post("/auth/confirm", json={"password": PASSWORD})

    assert refusal(answer) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1


async def test_confirm_moves_the_session_on(server: Server) -> None:
    client = await server.signed_in()

    answer = await client.post("/auth/confirm", json={"password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["generation"] == 1
    assert set(set_cookies(answer)) == {"refresh_token", "session_state"}


# --- bearer ------------------------------------------------------------------------------------

BEARER_ROUTES = [
    ("GET", "/auth/me"),
    ("GET", "/auth/sessions"),
    ("GET", f"/auth/sessions/{NOBODYS}"),
    ("DELETE", f"/auth/sessions/{NOBODYS}"),
    ("DELETE", "/auth/sessions"),
    ("POST", "/auth/confirm"),
    ("POST", "/auth/password"),
    ("GET", "/auth/events"),
]


@pytest.mark.parametrize(("method", "path"), BEARER_ROUTES)
async def test_s_jwt_8_each_bearer_route_challenges(server: Server, method: str, path: str) -> None:
    client = server.somebody()
    fields = {"password": "x", "current_password": "x", "new_password": "x"}
    body = fields if method == "POST" else None
    access_token = (await log_in(server.somebody())).json()["access_token"]

    none = await client.request(method, path, json=body)
    bad = await client.request(method, path, headers={"Authorization": "Bearer x"}, json=body)
    query = await client.request(method, path, params={"access_token": access_token}, json=body)

    assert refusal(none) == refusal(query) == (401, "token_missing")
    assert none.headers.get_list("www-authenticate") == ["Bearer"]
    assert refusal(bad) == (401, "token_invalid")
    assert bad.headers.get_list("www-authenticate") == [INVALID]


async def test_an_access_token_is_over_at_its_exp(server: Server) -> None:
    client = await server.signed_in()
    server.clock.advance(POLICY.access_token_lifetime + timedelta(seconds=11))

    assert refusal(await client.get("/auth/me")) == (401, "token_invalid")


# --- around ------------------------------------------------------------------------------------


async def test_the_public_keys_and_the_health(both: Server) -> None:
    client = both.somebody()

    keys = await client.get("/.well-known/jwks.json")
    alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (alive.status_code, ready.status_code) == (200, 200)
    assert [key["kty"] for key in keys.json()["keys"]] == ["EC"]
    assert all("d" not in key for key in keys.json()["keys"])


async def test_hs256_has_no_public_key(sqlite_url: str) -> None:
    async with a_server(sqlite_url, jwt_algorithm="HS256") as server:
        answer = await server.somebody().get("/.well-known/jwks.json")
        me = await (await server.signed_in()).get("/auth/me")

    assert answer.json() == {"keys": []}
    assert me.status_code == 200
