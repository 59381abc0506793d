"""What a store can do: every statement on our tables, on a connection in a transaction.

The hot statements name the primary key and nothing else. Whoever locks several rows locks them in
id order, or two transactions that met in another order would deadlock.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Row,
    Uuid,
    any_,
    bindparam,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from batonpass import ids
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending, Family
from batonpass.keys import DeclaredKey, KeyPeriod
from batonpass.models import Tables
from batonpass.origins import Origin
from batonpass.refresh_tokens import Transport

ENDED_STAY_VISIBLE = timedelta(hours=24)
ENDED_LISTED = 100  # of one user's
EVENTS_ARE_KEPT = timedelta(days=120)  # security.md §3 looks 90 days back
_META_ROW = 1
_ROTATION_LOCK = 0x6B657973  # "keys": in PostgreSQL's one number space of advisory locks


class Grant(NamedTuple):
    """What a token answer tells of its family; a tuple, since a refresh makes little else.

    Attributes:
        family_id: The session.
        user_id: Whose it is, as the users table has its key.
        generation: The current token's.
        rotated_at: When that was made: the idle limit counts from here.
        expires_at: The absolute limit.
        auth_time: When the password was last given.
        transport: How the family's tokens travel.
        persistent: "Keep me signed in".
        claims: What the app adds to the access tokens.
    """

    family_id: UUID
    user_id: Any  # the app's own key type
    generation: int
    rotated_at: datetime
    expires_at: datetime
    auth_time: datetime
    transport: Transport
    persistent: bool
    claims: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFamily:
    """A family and what stands beside it in its row.

    Attributes:
        family: What the rules see.
        user_id: Whose it is, as the users table has its key.
        created_at: When the login was.
        transport: How its tokens travel.
        persistent: "Keep me signed in".
        auth_time: When the password was last given.
        claims: What the app adds to its access tokens.
        origin: Where the last rotation or recovery came from.
    """

    family: Family
    user_id: Any  # the app's own key type
    created_at: datetime
    transport: Transport
    persistent: bool
    auth_time: datetime
    claims: Mapping[str, Any] | None
    origin: Origin

    @property
    def grant(self) -> Grant:
        """What an answer with the current token tells."""
        family = self.family
        return Grant(
            family.id,
            self.user_id,
            family.generation,
            family.rotated_at,
            family.expires_at,
            self.auth_time,
            self.transport,
            self.persistent,
            self.claims,
        )


@dataclass(frozen=True, slots=True)
class Locked:
    """The rows that a batch holds, and what holds for everybody."""

    families: dict[UUID, StoredFamily]
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation, as the lineage shows it."""

    family_id: UUID
    generation: int
    at: datetime
    kind: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Revoked:
    """A family that ended, as the feed tells it."""

    seq: int
    family_id: UUID
    at: datetime
    reason: Ending


IsActive = ColumnElement[bool] | InstrumentedAttribute[bool]


