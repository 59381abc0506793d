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
        "postgresql+asyncpg://",
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE,
        pool_timeout=CONNECT_SECONDS,
        hide_parameters=True,
        connect_args={
            "dsn": asyncpg_dsn(parsed),
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
        },
    )


def asyncpg_dsn(url: URL) -> str:
    """Return the URL for asyncpg's own parser, which knows libpq's parameters.

    SQLAlchemy would hand them on by their names, and `?sslmode=require`, which every hosted
    PostgreSQL has in its URL, is no argument of asyncpg's.
    """
    query = {"sslmode" if name == "ssl" else name: value for name, value in url.query.items()}
    dsn = url.set(drivername="postgresql", query=query)
    return dsn.render_as_string(hide_password=False)


async def dispose(engine: Engine | AsyncEngine) -> None:
    """Close the engine's connections, so that the database need not find out by itself."""
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        hide_parameters=True,  # a log of statements tells no hash, nonce or e-mail (S-LOG-2)
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
