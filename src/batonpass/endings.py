"""How sessions end by a deed: the row, the feed and the event, in one list of changes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from batonpass import family as rules
from batonpass.events import EventName
from batonpass.family import Ending
from batonpass.policy import Policy
from batonpass.storage.rulings import Changes
from batonpass.storage.store import StoredFamily
from batonpass.visits import Visit

_EVENT_OF_ENDING = {
    Ending.LOGOUT: EventName.SESSION_LOGGED_OUT,
    Ending.EXCESS: EventName.SESSIONS_EXCEEDED,
    Ending.EXPIRED: EventName.SESSION_EXPIRED,
}


def end(
    changes: Changes,
    families: Iterable[StoredFamily],
    reason: Ending,
    visit: Visit,
    policy: Policy,
    now: datetime,
) -> None:
    """Add to `changes` the end of locked families; those that have ended are left as they are."""
    for stored in families:
        if stored.family.ended_at is not None:
            continue
        why = Ending.EXPIRED if stored.family.is_over(policy, now) else reason
        after = replace(stored, family=rules.end(stored.family, why, now))
        changes.families[after.family.id] = after
        changes.ended.append((after.family.id, why))
        name = _EVENT_OF_ENDING.get(why, EventName.TOKEN_REVOKED)
        changes.events.append(visit.event(name, after, now))


def closed_if_over(
    stored: StoredFamily, policy: Policy, not_before: datetime | None, now: datetime
) -> StoredFamily:
    """Show a family whose time is over as ended, although nobody has come to close it."""
    family = stored.family
    if family.ended_at is None and not_before is not None and family.began_before(not_before):
        return replace(stored, family=rules.end(family, Ending.REVOKED, not_before))
    if family.ended_at is not None or not family.is_over(policy, now):
        return stored
    over_at = min(family.expires_at, family.rotated_at + policy.idle_limit)
    return replace(stored, family=rules.end(family, Ending.EXPIRED, over_at))
