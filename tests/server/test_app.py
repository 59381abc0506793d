"""The server as a whole: what stands where in which environment, and which layer sees what."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, text

from batonpass.auth_service import AuthService
from batonpass.cli.context import VISIT
from batonpass.clock import Clock as RealClock
from batonpass.errors import ConfigurationError
from batonpass.plugin import Batonpass
from batonpass.server.app import (
    REGISTRATIONS_IN_PRODUCTION,
    build_app,
    build_app_from_environment,
    build_auth,
)
from batonpass.server.engines import build_engine, dispose
from batonpass.server.models import metadata, users
from tests.support.clocks import Clock
from tests.support.servers import (
    SECRET_KEY,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
    settings_of,
)

PUBLIC = "https://app.example"
PROXY = "10.0.0.1"
LISTED = "https://spa.example"
PRODUCTION: dict[str, Any] = {"environment": "production", "public_url": PUBLIC}
HSTS = "strict-transport-security"


@pytest.fixture
async def production(sqlite_url: str) -> AsyncIterator[Server]:
    async with a_server(sqlite_url, users=(), **PRODUCTION) as server:
        yield server


# --- what stands where -------------------------------------------------------------------------


@pytest.mark.parametrize(("environment", "path", "status"), [
    ("development", "/docs", 200), ("development", "/openapi.json", 200),
    ("production",  "/docs", 404), ("production",  "/openapi.json", 404),
    ("production",  "/redoc", 404), ("development", "/redoc", 404),
    ("production",  "/metrics", 404), ("development", "/metrics", 404),
    ("production",  "/lab", 404),
    ("production",  "/healthz", 200), ("production",  "/readyz", 200),
    ("production",  "/.well-known/jwks.json", 200),
])  # fmt: skip
async def test_s_hdr_6_what_is_served_where(
    sqlite_url: str, environment: str, path: str, status: int
) -> None:
    overrides = {**PRODUCTION, "environment": environment}
    async with a_server(sqlite_url, users=(), **overrides) as server:
        assert (await server.somebody(PUBLIC).get(path)).status_code == status


@pytest.mark.parametrize("environment", ["development", "production"])
def test_nothing_runs_in_debug_mode(sqlite_url: str, environment: str) -> None:
    app = build_app(settings_of(sqlite_url, **{**PRODUCTION, "environment": environment}))

    assert app.debug is False


async def test_a_whole_life_in_production_is_over_https(production: Server) -> None:
    client = production.somebody(PUBLIC)

    await client.post("/auth/register", json=login_json("ada@example.com"))
    login = await log_in(client)
    renewed = await client.post("/auth/refresh")

    assert (login.status_code, renewed.status_code) == (200, 200)
    assert set(client.cookies) == {"__Host-Http-refresh_token", "__Host-session_state"}


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_s_thr_5_registrations_are_counted_in_production(
    sqlite_url: str, environment: str
) -> None:
    overrides = {**PRODUCTION, "environment": environment}
    async with a_server(sqlite_url, users=(), **overrides) as server:
        client = server.somebody(PUBLIC)
        for n in range(REGISTRATIONS_IN_PRODUCTION.count):
            answer = await client.post("/auth/register", json=login_json(f"user{n}@example.com"))
            assert answer.status_code == 201

        one_more = await client.post("/auth/register", json=login_json("one@example.com"))

    assert one_more.status_code == (429 if environment == "production" else 201)


async def test_a_server_whose_tables_are_of_another_version_is_alive_and_not_ready(
    database_url: str,
) -> None:
    async with a_server(database_url) as server:
        auth, client = build_auth(server.settings), server.somebody()
        newer = text("UPDATE alembic_version SET version_num = '9999'")
        before = await client.get("/readyz")
        await auth.database.write(lambda connection: connection.execute(newer))

        after, alive = await client.get("/readyz"), await client.get("/healthz")
        await auth.stop()
        await dispose(auth.database.engine)

    assert (before.status_code, alive.status_code) == (200, 200)
    assert refusal(after) == (503, "unavailable")
    assert int(after.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_monitor_may_ask_by_head(sqlite_url: str, path: str) -> None:
    async with a_server(sqlite_url, users=()) as server:
        answer = await server.somebody().head(path)

    assert (answer.status_code, answer.headers["content-length"]) == (200, "15")


def test_confirming_by_mail_needs_a_mail_server(sqlite_url: str) -> None:
    silent = settings_of(sqlite_url).model_copy(update={"registration": "confirm"})

    with pytest.raises(ConfigurationError, match="BATONPASS_SMTP_URL"):
        build_app(silent)


def test_a_worker_refuses_what_is_unsafe_in_production(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("BATONPASS_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("BATONPASS_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("BATONPASS_ENVIRONMENT", "production")
    monkeypatch.setenv("BATONPASS_TRUSTED_PROXIES", PROXY)

    with pytest.raises(ConfigurationError, match="BATONPASS_PUBLIC_URL"):
        build_app_from_environment()


# --- which layer sees what ---------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "headers", "status"), [
    pytest.param("GET", "/healthz", {}, 200, id="an answer"),
    pytest.param("GET", "/auth/me", {}, 401, id="a refusal of a route"),
    pytest.param("POST", "/auth/refresh", {}, 401, id="a refusal of the gate"),
    pytest.param("POST", "/auth/refresh", {"Sec-Fetch-Site": "cross-site"}, 403, id="csrf"),
    pytest.param("GET", "/nowhere/at/all", {}, 404, id="no route"),
    pytest.param("OPTIONS", "/auth/refresh",
                 {"Origin": LISTED, "Access-Control-Request-Method": "POST"}, 200, id="preflight"),
])  # fmt: skip
async def test_every_answer_has_an_id_and_the_security_headers(
    sqlite_url: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with a_server(sqlite_url, users=(), cors_origins=LISTED) as server:
        answer = await server.somebody().request(
            method, path, headers={"X-Request-ID": "an-id", **headers}
        )

    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["an-id"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "content-security-policy" in answer.headers


async def test_a_fault_keeps_cors_so_that_a_listed_page_can_read_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_server(sqlite_url, cors_origins=LISTED) as server:
        client = await server.signed_in()
        monkeypatch.setattr(AuthService, "list_sessions", None)

        answer = await client.get("/auth/sessions", headers={"Origin": LISTED})

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(("overrides", "peer", "headers", "expected"), [
    pytest.param({}, PROXY, {}, False, id="plain http"),
    pytest.param({}, PROXY, {"X-Forwarded-Proto": "https"}, False, id="said by nobody we trust"),
    pytest.param({"trusted_proxies": PROXY}, PROXY, {"X-Forwarded-Proto": "https"}, True,
                 id="said by our proxy"),
    pytest.param({"trusted_proxies": PROXY}, "192.0.2.1", {"X-Forwarded-Proto": "https"}, False,
                 id="said by another"),
    pytest.param({"trusted_proxies": PROXY}, PROXY, {"X-Forwarded-Proto": "http"}, False,
                 id="our proxy says http"),
    pytest.param({"trusted_proxies": PROXY}, PROXY,
                 {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost:8443"}, False,
                 id="users are on this machine"),
    pytest.param({"trusted_proxies": PROXY, **PRODUCTION}, PROXY,
                 {"Host": "127.0.0.1:8000"}, True, id="production, by PUBLIC_URL"),
    pytest.param({"environment": "production"}, "192.0.2.1", {}, True, id="production"),
    pytest.param({"environment": "production"}, "127.0.0.1", {"Host": "localhost:8000"}, False,
                 id="production on this machine"),
])  # fmt: skip
async def test_s_hdr_4_https_is_demanded_where_users_speak_it(
    sqlite_url: str,
    overrides: dict[str, Any],
    peer: str,
    headers: dict[str, str],
    expected: bool,
) -> None:
    async with a_server(sqlite_url, users=(), **overrides) as server:
        answer = await server.somebody(address=peer).get("/healthz", headers=headers)

    wanted = "max-age=31536000; includeSubDomains" if expected else None
    assert answer.headers.get(HSTS) == wanted


async def test_s_hdr_4_the_library_demands_nothing_of_an_apps_domain(sqlite_url: str) -> None:
    engine = build_engine(sqlite_url)
    auth: Batonpass[Any] = Batonpass(
        engine, metadata, user=users, secret=SECRET_KEY, cookie_secure=True
    )
    app = FastAPI()
    auth.install(app)
    try:
        async with _asking(app, PUBLIC) as client:
            answers = [await client.post("/auth/refresh"), await client.get("/auth/sessions")]
    finally:
        await auth.stop()
        await dispose(engine)

    assert [answer.status_code for answer in answers] == [401, 401]
    assert not any(HSTS in answer.headers for answer in answers)


# --- its life ----------------------------------------------------------------------------------


async def test_it_tells_of_its_start_and_its_end_and_leaves_no_thread(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = _ours()
    with caplog.at_level("INFO", "batonpass.server.app"):
        async with a_server(database_url) as server:
            await server.signed_in()
            assert _ours() - before
        after = _ours()

    told = [record.getMessage() for record in caplog.records]
    assert [one for one in told if one.startswith("sys_")] == ["sys_startup", "sys_shutdown"]
    assert after <= before


async def test_the_heartbeat_hears_of_a_rotation(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batonpass.heartbeat.POLL_SECONDS", 0.01)
    clock = Clock(RealClock().now())
    async with a_server(sqlite_url, users=(), clock=clock) as server:
        auth = build_auth(server.settings, clock)
        await auth.service.rotate_signing_keys(VISIT)
        await auth.stop()
        client = server.somebody()

        while len((await client.get("/.well-known/jwks.json")).json()["keys"]) == 1:
            clock.advance(timedelta(seconds=1))
            await asyncio.sleep(0.01)

        assert clock.now() - RealClock().now() < timedelta(seconds=60)


async def test_a_purge_takes_what_throttles_counted_too(sqlite_url: str) -> None:
    async with a_server(sqlite_url) as server:
        await log_in(server.somebody(), password="wrong")
        server.clock.advance(timedelta(days=1))
        auth = build_auth(server.settings, server.clock)

        gone = await auth.service.purge()
        left = await auth.database.read(
            lambda connection: connection.scalar(
                select(func.count()).select_from(metadata.tables["throttle"])
            )
        )
        await auth.stop()

    assert gone["throttle"] >= 1
    assert left == 0


async def test_an_access_token_of_one_server_is_good_at_another(sqlite_url: str) -> None:
    async with a_server(sqlite_url) as one:
        client = await one.signed_in()
        other = build_app(one.settings, one.clock)
        async with _asking(other) as elsewhere:
            token = {"Authorization": client.headers["Authorization"]}
            answer = await elsewhere.get("/auth/me", headers=token)

    assert answer.status_code == 200


def _asking(app: FastAPI, origin: str = "http://app.example") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin)


def _ours() -> set[threading.Thread]:
    """Our threads, themselves: an earlier test may have left some of the same names."""
    return {one for one in threading.enumerate() if one.name.startswith("batonpass-")}
