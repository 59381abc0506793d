"""Transactions on an app's own engine: what commits, what is tried again, what is an outage."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import (
    Connection,
    Engine,
    StaticPool,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from batonpass.errors import ConfigurationError, StoreUnavailableError
from batonpass.server.engines import build_engine
from batonpass.storage import engine as engine_module
from batonpass.storage.engine import Database, RowLockedError
from tests.support.postgres import PostgresServer
from tests.support.services import MakeEngine, a_house, by_driver, dispose, open_house
from tests.support.thieves import Tab, a_tab, what_becomes_of


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a database with one table of numbers."""
    database = Database(build_engine(database_url))
    await database.write(run("CREATE TABLE numbers (number INTEGER PRIMARY KEY, times INTEGER)"))
    yield database
    await database.aclose()
    await dispose(database.engine)


@pytest.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[Database]:
    """Give a PostgreSQL database with two numbers, by a driver that works in threads."""
    database = Database(by_driver("postgresql+psycopg sync")(postgresql_url))
    await database.write(run("CREATE TABLE numbers (number INTEGER PRIMARY KEY, times INTEGER)"))
    await database.write(run("INSERT INTO numbers VALUES (1, 0), (2, 0)"))
    yield database
    await database.aclose()
    await dispose(database.engine)


def run(*statements: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    return work


def count(connection: Connection) -> int:
    found = connection.scalar(text("SELECT count(*) FROM numbers"))
    assert isinstance(found, int)
    return found


# --- What commits ------------------------------------------------------------------------------


async def test_what_a_transaction_wrote_is_there_for_the_next(database: Database) -> None:
    await database.write(run("INSERT INTO numbers VALUES (1, 1)"))

    assert await database.read(count) == 1


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        run("INSERT INTO numbers VALUES (1, 1)")(connection)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)

    assert await database.read(count) == 0


async def test_a_caller_who_goes_away_does_not_undo_what_was_begun(database: Database) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        run("INSERT INTO numbers VALUES (1, 1)")(connection)

    caller = asyncio.ensure_future(database.write(work))
    await begun.wait()
    caller.cancel()
    await asyncio.wait({caller})
    await database.aclose()

    reader = Database(database.engine)
    assert await reader.read(count) == 1
    await reader.aclose()


async def test_fifty_writers_at_once_all_come_through(database: Database) -> None:
    def insert_one(number: int) -> Callable[[Connection], None]:
        return run(f"INSERT INTO numbers VALUES ({number}, 1)")  # noqa: S608 - a number

    await asyncio.gather(*[database.write(insert_one(number)) for number in range(50)])

    assert await database.read(count) == 50


# --- Who waits for whom ------------------------------------------------------------------------


async def begun_in_order(database: Database) -> list[str]:
    """Have a refresh come after five hundred logins, all at once."""
    begun: list[str] = []

    def work(name: str, connection: Connection) -> None:
        begun.append(name)
        connection.execute(text("SELECT 1"))

    logins = [partial(work, "login")] * 250
    await asyncio.gather(
        *[database.write(login) for login in logins],
        *[database.read(login) for login in logins],
        database.write(partial(work, "refresh"), ahead=True),
    )
    return begun


async def test_a_refresh_waits_for_a_few_of_the_logins_that_wait(database: Database) -> None:
    begun = await begun_in_order(database)

    assert begun.count("login") == 500
    assert begun.index("refresh") <= 20


@pytest.mark.parametrize("create", [create_engine, create_async_engine])
async def test_who_hangs_leaves_a_small_pool_one_connection(
    postgresql_url: str, create: Callable[..., Engine | AsyncEngine]
) -> None:
    url = postgresql_url.replace("postgresql://", "postgresql+psycopg://")
    database = Database(create(url, pool_size=2, max_overflow=0))
    with psycopg.connect(postgresql_url) as somebody:
        somebody.execute("SELECT pg_advisory_xact_lock(1)")
        hanging = [
            asyncio.create_task(database.write(run("SELECT pg_advisory_xact_lock(1)")))
            for _ in range(6)
        ]
        await asyncio.sleep(0)  # they are in line
        await database.write(run("SELECT 1"), ahead=True)
        assert not any(one.done() for one in hanging)
        somebody.rollback()
    await asyncio.gather(*hanging)
    await database.aclose()
    await dispose(database.engine)


