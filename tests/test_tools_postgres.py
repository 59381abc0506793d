"""The tests' PostgreSQL keeps its promises: fresh databases, real crashes, nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from tests.support import postgres
from tests.support.postgres import PostgresServer


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_has_an_empty_database_on_either_kind(database_url: str, turn: str) -> None:
    url = make_url(database_url)
    engine = create_engine(url.set(drivername="postgresql+psycopg") if url.host else url)

    tables = inspect(engine).get_table_names()

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_by_a_test (id integer)"))
    engine.dispose()
    assert tables == []


def test_a_committed_row_survives_a_kill(own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

        own_postgres.kill()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_postgres.url)
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_stopped_server_comes_back_under_the_same_url(own_postgres: PostgresServer) -> None:
    url = own_postgres.url

    own_postgres.stop()

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_in_use_is_dropped_all_the_same(postgres_server_url: str) -> None:
    with postgres.fresh_database(postgres_server_url) as url:
        still_open = psycopg.connect(url)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    still_open.close()


def test_a_database_is_lent_empty_each_time_and_to_nobody_else(postgres_server_url: str) -> None:
    databases = postgres.Databases(postgres_server_url)
    with databases.lend() as first, databases.lend() as beside:
        still_open = psycopg.connect(first)
        with psycopg.connect(first, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA theirs CREATE TABLE kept (answer int)")
            connection.execute("CREATE TABLE kept (answer int)")
            connection.execute(f"ALTER DATABASE {first.rpartition('/')[2]} SET lock_timeout = 7")
    assert first != beside

    with databases.lend() as second, databases.lend() as third, psycopg.connect(first) as again:
        found = again.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'theirs')"
        ).fetchone()
        setting = again.execute("SHOW lock_timeout").fetchone()
        again.execute("CREATE TABLE here (answer int)")
        with pytest.raises(psycopg.OperationalError):
            still_open.execute("SELECT 1")
    databases.close()

    assert {second, third} == {first, beside}
    assert (found, setting) == ((0,), ("0",))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)


OWNER = """
import signal
from tests.support.postgres import PostgresServer
server = PostgresServer(fsync=False)
server.start()
print(server._process.pid, server._folder, flush=True)
signal.pause()
"""


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        postmaster = psutil.Process(int(pid))
        postgres.remove_leftovers()
        assert postgres._lives(postmaster), "a living run keeps its server"
        owner.send_signal(signal.SIGKILL)
    assert Path(folder).exists()

    postgres.remove_leftovers()

    assert not Path(folder).exists()
    assert not postgres._lives(postmaster)


def test_a_copy_of_the_programs_runs_by_itself(tmp_path: Path) -> None:
    installed = postgres._programs(tmp_path, None).parent
    copy = postgres._copied(installed, tmp_path)

    for program in ("postgres", "initdb"):
        said = subprocess.check_output([copy / "bin" / program, "--version"], text=True)
        assert "(PostgreSQL) 18." in said


def test_another_server_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATONPASS_TEST_POSTGRES", "postgresql://me@elsewhere:5432/postgres")

    with postgres.running() as url:
        assert url == "postgresql://me@elsewhere:5432/postgres"
