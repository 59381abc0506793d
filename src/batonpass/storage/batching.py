"""Lock, judge, write as one group commit: whoever waits is served by the next transaction.

One writer per process and event loop. Idle, it sends at once, without a timer; while a transaction
is under way, what arrives becomes the next batch. A family holds one place in the queue, its
requests wait on that place (S-RT-9: a flood of one session's tokens holds up no other); queue and
places are bounded, and past the bound the answer is 503: the token is still good.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from batonpass.clock import Clock
from batonpass.errors import InternalError, StoreUnavailableError
from batonpass.events import EventName, SecurityEvent
from batonpass.storage.engine import (
    ConnectionLostError,
    Database,
    RowLockedError,
    reason_of,
)
from batonpass.storage.rulings import Bench, Changes, Outcome, Request
from batonpass.storage.store import Store
from batonpass.storage.swaps import Swaps

logger = logging.getLogger(__name__)

MAX_BATCH = 128  # families in one transaction; measured: more gains nothing
MAX_PLACES = 4096
MAX_WAITING_ON_A_PLACE = 1024
# One foreign row lock froze 32 callers for 3 s without a bound. This is what a neighbour's commit
# takes on a slow disk; whoever waits longer waits alone, and loses nothing by it.
LOCK_WAIT_MS = 25
LOCK_WAIT_ALONE_MS = 5000
ELSEWHERE_ONCE_IN = timedelta(hours=1)

Waiting = tuple[Request, "asyncio.Future[Outcome]"]
OnCommit = Callable[[Changes], None]


@dataclass(slots=True)
class _Place:
    """One family's place in the queue."""

    family_id: UUID
    waiting: list[Waiting] = field(default_factory=list)


class GroupCommit:
    """Takes refresh tokens in, gives outcomes back that are committed."""

    def __init__(
        self, database: Database, store: Store, bench: Bench, clock: Clock, on_commit: OnCommit
    ) -> None:
        """Take what a transaction needs, and whom to tell what it changed."""
        swaps = None
        if Swaps.serves(database.engine):
            swaps = Swaps(database, store, bench.successor_keys[0], bench.policy)
        self._transaction = Transaction(database, store, bench, clock, swaps)
        self._on_commit = on_commit
        # A test client makes a new event loop per call: a writer belongs to its loop.
        self._writers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer] = WeakKeyDictionary()

    async def submit(self, request: Request) -> Outcome:
        """Have one refresh token judged, and wait until what follows is committed.

        Raises:
            StoreUnavailableError: The database is away or too many wait; nothing changed.
        """
        loop = asyncio.get_running_loop()
        writer = self._writers.get(loop)
        if writer is None:
            writer = self._writers[loop] = _Writer(self._transaction, self._on_commit)
        return await writer.submit(request)

    async def drain(self) -> None:
        """Wait until everything that was taken in is answered."""
        writer = self._writers.get(asyncio.get_running_loop())
        if writer is not None:
            await writer.drain()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One batch: locked, judged and written in one database transaction."""

    database: Database
    store: Store
    bench: Bench
    clock: Clock
    swaps: Swaps | None = None

    async def swap(self, requests: Sequence[Request], lock_wait_ms: int) -> Mapping[UUID, Outcome]:
        """Rotate what needs no judging; families that are not in the answer are to be judged."""
        if self.swaps is None or self.database.is_lent_a_connection:  # a swap commits by itself
            return {}
        try:
            return await self.swaps.rotate(requests, self.clock.now(), lock_wait_ms)
        except ConnectionLostError:
            # What had been committed is a repeat to the judge, and answered alike; but not where
            # grace is zero: there it would be theft.
            if not self.bench.policy.recovers:
                raise
            return {}

    async def held(self, families: Sequence[UUID]) -> set[UUID]:
        """Find those of the families whose rows somebody else holds at this moment.

        Raises:
            RowLockedError: It is the whole table.
            StoreUnavailableError: The database is away.
        """

        def work(connection: Connection) -> set[UUID]:
            self.store.limit_lock_wait(connection, LOCK_WAIT_MS)
            return self.store.free(connection, families)

        return set(families) - await self.database.write(work, ahead=True)

    async def run(
        self, requests: Sequence[Request], lock_wait_ms: int
    ) -> tuple[list[Outcome], Changes]:
        """Lock the requests' families, rule on each, write what changed, commit."""
        return await self.database.write(
            lambda connection: self._work(connection, requests, lock_wait_ms), ahead=True
        )

    def _work(
        self, connection: Connection, requests: Sequence[Request], lock_wait_ms: int
    ) -> tuple[list[Outcome], Changes]:
        store = self.store
        store.limit_lock_wait(connection, lock_wait_ms)
        locked = store.lock(connection, {request.token.family_id for request in requests})
        outcomes, changes = self.bench.rule(requests, locked, self.clock.now())
        changes.events = self._without_repeats(connection, changes.events)
        store.save(connection, list(changes.families.values()))
        store.add_revocations(connection, changes.ended, self.clock.now())
        store.add_events(connection, changes.events)
        store.add_rotations(connection, changes.rotations)
        return outcomes, changes

    def _without_repeats(
        self, connection: Connection, events: list[SecurityEvent]
    ) -> list[SecurityEvent]:
        """Leave out that a family was answered elsewhere where the last hour has told it."""
        kept: list[SecurityEvent] = []
        told: set[UUID | None] = set()
        for event in events:
            if event.name is EventName.ANSWERED_ELSEWHERE and event.family_id is not None:
                since = event.at - ELSEWHERE_ONCE_IN
                if event.family_id in told or self.store.has_event(
                    connection, event.family_id, event.name, since
                ):
                    continue
                told.add(event.family_id)
            kept.append(event)
        return kept


