"""Each test in a transaction that is rolled back, on a database that Alembic has migrated."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from app import crud
from app.api.deps import get_db
from app.core import security
from app.core.auth import auth
from app.core.db import init_db
from app.main import app
from app.models import User, UserCreate
from app.tests.passwords import PASSWORD
from fastapi.testclient import TestClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlmodel import Session

from batonpass.testing import logged_in, rolled_back

security.password_hash = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024),))


@pytest.fixture(scope="session", autouse=True)
def migrated() -> None:
    """Migrate an empty database, as a deployment does."""
    command.upgrade(Config("alembic.ini"), "head")


@pytest.fixture
def db() -> Iterator[Session]:
    """A session whose test is undone, whatever it commits."""
    joined = "create_savepoint"
    with (
        rolled_back(auth) as connection,
        Session(connection, join_transaction_mode=joined) as session,
    ):
        init_db(session)
        app.dependency_overrides[get_db] = lambda: session
        yield session
    app.dependency_overrides.clear()


@pytest.fixture
def ada(db: Session) -> User:
    """Somebody."""
    return crud.create_user(
        session=db, user_create=UserCreate(email="ada@example.com", password=PASSWORD)
    )


@pytest.fixture
def client(ada: User) -> TestClient:
    """Her browser."""
    return logged_in(TestClient(app), auth, ada)
