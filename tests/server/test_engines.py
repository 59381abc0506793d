"""The server's engines: how a connection is set up, and how long one that is silent is awaited."""

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.errors import StoreUnavailableError
from batonpass.server import engines
from batonpass.server.engines import asyncpg_dsn, build_engine, dispose
from batonpass.storage.engine import Database
from tests.support.services import AnyEngine


@asynccontextmanager
async def an_engine(url: str) -> AsyncIterator[AnyEngine]:
    engine = build_engine(url)
    try:
        yield engine
    finally:
        await dispose(engine)


# --- SQLite ------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    engine = build_engine(sqlite_url)
    assert isinstance(engine, Engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(("pragma", "value"), [
    pytest.param("journal_mode", "wal", id="readers and the writer do not wait for another"),
    pytest.param("synchronous", 2, id="FULL: a commit survives a power cut"),
    pytest.param("foreign_keys", 1, id="a deleted user's sessions go along"),
    pytest.param("busy_timeout", 5000, id="a second process waits for its turn"),
])  # fmt: skip
def test_every_connection_to_sqlite_is_set(
    sqlite_engine: Engine, pragma: str, value: str | int
) -> None:
    with sqlite_engine.connect() as first, sqlite_engine.connect() as second:
        found = [one.scalar(text(f"PRAGMA {pragma}")) for one in (first, second)]

    assert found == [value, value]


def test_foreign_keys_hold(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE b (a_id INTEGER REFERENCES a (id))"))

        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO b VALUES (1)"))


def test_a_reader_sees_what_was_while_another_writes(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (n INTEGER)"))

    with sqlite_engine.begin() as writer:
        writer.execute(text("INSERT INTO a VALUES (1)"))
        with sqlite_engine.connect() as reader:
            assert reader.scalar(text("SELECT count(*) FROM a")) == 0


def test_a_connection_may_serve_any_thread(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        from_elsewhere: list[object] = []

        def ask() -> None:
            from_elsewhere.append(driver.execute("SELECT 1").fetchone())

        thread = Thread(target=ask)
        thread.start()
        thread.join()

    assert from_elsewhere == [(1,)]


# --- PostgreSQL --------------------------------------------------------------------------------


DSNS = [
    ("postgresql://u:p%40@h:5433/d", "postgresql://u:p%40@h:5433/d"),
    ("postgresql://u@h/d?sslmode=verify-full", "postgresql://u@h/d?sslmode=verify-full"),
    ("postgresql://u@h/d?ssl=require", "postgresql://u@h/d?sslmode=require"),
    ("postgresql://u@/d?host=/run/postgresql", "postgresql://u@/d?host=%2Frun%2Fpostgresql"),
]


@pytest.mark.parametrize(("url", "dsn"), DSNS)
def test_what_libpq_knows_reaches_the_driver(url: str, dsn: str) -> None:
    assert asyncpg_dsn(make_url(url)) == dsn


async def test_postgresql_is_asked_through_asyncpg(postgresql_url: str) -> None:
    async with an_engine(postgresql_url) as engine:
        assert isinstance(engine, AsyncEngine)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        assert engine.driver == "asyncpg"


async def test_a_password_of_any_letters_opens_the_door(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    role, password = "p%/ss@:w#rd", "p%40/ss @:w#rd?&="
    with psycopg.connect(postgresql_url, autocommit=True) as operator:
        operator.execute(f"""CREATE ROLE "{role}" LOGIN PASSWORD '{password}'""".encode())
        try:
            theirs = url.set(username=role, password=password)
            async with an_engine(theirs.render_as_string(hide_password=False)) as engine:
                assert isinstance(engine, AsyncEngine)
                async with engine.connect() as connection:
                    assert await connection.scalar(text("SELECT current_user")) == role
        finally:
            operator.execute(f'DROP ROLE "{role}"'.encode())


@contextmanager
def a_silent_host() -> Iterator[str]:
    """Take connections and never say a word, as a host does whose disk is stuck."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://nobody@127.0.0.1:{listening.getsockname()[1]}/none"


async def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.2)
    with a_silent_host() as url:
        async with an_engine(url) as engine:
            started = time.monotonic()

            with pytest.raises(StoreUnavailableError):
                await Database(engine).read(lambda connection: connection.scalar(text("SELECT 1")))

            assert time.monotonic() - started < 3


async def test_a_statement_that_never_ends_is_given_up(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "STATEMENT_SECONDS", 0.2)
    async with an_engine(postgresql_url) as engine:
        database = Database(engine)

        with pytest.raises(StoreUnavailableError):
            await database.read(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))

        assert await database.read(lambda connection: connection.scalar(text("SELECT 1"))) == 1


# --- both --------------------------------------------------------------------------------------


async def test_a_disposed_engine_leaves_no_connection(postgresql_url: str, tmp_path: Path) -> None:
    engine = build_engine(postgresql_url)
    assert isinstance(engine, AsyncEngine)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))

    await dispose(engine)

    with psycopg.connect(postgresql_url) as operator:
        left = None
        while left != (1,):  # PostgreSQL ends a session when it hears of it
            left = operator.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            ).fetchone()
            operator.rollback()

    url = f"sqlite:///{tmp_path / 'a.db'}"
    sync_engine = build_engine(url)
    assert isinstance(sync_engine, Engine)
    with sync_engine.connect() as connected:
        connected.execute(text("CREATE TABLE a (n INTEGER)"))
        connected.commit()
    await dispose(sync_engine)
    assert not (tmp_path / "a.db-wal").exists(), "the last connection has tidied up"


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://u@127.0.0.1:1/d"])
async def test_building_connects_to_nothing(url: str) -> None:
    async with an_engine(url):
        pass
