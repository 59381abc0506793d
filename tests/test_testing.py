"""What an app's tests use, used as they use it: TestClient, AsyncClient, rollback fixtures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, create_engine, delete, event, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from batonpass import Batonpass, Visit
from batonpass.errors import ConfigurationError, InvalidCredentialsError
from batonpass.testing import MovableClock, logged_in, rolled_back, rolled_back_async
from tests.support.families import GRACE
from tests.support.servers import refusal
from tests.support.services import AnyEngine, by_driver, create_all, dispose

SECRET = "0f4a9c1e7b2d58e36a91c4d7f0b3e6a2958c1d4e7fa0b3c6d9e2f5a8b1c4d7e0"
ADA, BOB = "ada@example.com", "bob@example.com"
SETTLED = 2 * GRACE + timedelta(seconds=1)
SYNC = ["sqlite", "sqlite in memory", "postgresql+psycopg sync"]
ASYNC = ["sqlite+aiosqlite", "sqlite+aiosqlite in memory", "postgresql+asyncpg async"]


@dataclass
class App:
    """An app with users, as its tests have it at hand."""

    engine: AnyEngine
    app: FastAPI
    auth: Batonpass[Any]
    account: Any  # the mapped class: each test has its own
    clock: MovableClock = field(default_factory=MovableClock)

    def by_email(self, email: str) -> Any:  # a statement
        return select(self.account).where(self.account.email == email)

    async def find(self, email: str) -> Any:  # an account
        if isinstance(self.engine, AsyncEngine):
            async with AsyncSession(self.engine) as db:
                return await db.scalar(self.by_email(email))
        with Session(self.engine) as db:
            return db.scalar(self.by_email(email))

    def client(self, base_url: str = "http://test") -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=base_url)


def an_app(engine: AnyEngine) -> App:
    """Write an app; nothing is in the database yet."""

    class Base(DeclarativeBase):
        pass

    class Account(Base):
        __tablename__ = "accounts"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)

    clock = MovableClock()
    auth = Batonpass(engine, Base.metadata, user=Account, secret=SECRET, clock=clock)
    app = FastAPI()
    auth.install(app)

    @app.get("/me")
    def me(account: Annotated[Account, Depends(auth.user)]) -> str:
        return account.email

    return App(engine, app, auth, Account, clock)


async def furnish(app: App) -> None:
    """Create the tables, and two users."""
    await create_all(app.engine, app.auth.tables.refresh_tokens.metadata)
    rows = [app.account(email=ADA), app.account(email=BOB)]
    if isinstance(app.engine, AsyncEngine):
        async with AsyncSession(app.engine) as session:
            session.add_all(rows)
            await session.commit()
    else:
        with Session(app.engine) as db:
            db.add_all(rows)
            db.commit()


def an_engine(name: str, request: pytest.FixtureRequest) -> AnyEngine:
    """Make an engine as an app's tests may have it."""
    if name == "sqlite in memory":
        options: Any = {"connect_args": {"check_same_thread": False}, "poolclass": StaticPool}
        return create_engine("sqlite://", **options)
    if name == "sqlite+aiosqlite in memory":
        return create_async_engine("sqlite+aiosqlite://")
    fixture = "postgresql_url" if name.startswith("postgresql") else "sqlite_url"
    return by_driver(name)(request.getfixturevalue(fixture))


