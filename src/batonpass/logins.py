"""A login's transaction: the user's row is locked, room is made, a family begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from batonpass import endings, ids
from batonpass.added_claims import ClaimsOf, added_claims
from batonpass.clock import Clock
from batonpass.errors import InvalidCredentialsError
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending, Family
from batonpass.policy import Policy
from batonpass.refresh_tokens import RefreshToken, Transport
from batonpass.storage.rulings import Changes
from batonpass.storage.store import Store, StoredFamily
from batonpass.visits import Visit

ACTS_FOR = timedelta(hours=1)  # somebody in a user's name

Guard = Callable[[Connection], bool]
EventsOf = Callable[[Connection], Sequence[SecurityEvent]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogin:
    """A login, as `AuthService.create_refresh_token` takes it.

    Attributes:
        user_id: Whose.
        visit: Its request.
        token: Digest of the first refresh token's secret.
        transport: How the family's tokens will travel.
        persistent: "Keep me signed in".
        replaced: The refresh token that came with it.
        claims_of: Says what access tokens carry besides ours.
        actor: Who acts in the user's name.
        auth_time: When they proved who they are; None: now.
        guard: Says whether it still holds.
        events_of: Says what else it tells.
    """

    user_id: object
    visit: Visit
    token: bytes
    transport: Transport
    persistent: bool
    replaced: RefreshToken | None
    claims_of: ClaimsOf | None
    actor: str | None
    auth_time: datetime | None
    guard: Guard | None
    events_of: EventsOf | None


class Logins:
    """Begins families."""

    def __init__(self, store: Store, policy: Policy, clock: Clock) -> None:
        """Put the parts together."""
        self._store = store
        self._policy = policy
        self._clock = clock

    def begin(self, connection: Connection, login: NewLogin) -> tuple[StoredFamily, Changes]:
        """Begin a family; what it ends is in the changes.

        Whether the user may log in is asked under the lock that every mass ending waits for: no
        login in flight slips through one (S-SES-3).

        Raises:
            InvalidCredentialsError: There is no such user, they are not active, or `guard` said no.
            ValueError: `claims_of` names a claim of ours, or what it says has no place in a token.
        """
        if not self._store.lock_user(connection, login.user_id):
            raise InvalidCredentialsError
        if login.guard is not None and not login.guard(connection):
            raise InvalidCredentialsError
        said = None if login.claims_of is None else login.claims_of(connection)
        claims = added_claims(said, login.actor)
        now = self._clock.now()
        changes = Changes()
        self._make_room(connection, login, changes)
        stored = StoredFamily(
            family=_first_generation(login.token, now + self._lasts_for(login.actor), now),
            user_id=login.user_id,
            created_at=now,
            transport=login.transport,
            persistent=login.persistent,
            auth_time=login.auth_time or now,
            claims=claims,
            origin=login.visit.origin,
        )
        self._store.insert(connection, stored)
        if login.events_of is not None:
            changes.events += login.events_of(connection)
        created = login.visit.event(EventName.SESSION_CREATED, stored, now)
        if login.actor is not None:
            created = replace(created, details={**created.details, "actor": login.actor})
        changes.events.append(created)
        return stored, changes

    def _make_room(self, connection: Connection, login: NewLogin, changes: Changes) -> None:
        """End the family that the login replaces (S-SES-1), and the oldest ones (S-SES-5)."""
        now = self._clock.now()
        replaced = login.replaced
        # Whoever acts in the user's name takes the place of none of theirs.
        room = None if login.actor is not None else self._policy.sessions_per_user
        live = [
            stored.family.id
            for stored in self._store.live_of(connection, login.user_id)
            if not stored.family.is_over(self._policy, now)
            and (replaced is None or stored.family.id != replaced.family_id)
        ]
        # newest first: the oldest end; the user is locked, so nobody logs in beside us (S-SES-5)
        excess = set() if room is None else set(live[room - 1 :])
        leaving = excess if replaced is None else excess | {replaced.family_id}
        if not leaving:
            return
        locked = self._store.lock(connection, leaving).families.values()
        now = self._clock.now()  # it may have waited
        for stored in locked:
            reason = Ending.EXCESS if stored.family.id in excess else Ending.LOGOUT
            endings.end(changes, [stored], reason, login.visit, self._policy, now)

    def _lasts_for(self, actor: str | None) -> timedelta:
        limit = self._policy.absolute_limit
        return limit if actor is None else min(limit, ACTS_FOR)


def _first_generation(token: bytes, expires_at: datetime, now: datetime) -> Family:
    return Family(
        id=ids.new_id(now),
        token=token,
        nonce=None,
        generation=0,
        recoverable_from=0,
        rights_changed=False,
        window_generation=0,
        window_started_at=None,
        rotated_at=now,
        expires_at=expires_at,
        ended_at=None,
        ended_reason=None,
        shown_at=now,
    )
