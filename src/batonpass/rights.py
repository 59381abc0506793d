"""A rights change's transaction: a password given again or changed moves its session on."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from batonpass import endings
from batonpass import family as rules
from batonpass.clock import Clock
from batonpass.deeds import PartOfDeed
from batonpass.events import EventName
from batonpass.family import Ending
from batonpass.policy import Policy
from batonpass.refusals import session_revoked
from batonpass.storage.rulings import Changes
from batonpass.storage.store import Store, StoredFamily
from batonpass.visits import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChange:
    """A rights change, as `AuthService.change_rights` takes it.

    Attributes:
        family_id: The session in which the password was given.
        visit: Its request.
        token: Digest of the refresh token's secret that the session goes on with.
        deed: What else belongs into the transaction.
        event: What this was.
        ends_others: Why every other session of the user ends; None: they live on.
    """

    family_id: UUID
    visit: Visit
    token: bytes
    deed: PartOfDeed | None
    event: EventName | None
    ends_others: Ending | None


def change_rights(
    connection: Connection, change: RightsChange, store: Store, policy: Policy, clock: Clock
) -> tuple[StoredFamily, Changes]:
    """Move a family on, and end the others where that is wanted.

    Raises:
        SessionRevokedError: The session has ended meanwhile.
    """
    family_id, visit = change.family_id, change.visit
    found = store.get(connection, family_id)
    if found is None:
        raise session_revoked(Ending.EXPIRED)
    if not store.lock_user(connection, found.user_id):
        raise session_revoked(Ending.USER_DISABLED)
    if change.deed is not None:
        change.deed(connection)
    live = store.lock_live_of(connection, found.user_id)
    now = clock.now()
    stored = next((one for one in live if one.family.id == family_id), None)
    if stored is None:  # ended, perhaps just before we had the lock
        ended = store.get(connection, family_id) or found
        raise session_revoked(ended.family.ended_reason or Ending.EXPIRED)
    if stored.family.began_before(store.not_before(connection)):
        raise session_revoked(Ending.REVOKED)
    if stored.family.is_over(policy, now):
        raise session_revoked(Ending.EXPIRED)
    moved = replace(
        stored,
        family=rules.change_rights(stored.family, change.token, policy, now),
        auth_time=now,
        origin=visit.origin,
    )
    changes = Changes(families={family_id: moved})
    if change.event is not None:
        changes.events.append(visit.event(change.event, moved, now))
    if change.ends_others is not None:
        others = [one for one in live if one.family.id != family_id]
        endings.end(changes, others, change.ends_others, visit, policy, now)
    return moved, changes
