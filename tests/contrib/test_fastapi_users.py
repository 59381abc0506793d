"""An app on fastapi-users, the real package: its users, its routes, our sessions.

The app is the one of docs/how-to/fastapi-users.md, on both databases.
"""

import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from tests.docs.pages import DOCS, code_blocks
from tests.support.clocks import Clock
from tests.support.families import GRACE
from tests.support.servers import set_cookies

pytest.importorskip("fastapi_users", reason="it wants SQLAlchemy 2.0: see the runner `oldest`")
schemas = importlib.import_module("fastapi_users").schemas

PAGE = DOCS / "how-to" / "fastapi-users.md"
SECRET_KEY = "75bc91b1a919950487c48ccd8d06719eeec8d68b1555f5c41fcf2a53d09e461a"
ADA, PASSWORD = "ada@example.com", "a long walk at noon"
SETTLED = 2 * GRACE + timedelta(seconds=1)
FOREIGN = "https://evil.example"


class House:
    """The page's app, running."""

    def __init__(self, names: dict[str, Any], client: httpx.AsyncClient) -> None:
        """Ask it by `client`."""
        self.names = names
        self.client = client
        self.auth = names["auth"]
        self.clock: Clock = names["clock"]

    async def add_user(self) -> None:
        """Have the app's own manager create somebody."""
        wanted = schemas.BaseUserCreate(email=ADA, password=PASSWORD)
        async for database in self.names["get_user_db"]():
            await self.names["UserManager"](database).create(wanted)

    async def log_in(self, password: str = PASSWORD, **headers: str) -> httpx.Response:
        """Log in by fastapi-users' route."""
        form = {"username": ADA, "password": password}
        return await self.client.post("/auth/jwt/login", data=form, headers=headers)

    async def log_in_elsewhere(self) -> httpx.Response:
        """Do so in another browser; in this one a login takes the place of the one before."""
        self.client.cookies.clear()
        return await self.log_in()

    async def get(self, path: str, token: httpx.Response) -> httpx.Response:
        """Ask for a page with the access token of an answer."""
        return await self.client.get(path, headers=bearer(token))


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def light_hashes() -> Any:
    """As theirs, with 8 KiB instead of 64 MiB."""
    hasher = importlib.import_module("pwdlib.hashers.argon2").Argon2Hasher
    cheap = importlib.import_module("pwdlib").PasswordHash((hasher(1, 8, 1),))
    return importlib.import_module("fastapi_users.password").PasswordHelper(cheap)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """The database: SQLite, where a test does not ask for both."""
    found: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return found


