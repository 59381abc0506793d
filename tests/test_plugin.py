"""`Batonpass` in an app that somebody else wrote: its user table, its engine, its middlewares.

Each app here is a whole one, on a real database, asked over HTTP.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount

from batonpass import Batonpass, Claims, EventName, Login, SecurityEvent, listeners
from batonpass.errors import ConfigurationError
from tests.support.clocks import Clock
from tests.support.families import GRACE
from tests.support.servers import refusal, set_cookies
from tests.support.services import AnyEngine, by_driver, create_all, dispose

SECRET = "c7a1f05d92be4836a8d7e3f1b6094c25f8e2d1a7b3960c4e5f7d8a9b0c1e2f34"
ADA = "ada@example.com"
PASSWORD = "a long walk at noon"
LISTED = "https://spa.example"
FOREIGN = "https://evil.example"
SETTLED = 2 * GRACE + timedelta(seconds=1)

DRIVERS = [
    "sqlite",
    "sqlite+aiosqlite",
    "postgresql+psycopg sync",
    "postgresql+psycopg async",
    "postgresql+asyncpg async",
]
KEYS: list[tuple[type, Any]] = [
    (int, 7),
    (UUID, UUID("5a63a445-32ad-4a44-9ae9-b2c4bb6d6e01")),
    (str, "ada, the 1st/ü"),
]

Check = Callable[..., Any]


@dataclass
class House:
    """An app's models, its engine and somebody in its user table."""

    engine: AnyEngine
    metadata: MetaData
    account: Any  # the mapped class: each test has its own
    key: object
    clock: Clock = field(default_factory=Clock)

    def plug(self, **choices: Any) -> Batonpass[Any]:  # any argument of Batonpass
        """Plug Batonpass in, without the login."""
        given: dict[str, Any] = {"user": self.account, "secret": SECRET, "clock": self.clock}
        given |= choices
        return Batonpass(self.engine, self.metadata, **given)

    def check(self) -> Check:
        """Return an `authenticate` of the engine's own kind."""
        engine, account = self.engine, self.account
        if isinstance(engine, AsyncEngine):

            async def check_async(form: Login) -> object:
                async with AsyncSession(engine) as db:
                    found = await db.scalar(select(account).where(account.email == form.username))
                return found if form.password == PASSWORD else None

            return check_async

        def check(form: Login) -> object:
            with Session(engine) as db:
                found = db.scalar(select(account).where(account.email == form.username))
            return found if form.password == PASSWORD else None

        return check


def a_house(engine: AnyEngine, key_type: type = int, key: object = 7) -> House:
    """Write the models of an app; nothing is in the database yet."""

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s"})

    class Account(Base):
        __tablename__ = "accounts"
        number: Mapped[key_type] = mapped_column(primary_key=True)  # type: ignore[valid-type]  # the table of keys
        email: Mapped[str] = mapped_column(unique=True)
        logins: Mapped[int] = mapped_column(default=0)

    return House(engine, Base.metadata, Account, key)


async def furnish(house: House) -> None:
    """Create all tables, ours too, and the user."""
    await create_all(house.engine, house.metadata)
    row = house.account(number=house.key, email=ADA)
    if isinstance(house.engine, AsyncEngine):
        async with AsyncSession(house.engine) as db:
            db.add(row)
            await db.commit()
    else:
        with Session(house.engine) as db:
            db.add(row)
            db.commit()


def an_app(auth: Batonpass[Any], **settings: Any) -> FastAPI:  # any argument of FastAPI
    """Write the app's own routes; `install` is the test's."""
    app = FastAPI(**settings)

    @app.get("/me")
    async def me(account: Annotated[Any, Depends(auth.user)]) -> dict[str, str]:
        return {"email": account.email, "key": str(account.number)}

    @app.get("/claims")
    async def claims(found: Annotated[Claims, Depends(auth.claims)]) -> dict[str, str]:
        return {"subject": found.subject, "session": str(found.family_id)}

    @app.get("/fresh")
    async def fresh(found: Annotated[Claims, Depends(auth.fresh())]) -> str:
        return found.subject

    @app.get("/greeting")
    async def greeting(account: Annotated[Any, Depends(auth.optional_user)]) -> str:
        return "Hello!" if account is None else f"Hello, {account.email}!"

    @app.post("/leave")
    async def leave(request: Request) -> Response:
        return await auth.sign_out(request)

    @app.post("/leave-everywhere")
    async def leave_everywhere(account: Annotated[Any, Depends(auth.user)]) -> int:
        return await auth.end_sessions(account)

    @app.get("/spy")
    async def spy(request: Request) -> dict[str, str]:
        return {
            "cookies": repr(request.cookies),
            "headers": repr(request.headers.raw),
            "scope": repr(request.scope),
        }

    @app.websocket("/spy")
    async def spy_socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(repr(socket.cookies))
        await socket.close()

    return app


