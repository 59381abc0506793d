"""Runs migrations; `app.core.auth` brings Batonpass's tables, `app.models` the app's own."""

from alembic import context
from app.core.auth import auth
from app.core.db import engine
from sqlmodel import SQLModel

assert auth.tables.refresh_tokens.metadata is SQLModel.metadata

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()