class Store:
    """The statements, compiled once for one set of tables."""

    def __init__(self, tables: Tables, dialect: str, active: IsActive | None = None) -> None:
        """Take the tables and the name of the database's dialect.

        Args:
            tables: Ours, in one app's MetaData.
            dialect: SQLAlchemy's name of the database.
            active: What of a user's row says that they may still be here; None: a refresh reads
                no user.
        """
        self.tables = tables
        self._on_postgresql = dialect == "postgresql"
        families = tables.refresh_tokens
        # A table of its own, so that no name in `active` is taken for one of ours.
        self._users = (
            None
            if active is None
            else select(tables.user_key.label("key"), active.label("is_active")).subquery(
                "batonpass_users"
            )
        )
        self._user_is_active = self.is_active(families.c.user_id)
        not_before = select(tables.meta.c.not_before).scalar_subquery()
        self._wanted = wanted = (
            families.c.id == any_(bindparam("family_ids", type_=ARRAY(Uuid)))
            if self._on_postgresql
            else families.c.id.in_(bindparam("family_ids", expanding=True))
        )
        # Every request of a batch waits for its own row here, in id order. `judge` then decides
        # row by row; SAVE writes what it changed.
        self._lock = (
            select(
                families,
                not_before.label("not_before"),
                self._user_is_active.label("user_is_active"),
            )
            .where(wanted)
            .order_by(families.c.id)
            .with_for_update(key_share=True)
        )
        # It waits for nobody, so the order does not matter.
        self._lock_free = (
            select(families.c.id).where(wanted).with_for_update(key_share=True, skip_locked=True)
        )
        self._save = (
            update(families)
            .where(families.c.id == bindparam("row_id"))
            .values({name: bindparam(f"new_{name}") for name in _CHANGING})
        )
        # Only where the generation is still the one seen: a lost note only delays an alarm.
        self._settle = (
            update(families)
            .where(
                families.c.id == bindparam("row_id"),
                families.c.generation == bindparam("seen_generation"),
                families.c.ended_at.is_(None),
                or_(
                    families.c.nonce.is_not(None),
                    families.c.recoverable_from < families.c.generation,
                    families.c.rights_changed,
                ),
            )
            .values(recoverable_from=bindparam("seen_generation"), nonce=None, rights_changed=False)
        )

    # --- the hot path --------------------------------------------------------------------------

    def limit_lock_wait(self, connection: Connection, milliseconds: int) -> None:
        """Let the transaction wait for any row at most so long (SQLite has no row locks)."""
        if self._on_postgresql:
            connection.execute(
                text("SELECT set_config('lock_timeout', :wait, true)"),
                {"wait": f"{milliseconds}ms"},
            )

    def lock(self, connection: Connection, family_ids: Collection[UUID]) -> Locked:
        """Lock the families' rows until the transaction ends; ids without a row are left out."""
        rows = connection.execute(self._lock, {"family_ids": sorted(family_ids)}).all()
        return Locked(
            families={row.id: _stored(row, user_is_active=row.user_is_active) for row in rows},
            not_before=_utc(rows[0].not_before) if rows else None,
        )

    def save(self, connection: Connection, changed: Sequence[StoredFamily]) -> None:
        """Write what was decided about rows that are locked."""
        if changed:
            connection.execute(self._save, [_changes(stored) for stored in changed])

    def free(self, connection: Connection, family_ids: Collection[UUID]) -> set[UUID]:
        """Lock the rows that nobody else holds, and return their ids; it waits for none."""
        return set(connection.scalars(self._lock_free, {"family_ids": sorted(family_ids)}))

    def settle(self, connection: Connection, seen: Mapping[UUID, int]) -> set[UUID]:
        """Note the generations that have reached their users' disks.

        Returns:
            The families whose rows somebody else holds: waiting for them would hold up all others.
        """
        free = self.free(connection, seen)
        notes = [
            {"row_id": family_id, "seen_generation": seen[family_id]} for family_id in sorted(free)
        ]
        if notes:
            connection.execute(self._settle, notes)
        if len(free) == len(seen):
            return set()
        taken = select(self.tables.refresh_tokens.c.id).where(self._wanted)
        return set(connection.scalars(taken, {"family_ids": sorted(seen)})) - free

    def is_active(self, user_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Say of the user whose key `user_id` is whether they are active; gone ones are not."""
        if self._users is None:
            return true()
        wanted = select(self._users.c.is_active).where(self._users.c.key == user_id)
        return func.coalesce(wanted.scalar_subquery(), false())

    # --- families ------------------------------------------------------------------------------

    def insert(self, connection: Connection, stored: StoredFamily) -> None:
        """Add the row of a new login."""
        connection.execute(insert(self.tables.refresh_tokens), _columns(stored))

    def lock_user(self, connection: Connection, user_id: object) -> bool:
        """Lock a user's row, so that logins and mass endings happen one after the other.

        Returns:
            Whether there is such a user, and is active.
        """
        key = self.tables.user_key
        statement = select(key).where(key == user_id).with_for_update(key_share=True)
        if connection.execute(statement).first() is None:
            return False
        # Asked once the lock is held: a statement that had to wait for it sees other tables, which
        # `active` may read, as they were when it began.
        return self._users is None or bool(
            connection.scalar(select(self._users.c.is_active).where(self._users.c.key == user_id))
        )

    def lock_live_of(self, connection: Connection, user_id: object) -> list[StoredFamily]:
        """Lock a user's families that have not ended, oldest first."""
        families = self.tables.refresh_tokens
        statement = (
            select(families)
            .where(families.c.user_id == user_id, families.c.ended_at.is_(None))
            .order_by(families.c.id)
            .with_for_update(key_share=True)
        )
        return [_stored(row) for row in connection.execute(statement)]

    def set_claims(
        self, connection: Connection, claims: Mapping[UUID, Mapping[str, Any] | None]
    ) -> None:
        """Write what the access tokens of locked families carry."""
        families = self.tables.refresh_tokens
        statement = update(families).where(families.c.id == bindparam("row_id"))
        if claims:
            connection.execute(
                statement.values(claims=bindparam("new_claims", type_=families.c.claims.type)),
                [{"row_id": key, "new_claims": claims[key]} for key in sorted(claims)],
            )

    def get(
        self, connection: Connection, family_id: UUID, *, user_id: object | None = None
    ) -> StoredFamily | None:
        """Read one family without locking it.

        Args:
            connection: In a transaction.
            family_id: Its id.
            user_id: Whose it has to be; None: anybody's. Another's is not even read: by no clock is
                it told from one that there is not (S-SES-4).
        """
        families = self.tables.refresh_tokens
        statement = select(families, self._user_is_active.label("user_is_active"))
        statement = statement.where(families.c.id == family_id)
        if user_id is not None:
            statement = statement.where(families.c.user_id == user_id)
        row = connection.execute(statement).first()
        return None if row is None else _stored(row, user_is_active=row.user_is_active)

    def live_of(self, connection: Connection, user_id: object) -> list[StoredFamily]:
        """Read a user's families that have not ended, newest first."""
        families = self.tables.refresh_tokens
        statement = (
            select(families)
            .where(families.c.user_id == user_id, families.c.ended_at.is_(None))
            .order_by(families.c.id.desc())
        )
        return [_stored(row) for row in connection.execute(statement)]

    def list_of(
        self, connection: Connection, user_id: object | None, now: datetime
    ) -> list[StoredFamily]:
        """Read a user's families, or (None) everybody's, newest first; ended ones for a day.

        Of a user's ended ones the newest ENDED_LISTED: logging in and out makes as many as one
        likes, and 20,000 of them took a second to read.
        """
        families = self.tables.refresh_tokens
        ended = families.c.ended_at > now - ENDED_STAY_VISIBLE
        newest_first = select(families).order_by(families.c.id.desc())
        if user_id is None:
            everybodys = newest_first.where(or_(families.c.ended_at.is_(None), ended))
            return [_stored(row) for row in connection.execute(everybodys)]
        users = newest_first.where(families.c.user_id == user_id, ended).limit(ENDED_LISTED)
        found = [_stored(row) for row in connection.execute(users)]
        found += self.live_of(connection, user_id)
        return sorted(found, key=lambda stored: stored.family.id, reverse=True)

    # --- the feed ------------------------------------------------------------------------------

    def add_revocations(
        self, connection: Connection, ended: Sequence[tuple[UUID, Ending]], now: datetime
    ) -> None:
        """Tell every process that families ended, in the transaction that ends them."""
        if ended:
            connection.execute(
                insert(self.tables.revocations),
                [
                    {"family_id": family_id, "at": now, "reason": reason.value}
                    for family_id, reason in ended
                ],
            )

    def revocations_after(self, connection: Connection, seq: int) -> list[Revoked]:
        """Read the feed from behind `seq` on."""
        table = self.tables.revocations
        statement = select(table).where(table.c.seq > seq).order_by(table.c.seq)
        return [
            Revoked(row.seq, row.family_id, _utc_time(row.at), Ending(row.reason))
            for row in connection.execute(statement)
        ]

    def last_revocation(self, connection: Connection) -> int:
        """Return the highest number in the feed; 0: it is empty."""
        return connection.scalar(select(func.max(self.tables.revocations.c.seq))) or 0

    def not_before(self, connection: Connection) -> datetime | None:
        """Read since when sessions count at all."""
        return _utc(connection.scalar(select(self.tables.meta.c.not_before)))

    def set_not_before(self, connection: Connection, moment: datetime) -> None:
        """Declare everybody's sessions from before `moment` over.

        An earlier moment than the one that holds changes nothing: what is over stays over (I4).
        """
        meta = self.tables.meta
        row = select(meta.c.not_before).where(meta.c.id == _META_ROW).with_for_update()
        found = connection.execute(row).first()
        if found is None:
            connection.execute(insert(meta), {"id": _META_ROW, "not_before": moment})
            return
        holds = _utc(found.not_before)
        if holds is None or holds < moment:
            connection.execute(update(meta).where(meta.c.id == _META_ROW).values(not_before=moment))

    # --- signing keys --------------------------------------------------------------------------

    def signing_keys(self, connection: Connection) -> list[DeclaredKey]:
        """Read when each signing key counts."""
        return [_declared(row) for row in connection.execute(select(self.tables.signing_keys))]

    def lock_signing_keys(self, connection: Connection) -> None:
        """Let rotations happen one after the other (on SQLite every writer waits anyway)."""
        if self._on_postgresql:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ROTATION_LOCK}
            )

    def write_signing_keys(self, connection: Connection, changed: Sequence[DeclaredKey]) -> None:
        """Write rows of `signing_keys`, new ones and those that are there already."""
        table = self.tables.signing_keys
        connection.execute(delete(table).where(table.c.kid.in_([one.kid for one in changed])))
        connection.execute(
            insert(table),
            [
                {
                    "kid": one.kid,
                    "algorithm": one.algorithm,
                    "number": one.period.number,
                    "counts_from": one.period.counts_from,
                    "counts_until": one.period.counts_until,
                    "is_withdrawn": one.period.is_withdrawn,
                }
                for one in changed
            ],
        )

    # --- the time ------------------------------------------------------------------------------

    def database_time(self, connection: Connection) -> datetime | None:
        """Ask the database for the time; None where it has no clock of its own (SQLite)."""
        if not self._on_postgresql:
            return None
        return _utc(connection.scalar(select(func.clock_timestamp())))

    # --- what happened -------------------------------------------------------------------------

    def add_events(self, connection: Connection, events: Sequence[SecurityEvent]) -> None:
        """Write security events, in the transaction of the fact they tell."""
        if events:
            connection.execute(
                insert(self.tables.security_events),
                [
                    {
                        "id": ids.new_id(event.at),
                        "at": event.at,
                        "event": event.name.value,
                        "user_id": event.user_id,
                        "family_id": event.family_id,
                        "ip": event.origin.ip,
                        "device": event.origin.device,
                        "request_id": event.request_id,
                        "details": dict(event.details),
                    }
                    for event in events
                ],
            )

    def has_event(
        self, connection: Connection, family_id: UUID, name: EventName, since: datetime
    ) -> bool:
        """Whether a family had such an event since a moment."""
        events = self.tables.security_events
        statement = select(events.c.id).where(
            events.c.family_id == family_id,
            events.c.event == name.value,
            events.c.id >= ids.lowest_id(since),
        )
        return connection.execute(statement.limit(1)).first() is not None

    def events_of(
        self,
        connection: Connection,
        user_id: object,
        *,
        before: UUID | None,
        limit: int,
        untold: tuple[Collection[EventName], datetime],
    ) -> list[tuple[UUID, SecurityEvent]]:
        """Read a user's events, newest first, from before the id `before` on.

        Of the names in `untold` only those older than the moment beside them.
        """
        events = self.tables.security_events
        names, since = untold
        told = or_(events.c.event.not_in([name.value for name in names]), events.c.at < since)
        statement = select(events).where(events.c.user_id == user_id, told)
        if before is not None:
            statement = statement.where(events.c.id < before)
        statement = statement.order_by(events.c.id.desc()).limit(limit)
        return [(row.id, _event(row)) for row in connection.execute(statement)]

    def events_in(self, connection: Connection, family_id: UUID) -> list[SecurityEvent]:
        """Read a family's events, oldest first."""
        events = self.tables.security_events
        statement = select(events).where(events.c.family_id == family_id).order_by(events.c.id)
        return [_event(row) for row in connection.execute(statement)]

    def add_rotations(self, connection: Connection, rotations: Sequence[Rotation]) -> None:
        """Keep single rotations for the lineage picture."""
        if rotations:
            connection.execute(
                insert(self.tables.rotation_history),
                [
                    {
                        "id": ids.new_id(rotation.at),
                        "family_id": rotation.family_id,
                        "generation": rotation.generation,
                        "at": rotation.at,
                        "kind": rotation.kind,
                        "ip": rotation.origin.ip,
                        "device": rotation.origin.device,
                    }
                    for rotation in rotations
                ],
            )

    def rotations_of(self, connection: Connection, family_id: UUID) -> list[Rotation]:
        """Read a family's kept rotations, oldest first."""
        history = self.tables.rotation_history
        statement = select(history).where(history.c.family_id == family_id).order_by(history.c.id)
        return [
            Rotation(
                row.family_id,
                row.generation,
                _utc_time(row.at),
                row.kind,
                Origin(row.ip, row.device),
            )
            for row in connection.execute(statement)
        ]

    def purge(
        self,
        connection: Connection,
        now: datetime,
        *,
        absolute_limit: timedelta,
        access_token_lifetime: timedelta,
        history: timedelta,
    ) -> dict[str, int]:
        """Delete what nobody can need any more, by ranges of the primary key.

        Returns:
            How many rows went, by table.
        """
        families, events = self.tables.refresh_tokens, self.tables.security_events
        revocations, rotations = self.tables.revocations, self.tables.rotation_history
        over = now - absolute_limit - ENDED_STAY_VISIBLE
        statements = {
            "refresh_tokens": delete(families).where(
                families.c.id < ids.lowest_id(over), families.c.expires_at < now
            ),
            "revocations": delete(revocations).where(
                revocations.c.at < now - 2 * access_token_lifetime - timedelta(minutes=1)
            ),
            "security_events": delete(events).where(
                events.c.id < ids.lowest_id(now - EVENTS_ARE_KEPT)
            ),
            "rotation_history": delete(rotations).where(
                rotations.c.id < ids.lowest_id(now - history)
            ),
        }
        return {name: connection.execute(one).rowcount for name, one in statements.items()}