class _Writer:
    """One event loop's queue and the task that empties it."""

    def __init__(self, transaction: Transaction, on_commit: OnCommit) -> None:
        self._transaction = transaction
        self._on_commit = on_commit
        self._places: dict[UUID, _Place] = {}  # in order of arrival
        self._alone: dict[UUID, _Place] = {}  # locked by somebody else: they hold up nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptying = False

    async def submit(self, request: Request) -> Outcome:
        family_id = request.token.family_id
        place = self._alone.get(family_id) or self._places.get(family_id)
        if place is None:
            if len(self._places) + len(self._alone) >= MAX_PLACES:
                raise StoreUnavailableError
            place = self._places[family_id] = _Place(family_id)
        if len(place.waiting) >= MAX_WAITING_ON_A_PLACE:
            raise StoreUnavailableError
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        place.waiting.append((request, future))
        if not self._emptying:
            self._emptying = True
            self._start(self._empty())
        return await future

    async def drain(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty(self) -> None:
        try:
            while self._places:
                batch = [self._places.pop(key) for key in list(self._places)[:MAX_BATCH]]
                await self._commit(batch)
        finally:
            self._emptying = False

    async def _commit(self, batch: list[_Place]) -> None:
        """Commit a batch; one that fails is split until the culprit stands alone."""
        waiting = _still_there(batch)
        try:
            await self._answer(waiting, LOCK_WAIT_MS)
        except RowLockedError as error:
            if len(batch) == 1:
                self._wait_alone(batch[0].family_id, waiting)
            else:
                await self._set_apart(batch, error)
        except StoreUnavailableError as error:
            _fail(waiting, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the culprit's alone
            if len(batch) == 1:
                # A driver's text may show the whole row, so it goes no further (S-LOG-2).
                for one in waiting:
                    request_id = one[0].request_id
                    told = {"why": reason_of(error), "request_id": request_id}
                    logger.error("refresh_failed", extra=told)  # noqa: TRY400
                    _fail([one], InternalError.of_request(request_id))
            else:
                await self._split(batch, error)

    async def _set_apart(self, batch: list[_Place], error: RowLockedError) -> None:
        """Let those wait alone whose rows are held; all others have waited long enough."""
        try:
            held = await self._transaction.held([place.family_id for place in batch])
        except RowLockedError:  # the table: all of them wait for the same
            await self._answer_or_fail(_still_there(batch))
            return
        except Exception:  # noqa: BLE001 - whatever it is, the halves will meet it and tell
            held = set()
        if not held:  # or it was let go meanwhile
            await self._split(batch, error)
            return
        for place in batch:
            if place.family_id in held:
                self._wait_alone(place.family_id, _still_there([place]))
        rest = [place for place in batch if place.family_id not in held]
        if rest:
            await self._commit(rest)

    async def _split(self, batch: list[_Place], error: Exception) -> None:
        logger.info("batch_split", extra={"size": len(batch), "why": reason_of(error)})
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    def _wait_alone(self, family_id: UUID, waiting: list[Waiting]) -> None:
        newcomers = self._places.pop(family_id, None)
        place = self._alone[family_id] = _Place(family_id, waiting)
        if newcomers is not None:
            place.waiting.extend(newcomers.waiting)
        self._start(self._commit_alone(place))

    async def _commit_alone(self, place: _Place) -> None:
        try:
            while place.waiting:
                waiting, place.waiting = place.waiting, []
                await self._answer_or_fail(waiting)
        finally:
            del self._alone[place.family_id]

    async def _answer_or_fail(self, waiting: list[Waiting]) -> None:
        try:
            await self._answer(waiting, LOCK_WAIT_ALONE_MS)
        except Exception as error:  # noqa: BLE001 - it goes to those who wait
            _fail(waiting, error)

    async def _answer(self, waiting: list[Waiting], lock_wait_ms: int) -> None:
        if not waiting:
            return
        rotated = await self._transaction.swap([request for request, _ in waiting], lock_wait_ms)
        if rotated:
            waiting = _answer_those(waiting, rotated)
            if not waiting:
                return
        requests = [request for request, _ in waiting]
        outcomes, changes = await self._transaction.run(requests, lock_wait_ms)
        self._on_commit(changes)
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)


def _still_there(batch: list[_Place]) -> list[Waiting]:
    """Leave out who went away before anything was spent for them."""
    return [one for place in batch for one in place.waiting if not one[1].done()]


def _answer_those(waiting: list[Waiting], outcomes: Mapping[UUID, Outcome]) -> list[Waiting]:
    """Answer those whose families `outcomes` names: each had one request. Return the others."""
    others = []
    for one in waiting:
        request, future = one
        outcome = outcomes.get(request.token.family_id)
        if outcome is None:
            others.append(one)
        elif not future.done():
            future.set_result(outcome)
    return others


def _fail(waiting: list[Waiting], error: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
