"""What Alembic runs for each command; the connection is its caller's, and so is the transaction."""

from alembic import context
from sqlalchemy import Connection

from batonpass.server.models import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,  # SQLite's too: our caller began the transaction by hand
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


_migrate(context.config.attributes["connection"])
