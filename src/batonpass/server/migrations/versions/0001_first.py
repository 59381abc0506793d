"""The first tables: users and the throttle, and the library's six."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_TIME: Final = sa.DateTime(timezone=True)
_FILLFACTOR: Final = 90  # leaves room on the page, so that a rotation is a HOT update


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_canonical", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_canonical", name="uq_users_email_canonical"),
    )
    op.create_table(
        "throttle",
        sa.Column("key", sa.LargeBinary(16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("resets_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_throttle"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("rotated_at", _TIME, nullable=False),
        sa.Column("shown_at", _TIME, nullable=False),
        sa.Column("auth_time", _TIME, nullable=False),
        sa.Column("window_started_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("recoverable_from", sa.Integer(), nullable=False),
        sa.Column("window_generation", sa.Integer(), nullable=False),
        sa.Column("transport", sa.SmallInteger(), nullable=False),
        sa.Column("rights_changed", sa.Boolean(), nullable=False),
        sa.Column("persistent", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("token", sa.LargeBinary(32), nullable=False),
        sa.Column("nonce", sa.LargeBinary(16), nullable=True),
        sa.Column("ended_reason", sa.String(16), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("device", sa.String(64), nullable=True),
        sa.Column("claims", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_refresh_tokens_user_id_users",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_refresh_tokens_user_id", "refresh_tokens", ["user_id"])
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE refresh_tokens SET (fillfactor = {_FILLFACTOR})")
    op.create_table(
        "revocations",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_revocations"),
    )
    op.create_table(
        "security_events",
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("device", sa.String(64), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
    )
    op.create_index("ix_security_events_user_id", "security_events", ["user_id"])
    op.create_index("ix_security_events_family_id", "security_events", ["family_id"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("counts_from", _TIME, nullable=False),
        sa.Column("counts_until", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("not_before", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_meta"),
    )
    op.create_table(
        "rotation_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("device", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_rotation_history"),
    )
    op.create_index("ix_rotation_history_family_id", "rotation_history", ["family_id"])


def downgrade() -> None:
    for name in (
        "rotation_history",
        "meta",
        "signing_keys",
        "security_events",
        "revocations",
        "refresh_tokens",
        "throttle",
        "users",
    ):
        op.drop_table(name)
