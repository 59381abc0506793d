"""What production does not start with, each as one start: exit 1, the setting and its cure named.

The settings that test_cli.py tries in a row are here the rest of S-OPS-1: what stands in files and
in the database.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import uvicorn

from batonpass.cli import serving
from batonpass.server import migrations
from batonpass.server.passwords import WORKERS_VARIABLE
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.servers import SECRET_KEY
from tests.support.shell import Shell

Start = Callable[..., str]


@pytest.fixture
def refusal_of(tmp_path: Path) -> Start:
    """Return what production says of a start that it refuses."""
    shell = Shell(tmp_path)

    def refused(database_url: str | None = None, **settings: str) -> str:
        url = {} if database_url is None else {"DATABASE_URL": database_url}
        code, _, err = shell("serve", "--port", "0", ENVIRONMENT="production", **url, **settings)
        assert code == 1
        assert err.startswith("batonpass: ")
        assert "Traceback" not in err
        assert err.count("\n") == 1, "one problem here, so one line"
        return err

    return refused


@contextmanager
def setting_of_database(url: str, line: str) -> Iterator[None]:
    """Have every new connection to a database begin with a setting."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET {line}'.encode())
        yield


def test_s_ops_1_proxies_without_public_url(refusal_of: Start) -> None:
    told = refusal_of(TRUSTED_PROXIES="10.0.0.1")

    assert "BATONPASS_PUBLIC_URL: is not set behind TRUSTED_PROXIES. Set it" in told


def test_s_ops_1_mailed_links_without_public_url(refusal_of: Start) -> None:
    told = refusal_of(REGISTRATION="confirm", SMTP_URL="smtp://127.0.0.1:1")

    assert "BATONPASS_PUBLIC_URL: is not set, and REGISTRATION=confirm mails links" in told


def test_s_ops_1_a_remote_database_without_tls(refusal_of: Start) -> None:
    told = refusal_of("postgresql://app@db.example/app")

    assert "BATONPASS_DATABASE_URL: reaches another machine" in told
    assert "sslmode=verify-full" in told


def test_s_ops_1_debug_mode(refusal_of: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")

    told = refusal_of()

    assert "PYTHONASYNCIODEBUG: switches Python's debug mode on" in told
    assert "Unset it." in told


@pytest.mark.parametrize("name", ["batonpass.db", ".env"])
def test_s_ops_1_a_file_that_others_can_read(refusal_of: Start, tmp_path: Path, name: str) -> None:
    migrations.upgrade(f"sqlite:///{tmp_path / 'batonpass.db'}")
    (tmp_path / ".env").write_text(f"BATONPASS_SECRET_KEY={SECRET_KEY}\n")
    (tmp_path / ".env").chmod(0o600)
    (tmp_path / name).chmod(0o640)

    told = refusal_of()

    assert "can read" in told
    assert f"chmod 600 {name}" in told


def test_s_ops_1_tables_that_are_not_up_to_date(refusal_of: Start, database_url: str) -> None:
    told = refusal_of(database_url)

    assert "BATONPASS_DATABASE_URL: its tables are not up to date. Run: batonpass migrate" in told


def test_s_ops_1_commits_that_do_not_last(refusal_of: Start, own_postgres: PostgresServer) -> None:
    with fresh_database(own_postgres.url) as url:
        migrations.upgrade(url)
        with setting_of_database(url, "synchronous_commit = off"):
            told = refusal_of(url)

    assert "PostgreSQL's synchronous_commit is off" in told
    assert "ALTER SYSTEM SET synchronous_commit = on" in told


def test_s_ops_1_a_database_without_fsync(tmp_path: Path, postgresql_url: str) -> None:
    """The tests' shared PostgreSQL is one: a power cut would cost its last minutes, or all."""
    migrations.upgrade(postgresql_url)

    code, _, err = Shell(tmp_path)(
        "serve", "--port", "0", ENVIRONMENT="production", DATABASE_URL=postgresql_url
    )

    assert code == 1
    assert "PostgreSQL's fsync is off" in err


def test_another_servers_command_starts_nothing_unsafe_either(tmp_path: Path) -> None:
    code = "from batonpass.server.app import build_app_from_environment as b; b()"

    done = Shell(tmp_path).python(code, ENVIRONMENT="production", COOKIE_SECURE="false")

    assert done[0] != 0
    assert "BATONPASS_COOKIE_SECURE: is false" in done[2]


def test_s_ops_2_several_workers_on_sqlite_are_told_at_the_start(tmp_path: Path) -> None:
    said = Shell(tmp_path)("doctor", "--workers", "2")

    assert "note    BATONPASS_DATABASE_URL: is SQLite, which 2 workers would share" in said[1]


def test_a_worker_is_given_time_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn kills one that is silent for 5 s; importing us takes longer on a busy machine."""
    given: dict[str, object] = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: given.update(options))

    monkeypatch.setenv(WORKERS_VARIABLE, "1")  # put back afterwards, whatever is in it by then
    serving.serve(port=0, workers=2)

    assert given["workers"] == 2
    assert os.environ[WORKERS_VARIABLE] == "2", "by which each takes half of the cores (S-PW-5)"
    assert given["timeout_worker_healthcheck"] == serving.WORKER_SILENT_SECONDS
    assert serving.WORKER_SILENT_SECONDS >= 60
