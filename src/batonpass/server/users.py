"""The server's users: every statement on their table.

Functions of a connection in somebody else's transaction. The security events of what happens here
(user_created, user_archived, …) are written by the caller, in that same transaction: it alone knows
where the request came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from batonpass.errors import EmailTakenError
from batonpass.server.email_addresses import EmailAddress
from batonpass.server.models import users

PAGE_SIZE: Final = 100

_COLUMNS = (
    users.c.id,
    users.c.email,
    users.c.email_canonical,
    users.c.password_hash,
    users.c.is_active,
    users.c.created_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may log in.

    Attributes:
        id: Random: it tells neither when nor how many.
        email: As typed, and who that is.
        password_hash: Argon2 or, from an import, bcrypt.
        is_active: False: disabled; nobody logs in.
        created_at: UTC.
    """

    id: UUID
    email: EmailAddress
    password_hash: str = field(repr=False)
    is_active: bool
    created_at: datetime


def create(connection: Connection, email: EmailAddress, password_hash: str, now: datetime) -> User:
    """Add a user, active from now on.

    Raises:
        EmailTakenError: There is one with this canonical e-mail, also where two requests ask for it
            at once. The transaction can go on.
    """
    user = User(
        id=uuid4(), email=email, password_hash=password_hash, is_active=True, created_at=now
    )
    row = {
        "id": user.id,
        "email": email.stored,
        "email_canonical": email.canonical,
        "password_hash": password_hash,
        "is_active": True,
        "created_at": now,
    }
    # DO NOTHING waits for a competing insert and lets the transaction live; a violated index would
    # end it on PostgreSQL, and with it the event that the caller writes.
    taken = [users.c.email_canonical]
    if connection.dialect.name == "sqlite":
        insert = sqlite.insert(users).on_conflict_do_nothing(index_elements=taken)
        added = connection.execute(insert.values(row).returning(users.c.id)).first()
    else:
        insert_pg = postgresql.insert(users).on_conflict_do_nothing(index_elements=taken)
        added = connection.execute(insert_pg.values(row).returning(users.c.id)).first()
    if added is None:
        raise EmailTakenError
    return user


def find_by_email(connection: Connection, email: EmailAddress) -> User | None:
    """Return the user with this canonical e-mail."""
    return _one(connection, select(*_COLUMNS).where(users.c.email_canonical == email.canonical))


def get(connection: Connection, user_id: UUID) -> User | None:
    """Return the user with this id."""
    return _one(connection, select(*_COLUMNS).where(users.c.id == user_id))


def lock_unchanged(connection: Connection, user: User) -> bool:
    """Lock the user's row, and tell whether what was read of it earlier still allows a login.

    A password takes longer to check than a transaction may last. Between the two an operator may
    have disabled the user, or another tab changed the password (S-SES-3).
    """
    row = connection.execute(
        select(users.c.password_hash, users.c.is_active)
        .where(users.c.id == user.id)
        .with_for_update(key_share=True)
    ).first()
    return row is not None and row.is_active and row.password_hash == user.password_hash


def list_page(
    connection: Connection, *, after: User | None = None, limit: int = PAGE_SIZE
) -> Sequence[User]:
    """Return users, oldest first: those behind `after`, or the first ones."""
    query = select(*_COLUMNS).order_by(users.c.created_at, users.c.id).limit(limit)
    if after is not None:
        place = tuple_(users.c.created_at, users.c.id)
        query = query.where(place > tuple_(after.created_at, after.id))
    return [_user(row) for row in connection.execute(query).all()]


def set_password_hash(connection: Connection, user_id: UUID, password_hash: str) -> bool:
    """Replace the user's hash; ending the sessions is the caller's. False: no such user."""
    return _changed(connection, user_id, password_hash=password_hash)


def upgrade_password_hash(connection: Connection, user: User, better: str) -> bool:
    """Replace a weaker hash of the same password, unless that changed meanwhile."""
    statement = (
        update(users)
        .where(users.c.id == user.id, users.c.password_hash == user.password_hash)
        .values(password_hash=better)
    )
    return connection.execute(statement).rowcount == 1


def enable(connection: Connection, user_id: UUID) -> bool:
    """Let the user log in. False: there is no such user."""
    return _changed(connection, user_id, is_active=True)


def disable(connection: Connection, user_id: UUID) -> bool:
    """Refuse every login; ending the sessions is the caller's. False: there is no such user."""
    return _changed(connection, user_id, is_active=False)


def remove(connection: Connection, user_id: UUID) -> bool:
    """Delete the user; ending the sessions, before this, is the caller's. False: no such user."""
    return connection.execute(delete(users).where(users.c.id == user_id)).rowcount == 1


def _changed(connection: Connection, user_id: UUID, **values: str | bool) -> bool:
    statement = update(users).where(users.c.id == user_id).values(**values)
    return connection.execute(statement).rowcount == 1


def _one(connection: Connection, query: Select[Any]) -> User | None:
    row = connection.execute(query).first()
    return None if row is None else _user(row)


def _user(row: "Row[*tuple[Any, ...]]") -> User:
    created_at = cast("datetime", row.created_at)
    if created_at.tzinfo is None:  # SQLite hands times back without their zone
        created_at = created_at.replace(tzinfo=UTC)
    return User(
        id=row.id,
        email=EmailAddress(stored=row.email, canonical=row.email_canonical),
        password_hash=row.password_hash,
        is_active=row.is_active,
        created_at=created_at,
    )
