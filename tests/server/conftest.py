"""The server's tables in a real database, on both kinds."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from batonpass.server.models import metadata

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    """An engine on an empty database; on SQLite its transactions begin as writers, as ours do."""
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        engine = create_engine(url.set(drivername="postgresql+psycopg"))
    else:
        engine = create_engine(url.set(drivername="sqlite+pysqlite"))
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_as_writer)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """The same, with the server's tables."""
    metadata.create_all(empty_engine)
    return empty_engine


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction."""
    with engine.begin() as connection:
        yield connection


def _leave_transactions_to_us(driver: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    driver.isolation_level = None


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
