"""A deed: one transaction, all that it changes, and whoever is told of it after the commit."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from batonpass.clock import Clock
from batonpass.events import EventName, SecurityEvent
from batonpass.revocations import Revocations
from batonpass.storage.batching import LOCK_WAIT_ALONE_MS
from batonpass.storage.callers import CallersTransaction
from batonpass.storage.engine import Database
from batonpass.storage.rulings import Changes
from batonpass.storage.store import Store

logger = logging.getLogger(__name__)
security_log = logging.getLogger("batonpass.security")

_LOGGED_AS = {EventName.REFRESH_TOKEN_REUSED: "authn_token_reuse"}  # OWASP's name in the log

T = TypeVar("T")

Work = Callable[[Connection], tuple[T, Changes]]
PartOfDeed = Callable[[Connection], None]  # what else belongs into the transaction
OnEvent = Callable[[SecurityEvent], None]


class Deeds:
    """Does what a process is asked for, deed by deed."""

    def __init__(
        self, database: Database, store: Store, revocations: Revocations, clock: Clock
    ) -> None:
        """Put the parts together; nobody is told of anything yet."""
        self._database = database
        self._store = store
        self._revocations = revocations
        self._clock = clock
        self._on_event: list[OnEvent] = []
        self._running: set[asyncio.Task[Any]] = set()  # whose callers may have gone

    def on_event(self, handler: OnEvent) -> None:
        """Have `handler` told of every security event, after its commit."""
        self._on_event.append(handler)

    async def do(self, work: Work[T]) -> T:
        """Run a deed in one transaction with what it changes, and tell of it after the commit.

        Also where the caller has gone meanwhile: what is committed is told.

        Raises:
            StoreUnavailableError: The database is away.
        """

        def deed(connection: Connection) -> tuple[T, Changes]:
            self._store.limit_lock_wait(connection, LOCK_WAIT_ALONE_MS)
            return self._work_and_write(connection, work)

        async def write_and_tell() -> T:
            result, changes = await self._database.write(deed)
            self.tell(changes)
            return result

        task = asyncio.ensure_future(write_and_tell())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def join(self, within: CallersTransaction, work: Work[T]) -> T:
        """Run a deed in the caller's transaction, and tell of it when they have committed."""
        result, changes = await within.run(
            lambda connection: self._work_and_write(connection, work)
        )
        within.after_commit(lambda: self.tell(changes))
        return result

    def tell(self, changes: Changes) -> None:
        """Tell this process, the log and the handlers what has been committed."""
        self._revocations.note(changes.ended, self._clock.now())
        for event in changes.events:
            _log(event)
            for handler in self._on_event:
                try:
                    handler(event)
                except Exception:  # committed: whoever only listens cannot undo it
                    logger.exception("event_handler_failed", extra={"event": event.name.value})

    async def drain(self) -> None:
        """Wait for what has begun, before the process stops."""
        loop = asyncio.get_running_loop()
        ours = {task for task in self._running if task.get_loop() is loop}
        if ours:
            await asyncio.wait(ours)

    def _work_and_write(self, connection: Connection, work: Work[T]) -> tuple[T, Changes]:
        result, changes = work(connection)
        self._store.save(connection, list(changes.families.values()))
        self._store.add_revocations(connection, changes.ended, self._clock.now())
        self._store.add_events(connection, changes.events)
        return result, changes


def _log(event: SecurityEvent) -> None:
    security_log.info(
        _LOGGED_AS.get(event.name, event.name.value),
        extra={
            "user_id": None if event.user_id is None else str(event.user_id),
            "session_id": None if event.family_id is None else str(event.family_id),
            "ip": event.origin.ip,
            "device": event.origin.device,
            "request_id": event.request_id,
            "details": dict(event.details),
        },
    )