@asynccontextmanager
async def serving(
    app: Starlette, base_url: str = "http://app.example"
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an app, heartbeat included; give a client of it."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base_url) as client,
    ):
        yield client


async def log_in(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/token", data={"username": ADA, "password": password})


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def cookie_of(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[AnyEngine]:
    engine = create_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
async def house(engine: AnyEngine) -> House:
    """An app on SQLite, with our tables among its own."""
    house = a_house(engine)
    house.plug()
    await furnish(house)
    return house


# --- every engine, every key -------------------------------------------------------------------


@pytest.fixture(params=DRIVERS)
async def any_engine(request: pytest.FixtureRequest) -> AsyncIterator[AnyEngine]:
    """An engine as an app may have it."""
    name = request.param.partition("+")[0]
    engine = by_driver(request.param)(request.getfixturevalue(f"{name}_url"))
    yield engine
    await dispose(engine)


@pytest.mark.parametrize(("key_type", "key"), KEYS, ids=[kind.__name__ for kind, _ in KEYS])
async def test_the_whole_story_in_an_app_of_somebody_elses(
    any_engine: AnyEngine, key_type: type, key: object
) -> None:
    house = a_house(any_engine, key_type, key)
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)
    await furnish(house)

    async with serving(app) as client:
        wrong = await log_in(client, "wrong")
        login = await log_in(client)
        stolen = dict(client.cookies)
        me, claims = [await client.get(path, headers=bearer(login)) for path in ("/me", "/claims")]
        sessions = await client.get("/auth/sessions", headers=bearer(login))
        renewed = [await client.post("/auth/refresh")]
        house.clock.advance(SETTLED)
        renewed.append(await client.post("/auth/refresh"))
        by_thief = await client.post("/auth/refresh", headers={"Cookie": cookie_of(stolen)})
        by_owner = await client.post("/auth/refresh")
        after = await client.get("/me", headers=bearer(renewed[-1]))

    assert refusal(wrong) == (401, "invalid_credentials")
    assert me.json() == {"email": ADA, "key": str(key)}
    assert claims.json() == {"subject": str(key), "session": login.json()["session_id"]}
    assert [one["id"] for one in sessions.json()] == [login.json()["session_id"]]
    assert [answer.json()["generation"] for answer in renewed] == [1, 2]
    assert refusal(by_thief) == (401, "refresh_reused")
    assert refusal(by_owner) == (401, "refresh_revoked")
    assert refusal(after) == (401, "session_revoked")
    assert after.json()["reason"] == "reused"


async def test_a_table_is_as_good_as_a_class(any_engine: AnyEngine) -> None:
    house = a_house(any_engine)
    auth = house.plug(user=house.account.__table__)
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)
    await furnish(house)

    async with serving(app) as client:
        login = await log_in(client)
        me = await client.get("/me", headers=bearer(login))

    assert me.json() == {"email": ADA, "key": "7"}


# --- who may log in ----------------------------------------------------------------------------


async def test_authenticate_is_a_dependency_that_may_be_async(house: House) -> None:
    auth = house.plug()

    @auth.authenticate
    async def check(form: Login, request: Request, path: Annotated[str, Depends(a_path)]) -> object:
        assert path == request.url.path
        return house.account(number=house.key) if form.password == PASSWORD else None

    await expect_that_it_decides(house, auth)


async def test_authenticate_is_a_dependency_that_may_wait_in_a_thread(house: House) -> None:
    auth = house.plug()

    @auth.authenticate
    def check(form: Login, request: Request, path: Annotated[str, Depends(a_path)]) -> object:
        assert path == request.url.path
        with pytest.raises(RuntimeError):  # else it would hold everybody up
            asyncio.get_running_loop()
        return house.account(number=house.key) if form.password == PASSWORD else None

    await expect_that_it_decides(house, auth)


