"""Transactions on an engine that is the app's or the server's own, sync or async.

All our statements are written once, as plain functions of a `sqlalchemy.Connection`. This module
runs them: greenlet-adapted on an async engine, in threads of its own on a sync one. An unreachable
database becomes `StoreUnavailableError`; a deadlock or a stale pooled connection is tried once
more.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from batonpass.errors import StoreUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TRY_AGAIN = frozenset({"40P01", "40001"})  # deadlock_detected, serialization_failure
_LOCK_NOT_AVAILABLE = "55P03"
_BUGS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)  # ours, not outages
_OUTAGES = (SQLAlchemyError, OSError, TimeoutError)
_THREADS = 4


class RowLockedError(StoreUnavailableError):
    """Somebody else holds a row for longer than a transaction may wait."""


class Database:
    """Runs work in transactions of its own (I5: an ending commits although its request fails)."""

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        """Take an engine; it stays the caller's to dispose of."""
        self.engine = engine
        self.dialect = engine.dialect.name
        # SQLite has one writer: a queue in front of it beats its busy-wait.
        writers = 1 if self.dialect == "sqlite" else _THREADS
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="batonpass-write")
        shares_one = isinstance(engine.pool, StaticPool | SingletonThreadPool)
        self._readers = (
            self._writers
            if shares_one
            else ThreadPoolExecutor(_THREADS, thread_name_prefix="batonpass-read")
        )

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and commit it; a cancelled caller does not cancel it.

        Raises:
            StoreUnavailableError: The database cannot be reached, or is not answering.
            RowLockedError: A row stayed locked longer than the transaction's `lock_timeout`.
        """
        return await self._shielded(_Transaction(work, takes_write_lock=self.dialect == "sqlite"))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that only reads.

        Raises:
            StoreUnavailableError: The database cannot be reached, or is not answering.
        """
        return await self._shielded(_Transaction(work, reads_only=True))

    async def aclose(self) -> None:
        """Let the threads finish what they are at."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)

    async def _shielded(self, transaction: "_Transaction[T]") -> T:
        # A task of its own: whoever asked may go, what was begun is finished.
        return await asyncio.shield(asyncio.ensure_future(self._run(transaction)))

    async def _run(self, transaction: "_Transaction[T]") -> T:
        try:
            return await self._attempt(transaction)
        except _BUGS:
            raise
        except _OUTAGES as error:
            if not transaction.may_be_repeated_after(error):
                raise _unavailable(error) from error
            logger.info("transaction_repeated", extra={"why": type(error).__name__})
        try:
            return await self._attempt(transaction)
        except _BUGS:
            raise
        except _OUTAGES as error:
            raise _unavailable(error) from error

    async def _attempt(self, transaction: "_Transaction[T]") -> T:
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.connect() as connection:
                return await connection.run_sync(transaction)
        threads = self._readers if transaction.reads_only else self._writers
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, _in_thread, self.engine, transaction)


def _in_thread(engine: Engine, transaction: "_Transaction[T]") -> T:
    with engine.connect() as connection:
        return transaction(connection)


class _Transaction(Generic[T]):
    """Work that is begun, done and committed, perhaps a second time."""

    def __init__(
        self,
        work: Callable[[Connection], T],
        *,
        takes_write_lock: bool = False,
        reads_only: bool = False,
    ) -> None:
        self._work = work
        self._takes_write_lock = takes_write_lock
        self._committing = False
        self.reads_only = reads_only

    def __call__(self, connection: Connection) -> T:
        if self._takes_write_lock:
            _take_sqlite_write_lock(connection)
        result = self._work(connection)
        self._committing = not self.reads_only
        connection.commit()
        return result

    def may_be_repeated_after(self, error: BaseException) -> bool:
        """Whether nothing of it can have been committed, and another try may well succeed."""
        if self._committing or not isinstance(error, DBAPIError):
            return False
        return error.connection_invalidated or sqlstate(error) in _TRY_AGAIN


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's code of an error, whatever the driver calls it."""
    found = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return str(found) if found else None


def _take_sqlite_write_lock(connection: Connection) -> None:
    # Two deferred transactions that both read and then write fail each other
    # (SQLITE_BUSY_SNAPSHOT), so ours begin as writers. An engine that begins by itself is left
    # its own way.
    driver = connection.connection.driver_connection
    if not getattr(driver, "in_transaction", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unavailable(error: BaseException) -> StoreUnavailableError:
    if isinstance(error, DBAPIError) and sqlstate(error) == _LOCK_NOT_AVAILABLE:
        return RowLockedError()
    return StoreUnavailableError()