@asynccontextmanager
async def opened(name: str, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    engine = an_engine(name, request)
    app = an_app(engine)
    await furnish(app)
    yield app
    await app.auth.database.aclose()
    await dispose(engine)


@pytest.fixture(params=[*SYNC, *ASYNC])
async def any_app(request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """An app on an engine of each kind."""
    async with opened(request.param, request) as app:
        yield app


@pytest.fixture
async def app(request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """An app, where the database does not matter."""
    async with opened("sqlite", request) as app:
        yield app


# --- somebody logged in ------------------------------------------------------------------------


async def test_a_client_is_logged_in_by_one_line(any_app: App) -> None:
    ada = await any_app.find(ADA)

    async with await logged_in(any_app.client(), any_app.auth, ada) as client:
        me = await client.get("/me")
        renewed = await client.post("/auth/refresh")
        sessions = await client.get("/auth/sessions")

    assert me.json() == ADA
    assert renewed.json()["generation"] == 1
    assert [one["current"] for one in sessions.json()] == [True]


# A pool of asyncpg's connections belongs to one loop; without `with`, each request has its own.
LIFESPANS = [
    pytest.param(name, with_lifespan, id=f"{name}, {'with' if with_lifespan else 'without'} `with`")
    for name in [*SYNC, *ASYNC]
    for with_lifespan in (True, False)
    if with_lifespan or not name.startswith("postgresql") or name in SYNC
]


@pytest.mark.parametrize(("name", "with_lifespan"), LIFESPANS)
def test_so_is_a_test_client(
    name: str, with_lifespan: bool, request: pytest.FixtureRequest
) -> None:
    app = an_app(an_engine(name, request))
    client = TestClient(app.app)
    asyncio.run(_furnish_and_let_go(app))
    with ExitStack() as lifespan:
        if with_lifespan:
            lifespan.enter_context(client)
        ada = _in_its_loop(client, lambda: app.find(ADA))

        assert logged_in(client, app.auth, ada) is client

        assert client.get("/me").json() == ADA
        assert client.post("/auth/refresh").json()["generation"] == 1
        assert len(client.get("/auth/sessions").json()) == 1
        _in_its_loop(client, lambda: dispose(app.engine))


async def _furnish_and_let_go(app: App) -> None:
    await furnish(app)
    if app.engine.dialect.name == "postgresql":  # what a migration leaves: an empty pool
        await dispose(app.engine)


def _in_its_loop(client: TestClient, work: Callable[[], Any]) -> Any:  # what it returns
    if client.portal is None:
        return asyncio.run(work())
    return client.portal.call(work)


async def test_over_https_its_cookies_are_those_of_https(app: App) -> None:
    client = app.client("https://app.example")

    await logged_in(client, app.auth, await app.find(ADA))

    assert set(client.cookies) == {"__Host-Http-refresh_token", "__Host-session_state"}
    assert (await client.post("/auth/refresh")).status_code == 200


async def test_two_clients_are_two_people(app: App) -> None:
    ada = await logged_in(app.client(), app.auth, await app.find(ADA))
    bob = await logged_in(app.client(), app.auth, await app.find(BOB))

    assert [(await one.get("/me")).json() for one in (ada, bob)] == [ADA, BOB]


async def test_a_second_login_replaces_the_first(app: App) -> None:
    client = await logged_in(app.client(), app.auth, await app.find(ADA))
    first = client.headers["Authorization"]

    await logged_in(client, app.auth, await app.find(BOB))

    assert (await client.get("/me")).json() == BOB
    replaced = await client.get("/me", headers={"Authorization": first})
    assert refusal(replaced) == (401, "session_revoked")


async def test_the_session_shows_the_client_it_was_made_for(app: App) -> None:
    client = app.client()
    client.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"
    await logged_in(client, app.auth, await app.find(ADA))

    (session,) = (await client.get("/auth/sessions")).json()

    assert session["device"] == "Firefox on Linux"


async def test_a_client_without_an_address_has_no_cookies_of_its_own(app: App) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        await logged_in(httpx.AsyncClient(), app.auth, await app.find(ADA))


async def test_whoever_is_not_in_the_database_is_not_logged_in(app: App) -> None:
    with pytest.raises(InvalidCredentialsError):
        await logged_in(app.client(), app.auth, app.account(id=99, email="eve@example.com"))


# --- a clock to move ---------------------------------------------------------------------------


async def test_time_passes_when_the_test_says_so(app: App) -> None:
    client = await logged_in(app.client(), app.auth, await app.find(ADA))

    app.clock.advance(timedelta(minutes=31))
    late = await client.get("/me")
    renewed = await client.post("/auth/refresh")
    app.clock.advance(timedelta(days=7))
    too_late = await client.post("/auth/refresh")

    assert refusal(late) == (401, "token_invalid")
    assert renewed.status_code == 200
    assert refusal(too_late) == (401, "refresh_expired")


def test_a_movable_clock_stands_still_whatever_the_database_says() -> None:
    noon = datetime(2027, 3, 1, 12, tzinfo=UTC)
    clock = MovableClock(noon)

    assert clock.follow(noon + timedelta(hours=1)) == clock.now() == noon
    assert clock.advance(timedelta(seconds=90)) == clock.now() == noon + timedelta(seconds=90)
    assert clock.monotonic() == 90


def test_a_movable_clock_begins_now() -> None:
    before = datetime.now(UTC)  # noqa: TID251 - what it is held against

    assert before <= MovableClock().now() <= before + timedelta(minutes=5)


def test_a_movable_clock_wants_a_time_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        MovableClock(datetime(2027, 3, 1))  # noqa: DTZ001 - the mistake


# --- a transaction that is rolled back ---------------------------------------------------------


@pytest.fixture(params=SYNC)
def sync_app(request: pytest.FixtureRequest) -> Iterator[App]:
    """An app on an engine that is not async, its tables there, nobody in them."""
    engine = an_engine(request.param, request)
    assert isinstance(engine, Engine)
    app = an_app(engine)
    app.auth.tables.refresh_tokens.metadata.create_all(engine)
    yield app
    asyncio.run(app.auth.database.aclose())
    engine.dispose()


def rows(app: App, connection: Connection) -> dict[str, int]:
    """Count what is in each table."""
    tables = [app.account.__table__, *app.auth.tables.all]
    found = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0
             for table in tables}  # fmt: skip
    return {name: count for name, count in found.items() if count}


def test_what_a_test_did_is_rolled_back(sync_app: App) -> None:
    app = sync_app
    assert isinstance(app.engine, Engine)

    with rolled_back(app.auth) as connection, TestClient(app.app) as client:
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            ada = app.account(email=ADA)
            db.add(ada)
            db.commit()  # as the app's own code would

            logged_in(client, app.auth, ada)
            assert client.get("/me").json() == ADA
            stolen = dict(client.cookies)
            app.clock.advance(SETTLED)
            assert client.post("/auth/refresh").json()["generation"] == 1
            app.clock.advance(SETTLED)
            assert client.post("/auth/refresh").json()["generation"] == 2
            client.cookies.clear()
            client.cookies.update(stolen)
            replayed = client.post("/auth/refresh")
            assert refusal(replayed) == (401, "refresh_reused")
            assert refusal(client.get("/me")) == (401, "session_revoked")
        inside = rows(app, connection)

    assert inside["accounts"] == inside["refresh_tokens"] == inside["revocations"] == 1
    with app.engine.connect() as connection:
        assert rows(app, connection) == {}


def test_meanwhile_nobody_else_sees_any_of_it(postgresql_url: str) -> None:
    engine = by_driver("postgresql+psycopg sync")(postgresql_url)
    assert isinstance(engine, Engine)
    app = an_app(engine)
    app.auth.tables.refresh_tokens.metadata.create_all(engine)

    with rolled_back(app.auth) as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            ada = app.account(email=ADA)
            db.add(ada)
            db.flush()  # not even a commit of its own is needed
            logged_in(TestClient(app.app), app.auth, ada)
        with engine.connect() as other:
            seen = rows(app, other)

    assert seen == {}
    asyncio.run(app.auth.database.aclose())
    engine.dispose()


def test_what_the_app_rolls_back_is_its_own(sync_app: App) -> None:
    """A session that began after the login leaves the login alone."""
    app = sync_app
    client = TestClient(app.app)

    with rolled_back(app.auth) as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            ada = app.account(email=ADA)
            db.add(ada)
            db.commit()
            key = ada.id
            db.commit()  # reading the key began another
            logged_in(client, app.auth, ada)
            db.execute(delete(app.account).where(app.account.id == key))
            db.rollback()

        assert client.get("/me").json() == ADA


def test_a_sign_up_in_one_commit_is_rolled_back_too(sync_app: App) -> None:
    """The app's session is the test's, and Batonpass writes in its transaction."""
    app = sync_app
    client = TestClient(app.app)

    def get_db() -> Session:
        raise AssertionError("the test has another one")

    @app.app.post("/sign-up")
    async def sign_up(request: Request, db: Annotated[Session, Depends(get_db)]) -> Response:
        ada = app.account(email=ADA)
        db.add(ada)
        answer = await app.auth.sign_in(ada, request, session=db)
        db.commit()
        return answer

    with rolled_back(app.auth) as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            app.app.dependency_overrides[get_db] = lambda: db
            token = client.post("/sign-up").json()["access_token"]
            me = client.get("/me", headers={"Authorization": f"Bearer {token}"})
        inside = rows(app, connection)

    assert me.json() == ADA
    assert inside["accounts"] == inside["refresh_tokens"] == 1
    with connection.engine.connect() as other:
        assert rows(app, other) == {}


async def test_the_heart_stands_still_on_a_connection_that_a_test_may_be_using(app: App) -> None:
    asked: list[str] = []
    with rolled_back(app.auth) as connection:
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append(str(call[2])))
        await app.auth.beat()

    assert not asked


def test_what_was_read_of_a_test_is_forgotten_after_it(tmp_path: Path) -> None:
    app = an_app(create_engine(f"sqlite:///{tmp_path / 'app.db'}"))
    asyncio.run(create_all(app.engine, app.auth.tables.refresh_tokens.metadata))
    client = TestClient(app.app)

    def login(connection: Connection) -> None:
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            ada = app.account(email=ADA)
            db.add(ada)
            db.commit()
            logged_in(client, app.auth, ada)

    with rolled_back(app.auth) as connection:
        login(connection)
        app.clock.advance(timedelta(hours=1))
        asyncio.run(app.auth.service.end_everything(Visit()))
        app.clock.advance(timedelta(hours=-1))
    with rolled_back(app.auth) as connection:
        login(connection)

        assert client.get("/me").json() == ADA


@pytest.mark.parametrize("name", [*ASYNC, "postgresql+psycopg async"])
async def test_on_an_async_engine_it_is_rolled_back_too(
    name: str, request: pytest.FixtureRequest
) -> None:
    engine = an_engine(name, request)
    assert isinstance(engine, AsyncEngine)
    app = an_app(engine)
    await create_all(engine, app.auth.tables.refresh_tokens.metadata)

    async with rolled_back_async(app.auth) as connection, app.client() as client:
        async with an_async_session(connection) as db:
            ada = app.account(email=ADA)
            db.add(ada)
            await db.commit()
            await logged_in(client, app.auth, ada)
            stolen = dict(client.cookies)
            together = await asyncio.gather(
                *(client.post("/auth/refresh") for _ in range(5)),
                *(client.get("/me") for _ in range(5)),  # each a query on the one connection
            )
            for _ in range(2):
                app.clock.advance(SETTLED)
                assert (await client.post("/auth/refresh")).status_code == 200
            client.cookies.clear()
            client.cookies.update(stolen)
            replayed = await client.post("/auth/refresh")
        inside = await connection.run_sync(lambda sync: rows(app, sync))

    assert {one.json()["generation"] for one in together[:5]} == {1}
    assert {one.json() for one in together[5:]} == {ADA}
    assert refusal(replayed) == (401, "refresh_reused")
    assert inside["accounts"] == inside["refresh_tokens"] == inside["revocations"] == 1
    async with engine.connect() as other:
        left = await other.run_sync(lambda sync: rows(app, sync))
    assert left == {}
    await app.auth.database.aclose()
    await engine.dispose()


async def test_a_session_from_before_is_what_it_was(postgresql_url: str) -> None:
    app = an_app(by_driver("postgresql+asyncpg async")(postgresql_url))
    await furnish(app)
    client = await logged_in(app.client(), app.auth, await app.find(ADA))

    async with rolled_back_async(app.auth):
        inside = await client.post("/auth/refresh")
    after = await app.auth.service.list_sessions(None)

    assert inside.json()["generation"] == 1
    assert [one.family.generation for one in after] == [0]
    await app.auth.database.aclose()
    await dispose(app.engine)


@asynccontextmanager
async def an_async_session(connection: AsyncConnection) -> AsyncIterator[AsyncSession]:
    mode: Any = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
    async with AsyncSession(connection, **mode) as db:
        yield db


async def test_each_kind_of_engine_has_its_own_word() -> None:
    not_for_it = rolled_back(an_app(create_async_engine("sqlite+aiosqlite://")).auth)
    nor_for_it = rolled_back_async(an_app(create_engine("sqlite:///app.db")).auth)

    with pytest.raises(ConfigurationError, match="rolled_back_async"), not_for_it:
        pass
    with pytest.raises(ConfigurationError, match="not async"):
        async with nor_for_it:
            pass