# What a rotation, a recovery, a rights change or an ending may change.
_CHANGING = (
    "token",
    "nonce",
    "rotated_at",
    "shown_at",
    "auth_time",
    "window_started_at",
    "ended_at",
    "generation",
    "recoverable_from",
    "window_generation",
    "rights_changed",
    "is_active",
    "ended_reason",
    "ip",
    "device",
)


def _columns(stored: StoredFamily) -> dict[str, object]:
    family = stored.family
    return {
        "id": family.id,
        "user_id": stored.user_id,
        "token": family.token,
        "nonce": family.nonce,
        "created_at": stored.created_at,
        "expires_at": family.expires_at,
        "rotated_at": family.rotated_at,
        "shown_at": family.shown_at,
        "auth_time": stored.auth_time,
        "window_started_at": family.window_started_at,
        "ended_at": family.ended_at,
        "generation": family.generation,
        "recoverable_from": family.recoverable_from,
        "window_generation": family.window_generation,
        "transport": int(stored.transport),
        "rights_changed": family.rights_changed,
        "persistent": stored.persistent,
        "is_active": family.ended_at is None,
        "ended_reason": family.ended_reason,
        "ip": stored.origin.ip,
        "device": stored.origin.device,
        "claims": stored.claims,
    }


def _changes(stored: StoredFamily) -> dict[str, object]:
    columns = _columns(stored)
    return {"row_id": stored.family.id, **{f"new_{name}": columns[name] for name in _CHANGING}}


