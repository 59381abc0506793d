"""Log in, refresh, log out, list, revoke: one method per thing a user does.

The rules are in family.py, the statements in storage/. Here they are put together: which rows a
deed locks, what it writes in one transaction, what it tells whom after the commit.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from batonpass import family as rules
from batonpass import ids
from batonpass.access_tokens import ACTOR, AccessTokens, Claims, actor_in, check_extra
from batonpass.clock import Clock
from batonpass.errors import (
    AccessTokenInvalidError,
    BatonpassError,
    InvalidCredentialsError,
    NotFoundError,
    RefreshTokenExpiredError,
    RefreshTokenInvalidError,
    RefreshTokenReusedError,
    RefreshTokenRevokedError,
    RefreshTokenSupersededError,
    SessionRevokedError,
)
from batonpass.events import TELLS_OF_A_ROTATION, EventName, SecurityEvent
from batonpass.family import Ending, Family, Verdict
from batonpass.keys import DeclaredKey, KeyRotation, Keys
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.refresh_tokens import (
    SECRET_BYTES,
    RefreshToken,
    Transport,
    decode,
    digest,
    encode,
)
from batonpass.revocations import Revocations
from batonpass.settling import Settling
from batonpass.signing_keys import SigningKeys
from batonpass.storage.batching import LOCK_WAIT_ALONE_MS, GroupCommit
from batonpass.storage.callers import CallersTransaction
from batonpass.storage.engine import Database
from batonpass.storage.rulings import Bench, Changes, Outcome, Request
from batonpass.storage.store import Grant, Locked, Rotation, Store, StoredFamily
from batonpass.verified_tokens import VerifiedTokens

logger = logging.getLogger(__name__)
security_log = logging.getLogger("batonpass.security")

LOGOUT_ACCEPTS_EXPIRED_BY = timedelta(hours=24)
ACTS_FOR = timedelta(hours=1)  # somebody in a user's name
_LOGGED_AS = {EventName.REFRESH_TOKEN_REUSED: "authn_token_reuse"}  # OWASP's name in the log
_EVENT_OF_ENDING = {
    Ending.LOGOUT: EventName.SESSION_LOGGED_OUT,
    Ending.EXCESS: EventName.SESSIONS_EXCEEDED,
    Ending.EXPIRED: EventName.SESSION_EXPIRED,
}

T = TypeVar("T")

Guard = Callable[[Connection], bool]
ClaimsOf = Callable[[Connection], Mapping[str, Any] | None]
Deed = Callable[[Connection], None]
OnEvent = Callable[[SecurityEvent], None]
OnVerdict = Callable[[Verdict], None]
Purge = Callable[[Connection, datetime], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The request that something is done for.

    Attributes:
        origin: From where it came.
        request_id: Leads to the log.
    """

    origin: Origin = field(default_factory=Origin)
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What a login, a refresh or a rights change hands out. Its `repr` shows no token.

    Attributes:
        access_token: A JWT.
        expires_in: Seconds that it lives.
        refresh_token: The current one, as text.
        max_age: Seconds until the nearer of idle and absolute limit.
        session: The session it belongs to.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    max_age: int
    session: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A session with all that is known of its generations."""

    family: StoredFamily
    rotations: Sequence[Rotation]
    events: Sequence[SecurityEvent]


class AuthService:
    """What users do with their sessions."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        keys: Keys,
        access_tokens: AccessTokens,
        policy: Policy,
        clock: Clock,
    ) -> None:
        """Put the parts together; nothing is asked of the database yet."""
        self.database = database
        self.store = store
        self.policy = policy
        self.clock = clock
        self.access_tokens = access_tokens
        self.revocations = Revocations(database, store, clock, policy.access_token_lifetime)
        self.settling = Settling(database, store, policy)
        self.signing_keys = SigningKeys(
            database, store, access_tokens.ring, clock, policy.access_token_lifetime
        )
        self._keys = keys
        self._verified = VerifiedTokens(access_tokens)
        self._group_commit = GroupCommit(
            database, store, Bench(keys.successor, policy), clock, self._after_commit
        )
        self._on_event: list[OnEvent] = []
        self._on_verdict: list[OnVerdict] = []
        self._purges: dict[str, Purge] = {}
        self._deeds: set[asyncio.Task[Any]] = set()  # whose callers may have gone

    def on_event(self, handler: OnEvent) -> None:
        """Have `handler` told of every security event, after its commit."""
        self._on_event.append(handler)

    def on_verdict(self, handler: OnVerdict) -> None:
        """Have `handler` told what each refresh token that was presented meant: for counting."""
        self._on_verdict.append(handler)

    async def drain(self) -> None:
        """Answer what was taken in and write what was noted, before the process stops."""
        await self._group_commit.drain()
        loop = asyncio.get_running_loop()
        deeds = {task for task in self._deeds if task.get_loop() is loop}
        if deeds:
            await asyncio.wait(deeds)
        await self.settling.write()

    # --- refresh tokens ------------------------------------------------------------------------

    async def create_refresh_token(  # noqa: PLR0913 - what a login may carry, by keyword
        self,
        user_id: object,
        visit: Visit,
        *,
        transport: Transport = Transport.COOKIE,
        persistent: bool = True,
        replaces: str | None = None,
        claims_of: ClaimsOf | None = None,
        actor: str | None = None,
        auth_time: datetime | None = None,
        guard: Guard | None = None,
        events: Sequence[SecurityEvent] = (),
        within: CallersTransaction | None = None,
    ) -> TokenAnswer:
        """Start a family for a user who has just logged in: its refresh token of generation 0.

        Args:
            user_id: Whose, as the users table has its key.
            visit: The login's request.
            transport: How the family's tokens will travel; it keeps it.
            persistent: "Keep me signed in".
            replaces: A refresh token that came with the login: its family is ended (S-SES-1).
            claims_of: Says what every access token of the family carries besides ours; asked once
                the user's row is locked.
            actor: Who acts in the user's name, as claim `act`; then the family lasts for ACTS_FOR
                at most, and ends no other.
            auth_time: When they proved who they are; None: now.
            guard: Asked once the user's row is locked, whether the login still holds: a password
                change or a disabling may have overtaken it (S-SES-3).
            events: What else the login tells, in the same transaction.
            within: The caller's transaction, which the login is a part of; None: one of its own.

        Raises:
            InvalidCredentialsError: There is no such user, they are not active, or `guard` said no.
            ValueError: `claims_of` names a claim of ours, or what it says has no place in a token.
            StoreUnavailableError: The database is away.

        Source: RFC 8693 §4.1 (`act`).
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        replaced = None if replaces is None else decode(self._keys.refresh_mac, replaces)

        def work(connection: Connection) -> tuple[StoredFamily, Changes]:
            if not self.store.lock_user(connection, user_id):
                raise InvalidCredentialsError
            if guard is not None and not guard(connection):
                raise InvalidCredentialsError
            claims = _with_actor(None if claims_of is None else claims_of(connection), actor)
            check_extra(claims)
            now = self.clock.now()
            changes = Changes()
            room = None if actor is not None else self.policy.sessions_per_user
            self._make_room(connection, user_id, replaced, visit, changes, room=room)
            stored = StoredFamily(
                family=_first_generation(digest(secret), now + self._lasts_for(actor), now),
                user_id=user_id,
                created_at=now,
                transport=transport,
                persistent=persistent,
                auth_time=auth_time or now,
                claims=claims,
                origin=visit.origin,
            )
            self.store.insert(connection, stored)
            changes.events += events
            created = _event(EventName.SESSION_CREATED, stored, visit, now)
            if actor is not None:
                created = replace(created, details={**created.details, "actor": actor})
            changes.events.append(created)
            return stored, changes

        stored = await (self._do(work) if within is None else self._join(within, work))
        token = RefreshToken(transport, stored.family.id, 0, secret)
        return self._answer(stored.grant, token)

    async def validate_refresh_token(self, text: str, transport: Transport) -> StoredFamily:
        """Look at a refresh token without spending it; nothing changes, whatever it is.

        Raises:
            RefreshRefusedError: It would yield nothing.
            RefreshTokenSupersededError: Another tab spent it a moment ago.
            StoreUnavailableError: The database is away.
        """
        request = Request(self._decode(text, transport), self.clock.now())

        def work(connection: Connection) -> tuple[StoredFamily | None, Outcome]:
            stored = self.store.get(connection, request.token.family_id)
            families = {} if stored is None else {stored.family.id: stored}
            found = Locked(families, self.store.not_before(connection))
            bench = Bench(self._keys.successor, self.policy)
            return stored, bench.rule([request], found, self.clock.now())[0][0]

        stored, outcome = await self.database.read(work)
        _raise_unless_answered(outcome)
        if stored is None:  # refused above
            raise RefreshTokenExpiredError
        return stored

    async def rotate_refresh_token(
        self, text: str, transport: Transport, visit: Visit, arrived: datetime | None = None
    ) -> TokenAnswer:
        """Pass the baton on: spend a refresh token and answer with its successor.

        Args:
            text: The token as it came.
            transport: By which way.
            visit: The request.
            arrived: When it came; None: now. How late it is, is judged by this.

        Raises:
            RefreshRefusedError: Malformed, foreign, expired, revoked or reused.
            RefreshTokenSupersededError: Another tab spent it a moment ago: try once more.
            StoreUnavailableError: The database is away; the token is still good.

        Source: RFC 6749 §6; RFC 9700 §4.14.2.
        """
        try:
            token = self._decode(text, transport)
        except RefreshTokenInvalidError:
            self._tell_verdict(Verdict.INVALID)
            raise
        request = Request(token, arrived or self.clock.now(), visit.origin, visit.request_id)
        outcome = await self._group_commit.submit(request)
        self._tell_verdict(outcome.ruling.verdict)
        _raise_unless_answered(outcome)
        if outcome.grant is None or outcome.successor is None:  # refused above
            raise RefreshTokenExpiredError
        return self._answer(outcome.grant, outcome.successor)

    async def revoke_refresh_token(self, text: str, transport: Transport, visit: Visit) -> None:
        """End the family of a refresh token, whichever of its generations it is: a logout.

        A token that is not ours, or whose family is over, changes nothing and is no error.

        Raises:
            StoreUnavailableError: The database is away.

        Source: RFC 7009 §2.2 (an invalid token is no error).
        """
        token = decode(self._keys.refresh_mac, text)
        if token is not None and token.transport is transport:
            await self._end([token.family_id], Ending.LOGOUT, visit)

    # --- sessions, as their user sees them -----------------------------------------------------

    async def log_out(
        self, visit: Visit, *, refresh_token: str | None, transport: Transport, bearer: str | None
    ) -> None:
        """End the session that a refresh token and/or an access token belongs to.

        Raises:
            StoreUnavailableError: The database is away.
        """
        if refresh_token is not None:
            await self.revoke_refresh_token(refresh_token, transport, visit)
        if bearer is not None:
            await self._know_the_keys()
            try:
                claims = self.access_tokens.verify(
                    bearer, self.clock.now(), expired_by=LOGOUT_ACCEPTS_EXPIRED_BY
                )
            except AccessTokenInvalidError:
                return
            await self._end([claims.family_id], Ending.LOGOUT, visit)

    async def check_access_token(self, token: str) -> Claims:
        """Verify an access token, and that its session has not ended since it was issued.

        Raises:
            AccessTokenInvalidError: It is malformed, foreign or over.
            SessionRevokedError: Its session has been ended.
            StoreUnavailableError: Whether it has been ended cannot be known.
        """
        await self._know_the_keys()
        now = self.clock.now()
        claims = self._verified.verify(token, now)
        ended = await self.revocations.check(claims.family_id)
        if ended is not None:
            raise SessionRevokedError(reason=ended.value)
        self.settling.note(claims.family_id, claims.generation, claims.issued_at, now)
        return claims

    async def list_sessions(self, user_id: object | None) -> list[StoredFamily]:
        """List a user's sessions, or (None) everybody's, newest first; ended ones for a day."""
        now = self.clock.now()
        families, not_before = await self.database.read(
            lambda connection: (
                self.store.list_of(connection, user_id, now),
                self.store.not_before(connection),
            )
        )
        return [self._closed_if_over(stored, not_before, now) for stored in families]

    async def get_session(self, user_id: object, family_id: UUID) -> Lineage:
        """Show one session of a user with its lineage.

        Raises:
            NotFoundError: There is none, or it is another user's.
        """

        def work(connection: Connection) -> Lineage:
            stored = self.store.get(connection, family_id, user_id=user_id)
            if stored is None:
                raise NotFoundError
            return Lineage(
                family=self._closed_if_over(
                    stored, self.store.not_before(connection), self.clock.now()
                ),
                rotations=self.store.rotations_of(connection, family_id),
                events=self.store.events_in(connection, family_id),
            )

        return await self.database.read(work)

    async def revoke_session(self, user_id: object, family_id: UUID, visit: Visit) -> None:
        """End one session of a user.

        Raises:
            NotFoundError: There is none, or it is another user's.
            StoreUnavailableError: The database is away.
        """
        await self.get_session(user_id, family_id)
        await self._end([family_id], Ending.REVOKED, visit)

    async def end_sessions(
        self,
        user_id: object,
        visit: Visit,
        *,
        reason: Ending = Ending.REVOKED,
        keep: UUID | None = None,
    ) -> int:
        """End all sessions of a user but `keep`; a login in flight is over too.

        Returns:
            How many were ended.
        """

        def work(connection: Connection) -> tuple[int, Changes]:
            changes = Changes()
            self.store.lock_user(connection, user_id)
            live = self.store.lock_live_of(connection, user_id)
            others = [stored for stored in live if stored.family.id != keep]
            self._add_endings(changes, others, reason, visit)
            return len(changes.ended), changes

        return await self._do(work)

    async def update_claims(self, user_id: object, claims_of: ClaimsOf) -> int:
        """Have every session of a user carry new claims from its next refresh on.

        Who acts in whose name stays as it is.

        Returns:
            How many sessions carry them.

        Raises:
            ValueError: What `claims_of` says has no place in a token; nothing changed.
            StoreUnavailableError: The database is away.
        """

        def work(connection: Connection) -> tuple[int, Changes]:
            if not self.store.lock_user(connection, user_id):
                return 0, Changes()
            claims = claims_of(connection)
            live = self.store.lock_live_of(connection, user_id)
            rows = {one.family.id: _with_actor(claims, actor_in(one.claims or {})) for one in live}
            for row in rows.values():
                check_extra(row)
            self.store.set_claims(connection, rows)
            return len(rows), Changes()

        return await self._do(work)

    async def end_everything(self, visit: Visit, *, begun_before: datetime | None = None) -> None:
        """Declare every session from before a moment over, everybody's (a restored backup)."""
        moment = begun_before or self.clock.now()

        def work(connection: Connection) -> tuple[None, Changes]:
            self.store.set_not_before(connection, moment)
            event = SecurityEvent(
                name=EventName.ADMINISTERED,
                at=self.clock.now(),
                origin=visit.origin,
                request_id=visit.request_id,
                details={"deed": "sessions_revoked", "begun_before": moment.isoformat()},
            )
            return None, Changes(events=[event])

        await self._do(work)
        await self.revocations.poll()

    async def change_rights(
        self,
        family_id: UUID,
        visit: Visit,
        *,
        deed: Deed | None = None,
        event: EventName | None = None,
        ends_others: Ending | None = None,
    ) -> TokenAnswer:
        """Move a family on after its user proved to be there: whoever shares it is left behind.

        Args:
            family_id: The session in which the password was given.
            visit: The request.
            deed: What else belongs into the transaction (the new password), run first, once the
                user's row is locked; what it raises undoes everything.
            event: What this was, for the security events.
            ends_others: Why every other session of the user ends; None: they live on.

        Raises:
            SessionRevokedError: The session has ended meanwhile.
            StoreUnavailableError: The database is away.
        """
        secret = secrets.token_bytes(SECRET_BYTES)

        def work(connection: Connection) -> tuple[StoredFamily, Changes]:
            found = self.store.get(connection, family_id)
            if found is None:
                raise _revoked(Ending.EXPIRED)
            if not self.store.lock_user(connection, found.user_id):
                raise _revoked(Ending.USER_DISABLED)
            if deed is not None:
                deed(connection)
            live = self.store.lock_live_of(connection, found.user_id)
            now = self.clock.now()
            stored = next((one for one in live if one.family.id == family_id), None)
            if stored is None:  # ended, perhaps just before we had the lock
                ended = self.store.get(connection, family_id) or found
                raise _revoked(ended.family.ended_reason or Ending.EXPIRED)
            if stored.family.began_before(self.store.not_before(connection)):
                raise _revoked(Ending.REVOKED)
            if stored.family.is_over(self.policy, now):
                raise _revoked(Ending.EXPIRED)
            changes = Changes()
            moved = replace(
                stored,
                family=rules.change_rights(stored.family, digest(secret), self.policy, now),
                auth_time=now,
                origin=visit.origin,
            )
            changes.families[family_id] = moved
            if event is not None:
                changes.events.append(_event(event, moved, visit, now))
            if ends_others is not None:
                others = [one for one in live if one.family.id != family_id]
                self._add_endings(changes, others, ends_others, visit)
            return moved, changes

        moved = await self._do(work)
        token = RefreshToken(moved.transport, family_id, moved.family.generation, secret)
        return self._answer(moved.grant, token)

    # --- signing keys --------------------------------------------------------------------------

    async def rotate_signing_keys(self, visit: Visit, *, withdraw: bool = False) -> KeyRotation:
        """Announce the next signing key; every process knows it before it signs anything.

        Args:
            visit: Who asks.
            withdraw: The new key signs at once, and what the older ones signed is refused: within
                a minute on every process. Sessions live on, refresh tokens are made of other keys.

        Raises:
            ConfigurationError: More keys would be accepted at once than a verifier takes.
            StoreUnavailableError: The database is away.
        """

        def work(connection: Connection) -> tuple[KeyRotation, Changes]:
            now = self.clock.now()
            rotation = self.signing_keys.rotate(connection, now, withdraw=withdraw)
            events = [_key_event(EventName.KEY_ROTATED, one, visit, now) for one in rotation.added]
            events += [
                _key_event(EventName.KEY_WITHDRAWN, one, visit, now) for one in rotation.withdrawn
            ]
            return rotation, Changes(events=events)

        rotation = await self._do(work)
        await self.signing_keys.poll()
        return rotation

    # --- events --------------------------------------------------------------------------------

    async def list_events(
        self, user_id: object, *, before: UUID | None = None, limit: int = 50
    ) -> list[tuple[UUID, SecurityEvent]]:
        """List a user's security events, newest first, each with its id.

        What tells of a rotation is left out while that is younger than grace: not even the end of a
        page may show that there is such an event.
        """
        now = self.clock.now()
        return await self.database.read(
            lambda connection: self.store.events_of(
                connection,
                user_id,
                before=before,
                limit=limit,
                untold=(TELLS_OF_A_ROTATION, now - self.policy.grace),
            )
        )

    async def record(self, *events: SecurityEvent) -> None:
        """Write events that belong to no other deed, and tell the handlers."""
        await self._do(lambda _: (None, Changes(events=list(events))))

    def purge_also(self, name: str, work: Purge) -> None:
        """Have `purge` delete from one more table; `work` returns how many rows went."""
        self._purges[name] = work

    async def purge(self) -> dict[str, int]:
        """Delete what nobody can need any more; returns how many rows went, by table."""
        now = self.clock.now()

        def work(connection: Connection) -> dict[str, int]:
            gone = self.store.purge(
                connection,
                now,
                absolute_limit=self.policy.absolute_limit,
                access_token_lifetime=self.policy.access_token_lifetime,
                history=self.policy.history,
            )
            return gone | {name: purge(connection, now) for name, purge in self._purges.items()}

        return await self.database.write(work)

    # --- how -----------------------------------------------------------------------------------

    async def _know_the_keys(self) -> None:
        """Ask which keys count where that was last read too long ago: one may be withdrawn."""
        if not self.signing_keys.is_fresh():
            await self.signing_keys.poll()

    def _tell_verdict(self, verdict: Verdict) -> None:
        for handler in self._on_verdict:
            handler(verdict)

    def _decode(self, text: str, transport: Transport) -> RefreshToken:
        token = decode(self._keys.refresh_mac, text)
        if token is None or token.transport is not transport:
            raise RefreshTokenInvalidError
        return token

    def _answer(self, grant: Grant, token: RefreshToken) -> TokenAnswer:
        now = self.clock.now()
        left = min(grant.expires_at, grant.rotated_at + self.policy.idle_limit) - now
        lifetime = min(self.policy.access_token_lifetime, max(left, timedelta(seconds=1)))
        access_token = self.access_tokens.issue(
            subject=str(grant.user_id),
            family_id=grant.family_id,
            generation=grant.generation,
            auth_time=grant.auth_time,
            now=now,
            lifetime=lifetime,
            extra=grant.claims,
        )
        return TokenAnswer(
            access_token=access_token,
            expires_in=int(lifetime.total_seconds()),
            refresh_token=encode(self._keys.refresh_mac[0], token),
            max_age=max(round(left.total_seconds()), 0),
            session=grant,
        )

    def _lasts_for(self, actor: str | None) -> timedelta:
        limit = self.policy.absolute_limit
        return limit if actor is None else min(limit, ACTS_FOR)

    def _make_room(
        self,
        connection: Connection,
        user_id: object,
        replaced: RefreshToken | None,
        visit: Visit,
        changes: Changes,
        *,
        room: int | None,
    ) -> None:
        """End the family that a new login replaces, and (None: none) the oldest beyond `room`."""
        now = self.clock.now()
        live = [
            stored.family.id
            for stored in self.store.live_of(connection, user_id)
            if not stored.family.is_over(self.policy, now)
            and (replaced is None or stored.family.id != replaced.family_id)
        ]
        # newest first: the oldest end
        excess = set() if room is None else set(live[room - 1 :])
        leaving = excess if replaced is None else excess | {replaced.family_id}
        if not leaving:
            return
        for stored in self.store.lock(connection, leaving).families.values():
            reason = Ending.EXCESS if stored.family.id in excess else Ending.LOGOUT
            self._add_endings(changes, [stored], reason, visit)

    async def _end(self, family_ids: Sequence[UUID], reason: Ending, visit: Visit) -> None:
        def work(connection: Connection) -> tuple[None, Changes]:
            changes = Changes()
            locked = self.store.lock(connection, family_ids)
            self._add_endings(changes, list(locked.families.values()), reason, visit)
            return None, changes

        await self._do(work)

    def _add_endings(
        self, changes: Changes, families: Sequence[StoredFamily], reason: Ending, visit: Visit
    ) -> None:
        now = self.clock.now()
        for stored in families:
            if stored.family.ended_at is not None:
                continue
            over = stored.family.is_over(self.policy, now)
            why = Ending.EXPIRED if over else reason
            after = replace(stored, family=rules.end(stored.family, why, now))
            changes.families[after.family.id] = after
            changes.ended.append((after.family.id, why))
            name = _EVENT_OF_ENDING.get(why, EventName.TOKEN_REVOKED)
            changes.events.append(_event(name, after, visit, now))

    async def _do(self, work: Callable[[Connection], tuple[T, Changes]]) -> T:
        """Run a deed in one transaction with what it changes, and tell of it after the commit.

        Also where the caller has gone meanwhile: what is committed is told.
        """

        def deed(connection: Connection) -> tuple[T, Changes]:
            self.store.limit_lock_wait(connection, LOCK_WAIT_ALONE_MS)
            return self._work_and_write(connection, work)

        async def write_and_tell() -> T:
            result, changes = await self.database.write(deed)
            self._after_commit(changes)
            return result

        task = asyncio.ensure_future(write_and_tell())
        self._deeds.add(task)
        task.add_done_callback(self._deeds.discard)
        return await asyncio.shield(task)

    async def _join(
        self, within: CallersTransaction, work: Callable[[Connection], tuple[T, Changes]]
    ) -> T:
        """Run a deed in the caller's transaction, and tell of it when they have committed."""
        result, changes = await within.run(
            lambda connection: self._work_and_write(connection, work)
        )
        within.after_commit(lambda: self._after_commit(changes))
        return result

    def _work_and_write(
        self, connection: Connection, work: Callable[[Connection], tuple[T, Changes]]
    ) -> tuple[T, Changes]:
        result, changes = work(connection)
        self.store.save(connection, list(changes.families.values()))
        self.store.add_revocations(connection, changes.ended, self.clock.now())
        self.store.add_events(connection, changes.events)
        return result, changes

    def _after_commit(self, changes: Changes) -> None:
        self.revocations.note(changes.ended, self.clock.now())
        for event in changes.events:
            _log(event)
            for handler in self._on_event:
                try:
                    handler(event)
                except Exception:  # committed: whoever only listens cannot undo it
                    logger.exception("event_handler_failed", extra={"event": event.name.value})

    def _closed_if_over(
        self, stored: StoredFamily, not_before: datetime | None, now: datetime
    ) -> StoredFamily:
        """Show a family whose time is over as ended, although nobody has come to close it."""
        family = stored.family
        if family.ended_at is None and not_before is not None and family.began_before(not_before):
            return replace(stored, family=rules.end(family, Ending.REVOKED, not_before))
        if family.ended_at is not None or not family.is_over(self.policy, now):
            return stored
        over_at = min(family.expires_at, family.rotated_at + self.policy.idle_limit)
        return replace(stored, family=rules.end(family, Ending.EXPIRED, over_at))


