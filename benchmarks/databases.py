"""Durable databases with sessions in them.

PostgreSQL runs as it comes: no setting is touched that costs or buys speed. Sessions are written in
bulk, as a login would have left them, with refresh tokens that the product itself encodes.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil
import psycopg
from sqlalchemy import Table, create_engine, insert

from batonpass import ids
from batonpass.access_tokens import AccessTokens
from batonpass.family import Family
from batonpass.keys import Algorithm, KeyRing, Keys
from batonpass.models import Tables
from batonpass.policy import Policy
from batonpass.refresh_tokens import RefreshToken, Transport, digest, encode
from batonpass.secret_key import parse_secrets
from batonpass.server import migrations, models
from batonpass.server.engines import build_engine
from tests.support.postgres import PostgresServer, fresh_database

SECRET = secrets.token_hex(32)
_SECRETS = parse_secrets(SECRET)
_KEYS = Keys.derive_from(_SECRETS)
_LOGINS_WERE_OVER = timedelta(days=5)  # within the idle limit of 7
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A running PostgreSQL with default durability.

    Attributes:
        url: Its maintenance database.
        postmaster: The parent of all its processes.
    """

    url: str
    postmaster: psutil.Process

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a new database with the server's tables."""
        with fresh_database(self.url) as url:
            migrations.upgrade(url)
            yield url

    def ask(self, statement: str, database_url: str | None = None) -> Any:  # one value
        """Run one statement and return its first value, if it has one."""
        with psycopg.connect(database_url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL for this occasion."""
    with PostgresServer() as server:
        with psycopg.connect(server.url) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            postmaster = backend.parent()
        if postmaster is None:
            message = "PostgreSQL's backend has no parent"
            raise RuntimeError(message)
        yield Postgres(url=server.url, postmaster=postmaster)


@contextmanager
def sqlite() -> Iterator[str]:
    """Give the URL of a new SQLite file with the server's tables."""
    with tempfile.TemporaryDirectory(prefix="batonpass-benchmark-") as folder:
        path = Path(folder, "batonpass.db")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))  # production refuses others
        url = f"sqlite:///{path}"
        migrations.upgrade(url)
        yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A live session, as its browser and a test of the rules know it."""

    user_id: UUID
    family_id: UUID
    generation: int
    cookie: str


def seed(
    database_url: str,
    count: int,
    *,
    tables: Tables = models.tables,
    keep: int | None = None,
    user: Mapping[str, object] | None = None,
    columns: Mapping[str, object] | None = None,
) -> list[Session]:
    """Write sessions, each of a user of its own.

    Args:
        database_url: Where.
        count: How many.
        tables: The library's, as they stand in that database.
        keep: How many to return, from all over the table; None: all.
        user: What differs in the users' rows.
        columns: What differs from a login that nobody has refreshed since.
    """
    users: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    kept: list[Session] = []
    step = count // (keep or count)
    now = datetime.now(UTC)
    for number in range(count):
        at = now - _LOGINS_WERE_OVER * (1 - number / count)
        secret = secrets.token_bytes(32)
        user_id = uuid4()
        row = _login(at, digest(secret), user_id) | dict(columns or {})
        users.append(_user(tables.user_key.table, user_id, at) | dict(user or {}))
        rows.append(row)
        if number % step == 0:
            token = RefreshToken(Transport.COOKIE, row["id"], row["generation"], secret)
            kept.append(
                Session(
                    user_id=user_id,
                    family_id=row["id"],
                    generation=row["generation"],
                    cookie=encode(_KEYS.refresh_mac[0], token),
                )
            )
        if len(rows) == _AT_ONCE or number == count - 1:
            _write(database_url, {tables.user_key.table: users, tables.refresh_tokens: rows})
            users, rows = [], []
    return kept


def spent_cookie(session: Session, generation: int) -> str:
    """Write an older token of a session; its secret is gone, as for all that were spent."""
    secret = secrets.token_bytes(32)
    token = RefreshToken(Transport.COOKIE, session.family_id, generation, secret)
    return encode(_KEYS.refresh_mac[0], token)


def access_tokens(
    sessions: Sequence[Session], algorithm: Algorithm, *, age: timedelta = timedelta(0)
) -> list[str]:
    """Issue an access token for each session, as of a while ago."""
    tokens = AccessTokens(KeyRing(_SECRETS, algorithm), "batonpass", "batonpass")
    issued_at = datetime.now(UTC) - age
    return [
        tokens.issue(
            subject=str(one.user_id),
            family_id=one.family_id,
            generation=one.generation,
            auth_time=issued_at,
            now=issued_at,
            lifetime=Policy().access_token_lifetime,
        )
        for one in sessions
    ]


def _login(at: datetime, token: bytes, user_id: UUID) -> dict[str, Any]:
    family = Family(
        id=ids.new_id(at),
        token=token,
        nonce=None,
        generation=0,
        recoverable_from=0,
        rights_changed=False,
        window_generation=0,
        window_started_at=None,
        rotated_at=at,
        expires_at=at + Policy().absolute_limit,
        ended_at=None,
        ended_reason=None,
        shown_at=at,
    )
    row = asdict(family)
    del row["user_is_active"]  # no column: the app says so
    return row | {
        "user_id": user_id,
        "created_at": at,
        "auth_time": at,
        "transport": int(Transport.COOKIE),
        "persistent": True,
        "is_active": True,
        "ip": "203.0.113.7",
        "device": "Firefox on Linux",
        "claims": None,
    }


def _user(table: object, user_id: UUID, at: datetime) -> dict[str, Any]:
    email = f"{user_id.hex}@example.com"
    if table is not models.users:
        return {"id": user_id, "email": email}
    return {
        "id": user_id,
        "email": email,
        "email_canonical": email,
        "password_hash": "$argon2id$",  # nobody logs in
        "is_active": True,
        "created_at": at,
    }


def _write(database_url: str, rows: Mapping[Any, Sequence[dict[str, Any]]]) -> None:
    if database_url.startswith("postgresql"):
        asyncio.run(_copy(database_url, rows))
        return
    engine = build_engine(database_url)
    assert not hasattr(engine, "sync_engine"), "SQLite's engine is a sync one"
    try:
        with engine.begin() as connection:
            for table, ours in rows.items():
                connection.execute(insert(table), ours)
    finally:
        engine.dispose()


async def _copy(database_url: str, rows: Mapping[Table, Sequence[dict[str, Any]]]) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for table, ours in rows.items():
            names = list(ours[0])
            await connection.copy_records_to_table(
                table.name, columns=names, records=[tuple(row.values()) for row in ours]
            )
    finally:
        await connection.close()


def create_tables(database_url: str, metadata: Any) -> None:  # an app's MetaData
    """Create the tables of an app that is no server of ours."""
    engine = create_engine(database_url.replace("://", "+psycopg://", 1))
    try:
        metadata.create_all(engine)
    finally:
        engine.dispose()