def a_path(request: Request) -> str:
    return request.url.path


async def expect_that_it_decides(house: House, auth: Batonpass[Any]) -> None:
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        right, wrong = [await log_in(client, password) for password in (PASSWORD, "wrong")]

    assert right.status_code == 200
    assert refusal(wrong) == (401, "invalid_credentials")


async def test_authenticate_may_commit_what_it_writes(any_engine: AnyEngine) -> None:
    """After a commit SQLAlchemy reads a row anew, which nobody can once its session is closed."""
    house = a_house(any_engine)
    auth, account = house.plug(), house.account
    by_name = select(account).where(account.email == ADA)

    if isinstance(any_engine, AsyncEngine):

        @auth.authenticate
        async def check_async(form: Login) -> object:
            async with AsyncSession(any_engine) as db:
                found = (await db.scalars(by_name)).one()
                found.logins += 1
                await db.commit()
                return found

    else:

        @auth.authenticate
        def check(form: Login) -> object:
            with Session(any_engine) as db:
                found = db.scalars(by_name).one()
                found.logins += 1
                db.commit()
                return found

    app = an_app(auth)
    auth.install(app)
    await furnish(house)

    async with serving(app) as client:
        login = await log_in(client)

    assert login.status_code == 200


async def test_a_user_who_is_gone_cannot_log_in(house: House) -> None:
    auth = house.plug()

    @auth.authenticate
    def check(form: Login) -> object:
        return house.account(number=8)

    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        answer = await log_in(client)

    assert refusal(answer) == (401, "invalid_credentials")


async def test_sign_in_starts_a_session_without_a_password(any_engine: AnyEngine) -> None:
    house = a_house(any_engine)
    auth = house.plug()
    app = an_app(auth)

    @app.get("/callback")
    async def callback(request: Request, stay: bool) -> Response:
        user = house.account(number=house.key)
        return await auth.sign_in(user, request, persistent=stay)

    auth.install(app)
    await furnish(house)

    async with serving(app) as client:
        signed_in = await client.get("/callback?stay=true")
        me = await client.get("/me", headers=bearer(signed_in))
        renewed = await client.post("/auth/refresh")
        for_now = await client.get("/callback?stay=false")
        by_password = await log_in(client)

    assert me.json()["email"] == ADA
    assert renewed.json()["session_id"] == signed_in.json()["session_id"]
    assert "Max-Age=604800" in set_cookies(signed_in)["refresh_token"]
    assert not any("Max-Age" in one for one in set_cookies(for_now)["refresh_token"])
    assert by_password.status_code == 404  # there is no `authenticate`


async def test_s_ses_6_a_login_is_fresh_for_five_minutes(house: House) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        house.clock.advance(timedelta(minutes=5))
        fresh = await client.get("/fresh", headers=bearer(login))
        house.clock.advance(timedelta.resolution)
        stale = await client.get("/fresh", headers=bearer(login))
        none = await client.get("/fresh")

    assert fresh.json() == "7"
    assert refusal(stale) == (401, "login_required_again")
    assert refusal(none) == (401, "token_missing")


async def test_how_fresh_a_login_must_be_is_the_routes_choice(house: House) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)

    @app.get("/fresher")
    async def fresher(found: Annotated[Claims, Depends(auth.fresh(timedelta(minutes=1)))]) -> str:
        return found.subject

    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        house.clock.advance(timedelta(minutes=1))
        fresh = await client.get("/fresher", headers=bearer(login))
        house.clock.advance(timedelta.resolution)
        stale = await client.get("/fresher", headers=bearer(login))

    assert fresh.json() == "7"
    assert refusal(stale) == (401, "login_required_again")


async def test_an_optional_user_may_be_nobody_but_no_wrong_one(house: House) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        nobody = await client.get("/greeting")
        login = await log_in(client)
        somebody = await client.get("/greeting", headers=bearer(login))
        wrong = await client.get("/greeting", headers={"Authorization": "Bearer x"})
        house.clock.advance(timedelta(minutes=31))
        over = await client.get("/greeting", headers=bearer(login))

    assert nobody.json() == "Hello!"
    assert somebody.json() == f"Hello, {ADA}!"
    assert refusal(wrong) == (401, "token_invalid")
    assert refusal(over) == (401, "token_invalid")
    operation = app.openapi()["paths"]["/greeting"]["get"]
    assert operation["security"] == [{"OAuth2PasswordBearer": []}]