def _revoked(reason: Ending) -> SessionRevokedError:
    return SessionRevokedError(reason=reason.value)


_REFUSALS: Mapping[Verdict, type[BatonpassError]] = {
    Verdict.INVALID: RefreshTokenInvalidError,
    Verdict.EXPIRED: RefreshTokenExpiredError,
    Verdict.REUSED: RefreshTokenReusedError,
    Verdict.SUPERSEDED: RefreshTokenSupersededError,
}


def _raise_unless_answered(outcome: Outcome) -> None:
    verdict = outcome.ruling.verdict
    if verdict is Verdict.REVOKED:
        raise RefreshTokenRevokedError(reason=(outcome.ended_reason or Ending.REVOKED).value)
    refusal = _REFUSALS.get(verdict)
    if refusal is not None:
        raise refusal


def _with_actor(claims: Mapping[str, Any] | None, actor: str | None) -> Mapping[str, Any] | None:
    """Add who acts in the user's name; the app's own claims cannot say so."""
    if claims and ACTOR in claims:
        message = f"The claim {ACTOR!r} is said by sign_in(actor=…), not by the app's claims."
        raise ValueError(message)
    return claims if actor is None else {**(claims or {}), ACTOR: {"sub": actor}}


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


def _event(name: EventName, stored: StoredFamily, visit: Visit, now: datetime) -> SecurityEvent:
    return SecurityEvent(
        name=name,
        at=now,
        user_id=stored.user_id,
        family_id=stored.family.id,
        origin=visit.origin,
        request_id=visit.request_id,
        details={"reason": stored.family.ended_reason},
    )


def _key_event(
    name: EventName, declared: DeclaredKey, visit: Visit, now: datetime
) -> SecurityEvent:
    return SecurityEvent(
        name=name,
        at=now,
        origin=visit.origin,
        request_id=visit.request_id,
        details={
            "number": declared.period.number,
            "kid": declared.kid,
            "algorithm": declared.algorithm,
        },
    )


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