async def test_who_waits_too_long_in_line_is_told_and_never_begins(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(build_engine(sqlite_url))
    go_on = threading.Event()
    begun: list[int] = []

    def hang(number: int, _connection: Connection) -> None:
        begun.append(number)
        go_on.wait(30)

    monkeypatch.setattr(engine_module, "PATIENCE_SECONDS", 0.2)
    works = [database.write(partial(hang, number)) for number in range(50)]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    go_on.set()
    await database.aclose()
    await dispose(database.engine)

    assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
    assert begun == list(range(len(begun)))
    assert len(begun) < 10


# --- What is an outage, and what a bug ---------------------------------------------------------


async def test_a_broken_constraint_is_no_outage_and_its_text_shows_no_value(
    database: Database,
) -> None:
    def work(connection: Connection) -> None:
        connection.execute(
            text("INSERT INTO numbers VALUES (:number, :times)"),
            [{"number": 4711, "times": 815}, {"number": 4711, "times": 815}],
        )

    with pytest.raises(IntegrityError) as raised:
        await database.write(work)

    assert "815" not in str(raised.value)


async def test_what_a_trigger_refuses_is_no_outage(postgresql: Database) -> None:
    with pytest.raises(DBAPIError, match="no thank you"):
        await postgresql.write(run("DO $$ BEGIN RAISE EXCEPTION 'no thank you'; END $$"))


async def test_a_row_that_somebody_holds_is_told_from_an_outage(postgresql: Database) -> None:
    impatient = run("SET LOCAL lock_timeout = '10ms'", "UPDATE numbers SET times = 1")
    held, may_go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(connection: Connection) -> None:
        run("SELECT * FROM numbers FOR UPDATE")(connection)
        loop.call_soon_threadsafe(held.set)
        may_go.wait(10)

    holder = asyncio.ensure_future(postgresql.write(hold))
    await held.wait()
    with pytest.raises(RowLockedError):
        await postgresql.write(impatient)
    may_go.set()
    await holder

    await postgresql.write(impatient)


async def test_two_transactions_that_deadlock_both_come_through(postgresql: Database) -> None:
    both_hold_one = threading.Barrier(2, timeout=10)
    one_is_through = threading.Event()
    tries: list[int] = []

    def update(first: int, second: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            tries.append(first)
            if tries.count(first) == 2:  # or it would take the freed row first, and deadlock again
                one_is_through.wait(timeout=10)
            add_one = "UPDATE numbers SET times = times + 1 WHERE number = "
            run("SET LOCAL deadlock_timeout = '20ms'", f"{add_one}{first}")(connection)
            if tries.count(first) == 1:
                both_hold_one.wait()
            run(f"{add_one}{second}")(connection)

        return work

    async def write(first: int, second: int) -> None:
        await postgresql.write(update(first, second))
        one_is_through.set()

    await asyncio.gather(write(1, 2), write(2, 1))

    assert len(tries) == 3
    assert await postgresql.read(lambda c: c.scalar(text("SELECT sum(times) FROM numbers"))) == 4


async def test_a_migration_under_a_running_process_goes_unnoticed(postgresql_url: str) -> None:
    async with a_house(postgresql_url) as house:
        tab = await a_tab(house)
        await tab.refresh()
        migration = Database(build_engine(postgresql_url))
        await migration.write(run("ALTER TABLE refresh_tokens ADD COLUMN colour TEXT"))

        assert await what_becomes_of(tab.refresh()) == "answered"

        await migration.aclose()
        await dispose(migration.engine)


# --- The database is away ----------------------------------------------------------------------

POSTGRES_DRIVERS = ["server", "postgresql+psycopg sync", "postgresql+psycopg async"]


@pytest.mark.parametrize("driver", POSTGRES_DRIVERS)
async def test_a_dead_database_is_unavailable_and_back_when_it_is_back(
    own_postgres: PostgresServer, driver: str
) -> None:
    make_engine = build_engine if driver == "server" else by_driver(driver)
    async with a_house(own_postgres.url, make_engine=make_engine) as house:
        tabs = [await a_tab(house) for _ in range(5)]
        await asyncio.gather(*[tab.refresh() for tab in tabs])

        own_postgres.kill()
        while_dead = await asyncio.gather(*[what_becomes_of(tab.refresh()) for tab in tabs])
        own_postgres.start()
        afterwards = await asyncio.gather(*[what_becomes_of(tab.refresh()) for tab in tabs])

        assert while_dead == ["unavailable"] * 5
        assert afterwards == ["answered"] * 5


async def test_an_outage_is_logged_with_its_cause(
    own_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(own_postgres.url) as house:
        own_postgres.stop()
        with (
            caplog.at_level(logging.WARNING, "batonpass"),
            pytest.raises(StoreUnavailableError),
        ):
            await house.database.read(lambda connection: connection.scalar(select(1)))
        own_postgres.start()

    record = next(one for one in caplog.records if one.message == "database_unavailable")
    assert getattr(record, "why", "")


async def test_a_database_that_hangs_is_unavailable_too(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(own_postgres.url) as house:
        tab = await a_tab(house)
        backends = _processes(own_postgres)
        monkeypatch.setattr(engine_module, "PATIENCE_SECONDS", 0.2)
        for process in backends:
            process.suspend()
        hung = await what_becomes_of(tab.refresh())
        for process in backends:
            process.resume()
        monkeypatch.undo()

        assert hung == "unavailable"
        assert await what_becomes_of(tab.refresh()) == "answered"


def _processes(server: PostgresServer) -> list[psutil.Process]:
    assert server._process is not None
    return psutil.Process(server._process.pid).children(recursive=True)


# --- An app's own engine -----------------------------------------------------------------------

DRIVERS = ["sqlite+aiosqlite", "postgresql+psycopg sync", "postgresql+psycopg async"]


@pytest.mark.parametrize("driver", DRIVERS)
async def test_the_same_story_on_every_driver(request: pytest.FixtureRequest, driver: str) -> None:
    url = request.getfixturevalue(f"{driver.partition('+')[0]}_url")
    async with a_house(url, make_engine=by_driver(driver)) as house:
        tabs = [await a_tab(house) for _ in range(10)]
        answers = await asyncio.gather(
            *[tab.send(tab.refresh_token) for tab in tabs for _ in range(5)],
        )
        sessions, _, _ = await asyncio.gather(
            house.service.list_sessions(house.user_id),
            tabs[0].service.revoke_session(house.user_id, tabs[0].family_id, tabs[0].visit),
            house.service.revocations.poll(),
        )
        await house.service.settling.write()

        assert (await begun_in_order(house.database)).index("refresh") <= 20
        assert len({answer.refresh_token for answer in answers}) == 10
        assert len(sessions) == 10
        assert await what_becomes_of(tabs[0].refresh()) == "refresh_revoked (revoked)"
        assert (await house.row(tabs[1].family_id)).family.generation == 1


def _shared_memory(_url: str) -> Engine:
    return create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


@pytest.mark.parametrize(
    "make_engine",
    [_shared_memory, lambda _url: create_async_engine("sqlite+aiosqlite://")],
    ids=["sqlite3", "aiosqlite"],
)
async def test_one_connection_for_all_mixes_no_transactions(make_engine: MakeEngine) -> None:
    database = Database(make_engine(""))
    await database.write(run("CREATE TABLE numbers (number INTEGER)"))
    three_numbers = run(*["INSERT INTO numbers VALUES (1)"] * 3)

    await asyncio.gather(
        *[database.write(three_numbers) for _ in range(10)],
        *[database.read(count) for _ in range(10)],
    )

    assert await database.read(count) == 30
    await database.aclose()
    await dispose(database.engine)


def test_a_memory_database_of_each_thread_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StaticPool"):
        Database(create_engine("sqlite://"))


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN IMMEDIATE"])
async def test_an_engine_that_begins_by_itself_works_and_takes_the_write_lock(
    tmp_path: Path, begin: str
) -> None:
    # The recipe of SQLAlchemy's documentation, "Serializable isolation / Savepoints".
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}", connect_args={"timeout": 0})

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin_ourselves(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    database = Database(engine)
    await database.write(run("CREATE TABLE numbers (number INTEGER, times INTEGER)"))
    neighbour = create_engine(f"sqlite:///{tmp_path / 'app.db'}", connect_args={"timeout": 0})

    def work(connection: Connection) -> bool:
        run("INSERT INTO numbers VALUES (1, 1)")(connection)
        with neighbour.connect() as other:
            try:
                other.exec_driver_sql("BEGIN IMMEDIATE")
            except DBAPIError:
                return True
            return False

    assert await database.write(work)
    assert await database.read(count) == 1
    await database.aclose()
    neighbour.dispose()
    engine.dispose()


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_a_new_event_loop_for_each_call_works(sqlite_url: str, driver: str) -> None:
    """As Starlette's TestClient does it, where it is no context manager."""
    house = asyncio.run(open_house(sqlite_url, make_engine=by_driver(driver)))
    tab = asyncio.run(a_tab(house))

    for _ in range(3):
        asyncio.run(_three_refreshes_at_once(tab))
    asyncio.run(house.close())

    assert tab.answer.session.generation == 3


async def _three_refreshes_at_once(tab: Tab) -> None:
    answers = await asyncio.gather(*[tab.send(tab.refresh_token) for _ in range(3)])
    assert len({answer.refresh_token for answer in answers}) == 1
    tab.answer = answers[0]
