"""Compare and swap: the one row of the rules that nearly every refresh meets, in one statement.

Where a family lives, its current token is presented and nobody else asks, nothing is there to be
judged but "is it still the current one": a WHERE says so, and SET does what `family.rotate` does,
for all sessions of a batch at once, without a transaction's round trips. Whatever it does not match
is locked, judged and written as ever; so this decides nothing, it only finds the plain case sooner.
tests/storage/test_swaps.py holds both halves to `judge` and `rotate` by generated rows.

The database compares hashes, and not in constant time. That tells nobody anything: what is hashed
is a secret whose MAC has proved that we made it (S-RT-1).

Only on drivers that are spoken to directly, asyncpg and sqlite3; docs/decisions/0010.
"""

import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Dialect, Engine, Table, literal_column
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from batonpass import ids
from batonpass.family import Ruling, Verdict
from batonpass.policy import Policy
from batonpass.refresh_tokens import NONCE_BYTES, RefreshToken, Transport, derive_successor, digest
from batonpass.storage.engine import Database
from batonpass.storage.rulings import Outcome, Request
from batonpass.storage.store import Grant, Store

_ROTATES = Ruling(Verdict.ROTATE)
_ALWAYS = timedelta(days=1)  # strict: a rotation that happened just now may be shown, too
_SQLITE_WITH_RETURNING = (3, 35)

# `judge`: alive, begun late enough, within both limits, and the presented token is the current one.
# `rotate`: a rotation long after the last one settles what it presents; one that finds the window
# over raises `recoverable_from` to where that began, and opens another.
_ON_POSTGRESQL = """
  WITH patience AS MATERIALIZED (
           SELECT set_config('lock_timeout', $1, true)  -- holds for this statement alone
       )
UPDATE {families} AS family
   SET token             = spent.successor,
       nonce             = spent.nonce,
       generation        = generation + 1,
       rights_changed    = false,
       shown_at          = CASE WHEN rotated_at < $6 THEN rotated_at ELSE shown_at END,
       recoverable_from  = CASE WHEN rotated_at < $5 THEN generation
                                WHEN window_started_at >= $4 THEN recoverable_from
                                ELSE greatest(recoverable_from, window_generation) END,
       window_generation = CASE WHEN window_started_at >= $4 THEN window_generation
                                WHEN rotated_at < $5 THEN generation
                                WHEN greatest(recoverable_from, window_generation) < generation
                                    THEN generation - 1
                                ELSE generation END,
       window_started_at = CASE WHEN window_started_at >= $4 THEN window_started_at ELSE $2 END,
       rotated_at        = $2,
       ip                = spent.ip,
       device            = spent.device
  FROM unnest($7::uuid[], $8::timestamptz[], $9::bytea[], $10::bytea[], $11::bytea[],
              $12::text[], $13::text[])
       AS spent (id, began_at, token, successor, nonce, ip, device),
       patience
 WHERE family.id = spent.id
   AND family.token = spent.token
   AND family.ended_at IS NULL
   AND family.expires_at > $2
   AND family.rotated_at > $3
   AND spent.began_at >= (SELECT coalesce(max(not_before), '-infinity') FROM {meta})
   AND {user_is_active}
RETURNING family.id, user_id, generation, rotated_at, expires_at, auth_time, transport, persistent,
          claims, family.ip, family.device
"""

# The same, and one line more for the lineage picture.
_WITH_HISTORY_ON_POSTGRESQL = """
  WITH rotated AS ({swap}),
       kept AS (
           INSERT INTO {history} (id, family_id, generation, at, kind, ip, device)
           SELECT line.id, rotated.id, generation, rotated_at, 'rotated', ip, device
             FROM rotated
             JOIN unnest($7::uuid[], $14::uuid[]) AS line (family_id, id)
               ON line.family_id = rotated.id
       )
SELECT * FROM rotated
"""

