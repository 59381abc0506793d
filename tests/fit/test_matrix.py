"""Every kind of app: its Alembic finds our tables and nothing else, and a session lasts on them.

Each case is an app's way to us: it has its own tables, plugs Batonpass in, lets Alembic write a
revision, and serves. Environment and revisions are real files, of Alembic's own templates. Every
driver, key, schema, prefix, convention and kind of model stands in one row at least, and the pairs
that are at odds stand together.
"""

import asyncio
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
)
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateSchema

from tests.support.apps import (
    ADA,
    BIG_INTEGER,
    CONVENTION,
    STRING,
    UUID_KEY,
    House,
    Kind,
    a_house,
    an_app,
    an_engine,
    bearer,
    cookie_of,
    driver_url,
    log_in,
    run,
    serving,
)
from tests.support.families import GRACE
from tests.support.servers import refusal
from tests.support.services import dispose

SETTLED = 2 * GRACE + timedelta(seconds=1)
OUR_TABLES = (
    "meta", "refresh_tokens", "revocations", "rotation_history", "security_events", "signing_keys",
)  # fmt: skip
INDEXED = {
    ("refresh_tokens", "user_id"), ("rotation_history", "family_id"),
    ("security_events", "family_id"), ("security_events", "user_id"),
}  # fmt: skip

SQLITE, AIOSQLITE = "sqlite", "sqlite+aiosqlite"
ASYNCPG = "postgresql+asyncpg async"
PSYCOPG, PSYCOPG_ASYNC = "postgresql+psycopg sync", "postgresql+psycopg async"