async def test_signing_out_ends_this_session_and_clears_the_cookie(any_engine: AnyEngine) -> None:
    house = a_house(any_engine)
    auth = house.plug()
    await furnish(house)
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        other = bearer(await log_in(client))
        client.cookies.clear()
        mine = bearer(await log_in(client))
        answer = await client.post("/leave", headers=mine)
        after, beside = [await client.get("/me", headers=one) for one in (mine, other)]
        again = await client.post("/leave", headers=mine)
        without = await client.post("/leave")

    assert answer.status_code == 204
    assert set(set_cookies(answer)) == {"refresh_token", "session_state"}
    assert all("Max-Age=0" in one for one in set_cookies(answer).values())
    assert refusal(after) == (401, "session_revoked")
    assert beside.status_code == 200
    assert (again.status_code, without.status_code) == (204, 204)


async def test_s_ses_7_all_sessions_of_a_user_are_ended(any_engine: AnyEngine) -> None:
    house = a_house(any_engine)
    auth = house.plug()
    await furnish(house)
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        logins = []
        for _ in range(3):
            client.cookies.clear()
            logins.append(bearer(await log_in(client)))
        ended = await client.post("/leave-everywhere", headers=logins[0])
        after = [await client.get("/me", headers=one) for one in logins]

    assert ended.json() == 3
    assert {refusal(one) for one in after} == {(401, "session_revoked")}


# --- what an app is told ------------------------------------------------------------------------


async def test_handlers_are_told_after_the_commit_and_harm_nobody(
    any_engine: AnyEngine, caplog: pytest.LogCaptureFixture
) -> None:
    house = a_house(any_engine)
    auth = house.plug()
    await furnish(house)
    auth.authenticate(house.check())
    told: list[tuple[str, object]] = []

    @auth.on("session_created")
    async def stored(event: SecurityEvent) -> None:
        assert event.family_id is not None
        session = await auth.service.get_session(house.key, event.family_id)
        told.append(("async", session.family.user_id))

    @auth.on(EventName.SESSION_CREATED, "session_logout")
    def in_a_thread(event: SecurityEvent) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        told.append((event.name, event.user_id))

    class Mailer:
        async def __call__(self, event: SecurityEvent) -> None:
            told.append(("object", event.user_id))

    auth.on("session_created")(Mailer())

    @auth.on("session_created")
    def broken(_event: SecurityEvent) -> None:
        raise LookupError("not at home")

    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        await client.post("/leave", headers=bearer(login))

    assert login.status_code == 200
    assert sorted(told, key=str) == sorted(
        [
            ("async", house.key),
            ("object", house.key),
            ("session_created", house.key),
            ("session_logout", house.key),
        ],
        key=str,
    )
    assert [one.message for one in caplog.records if one.levelno >= logging.ERROR] == [
        "event_handler_failed"
    ]


async def test_a_handler_that_hangs_does_not_keep_the_app(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "PATIENCE_SECONDS", 0.01)
    auth = house.plug()
    auth.authenticate(house.check())

    @auth.on("session_created")
    async def hang(_event: SecurityEvent) -> None:
        await asyncio.Event().wait()

    app = an_app(auth)
    auth.install(app)

    with anyio.fail_after(30):
        async with serving(app) as client:
            login = await log_in(client)

    assert login.status_code == 200