def _stored(row: Row[Any], *, user_is_active: bool = True) -> StoredFamily:
    return StoredFamily(
        family=Family(
            id=row.id,
            token=bytes(row.token),
            nonce=None if row.nonce is None else bytes(row.nonce),
            generation=row.generation,
            recoverable_from=row.recoverable_from,
            rights_changed=row.rights_changed,
            window_generation=row.window_generation,
            window_started_at=_utc(row.window_started_at),
            rotated_at=_utc_time(row.rotated_at),
            expires_at=_utc_time(row.expires_at),
            ended_at=_utc(row.ended_at),
            ended_reason=None if row.ended_reason is None else Ending(row.ended_reason),
            shown_at=_utc_time(row.shown_at),
            user_is_active=user_is_active,
        ),
        user_id=row.user_id,
        created_at=_utc_time(row.created_at),
        transport=Transport(row.transport),
        persistent=row.persistent,
        auth_time=_utc_time(row.auth_time),
        claims=row.claims,
        origin=Origin(row.ip, row.device),
    )


def _event(row: Row[Any]) -> SecurityEvent:
    return SecurityEvent(
        name=EventName(row.event),
        at=_utc_time(row.at),
        user_id=row.user_id,
        family_id=row.family_id,
        origin=Origin(row.ip, row.device),
        request_id=row.request_id,
        details=row.details,
    )


def _declared(row: Row[Any]) -> DeclaredKey:
    return DeclaredKey(
        kid=row.kid,
        algorithm=row.algorithm,
        period=KeyPeriod(
            number=row.number,
            counts_from=_utc(row.counts_from),
            counts_until=_utc(row.counts_until),
            is_withdrawn=row.is_withdrawn,
        ),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else _utc_time(moment)


def _utc_time(moment: datetime) -> datetime:
    # SQLite hands a time back without its zone, psycopg in the session's
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
