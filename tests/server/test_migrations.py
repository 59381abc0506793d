"""The schema's history, on both databases."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.errors import ConfigurationError, StoreUnavailableError
from batonpass.server import migrations
from batonpass.server.engines import build_engine
from batonpass.server.models import metadata
from tests.server.together import run_together

Ask = Callable[[str], None]
TABLES = {"alembic_version", *metadata.tables}


def test_migrated_tables_are_those_of_the_models(database_url: str, empty_engine: Engine) -> None:
    migrations.upgrade(database_url)

    with empty_engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == TABLES


def test_rotations_have_room_on_their_page(database_url: str, empty_engine: Engine) -> None:
    migrations.upgrade(database_url)

    with empty_engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            options = text("SELECT reloptions FROM pg_class WHERE relname = 'refresh_tokens'")
            assert connection.scalar(options) == ["fillfactor=90"]
        else:
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_a_second_upgrade_is_harmless(database_url: str, empty_engine: Engine) -> None:
    migrations.upgrade(database_url)
    migrations.upgrade(database_url)

    with empty_engine.connect() as connection:
        assert migrations.current_revision(connection) == migrations.newest_revision()
        assert migrations.is_current(connection)
    migrations.require_current(database_url)


async def test_an_upgrade_works_beside_a_running_event_loop(database_url: str) -> None:
    migrations.upgrade(database_url)

    migrations.require_current(database_url)


def test_an_unmigrated_database_says_what_to_do(database_url: str, empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        assert migrations.current_revision(connection) is None
        assert not migrations.is_current(connection)

    with pytest.raises(ConfigurationError, match=r"batonpass migrate"):
        migrations.require_current(database_url)


def test_a_database_of_the_future_says_what_to_do(database_url: str, empty_engine: Engine) -> None:
    migrations.upgrade(database_url)
    with empty_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match=r"newer version"):
        migrations.require_current(database_url)


def test_processes_that_start_at_once_do_not_disturb_each_other(
    database_url: str, empty_engine: Engine
) -> None:
    run_together(
        "from batonpass.server import migrations", "migrations.upgrade(sys.argv[1])", [database_url]
    )

    with empty_engine.connect() as connection:
        assert migrations.is_current(connection)


def test_a_failed_upgrade_leaves_nothing(database_url: str, empty_engine: Engine) -> None:
    with empty_engine.begin() as connection:
        connection.execute(text("CREATE TABLE meta (id INTEGER)"))  # stands in the way

    with pytest.raises(DBAPIError, match=r"already exists"):
        migrations.upgrade(database_url)

    with empty_engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {"meta"}


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "made here.db"
    before = os.umask(0)
    try:
        migrations.upgrade(f"sqlite:///{path}")
    finally:
        os.umask(before)

    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere"):
        migrations.upgrade(f"sqlite:///{tmp_path}/nowhere/batonpass.db")


@pytest.mark.parametrize("ask", [migrations.upgrade, migrations.require_current])
def test_a_database_that_is_away_is_no_traceback(ask: Ask) -> None:
    with pytest.raises(StoreUnavailableError, match=r"cannot be reached"):
        ask("postgresql://nobody@127.0.0.1:1/none")


def test_a_url_may_say_what_libpq_knows(postgresql_url: str) -> None:
    url = f"{postgresql_url}?sslmode=prefer&application_name=batonpass"

    migrations.upgrade(url)

    migrations.require_current(url)


async def test_the_servers_engine_reads_the_same_urls(postgresql_url: str) -> None:
    url = f"{postgresql_url}?sslmode=prefer&application_name=batonpass%20test"
    engine = build_engine(url)

    assert isinstance(engine, AsyncEngine)
    async with engine.connect() as connection:
        name = await connection.scalar(text("SELECT current_setting('application_name')"))
    await engine.dispose()

    assert name == "batonpass test"


def test_tls_is_not_given_up_silently(postgresql_url: str) -> None:
    with pytest.raises(StoreUnavailableError):
        migrations.upgrade(f"{postgresql_url}?sslmode=require")  # this server has none
