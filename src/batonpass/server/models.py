"""The server's tables: its users, its throttle and the library's, in one MetaData.

Stock SQLAlchemy types only, like the library's own.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
)

from batonpass.events import LOGIN_SUCCESSES
from batonpass.models import Tables, define

MAX_EMAIL_CHARACTERS: Final = 254  # RFC 5321 §4.5.3.1.3 with erratum 1690: a path, less its <>
THROTTLE_KEY_BYTES: Final = 16
_MAX_HASH_CHARACTERS: Final = 255

# Named, so that a later migration can find what it changes.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users: Final = Table(
    "users",
    metadata,
    Column("id", Uuid(), primary_key=True),  # random (v4): tells nobody when or how many
    Column("email", String(MAX_EMAIL_CHARACTERS), nullable=False),  # as typed: where mail goes
    Column(  # who it is: unique, whatever was typed
        "email_canonical", String(MAX_EMAIL_CHARACTERS), nullable=False, unique=True
    ),
    Column("password_hash", String(_MAX_HASH_CHARACTERS), nullable=False),
    Column("is_active", Boolean(), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

throttle: Final = Table(
    "throttle",
    metadata,
    Column("key", LargeBinary(THROTTLE_KEY_BYTES), primary_key=True),  # keyed hash: no name in it
    Column("count", Integer(), nullable=False),
    Column("resets_at", DateTime(timezone=True), nullable=False),
)

tables: Final[Tables] = define(metadata, users.c.id)

# Which places an account knows is asked at each login. Failures, which anybody can make by the
# thousand, are not in it: an account that is under attack is looked up as quickly as nobody's
# (S-ENUM-1, S-THR-6).
_logins = tables.security_events.c
_is_login = _logins.event.in_([name.value for name in LOGIN_SUCCESSES])
Index(
    "ix_security_events_logins",
    _logins.user_id,
    _logins.ip,
    sqlite_where=_is_login,
    postgresql_where=_is_login,
)