KINDS = {
    "the plainest": Kind(),
    "UUID on SQLite": Kind(key=UUID_KEY, convention=CONVENTION),
    "BigInteger on SQLite": Kind(driver=AIOSQLITE, key=BIG_INTEGER, table_prefix="baton_"),
    "string on SQLite": Kind(driver=AIOSQLITE, key=STRING, orm="table"),
    "integer and asyncpg": Kind(driver=ASYNCPG, convention=CONVENTION),
    "string, schema": Kind(driver=ASYNCPG, key=STRING, schema="Sales"),
    "BigInteger, prefix": Kind(driver=ASYNCPG, key=BIG_INTEGER, table_prefix="baton_"),
    "UUID, schema, a prefix to quote": Kind(
        driver=PSYCOPG, key=UUID_KEY, schema="auth", table_prefix="Bp-", convention=CONVENTION
    ),
    "one schema for all, said once": Kind(
        driver=ASYNCPG, key=UUID_KEY, schema="auth", schema_by_metadata=True, convention=CONVENTION
    ),
    "a table, psycopg": Kind(driver=PSYCOPG_ASYNC, key=BIG_INTEGER, orm="table", schema="auth"),
    "SQLModel on SQLite": Kind(orm="sqlmodel", key=UUID_KEY),
    "SQLModel on SQLite, string": Kind(driver=AIOSQLITE, orm="sqlmodel", key=STRING),
    "SQLModel on PostgreSQL": Kind(driver=PSYCOPG, orm="sqlmodel", convention=CONVENTION),
    "SQLModel on PostgreSQL, string": Kind(
        driver=ASYNCPG, orm="sqlmodel", key=STRING, schema="auth", table_prefix="baton_"
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An app as somebody has it, without us."""
    kind = KINDS[request.param]
    if kind.orm == "sqlmodel":
        pytest.importorskip("sqlmodel")
    engine = an_engine(kind, request.getfixturevalue)
    yield a_house(engine, kind)
    asyncio.run(dispose(engine))


@dataclass
class Migrations:
    """An app's Alembic, as `alembic init` makes it, used as its documentation says."""

    house: House
    folder: Path

    def __post_init__(self) -> None:
        """Make the environment, and name the metadata in it."""
        is_async = isinstance(self.house.engine, AsyncEngine)
        ini = Config(self.folder / "alembic.ini", stdout=io.StringIO())
        command.init(ini, str(self.folder / "alembic"), "async" if is_async else "generic")
        env = self.folder / "alembic" / "env.py"
        text = env.read_text()
        named = "target_metadata = config.attributes['metadata']"
        assert text.count("target_metadata = None") == 1
        text = text.replace("target_metadata = None", named)
        if self.house.kind.schema:
            text, count = re.subn(r"(\bconnection=connection,)", r"\1 include_schemas=True,", text)
            assert count == 1
        env.write_text(text)
        # Without the file: it would set the logging of this process up.
        self.config = Config(stdout=io.StringIO())
        self.config.set_main_option("script_location", str(self.folder / "alembic"))
        self.config.set_main_option("sqlalchemy.url", driver_url(self.house.engine))
        self.config.attributes["metadata"] = self.house.metadata

    def autogenerate(self) -> tuple[list[MigrateOperation], str]:
        """Let Alembic write a revision; return what it found and the file."""
        found: list[MigrationScript] = []

        def keep(_context: object, _revision: object, scripts: list[MigrationScript]) -> None:
            found.extend(scripts)

        script = command.revision(
            self.config, "sessions", autogenerate=True, process_revision_directives=keep
        )
        assert not isinstance(script, list)
        assert script is not None
        (operations,) = [one.upgrade_ops for one in found]
        assert operations is not None
        return list(operations.ops), Path(script.path).read_text()

    def upgrade(self) -> None:
        """Run what is written."""
        command.upgrade(self.config, "head")

    def check(self) -> None:
        """Fail where models and database differ, as `alembic check` does."""
        command.check(self.config)


@pytest.fixture
def migrations(house: House, tmp_path: Path) -> Migrations:
    """Its Alembic; the app's own tables are there."""
    asyncio.run(move_in(house))
    return Migrations(house, tmp_path)


async def move_in(house: House) -> None:
    if house.kind.schema:
        create = CreateSchema(house.kind.schema)
        await run(house.engine, lambda connection: connection.execute(create))
    await house.furnish()
    await dispose(house.engine)  # its connections belong to this loop


def test_alembic_finds_our_tables_and_a_session_lasts(house: House, migrations: Migrations) -> None:
    auth = house.plug()

    operations, revision = migrations.autogenerate()
    migrations.upgrade()
    migrations.check()

    assert names_of(operations, house) == expected_of(house)
    expect_stock_types(revision)
    app = an_app(auth)
    auth.install(app)
    asyncio.run(expect_a_session_that_lasts(house, app))


def names_of(operations: Sequence[MigrateOperation], house: House) -> set[tuple[str, ...]]:
    """Name what a migration creates: a table, or a table and the column that is indexed."""
    found: set[tuple[str, ...]] = set()
    for one in operations:
        match one:
            case CreateTableOp():
                found.add((one.table_name,))
                assert one.schema == house.kind.schema
            case CreateIndexOp():
                (column,) = one.columns
                assert one.table_name is not None
                found.add((one.table_name, getattr(column, "name", str(column))))
            case ModifyTableOps():
                found |= names_of(one.ops, house)
            case _:
                pytest.fail(f"the migration does something else: {one!r}")
    return found


def expected_of(house: House) -> set[tuple[str, ...]]:
    prefix = house.kind.table_prefix
    tables = {(prefix + name,) for name in OUR_TABLES}
    return tables | {(prefix + table, column) for table, column in INDEXED}


def expect_stock_types(revision: str) -> None:
    """A migration outlives us: it imports Alembic and SQLAlchemy alone."""
    imported = re.findall(r"^(?:import|from) (\S+)", revision, re.MULTILINE)
    assert set(imported) <= {"typing", "collections.abc", "alembic", "sqlalchemy"}
    types = re.findall(r"sa\.Column\('\w+', (.+?)\(", revision)
    assert len(types) > 30
    assert {one.rpartition(".")[0] for one in types} == {"sa"}, types


async def expect_a_session_that_lasts(house: House, app: FastAPI) -> None:
    """Log in, refresh, replay: on the tables as the migration left them."""
    async with serving(app) as client:
        login = await log_in(client)
        stolen = cookie_of(client)
        me = await client.get("/me", headers=bearer(login))
        renewed = []
        for _ in range(2):
            house.clock.advance(SETTLED)
            renewed.append(await client.post("/auth/refresh"))
        by_thief = await client.post("/auth/refresh", headers=stolen)
        by_owner = await client.post("/auth/refresh")
        after = await client.get("/me", headers=bearer(renewed[-1]))

    assert me.json() == {"email": ADA, "key": str(house.kind.key.value)}
    assert [answer.json()["generation"] for answer in renewed] == [1, 2]
    assert refusal(by_thief) == (401, "refresh_reused")
    assert refusal(by_owner) == (401, "refresh_revoked")
    assert refusal(after) == (401, "session_revoked")
    await dispose(house.engine)
