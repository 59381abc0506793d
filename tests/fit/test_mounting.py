"""Where an app may stand: mounted, behind a proxy, included, late. It works, or says why not."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Message

from batonpass import BatonpassError, Claims
from batonpass.errors import ConfigurationError
from tests.support.apps import (
    ADA,
    ORIGIN,
    House,
    a_client,
    an_app,
    bearer,
    log_in,
    serving,
)
from tests.support.servers import refusal, set_cookies


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelno >= logging.WARNING]


# --- mounted -----------------------------------------------------------------------------------


async def test_an_app_that_is_mounted_keeps_its_sessions(plain_house: House) -> None:
    auth = plain_house.plug()
    api = an_app(auth)
    auth.install(api)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with auth.running():
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/api", api)

    async with serving(outer) as client:
        login = await log_in(client, "/api/auth/token")
        renewed = await client.post("/api/auth/refresh")
        me = await client.get("/api/me", headers=bearer(renewed))
        spied = await client.get("/api/spy")
        nobody = await client.get("/api/me")
        foreign = await client.post("/api/auth/refresh", headers={"Sec-Fetch-Site": "cross-site"})
        keys = await client.get("/api/.well-known/jwks.json")
        schema = (await client.get("/api/openapi.json")).json()
        out = await client.post("/api/auth/logout")

    assert renewed.json()["session_id"] == login.json()["session_id"]
    assert me.json()["email"] == ADA
    assert "bpr_" not in spied.text
    assert refusal(nobody) == (401, "token_missing")
    assert refusal(foreign) == (403, "csrf")
    assert len(keys.json()["keys"]) == 1
    flows = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    assert schema["servers"] == [{"url": "/api"}]
    assert flows["password"]["tokenUrl"] == "auth/token"  # relative: to where the schema stands
    assert all("Path=/" in one and "Max-Age=0" in one for one in set_cookies(out).values())


async def test_a_mounted_app_whose_lifespan_nobody_runs_says_so_once(
    plain_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Starlette runs the outermost app's lifespan alone."""
    auth = plain_house.plug(cookie_secure=False)
    api = an_app(auth)
    auth.install(api)
    outer = FastAPI()
    outer.mount("/api", api)

    async with serving(outer) as client:
        login = await log_in(client, "/api/auth/token")
        me = await client.get("/api/me", headers=bearer(login))

    assert me.json()["email"] == ADA
    assert warnings_in(caplog) == ["served_without_heartbeat"]
    (record,) = [one for one in caplog.records if one.message == "served_without_heartbeat"]
    assert "auth.running()" in record.__dict__["why"]


async def test_a_served_app_that_has_its_heartbeat_says_nothing(
    plain_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    auth = plain_house.plug(cookie_secure=False)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)

    assert warnings_in(caplog) == []


@pytest.mark.parametrize("mounted", ["inside", "around"])
async def test_a_route_of_another_app_answers_as_ours_do(plain_house: House, mounted: str) -> None:
    """An app that was not installed into depends on `auth` all the same."""
    auth = plain_house.plug()
    installed = an_app(auth)
    auth.install(installed)
    other = an_app(auth)

    @other.get("/fresh")
    async def fresh(found: Annotated[Claims, Depends(auth.fresh())]) -> str:
        return found.subject

    outer, inner = (installed, other) if mounted == "inside" else (other, installed)
    outer.mount("/inner", inner)
    routes = "" if mounted == "around" else "/inner"
    ours = "/inner" if mounted == "around" else ""

    async with auth.running(), a_client(outer) as client:
        login = bearer(await log_in(client, f"{ours}/auth/token"))
        me = await client.get(f"{routes}/me", headers=login)
        nobody = await client.get(f"{routes}/me")
        wrong = await client.get(f"{routes}/me", headers={"Authorization": "Bearer x"})
        plain_house.clock.advance(auth.service.policy.access_token_lifetime / 2)
        stale = await client.get(f"{routes}/fresh", headers=login)

    assert me.json()["email"] == ADA
    assert refusal(nobody) == (401, "token_missing")
    assert refusal(wrong) == (401, "token_invalid")
    assert wrong.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert refusal(stale) == (401, "login_required_again")


async def test_an_apps_own_answer_to_our_errors_stays_its_own(plain_house: House) -> None:
    auth = plain_house.plug()
    app = an_app(auth)

    @app.exception_handler(BatonpassError)
    async def ours(_request: object, error: BatonpassError) -> PlainTextResponse:
        return PlainTextResponse(f"Sorry: {error.code}", status_code=error.status)

    auth.install(app)

    async with serving(app) as client:
        nobody = await client.get("/me")

    assert (nobody.status_code, nobody.text) == (401, "Sorry: token_missing")