@pytest.mark.parametrize(("names", "sentence"), [
    (("refresh_token_resued",), "'refresh_token_resued' is not a valid EventName"),
    ((), "needs the name of an event"),
])  # fmt: skip
async def test_an_event_that_never_happens_is_a_sentence(
    house: House, names: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        house.plug().on(*names)


async def test_a_deleted_user_is_nobody(house: House) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        await auth.database.write(lambda connection: connection.execute(delete(house.account)))
        me = await client.get("/me", headers=bearer(login))

    assert refusal(me) == (401, "token_invalid")


# --- in an app with a life of its own ----------------------------------------------------------


@pytest.mark.parametrize("cors_first", [True, False], ids=["CORS, install", "install, CORS"])
@pytest.mark.parametrize("fast", [True, False])
async def test_the_apps_cors_headers_stand_on_every_answer(
    house: House, cors_first: bool, fast: bool
) -> None:  # fmt: skip
    auth = house.plug(cors_origins=[LISTED])
    auth.authenticate(house.check())
    app = an_app(auth)
    if not cors_first:
        auth.install(app, fast=fast)
    app.add_middleware(
        CORSMiddleware, allow_origins=[LISTED], allow_credentials=True, allow_methods=["POST"]
    )
    if cors_first:
        auth.install(app, fast=fast)

    async with serving(app) as client:
        client.headers["Origin"] = LISTED
        missing = await client.post("/auth/refresh")
        login = await log_in(client)
        renewed = await client.post("/auth/refresh")
        too_large = await client.post("/auth/refresh", content=b"x" * 65_537)
        preflight = await client.options(
            "/auth/refresh", headers={"Access-Control-Request-Method": "POST"}
        )
        foreign = await client.post("/auth/refresh", headers={"Origin": FOREIGN})

    answers = [missing, login, renewed, too_large, preflight]
    assert [answer.status_code for answer in answers] == [401, 200, 200, 413, 200]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert answer.headers["access-control-allow-credentials"] == "true"
    assert refusal(foreign) == (403, "csrf")
    assert "access-control-allow-origin" not in foreign.headers


async def test_the_apps_own_lifespan_goes_around_ours(house: House) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        told.append(f"begins, feed read: {auth.service.revocations.is_fresh()}")
        yield {"greeting": "hello"}
        told.append("ends")

    app = an_app(auth, lifespan=lifespan)
    auth.install(app)

    async with app.router.lifespan_context(app) as state:
        told.append(f"serves, feed read: {auth.service.revocations.is_fresh()}")

    assert state == {"greeting": "hello"}
    assert told == ["begins, feed read: False", "serves, feed read: True", "ends"]


async def test_an_app_without_our_tables_says_so_as_it_starts(any_engine: AnyEngine) -> None:
    auth = a_house(any_engine).plug(table_prefix="bp_")
    app = FastAPI()

    @auth.authenticate
    def check(form: Login) -> None: ...

    auth.install(app)

    with pytest.raises(ConfigurationError, match=r"no table 'bp_refresh_tokens': create Batonpass"):
        async with app.router.lifespan_context(app):
            pytest.fail("it must not serve")


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_an_app_may_be_started_again(sqlite_url: str, driver: str) -> None:
    """As tests do it: each brings the same app up and down, in an event loop of its own."""
    house = a_house(by_driver(driver)(sqlite_url))
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)

    async def a_test() -> list[int]:
        async with serving(app) as client:
            login = await log_in(client)
            me = await client.get("/me", headers=bearer(login))
            renewed = await client.post("/auth/refresh")
        if isinstance(house.engine, AsyncEngine):
            await house.engine.dispose()  # its connections belong to this loop
        return [login.status_code, me.status_code, renewed.status_code]

    asyncio.run(furnish(house))
    statuses = [asyncio.run(a_test()) for _ in range(3)]
    asyncio.run(dispose(house.engine))

    assert statuses == [[200, 200, 200]] * 3


async def test_two_apps_in_one_process_share_what_the_database_knows(house: House) -> None:
    apps: list[FastAPI] = []
    for _ in range(2):  # a factory, called twice, on the same models
        auth = house.plug()
        auth.authenticate(house.check())
        apps.append(an_app(auth))
        auth.install(apps[-1])

    async with serving(apps[0]) as one, serving(apps[1]) as other:
        login = await log_in(one)
        other.cookies.update(one.cookies)
        renewed = await other.post("/auth/refresh")
        before = await one.get("/me", headers=bearer(renewed))
        await other.post("/auth/logout")
        house.clock.advance(timedelta(seconds=3))
        after = await one.get("/me", headers=bearer(renewed))

    assert renewed.json()["session_id"] == login.json()["session_id"]
    assert before.status_code == 200
    assert refusal(after) == (401, "session_revoked")


