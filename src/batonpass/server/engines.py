"""The server's own database engine: SQLite with one file, or PostgreSQL through asyncpg."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECT_SECONDS = 3.0
STATEMENT_SECONDS = 15.0
BUSY_SECONDS = 5.0
_POOL_SIZE = 8


def build_engine(url: str) -> Engine | AsyncEngine:
    """Make the engine for a DATABASE_URL; nothing is connected yet.

    Args:
        url: `sqlite:///path` or `postgresql://…`; the driver is ours to choose.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE,
        pool_timeout=CONNECT_SECONDS,
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS},
    )


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:  # the driver's own connection
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for another
    cursor.execute("PRAGMA synchronous = FULL")  # durable: a commit survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
