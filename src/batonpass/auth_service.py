"""Log in, refresh, log out, list, revoke: one method per thing a user does.

The rules are in family.py, the statements in storage/, and what a deed does in its transaction in
logins.py, rights.py and sessions.py. Here they are put together.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from batonpass.access_tokens import AccessTokens, Claims
from batonpass.added_claims import ClaimsOf
from batonpass.clock import Clock
from batonpass.deeds import Deeds, OnEvent, PartOfDeed
from batonpass.errors import (
    AccessTokenInvalidError,
    RefreshTokenExpiredError,
    RefreshTokenInvalidError,
)
from batonpass.events import TELLS_OF_A_ROTATION, EventName, SecurityEvent
from batonpass.family import Ending, Verdict
from batonpass.keys import KeyRotation, Keys
from batonpass.logins import EventsOf, Guard, Logins, NewLogin
from batonpass.policy import Policy
from batonpass.refresh_tokens import SECRET_BYTES, RefreshToken, Transport, digest
from batonpass.refusals import raise_unless_answered, session_revoked
from batonpass.revocations import Revocations
from batonpass.rights import RightsChange, change_rights
from batonpass.sessions import Lineage, Sessions
from batonpass.settling import Settling
from batonpass.signing_keys import SigningKeys
from batonpass.storage.batching import GroupCommit
from batonpass.storage.callers import CallersTransaction
from batonpass.storage.engine import Database
from batonpass.storage.rulings import Bench, Changes, Outcome, Request
from batonpass.storage.store import Locked, Store, StoredFamily
from batonpass.token_answers import TokenAnswer, TokenAnswers
from batonpass.verified_tokens import VerifiedTokens
from batonpass.visits import Visit

__all__ = ["LOGOUT_ACCEPTS_EXPIRED_BY", "AuthService", "Lineage", "TokenAnswer", "Visit"]

LOGOUT_ACCEPTS_EXPIRED_BY = timedelta(hours=24)

OnVerdict = Callable[[Verdict], None]
Purge = Callable[[Connection, datetime], int]


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
        self._tokens = TokenAnswers(keys.refresh_mac, access_tokens, policy, clock)
        self._verified = VerifiedTokens(access_tokens)
        self._logins = Logins(store, policy, clock)
        self._sessions = Sessions(store, policy, clock)
        self._deeds = Deeds(database, store, self.revocations, clock)
        self._group_commit = GroupCommit(
            database, store, Bench(keys.successor, policy), clock, self._deeds.tell
        )
        self._on_verdict: list[OnVerdict] = []
        self._purges: dict[str, Purge] = {}

    def on_event(self, handler: OnEvent) -> None:
        """Have `handler` told of every security event, after its commit."""
        self._deeds.on_event(handler)

    def on_verdict(self, handler: OnVerdict) -> None:
        """Have `handler` told what each refresh token that was presented meant: for counting."""
        self._on_verdict.append(handler)

    async def drain(self) -> None:
        """Answer what was taken in and write what was noted, before the process stops."""
        await self._group_commit.drain()
        await self._deeds.drain()
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
        events_of: EventsOf | None = None,
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
            events_of: Says what else the login tells; asked in its transaction.
            within: The caller's transaction, which the login is a part of; None: one of its own.

        Raises:
            InvalidCredentialsError: There is no such user, they are not active, or `guard` said no.
            ValueError: `claims_of` names a claim of ours, or what it says has no place in a token.
            StoreUnavailableError: The database is away.

        Source: RFC 8693 §4.1 (`act`).
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        login = NewLogin(
            user_id=user_id,
            visit=visit,
            token=digest(secret),
            transport=transport,
            persistent=persistent,
            replaced=None if replaces is None else self._tokens.find(replaces),
            claims_of=claims_of,
            actor=actor,
            auth_time=auth_time,
            guard=guard,
            events_of=events_of,
        )

        def work(connection: Connection) -> tuple[StoredFamily, Changes]:
            return self._logins.begin(connection, login)

        stored = await (self._deeds.do(work) if within is None else self._deeds.join(within, work))
        token = RefreshToken(transport, stored.family.id, 0, secret)
        return self._tokens.answer(stored.grant, token)

    async def validate_refresh_token(self, text: str, transport: Transport) -> StoredFamily:
        """Look at a refresh token without spending it; nothing changes, whatever it is.

        Raises:
            RefreshRefusedError: It would yield nothing.
            RefreshTokenSupersededError: Another tab spent it a moment ago.
            StoreUnavailableError: The database is away.
        """
        request = Request(self._tokens.read(text, transport), self.clock.now())

        def work(connection: Connection) -> tuple[StoredFamily | None, Outcome]:
            stored = self.store.get(connection, request.token.family_id)
            families = {} if stored is None else {stored.family.id: stored}
            found = Locked(families, self.store.not_before(connection))
            bench = Bench(self._keys.successor, self.policy)
            return stored, bench.rule([request], found, self.clock.now())[0][0]

        stored, outcome = await self.database.read(work)
        raise_unless_answered(outcome)
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
            token = self._tokens.read(text, transport)
        except RefreshTokenInvalidError:
            self._tell_verdict(Verdict.INVALID)
            raise
        request = Request(token, arrived or self.clock.now(), visit.origin, visit.request_id)
        outcome = await self._group_commit.submit(request)
        self._tell_verdict(outcome.ruling.verdict)
        raise_unless_answered(outcome)
        if outcome.grant is None or outcome.successor is None:  # refused above
            raise RefreshTokenExpiredError
        return self._tokens.answer(outcome.grant, outcome.successor)

    async def revoke_refresh_token(self, text: str, transport: Transport, visit: Visit) -> None:
        """End the family of a refresh token, whichever of its generations it is: a logout.

        One that is not ours, or whose family is over, changes nothing and is no error (S-SES-2).

        Raises:
            StoreUnavailableError: The database is away.

        Source: RFC 7009 §2.2 (an invalid token is no error).
        """
        token = self._tokens.find(text)
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
            raise session_revoked(ended)
        self.settling.note(claims.family_id, claims.generation, claims.issued_at, now)
        return claims

    async def list_sessions(self, user_id: object | None) -> list[StoredFamily]:
        """List a user's sessions, or (None) everybody's, newest first; ended ones for a day."""
        return await self.database.read(
            lambda connection: self._sessions.list_of(connection, user_id)
        )

    async def get_session(self, user_id: object, family_id: UUID) -> Lineage:
        """Show one session of a user with its lineage.

        Raises:
            NotFoundError: There is none, or it is another user's.
        """
        return await self.database.read(
            lambda connection: self._sessions.get(connection, user_id, family_id)
        )

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
        deed: PartOfDeed | None = None,
    ) -> int:
        """End all sessions of a user but `keep`; a login in flight is over too (S-SES-3).

        Why they end, say the disabling of the account, is `deed`: in the same transaction, or a
        process that dies between the two would leave the sessions of a disabled user alive.

        Returns:
            How many were ended.
        """
        return await self._deeds.do(
            lambda connection: self._sessions.end_all_of(
                connection, user_id, reason, visit, keep=keep, deed=deed
            )
        )

    async def update_claims(self, user_id: object, claims_of: ClaimsOf) -> int:
        """Have every session of a user carry new claims from its next refresh on.

        Who acts in whose name stays as it is.

        Returns:
            How many sessions carry them.

        Raises:
            ValueError: What `claims_of` says has no place in a token; nothing changed.
            StoreUnavailableError: The database is away.
        """
        return await self._deeds.do(
            lambda connection: self._sessions.update_claims(connection, user_id, claims_of)
        )

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

        await self._deeds.do(work)
        await self.revocations.poll()

    async def change_rights(
        self,
        family_id: UUID,
        visit: Visit,
        *,
        deed: PartOfDeed | None = None,
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
        change = RightsChange(
            family_id=family_id,
            visit=visit,
            token=digest(secret),
            deed=deed,
            event=event,
            ends_others=ends_others,
        )
        moved = await self._deeds.do(
            lambda connection: change_rights(
                connection, change, self.store, self.policy, self.clock
            )
        )
        token = RefreshToken(moved.transport, family_id, moved.family.generation, secret)
        return self._tokens.answer(moved.grant, token)

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
            events = [visit.key_event(EventName.KEY_ROTATED, one, now) for one in rotation.added]
            events += [
                visit.key_event(EventName.KEY_WITHDRAWN, one, now) for one in rotation.withdrawn
            ]
            return rotation, Changes(events=events)

        rotation = await self._deeds.do(work)
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
        await self._deeds.do(lambda _: (None, Changes(events=list(events))))

    def tell(self, *events: SecurityEvent) -> None:
        """Log events that another deed has written and committed, and tell the handlers."""
        self._deeds.tell(Changes(events=list(events)))

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

    async def _end(self, family_ids: Sequence[UUID], reason: Ending, visit: Visit) -> None:
        await self._deeds.do(
            lambda connection: self._sessions.end(connection, family_ids, reason, visit)
        )

    async def _know_the_keys(self) -> None:
        """Ask which keys count where that was last read too long ago: one may be withdrawn."""
        if not self.signing_keys.is_fresh():
            await self.signing_keys.poll()

    def _tell_verdict(self, verdict: Verdict) -> None:
        for handler in self._on_verdict:
            handler(verdict)