_ON_SQLITE = """
UPDATE {families}
   SET token             = :successor,
       nonce             = :nonce,
       generation        = generation + 1,
       rights_changed    = 0,
       shown_at          = CASE WHEN rotated_at < :shown_before THEN rotated_at ELSE shown_at END,
       recoverable_from  = CASE WHEN rotated_at < :settled_before THEN generation
                                WHEN window_started_at >= :window_from THEN recoverable_from
                                ELSE max(recoverable_from, window_generation) END,
       window_generation = CASE WHEN window_started_at >= :window_from THEN window_generation
                                WHEN rotated_at < :settled_before THEN generation
                                WHEN max(recoverable_from, window_generation) < generation
                                    THEN generation - 1
                                ELSE generation END,
       window_started_at = CASE WHEN window_started_at >= :window_from THEN window_started_at
                                ELSE :now END,
       rotated_at        = :now,
       ip                = :ip,
       device            = :device
 WHERE id = :id
   AND token = :token
   AND ended_at IS NULL
   AND expires_at > :now
   AND rotated_at > :idle_since
   AND :began_at >= (SELECT coalesce(max(not_before), '') FROM {meta})
   AND {user_is_active}
RETURNING id, user_id, generation, rotated_at, expires_at, auth_time, transport, persistent, claims
"""

_HISTORY_ON_SQLITE = """
INSERT INTO {history} (id, family_id, generation, at, kind, ip, device)
VALUES (:history_id, :id, :generation, :now, 'rotated', :ip, :device)
"""


_by_family = attrgetter("token.family_id.int")
_TRANSPORTS = {int(one): one for one in Transport}


class Swaps:
    """Rotates what needs no judging, on one app's tables."""

    def __init__(
        self, database: Database, store: Store, successor_key: bytes, policy: Policy
    ) -> None:
        """Write the statements down; `serves` has said that this database knows them."""
        self._database = database
        self._successor_key = successor_key
        self._policy = policy
        dialect = database.engine.dialect
        tables = store.tables
        families = tables.refresh_tokens
        self._read_user_id = _reader(families.c.user_id.type, dialect)
        self._read_claims = _reader(families.c.claims.type, dialect)
        names = {
            "families": _name(families, dialect),
            "meta": _name(tables.meta, dialect),
            "history": _name(tables.rotation_history, dialect),
            "user_is_active": _user_is_active(store, dialect),
        }
        self._on_postgresql = _ON_POSTGRESQL.format(**names)
        if policy.history:
            self._on_postgresql = _WITH_HISTORY_ON_POSTGRESQL.format(
                swap=self._on_postgresql, **names
            )
        self._on_sqlite = _ON_SQLITE.format(**names)
        self._history_on_sqlite = _HISTORY_ON_SQLITE.format(**names)

    @staticmethod
    def serves(engine: Engine | AsyncEngine) -> bool:
        """Whether the engine's driver is one that is spoken to directly."""
        if "schema_translate_map" in engine.get_execution_options():
            return False  # the tables have other names than we would write
        if engine.dialect.driver == "pysqlite":
            return sqlite3.sqlite_version_info >= _SQLITE_WITH_RETURNING
        return engine.dialect.driver == "asyncpg"

    async def rotate(
        self, requests: Sequence[Request], now: datetime, lock_wait_ms: int
    ) -> Mapping[UUID, Outcome]:
        """Spend those tokens that are current in a living family, and commit.

        Returns:
            What became of them, by family; all others are as they were, and are to be judged.

        Raises:
            StoreUnavailableError: The database is away.
            RowLockedError: A row stayed locked longer than `lock_wait_ms`; nothing was written.
        """
        asked = Counter(request.token.family_id for request in requests)
        plain = [
            request
            for request in sorted(requests, key=_by_family)
            # two at once are judged one after the other; and a clock may have been set back
            if asked[request.token.family_id] == 1 and request.arrived <= now
        ]
        if not plain:
            return {}
        spent = [_spend(request, self._successor_key) for request in plain]
        moments = _Moments.of(now, self._policy)
        if self._database.dialect == "sqlite":
            grants = await self._database.write(
                lambda connection: self._swap_on_sqlite(connection, spent, moments), ahead=True
            )
        else:
            grants = await self._swap_on_postgresql(spent, moments, lock_wait_ms)
        return {
            family_id: Outcome(_ROTATES, grants[family_id], one.successor)
            for one in spent
            if (family_id := one.token.family_id) in grants
        }

    async def _swap_on_postgresql(
        self, spent: Sequence["_Spent"], moments: "_Moments", lock_wait_ms: int
    ) -> dict[UUID, Grant]:
        columns = zip(*(one.columns() for one in spent), strict=True)
        history = [[ids.new_id(moments.now) for _ in spent]] if self._policy.history else []
        rows = await self._database.run_alone(
            self._on_postgresql, f"{lock_wait_ms}ms", *moments, *columns, *history
        )
        return {
            row[0]: Grant(
                row[0],
                self._read_user_id(row[1]),
                row[2],
                row[3],
                row[4],
                row[5],
                _TRANSPORTS[row[6]],
                row[7],
                self._read_claims(row[8]),
            )
            for row in rows
        }

    def _swap_on_sqlite(
        self, connection: Connection, spent: Sequence["_Spent"], moments: "_Moments"
    ) -> dict[UUID, Grant]:
        grants = {}
        times = {name: _text(moment) for name, moment in moments._asdict().items()}
        driver: Any = connection.connection.driver_connection
        cursor: sqlite3.Cursor = driver.cursor()
        for one in spent:
            family_id = one.token.family_id
            values = times | one.named()
            row = cursor.execute(self._on_sqlite, values).fetchone()
            if row is None:
                continue
            grants[family_id] = Grant(
                family_id,
                self._read_user_id(row[1]),
                row[2],
                moments.now,
                _time(row[4]),
                _time(row[5]),
                _TRANSPORTS[row[6]],
                bool(row[7]),
                self._read_claims(row[8]),
            )
            if self._policy.history:
                line = {"history_id": ids.new_id(moments.now).hex, "generation": row[2]}
                cursor.execute(self._history_on_sqlite, values | line)
        cursor.close()
        return grants


