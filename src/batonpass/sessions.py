"""The sessions of a user, on a connection in a transaction: seen, ended, given new claims."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from batonpass import endings
from batonpass.access_tokens import actor_in
from batonpass.added_claims import ClaimsOf, added_claims
from batonpass.clock import Clock
from batonpass.deeds import PartOfDeed
from batonpass.errors import NotFoundError
from batonpass.events import SecurityEvent
from batonpass.family import Ending
from batonpass.policy import Policy
from batonpass.storage.rulings import Changes
from batonpass.storage.store import Rotation, Store, StoredFamily
from batonpass.visits import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A session with all that is known of its generations."""

    family: StoredFamily
    rotations: Sequence[Rotation]
    events: Sequence[SecurityEvent]


class Sessions:
    """What is done with sessions that are there."""

    def __init__(self, store: Store, policy: Policy, clock: Clock) -> None:
        """Put the parts together."""
        self._store = store
        self._policy = policy
        self._clock = clock

    def list_of(self, connection: Connection, user_id: object | None) -> list[StoredFamily]:
        """List a user's sessions, or (None) everybody's; what is over is shown as ended."""
        now = self._clock.now()
        families = self._store.list_of(connection, user_id, now)
        not_before = self._store.not_before(connection)
        return [endings.closed_if_over(one, self._policy, not_before, now) for one in families]

    def get(self, connection: Connection, user_id: object, family_id: UUID) -> Lineage:
        """Show one session of a user.

        Raises:
            NotFoundError: There is none, or it is another user's.
        """
        stored = self._store.get(connection, family_id, user_id=user_id)
        if stored is None:  # alike to whoever asks, by the clock too (S-SES-4)
            raise NotFoundError
        not_before = self._store.not_before(connection)
        return Lineage(
            family=endings.closed_if_over(stored, self._policy, not_before, self._clock.now()),
            rotations=self._store.rotations_of(connection, family_id),
            events=self._store.events_in(connection, family_id),
        )

    def end(
        self, connection: Connection, family_ids: Collection[UUID], reason: Ending, visit: Visit
    ) -> tuple[None, Changes]:
        """End sessions by their ids."""
        locked = self._store.lock(connection, family_ids).families.values()
        return None, self._ended(locked, reason, visit)

    def end_all_of(
        self,
        connection: Connection,
        user_id: object,
        reason: Ending,
        visit: Visit,
        *,
        keep: UUID | None,
        deed: PartOfDeed | None,
    ) -> tuple[int, Changes]:
        """End a user's sessions but `keep`, under the lock that a login in flight waits for."""
        self._store.lock_user(connection, user_id)
        if deed is not None:
            deed(connection)
        live = self._store.lock_live_of(connection, user_id)
        changes = self._ended([one for one in live if one.family.id != keep], reason, visit)
        return len(changes.ended), changes

    def update_claims(
        self, connection: Connection, user_id: object, claims_of: ClaimsOf
    ) -> tuple[int, Changes]:
        """Give a user's sessions new claims; who acts in whose name stays as it is.

        Raises:
            ValueError: What `claims_of` says has no place in a token.
        """
        if not self._store.lock_user(connection, user_id):
            return 0, Changes()
        claims = claims_of(connection)
        live = self._store.lock_live_of(connection, user_id)
        rows = {one.family.id: added_claims(claims, actor_in(one.claims or {})) for one in live}
        self._store.set_claims(connection, rows)
        return len(rows), Changes()

    def _ended(self, families: Collection[StoredFamily], reason: Ending, visit: Visit) -> Changes:
        changes = Changes()
        endings.end(changes, families, reason, visit, self._policy, self._clock.now())
        return changes
