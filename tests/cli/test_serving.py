"""What production does not start with, each as one start: exit 1, the setting and its cure named.

One after the other all of S-OPS-1, then of S-OPS-2: what the settings say, what stands in files and
in the database. Nothing that is said shows a secret.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import uvicorn
from sqlalchemy import Connection, create_engine, make_url, text

from batonpass.cli import serving
from batonpass.server import migrations
from batonpass.server.passwords import WORKERS_VARIABLE
from tests.support import shell
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.servers import SECRET_KEY
from tests.support.shell import Shell

Start = Callable[..., str]

CANARY = "hunter22"
MAKE_ONE = "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
ORIGIN = "write for instance https://app.example.com"
# What the environment says, the setting that is named, and the cure.
UNSAFE = [
    ("SECRET_KEY=", "SECRET_KEY", MAKE_ONE),
    (f"SECRET_KEY={CANARY}", "SECRET_KEY", MAKE_ONE),
    (f"SECRET_KEY={SECRET_KEY},{CANARY}", "SECRET_KEY", MAKE_ONE),
    ("SECRET_KEY=" + "ab" * 32, "SECRET_KEY", MAKE_ONE),
    ("COOKIE_SECURE=false", "COOKIE_SECURE", "Set it to true."),
    ("PUBLIC_URL=http://app.example", "PUBLIC_URL", "Serve over https."),
    (f"PUBLIC_URL=https://ada:{CANARY}@app.example", "PUBLIC_URL", ORIGIN),
    ("COOKIE_SAMESITE=none", "COOKIE_SAMESITE", "List the origins in CORS_ORIGINS"),
    ("CORS_ORIGINS=http://app.example", "CORS_ORIGINS", "List https origins only."),
    ("CORS_ORIGINS=*", "CORS_ORIGINS", ORIGIN),
    ("CORS_ORIGINS=null", "CORS_ORIGINS", ORIGIN),
    ("CORS_ORIGINS=https://*.example", "CORS_ORIGINS", ORIGIN),
    ("CORS_ORIGINS=https://app.example/login", "CORS_ORIGINS", ORIGIN),
    ("TRUSTED_PROXIES=0.0.0.0/0", "TRUSTED_PROXIES", "List the addresses of your proxies."),
    ("TRUSTED_PROXIES=::/1,8000::/1", "TRUSTED_PROXIES", "List the addresses of your proxies."),
    ("RATE_LIMIT_LOGIN=off", "RATE_LIMIT_LOGIN", "Set it to pair=10/15m,address=50/15m,"),
    ("REFRESH_GRACE_SECONDS=301", "REFRESH_GRACE_SECONDS", "Set it to 30."),
    ("ACCESS_TOKEN_EXPIRE_MINUTES=1441", "ACCESS_TOKEN_EXPIRE_MINUTES", "set it to 30"),
    ("REFRESH_TOKEN_EXPIRE_DAYS=31", "REFRESH_TOKEN_EXPIRE_DAYS", "Make it shorter"),
    (f"DATABASE_URL=postgresql://app:{CANARY}@db.example/app?sslmode=prefer", "DATABASE_URL",
     "Add ?sslmode=verify-full (or require) to it."),
]  # fmt: skip


@pytest.mark.parametrize(("said", "setting", "cure"), UNSAFE, ids=[row[0][:40] for row in UNSAFE])
def test_s_ops_1_production_does_not_start(
    refusal_of: Start, said: str, setting: str, cure: str
) -> None:
    name, _, value = said.partition("=")
    public = {"PUBLIC_URL": "https://app.example"}  # else TRUSTED_PROXIES want it, too

    told = refusal_of(**{**public, name: value})

    assert told.startswith(f"batonpass: BATONPASS_{setting}: ")
    assert cure in told


def test_s_ops_1_no_secret_at_all(refusal_of: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "SECRET_KEY", "")

    told = refusal_of()

    assert told.startswith("batonpass: BATONPASS_SECRET_KEY: ")
    assert MAKE_ONE in told


@pytest.fixture
def refusal_of(tmp_path: Path) -> Start:
    """Return what production says of a start that it refuses."""
    run = Shell(tmp_path)

    def refused(database_url: str | None = None, **settings: str) -> str:
        url = {} if database_url is None else {"DATABASE_URL": database_url}
        code, _, err = run("serve", "--port", "0", ENVIRONMENT="production", **url, **settings)
        assert code == 1
        assert err.startswith("batonpass: ")
        assert "Traceback" not in err
        assert err.count("\n") == 1, "one problem here, so one line"
        assert not [secret for secret in (SECRET_KEY, CANARY) if secret in err]
        return err

    return refused


@contextmanager
def setting_of_database(url: str, line: str) -> Iterator[None]:
    """Have every new connection to a database begin with a setting."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET {line}'.encode())
        yield


