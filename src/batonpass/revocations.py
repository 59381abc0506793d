"""Families ended within one access-token life, and the poll that tells every process.

Each process reads the `revocations` table once a second and keeps what it read until the last
access token of that time is over; so an ended session is refused at once where it was ended and
within 2 s everywhere, without a query on each request. No LISTEN/NOTIFY: poolers in transaction
mode break it.

Source: docs/security.md, S-SES-9; ASVS 5.0 V7.4.1.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from batonpass import ids
from batonpass.access_tokens import LEEWAY
from batonpass.clock import Clock
from batonpass.family import Ending
from batonpass.storage.engine import Database
from batonpass.storage.store import Revoked, Store

POLL_SECONDS = 1.0
STALE_AFTER_SECONDS = 2.0
OVERLAP_SECONDS = 60.0  # commits become visible out of order: look that far back each time
# An access token may be dated after the ending of its family: the refresh was committed before,
# its answer written when the process got round to it.
_LATE_ANSWER = timedelta(minutes=1)


class Revocations:
    """What this process knows of ended families; never "valid" when it does not know."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, access_token_lifetime: timedelta
    ) -> None:
        """Start knowing nothing: the first `check` or `poll` asks the database."""
        self._database = database
        self._store = store
        self._clock = clock
        self._keep = access_token_lifetime + LEEWAY + _LATE_ANSWER
        self._ended: dict[UUID, _Ended] = {}  # what was learnt first stands first
        self._not_before: datetime | None = None
        self._polled_at: float | None = None
        self._marks: deque[tuple[float, int]] = deque()  # when, and the highest seq seen then
        self._floor = 0  # the highest seq that was seen a whole overlap ago
        self._polling: asyncio.Task[None] | None = None

    async def check(self, family_id: UUID) -> Ending | None:
        """Return why a family has ended, None if it lives; ask the database when unsure.

        Raises:
            StoreUnavailableError: Nobody could be asked for 2 s: not knowing is no "valid".
        """
        if not self.is_fresh():
            await self.poll()
        if not self.is_fresh():  # that one had begun long before us; this one begins now
            await self.poll()
        ended = self._ended.get(family_id)
        if ended is not None:
            return ended.reason
        if self._not_before is not None and ids.made_at(family_id) < self._not_before:
            return Ending.REVOKED
        return None

    def is_fresh(self) -> bool:
        """Whether the last poll is young enough to be believed."""
        polled_at = self._polled_at
        return polled_at is not None and self._clock.monotonic() - polled_at <= STALE_AFTER_SECONDS

    def note(self, ended: Iterable[tuple[UUID, Ending]], at: datetime) -> None:
        """Take in what this process has just ended itself: refused at once, before any poll."""
        learnt_at = self._clock.monotonic()
        for family_id, reason in ended:
            self._learn(family_id, _Ended(learnt_at, at, reason))

    def forget(self) -> None:
        """Start again knowing nothing: what was read has been rolled back."""
        self._ended.clear()
        self._not_before = None
        self._polled_at = None
        self._marks.clear()
        self._floor = 0

    async def poll(self) -> None:
        """Read what is new, and the database's time.

        Raises:
            StoreUnavailableError: The database cannot be reached.
        """
        task = self._polling
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._polling = asyncio.ensure_future(self._poll())
        await asyncio.shield(task)

    async def _poll(self) -> None:
        started = self._clock.monotonic()
        self._floor = self._floor_at(started)
        revoked, last_seq, not_before, database_now = await self._database.read(
            self._read, ahead=True
        )
        if database_now is not None:
            self._clock.follow(database_now)
        if last_seq < self._floor:
            # The numbers began anew: a backup was restored, or SQLite, which gives the numbers of
            # purged rows again, purged them all.
            self._floor = 0
            self._marks.clear()
            revoked, *_ = await self._database.read(self._read, ahead=True)
        for one in revoked:
            self._learn(one.family_id, _Ended(started, one.at, one.reason))
        self._forget_what_is_over(started)
        if revoked:
            self._marks.append((started, revoked[-1].seq))
        self._not_before = not_before
        self._polled_at = started

    def _learn(self, family_id: UUID, ended: "_Ended") -> None:
        self._ended.pop(family_id, None)  # a restored family may end again: then it is the newest
        self._ended[family_id] = ended

    def _forget_what_is_over(self, monotonic: float) -> None:
        """Drop endings that no access token is left of, by both clocks.

        By the time alone, an hour ahead for a moment would forget what is believed again once it is
        set right; by the other alone, an hour back would give tokens a longer life than endings
        (A20).
        """
        learnt_before = monotonic - self._keep.total_seconds()
        ended_before = self._clock.now() - self._keep
        while self._ended:
            oldest = next(iter(self._ended))
            ended = self._ended[oldest]
            if ended.learnt_at >= learnt_before or ended.at >= ended_before:
                break
            del self._ended[oldest]

    def _read(
        self, connection: Connection
    ) -> tuple[list[Revoked], int, datetime | None, datetime | None]:
        # The time comes last: it is followed the moment the answer is here.
        return (
            self._store.revocations_after(connection, self._floor),
            self._store.last_revocation(connection),
            self._store.not_before(connection),
            self._store.database_time(connection),
        )

    def _floor_at(self, now: float) -> int:
        floor = self._floor
        while self._marks and self._marks[0][0] <= now - OVERLAP_SECONDS:
            floor = self._marks.popleft()[1]
        return floor


class _Ended(NamedTuple):
    """An ending.

    Attributes:
        learnt_at: When this process heard of it, by a clock that never jumps.
        at: When it was, by the clock of whoever ended it.
        reason: Why.
    """

    learnt_at: float
    at: datetime
    reason: Ending