@pytest.mark.parametrize(("mounted", "prefix"), [
    ("", "/api/v1/sessions"), ("/inner", "/auth"), ("/inner", "/api/v1/sessions"),
])  # fmt: skip
async def test_our_routes_stand_where_the_app_wants_them(
    house: House, mounted: str, prefix: str
) -> None:
    auth = house.plug(prefix=prefix)
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app)
    outer = Starlette(routes=[Mount(mounted, app)])

    async with serving(app), serving(outer) as client:
        login = await client.post(
            f"{mounted}{prefix}/token", data={"username": ADA, "password": PASSWORD}
        )
        renewed = await client.post(f"{mounted}{prefix}/refresh")
        missing = await client.post(f"{mounted}/auth/refresh/nothing")
        spied = await client.get(f"{mounted}/spy")
        schema = (await client.get(f"{mounted}/openapi.json")).json()

    assert [login.status_code, renewed.status_code, missing.status_code] == [200, 200, 404]
    assert renewed.json()["generation"] == 1
    assert "bpr_" not in spied.text
    flows = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    assert flows["password"]["tokenUrl"] == f"{prefix}/token".removeprefix("/")


# --- the refresh cookie is nobody else's -------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("origin", ["http://app.example", "https://app.example"])
async def test_s_cookie_1_no_handler_sees_the_refresh_cookie(
    house: House, origin: str, fast: bool
) -> None:
    auth = house.plug()
    auth.authenticate(house.check())
    app = an_app(auth)
    auth.install(app, fast=fast)

    async with serving(app, origin) as client:
        await log_in(client)
        client.cookies.set("theme", "dark")
        spied = await client.get("/spy")
        heard = await over_a_websocket(app, "/spy", cookie_of(dict(client.cookies)), origin)
        renewed = await client.post("/auth/refresh")

    assert renewed.status_code == 200
    for seen in (spied.text, heard):
        assert "bpr_" not in seen
        assert "dark" in seen


async def over_a_websocket(app: FastAPI, path: str, cookie: str, origin: str) -> str:
    """Return what the app says first over a WebSocket."""
    said: list[Any] = []
    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": origin.partition(":")[0].replace("http", "ws"), "subprotocols": [],
        "headers": [(b"host", b"app.example"), (b"cookie", cookie.encode())],
    }  # fmt: skip

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message.get("text"))

    await app(scope, receive, send)
    return next(str(text) for text in said if text is not None)


# --- the gate and the ordinary route -----------------------------------------------------------

JSON = {"Content-Type": "application/json"}
TWO_TOKENS = "refresh_token=a; refresh_token=b"
Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


def refreshing(method: str = "POST", **request: Any) -> Ask:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, "/auth/refresh", **request)

    return ask


async def _signed_in(client: httpx.AsyncClient) -> httpx.Response:
    await log_in(client)
    return await client.post("/auth/refresh")


async def _by_body(client: httpx.AsyncClient) -> httpx.Response:
    form = {"username": ADA, "password": PASSWORD}
    login = await client.post("/auth/token", data=form, headers={"X-Token-Transport": "body"})
    token = login.json()["refresh_token"]
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def _logged_out(client: httpx.AsyncClient) -> httpx.Response:
    await log_in(client)
    kept = cookie_of(dict(client.cookies))
    await client.post("/auth/logout")
    return await client.post("/auth/refresh", headers={"Cookie": kept})


async def _superseded(client: httpx.AsyncClient) -> httpx.Response:
    await log_in(client)
    kept = cookie_of(dict(client.cookies))
    for _ in range(2):
        await client.post("/auth/refresh")
    return await client.post("/auth/refresh", headers={"Cookie": kept})


ASKED: dict[str, tuple[int, Ask]] = {
    "the current token":        (200, _signed_in),
    "by the body":              (200, _by_body),
    "after a logout":           (401, _logged_out),
    "two behind":               (409, _superseded),
    "no token":                 (401, refreshing()),
    "rubbish":                  (401, refreshing(headers={"Cookie": "refresh_token=rubbish"})),
    "two tokens":               (401, refreshing(headers={"Cookie": TWO_TOKENS})),
    "no JSON":                  (422, refreshing(content=b"{", headers=JSON)),
    "an array":                 (401, refreshing(content=b"[]", headers=JSON)),
    "no text":                  (401, refreshing(content=b'{"refresh_token":7}', headers=JSON)),
    "another content type":     (415, refreshing(content=b'{"refresh_token":"x"}')),
    "from another site":        (403, refreshing(headers={"Sec-Fetch-Site": "cross-site"})),
    "a large body":             (413, refreshing(content=b"x" * 65_537)),
    "a large head":             (431, refreshing(headers={"X": "x" * 17_000})),
    "GET":                      (405, refreshing("GET")),
    "HEAD":                     (405, refreshing("HEAD")),
    "PUT":                      (405, refreshing("PUT")),
}  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
async def test_the_gate_and_the_ordinary_route_answer_alike(house: House, asked: str) -> None:
    status, ask = ASKED[asked]
    answers: list[httpx.Response] = []
    for fast in (True, False):
        auth = house.plug()
        auth.authenticate(house.check())
        app = an_app(auth)
        auth.install(app, fast=fast)
        async with serving(app) as client:
            answers.append(await ask(client))

    assert answers[0].status_code == status
    assert told(answers[0]) == told(answers[1])


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], Any]:
    """Read an answer whole, but for what is another one each time."""
    headers = [
        (name, value.partition("=")[2].partition(";")[2] if name == "set-cookie" else value)
        for name, value in answer.headers.multi_items()
    ]
    try:
        content = answer.json()
    except ValueError:
        content = answer.text
    if isinstance(content, dict):
        content |= dict.fromkeys(
            content.keys() & {"access_token", "session_id", "refresh_token"}, "another each time"
        )
    return answer.status_code, sorted(headers), content