@contextmanager
def operator_of(database_url: str) -> Iterator[Connection]:
    """Let somebody into the database."""
    url = make_url(database_url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(url.set(drivername=driver))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_s_ops_1_proxies_without_public_url(refusal_of: Start) -> None:
    told = refusal_of(TRUSTED_PROXIES="10.0.0.1")

    assert "BATONPASS_PUBLIC_URL: is not set behind TRUSTED_PROXIES. Set it" in told


def test_s_ops_1_mailed_links_without_public_url(refusal_of: Start) -> None:
    told = refusal_of(REGISTRATION="confirm", SMTP_URL="smtp://127.0.0.1:1")

    assert "BATONPASS_PUBLIC_URL: is not set, and REGISTRATION=confirm mails links" in told


def test_s_ops_1_a_remote_database_without_tls(refusal_of: Start) -> None:
    told = refusal_of(f"postgresql://app:{CANARY}@db.example/app")

    assert "BATONPASS_DATABASE_URL: reaches another machine" in told
    assert "sslmode=verify-full" in told


def test_s_ops_1_a_file_on_a_network(tmp_path: Path) -> None:
    """No test can mount one: this process reads another list of what is mounted."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/data {tmp_path} nfs4 rw 0 0\n")
    with_other_mounts = (
        "import sys; from pathlib import Path; from batonpass.server import settings; "
        "settings.MOUNTS = Path(sys.argv[1]); sys.argv[1:] = ['serve', '--port', '0']; "
        "from batonpass.cli import main; main()"
    )

    code, _, err = Shell(tmp_path).python(with_other_mounts, str(mounts), ENVIRONMENT="production")

    assert code == 1
    assert err == (
        "batonpass: BATONPASS_DATABASE_URL: names a file on a network file system, where SQLite's "
        "locks do not hold. Put it on a local disk, or use PostgreSQL.\n"
    )


@pytest.mark.parametrize("switch", ["PYTHONASYNCIODEBUG", "PYTHONDEVMODE"])
def test_s_ops_1_debug_mode(
    refusal_of: Start, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv(switch, "1")

    told = refusal_of()

    assert f"{switch}: switches Python's debug mode on" in told
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


def test_s_ops_1_tables_of_an_older_version(refusal_of: Start, database_url: str) -> None:
    migrations.upgrade(database_url)
    with operator_of(database_url) as operator:
        operator.execute(text("UPDATE alembic_version SET version_num = '0001'"))

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


def test_s_ops_2_doctor_names_each_with_its_cure_and_no_secret(tmp_path: Path) -> None:
    wrong = {
        "COOKIE_SECURE": "false", "RATE_LIMIT_LOGIN": "off", "REFRESH_GRACE_SECONDS": "301",
        "REFRESH_TOKEN_EXPIRE_DAYS": "31", "PUBLIC_URL": "http://app.example",
        "CORS_ORIGINS": "http://spa.example", "TRUSTED_PROXIES": "0.0.0.0/0",
        "DATABASE_URL": f"postgresql://app:{CANARY}@192.0.2.1:1/app?connect_timeout=1",
        "SECRET_KEY": f"{SECRET_KEY},{CANARY}", "JWT_ALGORITHM": "HS256",
    }  # fmt: skip

    code, out, err = Shell(tmp_path)("doctor", ENVIRONMENT="production", **wrong)

    assert (code, err) == (1, "")
    lines = [line for line in out.splitlines() if line.startswith("unsafe")]
    for setting in set(wrong) - {"JWT_ALGORITHM"}:
        (line,) = [one for one in lines if one.startswith(f"unsafe  BATONPASS_{setting}: ")]
        assert line.count(".") >= 2, "what is so, and what to do"
    assert "note    BATONPASS_JWT_ALGORITHM: is HS256" in out
    assert not [secret for secret in (SECRET_KEY, CANARY) if secret in out]


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
