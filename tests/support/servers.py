"""The whole server in this process, on a real database, with a clock to move and a client to ask.

A `Person` is a browser or a native client with a jar of its own: what it holds is what it was
answered, and what it sends is what a browser would.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, make_url, select

from batonpass.server import migrations, passwords
from batonpass.server.app import build_app
from batonpass.server.settings import Settings, load_settings
from tests.support.clocks import Clock

ORIGIN = "http://app.example"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
SECRET_KEY = "8f1d3c5b7a9e0246f8b1d3c5e7a90b2d4f6a8c0e1b3d5f7a9c0e2b4d6f8a1c3e"
_TOLD_ANYWAY = frozenset({"security_events", "throttle"})  # a refusal may be told and counted

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Server:
    """A server that runs in this process."""

    app: FastAPI
    settings: Settings
    clock: Clock

    def somebody(self, origin: str = ORIGIN, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """Return a client with an empty jar; a fault of ours is a 500, as over the wire."""
        transport = httpx.ASGITransport(
            cast("Any", self.app), raise_app_exceptions=False, client=(address, 4711)
        )
        return httpx.AsyncClient(transport=transport, base_url=origin)

    async def a_user(self, email: str = EMAIL, password: str = PASSWORD) -> None:
        """Register somebody."""
        async with self.somebody() as client:
            answer = await client.post("/auth/register", json=login_json(email, password))
            assert answer.status_code == 201, answer.text

    async def signed_in(
        self, email: str = EMAIL, password: str = PASSWORD, **headers: str
    ) -> httpx.AsyncClient:
        """Return a client that has logged in: cookies in its jar, access token in its headers."""
        client = self.somebody()
        answer = await log_in(client, email, password, headers=headers)
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def rows(self) -> Rows:
        """Read the whole database but for what tells of refusals: to see that nothing changed."""
        return rows_of(self.settings.database_url)


def rows_of(database_url: str) -> Rows:
    """Read a whole database but for what tells of refusals."""
    url = make_url(database_url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(url.set(drivername=driver))
    try:
        with engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for table in _tables(connection)
                if table.name not in _TOLD_ANYWAY
            }
    finally:
        engine.dispose()


def _migrate(database_url: str) -> None:
    """Bring an empty database up to date: the first by migrating it, the others as it became.

    Alembic takes PostgreSQL's a sixth of a second each time, and there are more than a hundred.
    """
    url = make_url(database_url)
    path = Path(url.database or "")
    if url.get_backend_name() == "postgresql":
        _migrate_postgresql(database_url)
    elif not path.exists():
        path.touch(0o600)
        path.write_bytes(_migrated_file())
    else:
        migrations.upgrade(database_url)


def _migrate_postgresql(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,):
            migrations.upgrade(database_url)
            return
        if _migrating:
            connection.execute(";".join(_migrating).encode())
            return

    done: list[str] = []

    def note(*call: Any) -> None:  # SQLAlchemy's six arguments
        _, _, statement, parameters, _, _ = call
        if statement.split()[0] in _CHANGES:
            assert not parameters, statement
            done.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        migrations.upgrade(database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    _migrating.extend(done)


_CHANGES = frozenset({"ALTER", "COMMENT", "CREATE", "DELETE", "DROP", "INSERT", "UPDATE"})
_migrating: list[str] = []  # what Alembic did to the first one on PostgreSQL


@cache
def _migrated_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        migrations.upgrade(f"sqlite:///{path}")
        return path.read_bytes()


def _tables(connection: Connection) -> Sequence[Table]:
    """Return the tables as a migration left them; every server has the same."""
    dialect = connection.dialect.name
    if dialect not in _reflected:
        _reflected[dialect] = MetaData()
        _reflected[dialect].reflect(connection)
    return _reflected[dialect].sorted_tables


_reflected: dict[str, MetaData] = {}


def login_json(email: str = EMAIL, password: str = PASSWORD) -> dict[str, str]:
    """Write the JSON of a registration."""
    return {"email": email, "password": password}


async def log_in(
    client: httpx.AsyncClient,
    email: str = EMAIL,
    password: str = PASSWORD,
    *,
    headers: Mapping[str, str] | None = None,
    **fields: str,
) -> httpx.Response:
    """Post the login form."""
    form = {"username": email, "password": password, **fields}
    return await client.post("/auth/token", data=form, headers=headers)


def set_cookies(answer: httpx.Response) -> dict[str, list[str]]:
    """Read the Set-Cookie headers: the name, and its value with the attributes as they stand."""
    found: dict[str, list[str]] = {}
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        assert name not in found, "each cookie is set once"
        found[name] = rest.split("; ")
    return found


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Read status and code, and hold what is true of every refusal."""
    content = answer.json()
    assert {"detail", "code"} <= set(content) <= {"detail", "code", "reason"}, content
    assert isinstance(content["detail"], str)
    assert content["detail"]
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert not answer.headers.get_list("set-cookie"), "only a logout clears a cookie"
    return answer.status_code, content["code"]


def settings_of(database_url: str, **overrides: Any) -> Settings:  # any field of Settings
    """Make settings; what the machine's environment says does not count."""
    given: dict[str, Any] = {"BATONPASS_SECRET_KEY": SECRET_KEY, "_env_file": None, **overrides}
    return load_settings(database_url=database_url, **given)


@contextmanager
def light_hashes() -> Iterator[None]:
    """Have the app that is made in this block hash with 1 MiB instead of 19.

    What the true ones cost is held by tests/server/test_passwords.py, and by every test whose
    server is a process.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "ARGON2_MEMORY_KIB", 1_024)
        patch.setattr(passwords, "ARGON2_ITERATIONS", 1)
        yield


@asynccontextmanager
async def a_server(
    database_url: str,
    *,
    clock: Clock | None = None,
    users: Sequence[str] = (EMAIL,),
    **overrides: Any,  # any field of Settings
) -> AsyncIterator[Server]:
    """Run a server on an empty database."""
    settings = settings_of(database_url, **overrides)
    _migrate(settings.database_url)
    clock = clock or Clock()
    with light_hashes():
        app = build_app(settings, clock)
    async with app.router.lifespan_context(app):
        server = Server(app, settings, clock)
        for email in users:
            await server.a_user(email)
        yield server
