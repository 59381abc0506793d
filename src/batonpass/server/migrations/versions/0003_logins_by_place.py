"""Which places an account knows is found without reading its failures, which anybody can make."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

_LOGINS: Final = "event IN ('authn_login_success', 'authn_login_successafterfail')"


def upgrade() -> None:
    op.create_index(
        "ix_security_events_logins",
        "security_events",
        ["user_id", "ip"],
        sqlite_where=sa.text(_LOGINS),
        postgresql_where=sa.text(_LOGINS),
    )


def downgrade() -> None:
    op.drop_index("ix_security_events_logins", "security_events")