class _Moments(NamedTuple):
    """The moments that columns are compared with."""

    now: datetime
    idle_since: datetime  # rotated then or before: the family is over
    window_from: datetime  # a window that began then or later is open
    settled_before: datetime  # rotated before: what that answered has reached its user
    shown_before: datetime  # rotated before: that may be shown

    @classmethod
    def of(cls, now: datetime, policy: Policy) -> "_Moments":
        return cls(
            now=now,
            idle_since=now - policy.idle_limit,
            window_from=now - policy.grace,
            settled_before=now - 2 * policy.grace,
            shown_before=now - policy.grace if policy.recovers else now + _ALWAYS,
        )


class _Spent(NamedTuple):
    """A token that is being spent, with what takes its place."""

    token: RefreshToken
    successor: RefreshToken
    nonce: bytes
    ip: str | None
    device: str | None

    def columns(self) -> tuple[UUID, datetime, bytes, bytes, bytes, str | None, str | None]:
        """Return what PostgreSQL is given, column by column."""
        return (
            self.token.family_id,
            ids.made_at(self.token.family_id),
            digest(self.token.secret),
            digest(self.successor.secret),
            self.nonce,
            self.ip,
            self.device,
        )

    def named(self) -> dict[str, object]:
        """Return what SQLite is given, as SQLAlchemy would write it there."""
        family_id, began_at, token, successor, *rest = self.columns()
        nonce, ip, device = rest
        return {
            "id": family_id.hex,
            "began_at": _text(began_at),
            "token": token,
            "successor": successor,
            "nonce": nonce,
            "ip": ip,
            "device": device,
        }


def _spend(request: Request, successor_key: bytes) -> _Spent:
    token = request.token
    nonce = secrets.token_bytes(NONCE_BYTES)
    secret = derive_successor(successor_key, token, nonce)
    successor = RefreshToken(token.transport, token.family_id, token.generation + 1, secret)
    return _Spent(token, successor, nonce, request.origin.ip, request.origin.device)


def _reader(type_: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """Return what makes of the driver's value the one that SQLAlchemy would hand out."""
    reader = type_.dialect_impl(dialect).result_processor(dialect, None)
    return reader or (lambda value: value)


def _name(table: Table, dialect: Dialect) -> str:
    return dialect.identifier_preparer.format_table(table)


def _user_is_active(store: Store, dialect: Dialect) -> str:
    """Write what the app says of its users; "true" where it says nothing."""
    condition = store.is_active(literal_column("user_id"))
    return str(condition.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _text(moment: datetime) -> str:
    """Write a time as SQLAlchemy does on SQLite; as text it is ordered like the time itself."""
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