@pytest.fixture
def page(url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the page's Python, on a database of the test's."""
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    monkeypatch.setattr("fastapi_users.manager.PasswordHelper", light_hashes)
    address = make_url(url)
    driver = "sqlite+aiosqlite" if address.get_backend_name() == "sqlite" else "postgresql+asyncpg"
    there = address.set(drivername=driver).render_as_string(hide_password=False)
    module = type(sys)("the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module)["clock"] = Clock()
    *blocks, check = code_blocks(PAGE, "python")
    users, plug, rest = blocks
    source = users + plug + check + "\n\nauth.authenticate(check)\n\n" + rest
    source = source.replace("sqlite+aiosqlite:///app.db", there)
    source = source.replace('["SECRET_KEY"]\n', '["SECRET_KEY"], clock=clock\n')
    exec(source, vars(module))  # noqa: S102 - the page's own
    return vars(module)


@pytest.fixture
async def house(page: dict[str, Any]) -> AsyncIterator[House]:
    async with page["engine"].begin() as connection:
        await connection.run_sync(page["Base"].metadata.create_all)
    async with serving(page) as client:
        house = House(page, client)
        await house.add_user()
        yield house
    await page["engine"].dispose()


@asynccontextmanager
async def serving(page: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    app = page["app"]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://app.example"
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
async def test_a_user_of_theirs_gets_rotation_theft_detection_and_the_session_list(
    house: House,
) -> None:
    wrong = await house.log_in("wrong")
    login = await house.log_in()
    stolen = dict(house.client.cookies)
    me = await house.get("/me", login)
    sessions = await house.get("/auth/sessions", login)
    renewed = [await house.client.post("/auth/refresh")]
    house.clock.advance(SETTLED)
    renewed.append(await house.client.post("/auth/refresh"))
    cookie = "; ".join(f"{name}={value}" for name, value in stolen.items())
    house.client.cookies.clear()
    by_thief = await house.client.post("/auth/refresh", headers={"Cookie": cookie})
    after = await house.get("/me", renewed[-1])

    assert (wrong.status_code, wrong.json()["detail"]) == (400, "LOGIN_BAD_CREDENTIALS")
    assert set(login.json()) >= {"access_token", "token_type", "expires_in", "session_id"}
    assert "HttpOnly" in set_cookies(login)["refresh_token"]
    assert me.json() == ADA
    assert [one["id"] for one in sessions.json()] == [login.json()["session_id"]]
    assert [answer.json()["generation"] for answer in renewed] == [1, 2]
    assert by_thief.json()["code"] == "refresh_reused"
    assert (after.status_code, after.json()["code"], after.json()["reason"]) == (
        401, "session_revoked", "reused"
    )  # fmt: skip


async def test_their_logout_ends_the_session(house: House) -> None:
    login = await house.log_in()

    left = await house.client.post("/auth/jwt/logout", headers=bearer(login))
    after = await house.get("/me", login)

    assert left.status_code == 204
    assert "Max-Age=0" in set_cookies(left)["refresh_token"]
    assert (after.json()["code"], after.json()["reason"]) == ("session_revoked", "logout")


async def test_a_session_ended_from_the_list_is_over_for_their_dependency(house: House) -> None:
    here, there = await house.log_in(), await house.log_in_elsewhere()

    gone = await house.client.delete(
        f"/auth/sessions/{there.json()['session_id']}", headers=bearer(here)
    )

    assert gone.status_code == 204
    assert (await house.get("/me", there)).json()["code"] == "session_revoked"
    assert (await house.get("/me", here)).status_code == 200


async def test_an_inactive_user_is_refused_at_the_login_and_with_a_token(house: House) -> None:
    login = await house.log_in()
    async with AsyncSession(house.names["engine"]) as db:
        user = await db.get(house.names["User"], await user_id(house, login))
        assert user is not None
        user.is_active = False
        await db.commit()

    again = await house.log_in()
    by_client = await house.client.post("/auth/token", data={"username": ADA, "password": PASSWORD})
    me = await house.get("/me", login)
    refreshed = await house.client.post("/auth/refresh")

    assert again.status_code == 400
    assert (refreshed.json()["code"], refreshed.json()["reason"]) == (
        "refresh_revoked", "user_disabled"
    )  # fmt: skip
    assert by_client.json()["code"] == "invalid_credentials"
    assert me.status_code == 401


async def user_id(house: House, login: httpx.Response) -> UUID:
    claims = await house.auth.service.check_access_token(login.json()["access_token"])
    return UUID(claims.subject)


async def test_a_user_who_is_gone_has_no_token(house: House) -> None:
    login = await house.log_in()
    key = await user_id(house, login)
    await house.client.delete("/auth/sessions?all=true", headers=bearer(login))
    other = await house.log_in()
    async with AsyncSession(house.names["engine"]) as db:
        await db.delete(await db.get(house.names["User"], key))
        await db.commit()

    assert (await house.get("/me", other)).status_code == 401


@pytest.mark.parametrize("token", ["eyJ0", "", "Bearer", "a.b.c"])
async def test_a_token_of_somebody_elses_is_left_to_another_backend(
    house: House, token: str
) -> None:
    answer = await house.client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})


async def test_a_changed_password_ends_every_session(house: House) -> None:
    here, there = await house.log_in(), await house.log_in_elsewhere()

    changed = await house.client.patch(
        "/users/me", json={"password": "a short walk at dusk"}, headers=bearer(here)
    )

    assert changed.status_code == 200
    assert [(await house.get("/me", one)).json()["code"] for one in (here, there)] == [
        "session_revoked", "session_revoked"
    ]  # fmt: skip
    assert (await house.log_in("a short walk at dusk")).status_code == 200


async def test_another_change_ends_none(house: House) -> None:
    login = await house.log_in()

    changed = await house.client.patch("/users/me", json={}, headers=bearer(login))

    assert changed.status_code == 200
    assert (await house.get("/me", login)).status_code == 200


async def test_a_reset_password_ends_every_session(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await house.log_in()
    mailed: list[str] = []

    async def mail(_self: object, _user: object, token: str, _request: object = None) -> None:
        mailed.append(token)

    monkeypatch.setattr(house.names["UserManager"], "on_after_forgot_password", mail)
    await house.client.post("/auth/forgot-password", json={"email": ADA})
    reset = await house.client.post(
        "/auth/reset-password", json={"token": mailed[0], "password": "a short walk at dusk"}
    )

    assert reset.status_code == 200
    assert (await house.get("/me", login)).json()["code"] == "session_revoked"


async def test_another_site_logs_nobody_in(house: House) -> None:
    refused = await house.log_in(Origin=FOREIGN)

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    assert "set-cookie" not in refused.headers


async def test_it_does_so_too_where_the_login_is_mounted_elsewhere(house: House) -> None:
    app, fastapi_users = house.names["app"], house.names["fastapi_users"]
    app.include_router(
        fastapi_users.get_auth_router(house.names["auth_backend"]), prefix="/members"
    )
    form = {"username": ADA, "password": PASSWORD}

    refused = await house.client.post("/members/login", data=form, headers={"Origin": FOREIGN})
    let_in = await house.client.post("/members/login", data=form)

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    assert let_in.status_code == 200


async def test_a_native_client_gets_its_tokens_in_the_body(house: House) -> None:
    login = await house.log_in(**{"X-Token-Transport": "body"})
    renewed = await house.client.post(
        "/auth/refresh", json={"refresh_token": login.json()["refresh_token"]}
    )

    assert "set-cookie" not in login.headers
    assert (await house.get("/me", renewed)).json() == ADA


async def test_our_client_logs_in_beside_it(house: House) -> None:
    login = await house.client.post("/auth/token", data={"username": ADA, "password": PASSWORD})

    assert (await house.get("/me", login)).json() == ADA


async def test_the_schema_shows_the_token_answer_and_where_to_log_in(house: House) -> None:
    schema = (await house.client.get("/openapi.json")).json()

    answer = schema["paths"]["/auth/jwt/login"]["post"]["responses"]["200"]
    scheme = schema["components"]["securitySchemes"]["batonpass"]
    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Token")
    assert scheme["flows"]["password"]["tokenUrl"] == "auth/jwt/login"
    assert schema["paths"]["/me"]["get"]["security"] == [{"batonpass": []}]
