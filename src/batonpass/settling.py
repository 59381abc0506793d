"""Notes that a generation has reached its user's disk, written lazily, off the request's path.

An access token seen later than twice the grace after its own `iat` proves that the answer it came
with arrived. A lost note only delays an alarm, so a full notebook forgets, and nothing waits for
it.

Source: docs/security.md, "Settled".
"""

from collections import OrderedDict
from datetime import datetime
from functools import partial
from uuid import UUID

from batonpass.policy import Policy
from batonpass.storage.engine import Database
from batonpass.storage.store import Store

MAX_NOTES = 10_000
MAX_REMEMBERED = 50_000
_AT_ONCE = 500


class Settling:
    """The notebook of one process."""

    def __init__(self, database: Database, store: Store, policy: Policy) -> None:
        """Start with nothing noted."""
        self._database = database
        self._store = store
        self._policy = policy
        self._notes: dict[UUID, int] = {}
        self._written: OrderedDict[UUID, int] = OrderedDict()  # seen often, written once

    def note(
        self, family_id: UUID, generation: int, issued_at: datetime, seen_at: datetime
    ) -> None:
        """Note an access token that was just seen, if it is old enough to prove anything."""
        if not self._policy.has_settled(issued_at, seen_at):
            return
        if self._written.get(family_id) == generation or len(self._notes) >= MAX_NOTES:
            return
        if self._notes.get(family_id, -1) < generation:
            self._notes[family_id] = generation

    async def write(self) -> None:
        """Write what was noted so far.

        A family that somebody is at just now is left for the next time.

        Raises:
            StoreUnavailableError: The database is away; the notes are kept.
        """
        notes = list(self._notes.items())
        for start in range(0, len(notes), _AT_ONCE):
            some = dict(notes[start : start + _AT_ONCE])
            busy = await self._database.write(partial(self._store.settle, seen=some))
            for family_id, generation in some.items():
                if family_id not in busy:
                    self._forget(family_id, generation)

    def _forget(self, family_id: UUID, generation: int) -> None:
        if self._notes.get(family_id) == generation:
            del self._notes[family_id]
        self._written[family_id] = generation
        self._written.move_to_end(family_id)
        while len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)
