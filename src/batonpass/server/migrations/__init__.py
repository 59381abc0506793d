"""The server's schema, revision by revision: Alembic without an alembic.ini.

An upgrade is one transaction under a lock, so any number of processes may start at once: one does
the work, the others wait and find it done. An app that uses the library as a plugin writes its own
migrations; this history is the server's.

Source: https://alembic.sqlalchemy.org/en/latest/cookbook.html, "sharing a connection".
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from batonpass.errors import ConfigurationError, StoreUnavailableError
from batonpass.server.engines import asyncpg_dsn

_FOLDER: Final = Path(__file__).parent
_ADVISORY_LOCK: Final = 0x6261746F6E  # "baton": ours in the one number space of a database
_LOCK_SECONDS: Final = 60.0  # how long to wait for another process that migrates
_CONNECT_SECONDS: Final = 10.0
_OWNER_ONLY: Final = 0o600

T = TypeVar("T")


def upgrade(url: str) -> None:
    """Bring a database to the newest revision; harmless where it is there already.

    Args:
        url: `sqlite:///path` or `postgresql://…`. A file that does not exist is made, for its owner
            alone to read.

    Raises:
        ConfigurationError: The folder of the file does not exist.
        StoreUnavailableError: The database cannot be reached.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_file(parsed)
    _in_transaction(parsed, _upgrade, as_only_writer=True)


def require_current(url: str) -> None:
    """Refuse a database whose tables are not of this version.

    Raises:
        ConfigurationError: They are older or newer; the sentence says what to do.
        StoreUnavailableError: The database cannot be reached.
    """
    found = _in_transaction(make_url(url), current_revision)
    if found == newest_revision():
        return
    if found is not None and found not in _known_revisions():
        msg = "BATONPASS_DATABASE_URL: its tables are of a newer version. Update this server."
    else:
        msg = "BATONPASS_DATABASE_URL: its tables are not up to date. Run: batonpass migrate"
    raise ConfigurationError(msg)


def is_current(connection: Connection) -> bool:
    """Tell whether the tables are those of this version."""
    return current_revision(connection) == newest_revision()


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None: it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def newest_revision() -> str:
    """Return the revision that this version of the server needs."""
    newest = ScriptDirectory(_FOLDER).get_current_head()
    if newest is None:
        raise FileNotFoundError(_FOLDER / "versions")
    return newest


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory(_FOLDER).walk_revisions()}


def _upgrade(connection: Connection) -> None:
    config = Config()
    # Alembic reads % in its options; a path may hold one.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _in_transaction(
    url: URL, work: Callable[[Connection], T], *, as_only_writer: bool = False
) -> T:
    if url.get_backend_name() == "sqlite":
        return _on_sqlite(url, work, as_only_writer=as_only_writer)
    # A thread of its own: whoever calls may have an event loop running.
    with ThreadPoolExecutor(1) as thread:
        doing = _on_postgresql(url, work, as_only_writer=as_only_writer)
        return thread.submit(asyncio.run, doing).result()


def _on_sqlite(url: URL, work: Callable[[Connection], T], *, as_only_writer: bool) -> T:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=NullPool,
        connect_args={"timeout": _LOCK_SECONDS},
    )
    with ExitStack() as stack:
        with _reaching():
            connection = stack.enter_context(engine.connect())
            connection.exec_driver_sql("BEGIN IMMEDIATE" if as_only_writer else "BEGIN")
            # A mere BEGIN opens nothing: here it shows whether the file is a database at all.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        result = work(connection)
        connection.commit()
        if as_only_writer:
            # Here, where no worker serves yet: switching needs the file for itself. Where another
            # process has it, that one switches.
            with suppress(OperationalError):
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        return result


async def _on_postgresql(url: URL, work: Callable[[Connection], T], *, as_only_writer: bool) -> T:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        connect_args={"dsn": asyncpg_dsn(url), "timeout": _CONNECT_SECONDS},
    )
    async with AsyncExitStack() as stack:
        with _reaching():
            connection = await stack.enter_async_context(engine.begin())
        if as_only_writer:
            lock = text("SELECT pg_advisory_xact_lock(:number)")
            await connection.execute(lock, {"number": _ADVISORY_LOCK})
        return await connection.run_sync(work)


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        msg = "The database of BATONPASS_DATABASE_URL cannot be reached."
        raise StoreUnavailableError(msg) from error


def _make_file(url: URL) -> None:
    path = Path(url.database or "")
    if not path.parent.is_dir():
        msg = f"BATONPASS_DATABASE_URL: there is no folder {path.parent}. Make it, or name another."
        raise ConfigurationError(msg)
    with suppress(FileExistsError):
        # Its companions (-wal, -shm) take its mode.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
