"""Transactions on an engine that is the app's or the server's own, sync or async.

All our statements are written once, as plain functions of a `sqlalchemy.Connection`. This module
runs them: greenlet-adapted on an async engine, in threads of its own on a sync one. An unreachable
database becomes `StoreUnavailableError`; a deadlock or a stale pooled connection is tried once
more. Refreshes go ahead of all else: however many logins wait for a connection, theirs is free.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from threading import Lock
from typing import Any, Generic, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from batonpass.errors import ConfigurationError, StoreUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A database that hangs (its host is gone, its disk is stuck) is away, too: what was begun is left
# to itself, whoever waits for it is told. Longer than a row may stay locked.
PATIENCE_SECONDS = 10.0
_THREADS = 4  # a sync engine has these, and one more

# deadlock_detected, serialization_failure; 0A000: a migration has made a cached plan invalid
_TRY_AGAIN = frozenset({"40P01", "40001", "0A000"})
_LOCK_NOT_AVAILABLE = "55P03"
# PostgreSQL, Appendix A: connection, login refused, no such database, resources, operator's
# intervention, system. Of the others only what another try may cure, and 25006: a failover left us
# with a server that only reads.
_OUTAGE_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58"})
_OUTAGE_STATES = frozenset({*_TRY_AGAIN, "25006"})
# Before any statement: the database lets nobody in, or us no longer. In one they would be bugs.
_REFUSED_AT_THE_DOOR = frozenset({"55000", "42501"})
_BUGS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)  # where no code tells


class RowLockedError(StoreUnavailableError):
    """Somebody else holds a row for longer than a transaction may wait."""


class ConnectionLostError(StoreUnavailableError):
    """The connection went while a statement ran: whether that was committed nobody knows."""


class Database:
    """Runs work in transactions of its own (I5: an ending commits although its request fails)."""

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        """Take an engine; it stays the caller's to dispose of.

        Raises:
            ConfigurationError: Each thread would get an empty in-memory database of its own.
        """
        if isinstance(engine.pool, SingletonThreadPool):
            message = (
                "An in-memory SQLite database lives in one connection: create its engine with "
                "poolclass=StaticPool and connect_args={'check_same_thread': False}."
            )
            raise ConfigurationError(message)
        self.engine = engine
        self.dialect = engine.dialect.name
        self._shares_one = isinstance(engine.pool, StaticPool)
        self._lent: Connection | AsyncConnection | None = None
        self._lent_to_one = Lock()  # our threads: a connection serves one at a time
        self._writers, self._readers = self._make_threads()
        # The same queue for an async engine: a lock belongs to its loop.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )
        # Where all line up who are not ahead.
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )
        self._under_way: set[asyncio.Task[object]] = set()

    async def write(self, work: Callable[[Connection], T], *, ahead: bool = False) -> T:
        """Run `work` in a transaction and commit it; a cancelled caller does not cancel it.

        Args:
            work: Its statements.
            ahead: Wait for nobody who is not.

        Raises:
            StoreUnavailableError: The database cannot be reached, or is not answering.
            RowLockedError: A row stayed locked longer than the transaction's `lock_timeout`.
        """
        transaction = _Transaction(work, takes_write_lock=self.dialect == "sqlite")
        return await self._wait_for(partial(self._run, transaction), ahead=ahead)

    async def read(self, work: Callable[[Connection], T], *, ahead: bool = False) -> T:
        """Run `work` in a transaction that only reads.

        Args:
            work: Its statements.
            ahead: Wait for nobody who is not.

        Raises:
            StoreUnavailableError: The database cannot be reached, or is not answering.
        """
        transaction = _Transaction(work, reads_only=True)
        return await self._wait_for(partial(self._run, transaction), ahead=ahead)

    async def run_alone(self, statement: str, *arguments: object) -> list[Sequence[Any]]:
        """Run one statement that is a transaction by itself, ahead of others; on asyncpg only.

        Raises:
            ConnectionLostError: Its answer is lost, or it never got there; it is not tried again.
            StoreUnavailableError: The database cannot be reached, or is not answering.
            RowLockedError: A row stayed locked longer than the `lock_timeout` that it set.
        """
        return await self._wait_for(partial(self._run_alone, statement, arguments), ahead=True)

    @property
    def is_lent_a_connection(self) -> bool:
        """Whether all work is done inside of somebody else's transaction."""
        return self._lent is not None

    @contextmanager
    def inside(self, connection: Connection | AsyncConnection) -> Iterator[None]:
        """Do all work inside of a transaction that is somebody else's, each piece in a savepoint.

        For tests that roll everything back: nothing is committed, so nobody else sees it, and what
        rolls back to before a piece of work undoes it, too (I5 needs commits).
        """
        before, self._lent = self._lent, connection
        try:
            yield
        finally:
            self._lent = before

    async def aclose(self) -> None:
        """Let what was begun come to its end, and the threads go; the next use starts others."""
        loop = asyncio.get_running_loop()
        ours = {task for task in self._under_way if task.get_loop() is loop}
        if ours:
            await asyncio.wait(ours, timeout=PATIENCE_SECONDS)
        old = (self._writers, self._readers)
        self._writers, self._readers = self._make_threads()  # an app may be started again
        for threads in old:
            await asyncio.to_thread(threads.shutdown)

    def _make_threads(self) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
        """Make the threads of a sync engine: those that write, and those that read."""
        # SQLite has one writer: a queue in front of it beats its busy-wait.
        count = 1 if self.dialect == "sqlite" else _THREADS + 1
        writers = ThreadPoolExecutor(count, thread_name_prefix="batonpass-write")
        if self._shares_one:
            return writers, writers
        return writers, ThreadPoolExecutor(_THREADS + 1, thread_name_prefix="batonpass-read")

    async def _wait_for(self, work: Callable[[], Coroutine[Any, Any, T]], *, ahead: bool) -> T:
        queue = None if ahead else self._queue()
        if queue is not None:
            await self._line_up(queue)
        # A task of its own: whoever asked may go or lose patience, what was begun is finished.
        task = asyncio.ensure_future(work())
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        if queue is not None:
            task.add_done_callback(lambda _: queue.release())
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            logger.warning("database_unavailable", extra={"why": "no answer"})
            raise StoreUnavailableError
        return task.result()

    async def _line_up(self, queue: asyncio.Semaphore) -> None:
        if not queue.locked():
            await queue.acquire()  # at once
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await queue.acquire()
        except TimeoutError:
            logger.warning("database_unavailable", extra={"why": "too many wait"})
            raise StoreUnavailableError from None

    def _queue(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = asyncio.Semaphore(_places_of_others(self.engine))
        return queue

    def _finished(self, task: "asyncio.Task[object]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, although whoever asked may have gone

    async def _run(self, transaction: "_Transaction[T]") -> T:
        try:
            return await self._attempt(transaction)
        except Exception as error:  # noqa: BLE001 - raised on, translated, or tried once more
            if not transaction.may_be_repeated_after(error):
                _raise_translated(error)
            logger.info("transaction_repeated", extra={"why": reason_of(error)})
        try:
            return await self._attempt(transaction)
        except Exception as error:  # noqa: BLE001 - raised on, or translated
            _raise_translated(error)

    async def _attempt(self, transaction: "_Transaction[T]") -> T:
        lent = self._lent
        if isinstance(lent, AsyncConnection):
            async with self._turn_of_all():
                return await lent.run_sync(transaction.inside)
        if isinstance(self.engine, AsyncEngine):
            async with self._turn(transaction), self.engine.connect() as connection:
                return await connection.run_sync(transaction)
        threads = self._readers if transaction.reads_only else self._writers
        loop = asyncio.get_running_loop()
        if lent is not None:
            return await loop.run_in_executor(threads, self._inside, lent, transaction)
        return await loop.run_in_executor(threads, _in_thread, self.engine, transaction)

    def _inside(self, connection: Connection, transaction: "_Transaction[T]") -> T:
        with self._lent_to_one:
            return transaction.inside(connection)

    async def _run_alone(
        self, statement: str, arguments: tuple[object, ...]
    ) -> list[Sequence[Any]]:
        assert isinstance(self.engine, AsyncEngine)  # noqa: S101 - whoever has asyncpg has one
        try:
            async with self.engine.connect() as connection:
                driver = await _driver_connection(connection)
                try:
                    rows: list[Sequence[Any]] = await driver.fetch(statement, *arguments)
                except Exception as error:
                    if driver.is_closed():  # SQLAlchemy has not seen it
                        await connection.invalidate()
                        raise ConnectionLostError from error
                    raise
                return rows
        except ConnectionLostError as error:
            logger.warning(
                "database_unavailable", extra={"why": reason_of(error.__cause__ or error)}
            )
            raise
        except Exception as error:  # noqa: BLE001 - raised on, or translated
            _raise_translated(error)

    @asynccontextmanager
    async def _turn(self, transaction: "_Transaction[T]") -> AsyncIterator[None]:
        """Wait for SQLite's one writer, or for the one connection that all share."""
        if not self._shares_one and (self.dialect != "sqlite" or transaction.reads_only):
            yield
            return
        async with self._turn_of_all():
            yield

    def _turn_of_all(self) -> asyncio.Lock:
        return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _places_of_others(engine: Engine | AsyncEngine) -> int:
    """Return how many transactions that are not ahead are under way at once.

    Fewer than there are connections or threads: one stays free for those that are.
    """
    pool = engine.pool
    if not isinstance(pool, QueuePool) or pool.size() == 0:  # as many connections as are asked for
        return _THREADS
    places = max(1, pool.size() - 1)
    return places if isinstance(engine, AsyncEngine) else min(places, _THREADS)


async def _driver_connection(connection: AsyncConnection) -> Any:  # asyncpg carries no types
    """Return asyncpg's own connection; one that was closed while it lay in the pool is replaced."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if driver.is_closed():
        await connection.invalidate()
        driver = (await connection.get_raw_connection()).driver_connection
    return driver


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

    def inside(self, connection: Connection) -> T:
        """Do it inside of a transaction that is somebody else's."""
        with connection.begin_nested():
            return self._work(connection)

    def may_be_repeated_after(self, error: BaseException) -> bool:
        """Whether nothing of it can have been committed, and another try may well succeed."""
        if self._committing or not isinstance(error, DBAPIError):
            return False
        return error.connection_invalidated or sqlstate(error) in _TRY_AGAIN


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of an error, whatever the driver calls it."""
    # What asyncpg raises while it connects, SQLAlchemy hands on as it is.
    raised = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(raised, "sqlstate", None) or getattr(raised, "pgcode", None)
    return str(found) if found else None


def reason_of(error: BaseException) -> str:
    """Name an error for the log: its type and code, never its text, which may show a row."""
    raised = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = sqlstate(error)
    return type(raised).__name__ if state is None else f"{type(raised).__name__} {state}"


def _take_sqlite_write_lock(connection: Connection) -> None:
    # Two deferred transactions that both read and then write fail each other
    # (SQLITE_BUSY_SNAPSHOT), so ours begin as writers: also on an engine whose "begin" event
    # has begun one already, as SQLAlchemy's documentation recommends. Nothing is in it yet.
    connection.begin()
    if getattr(connection.connection.driver_connection, "in_transaction", False):
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _raise_translated(error: Exception) -> NoReturn:
    """Tell an outage from everything else, which goes to whoever asked as it is."""
    if isinstance(error, StatementError):
        error.hide_parameters = True  # its text is for a log: no hash, no nonce (S-LOG-2)
    if sqlstate(error) == _LOCK_NOT_AVAILABLE:
        raise RowLockedError from error
    if not _is_outage(error):
        raise error
    logger.warning("database_unavailable", extra={"why": reason_of(error)})
    raise StoreUnavailableError from error


def _is_outage(error: Exception) -> bool:
    if isinstance(error, OSError | DisconnectionError | NoConnectionFreeError):
        return True
    state = sqlstate(error)
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        if state is None:
            return not isinstance(error, _BUGS)
        if error.statement is None and state in _REFUSED_AT_THE_DOOR:
            return True
    return state is not None and (state[:2] in _OUTAGE_CLASSES or state in _OUTAGE_STATES)