# --- behind a proxy ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The `root_path` parameter")  # many an app says it so
@pytest.mark.parametrize("said_by", ["the app", "the server"])
@pytest.mark.parametrize("strips", [True, False])
async def test_root_path_behind_a_proxy(plain_house: House, said_by: str, strips: bool) -> None:
    auth = plain_house.plug()
    app = an_app(auth, root_path="/shop" if said_by == "the app" else "")
    auth.install(app)
    by_server = "/shop" if said_by == "the server" else ""
    path = "" if strips else "/shop"

    async with serving(app), a_client(app, root_path=by_server) as client:
        login = await log_in(client, f"{path}/auth/token")
        renewed = await client.post(f"{path}/auth/refresh")
        me = await client.get(f"{path}/me", headers=bearer(renewed))
        spied = await client.get(f"{path}/spy")
        foreign = await client.delete(
            f"{path}/auth/sessions", headers={**bearer(login), "Sec-Fetch-Site": "cross-site"}
        )
        schema = (await client.get(f"{path}/openapi.json")).json()

    assert renewed.json()["session_id"] == login.json()["session_id"]
    assert me.json()["email"] == ADA
    assert "bpr_" not in spied.text
    assert refusal(foreign) == (403, "csrf")
    assert schema["servers"] == [{"url": "/shop"}]


# --- included, late ----------------------------------------------------------------------------


async def test_s_csrf_8_routes_without_their_gate_answer_nobody(
    plain_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """`include_router` takes an app's routes and leaves its middlewares: no CSRF check is left."""
    auth = plain_house.plug()
    inner = an_app(auth)
    auth.install(inner)
    outer = FastAPI()
    outer.include_router(inner.router, prefix="/api")

    async with serving(outer) as client:
        login = await log_in(client, "/api/auth/token")
        renewed = await client.post("/api/auth/refresh")
        keys = await client.get("/api/.well-known/jwks.json")

    assert (login.status_code, renewed.status_code) == (500, 500)
    assert not client.cookies
    assert len(keys.json()["keys"]) == 1


async def test_routes_without_their_gate_say_why(plain_house: House) -> None:
    auth = plain_house.plug()
    inner = an_app(auth)
    auth.install(inner)
    outer = FastAPI()
    outer.include_router(inner.router)

    with pytest.raises(RuntimeError, match=r"/auth/refresh .*Call auth.install\(app\) with that"):
        await httpx.AsyncClient(transport=httpx.ASGITransport(outer)).post(f"{ORIGIN}/auth/refresh")


async def test_an_app_that_includes_another_may_be_installed_into(plain_house: House) -> None:
    auth = plain_house.plug()
    inner = an_app(auth)
    outer = FastAPI()
    outer.include_router(inner.router, prefix="/api")
    auth.install(outer)

    async with serving(outer) as client:
        login = await log_in(client)
        renewed = await client.post("/auth/refresh")
        me = await client.get("/api/me", headers=bearer(renewed))

    assert renewed.json()["session_id"] == login.json()["session_id"]
    assert me.json()["email"] == ADA


async def test_a_lifespan_is_too_late(plain_house: House) -> None:
    """Its middlewares stand by then, and it is what the heartbeat would have to stand in."""
    auth = plain_house.plug()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        auth.install(app)
        yield

    app = FastAPI(lifespan=lifespan)
    with pytest.raises(ConfigurationError, match="where the app is made, before"):
        await started_as_a_server_does(app)


async def started_as_a_server_does(app: FastAPI) -> None:
    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        assert message["type"] == "lifespan.startup.failed"

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


async def test_after_the_first_request_it_is_too_late(plain_house: House) -> None:
    auth = plain_house.plug()
    app = FastAPI()
    async with a_client(app) as client:
        await client.get("/")

    with pytest.raises(ConfigurationError, match="where the app is made, before"):
        auth.install(app)


# --- replaced in tests -------------------------------------------------------------------------


async def test_dependencies_are_overridden_as_any_others(plain_house: House) -> None:
    auth = plain_house.plug()
    app = an_app(auth)
    auth.install(app)

    @app.get("/subject")
    async def subject(found: Annotated[Claims, Depends(auth.claims)]) -> str:
        return found.subject

    @app.get("/greeting")
    async def greeting(account: Annotated[Any, Depends(auth.optional_user)]) -> str:
        return "Hello!" if account is None else f"Hello, {account.email}!"

    grace = plain_house.account(number=8, email="grace@example.com")

    async with serving(app) as client:
        login = await log_in(client)
        real = (await client.get("/subject", headers=bearer(login))).json()
        claims = await auth.service.check_access_token(login.json()["access_token"])
        app.dependency_overrides[auth.user] = lambda: grace
        app.dependency_overrides[auth.optional_user] = lambda: grace
        me = await client.get("/me")
        hello = await client.get("/greeting")
        app.dependency_overrides = {auth.claims: lambda: claims}
        as_ada = await client.get("/me")
        as_subject = await client.get("/subject")
        sessions = await client.get("/auth/sessions")
        app.dependency_overrides = {}
        nobody = await client.get("/me")

    assert me.json() == {"email": "grace@example.com", "key": "8"}
    assert hello.json() == "Hello, grace@example.com!"
    assert as_ada.json()["email"] == ADA
    assert as_subject.json() == real == "7"
    assert [one["current"] for one in sessions.json()] == [True]
    assert refusal(nobody) == (401, "token_missing")