# --- misuse ------------------------------------------------------------------------------------


class Unmapped:
    """No model."""


def _two_keys() -> Table:
    return Table(
        "seats", MetaData(),
        Column("row", Integer, primary_key=True), Column("seat", Integer, primary_key=True),
    )  # fmt: skip


@pytest.mark.parametrize(("choices", "sentence"), [
    ({"secret": "00" * 31},           "SECRET_KEY: key 1 .*32"),
    ({"secret": ""},                  "SECRET_KEY"),
    ({"secret": "change me, please"}, "SECRET_KEY: key 1"),
    ({"secret": [b"short"]},          "SECRET_KEY: key 1 .*32"),
    ({"secret": [bytes(range(32)), b"short"]}, "SECRET_KEY: key 2 .*32"),
    ({"secret": bytes(range(40))},    "SECRET_KEY"),
    ({"secret": []},                  "SECRET_KEY"),
    ({"secret": None},                "SECRET_KEY"),
    ({"user": _two_keys()},           "'seats' needs one primary key column, not 2"),
    ({"user": Unmapped},              "Unmapped.*neither a mapped class"),
    ({"prefix": "auth"},              "prefix"),
    ({"prefix": "/auth/"},            "prefix"),
    ({"prefix": ""},                  "prefix"),
    ({"cors_origins": LISTED},        "cors_origins"),
    ({"cors_origins": ["*"]},         "cors_origins"),
    ({"cors_origins": [LISTED + "/"]}, "cors_origins"),
])  # fmt: skip
def test_what_cannot_work_is_a_sentence(
    engine: AnyEngine, choices: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        a_house(engine).plug(**choices)


async def test_an_app_is_installed_into_once(house: House) -> None:
    auth = house.plug()
    app = an_app(auth)
    auth.install(app)

    for another in (app, FastAPI()):
        with pytest.raises(ConfigurationError, match="installed already"):
            auth.install(another)


async def test_authenticate_comes_before_install(house: House) -> None:
    auth = house.plug()
    auth.install(an_app(auth))

    with pytest.raises(ConfigurationError, match="comes before"):
        auth.authenticate(house.check())


async def test_an_app_that_serves_already_is_too_late(house: House) -> None:
    auth = house.plug()
    app = an_app(auth)
    async with serving(app) as client:
        await client.get("/spy")

    with pytest.raises(ConfigurationError, match="before it serves"):
        auth.install(app)


async def test_authenticate_takes_the_login_form(house: House) -> None:
    auth = house.plug()

    with pytest.raises(ConfigurationError, match="parameter of type Login"):

        @auth.authenticate
        def check(form: object) -> None:
            """Take no form."""


@pytest.mark.parametrize("returned", [True, 7, ADA, Unmapped()])
async def test_what_is_no_user_is_said_in_the_log(
    house: House, returned: object, caplog: pytest.LogCaptureFixture
) -> None:
    auth = house.plug()

    @auth.authenticate
    def check(form: Login) -> object:
        return returned

    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        answer = await log_in(client)

    assert answer.status_code == 500


async def test_one_metadata_has_one_user_table(house: House) -> None:
    another = Table("people", house.metadata, Column("id", Integer, primary_key=True))

    with pytest.raises(ConfigurationError, match="table_prefix"):
        house.plug(user=another)
