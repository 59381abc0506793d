"""The database is away, and comes back: nobody is logged out, and nobody is told a lie.

Every route that needs it answers 503 with Retry-After and touches no cookie; the same token works
afterwards (S-RT-11, issue 3 "Bad input").
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from batonpass import deeds
from batonpass.server import engines, migrations
from batonpass.server.app import build_app
from batonpass.storage import batching
from tests.support import processes
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.servers import (
    PASSWORD,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
    settings_of,
)

STALE = timedelta(seconds=3)  # by then a process must ask again who has been logged out
UNAVAILABLE = (503, "unavailable")
NEW_PASSWORD = {"current_password": PASSWORD, "new_password": "another long walk"}
NOBODYS = "0199b1de-0000-7000-8000-000000000000"


def unavailable(answer: httpx.Response) -> tuple[int, str]:
    """Read the refusal, and hold what is true of every outage."""
    told = refusal(answer)  # no Set-Cookie in it
    assert int(answer.headers["retry-after"]) >= 1
    assert "postgres" not in answer.text.lower()
    assert "sql" not in answer.text.lower()
    return told


# --- the ways in which a PostgreSQL is away ----------------------------------------------------


@dataclass
class Outage:
    """A database server, and how it comes to be away."""

    server: PostgresServer
    url: str

    def by_stopping(self) -> Callable[[], None]:
        """In order, as for a restart."""
        self.server.stop()
        return self.server.start

    def by_a_crash(self) -> Callable[[], None]:
        """Every process at once."""
        self.server.kill()
        return self.server.start

    def by_a_failover(self) -> Callable[[], None]:
        """It still answers, but only reads: the writer is another one now."""
        self.run("ALTER DATABASE {} SET default_transaction_read_only = on")
        self._end_connections()
        return lambda: self._back("ALTER DATABASE {} RESET default_transaction_read_only")

    def by_refusing_everybody(self) -> Callable[[], None]:
        """It stands, and lets nobody in: its operator is at work."""
        self.run("ALTER DATABASE {} ALLOW_CONNECTIONS false")
        self._end_connections()
        return lambda: self._back("ALTER DATABASE {} ALLOW_CONNECTIONS true")

    def by_having_no_room(self) -> Callable[[], None]:
        """Its connections are all taken."""
        self.run("ALTER DATABASE {} CONNECTION LIMIT 0")
        self._end_connections()
        return lambda: self._back("ALTER DATABASE {} CONNECTION LIMIT -1")

    def _back(self, statement: str) -> None:
        self.run(statement)
        self._end_connections()

    def by_showing_us_the_door(self) -> Callable[[], None]:
        """It lets others in, but us no longer."""
        self.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC, app")
        self._end_connections()
        return lambda: self._back("GRANT CONNECT ON DATABASE {} TO app")

    def run(self, statement: str) -> None:
        """Run a statement about the database, as the server's superuser."""
        name = sql.Identifier(str(make_url(self.url).database))
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(name))

    def _end_connections(self) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [make_url(self.url).database],
            )


WAYS = [
    Outage.by_stopping, Outage.by_a_crash, Outage.by_a_failover, Outage.by_refusing_everybody,
    Outage.by_having_no_room, Outage.by_showing_us_the_door,
]  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A durable server that these tests stop and kill as they like."""
    with PostgresServer() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE app LOGIN")  # nobody special: no door is open to it
        yield server


@pytest.fixture
def outage(postgres: PostgresServer) -> Iterator[Outage]:
    """A fresh database on it, and the ways in which it is away."""
    with fresh_database(postgres.url) as url:
        outage = Outage(postgres, make_url(url).set(username="app").render_as_string())
        outage.run("ALTER DATABASE {} OWNER TO app")
        yield outage
        postgres.start()  # where a test failed before it did


NEEDS_IT = [
    ("POST",   "/auth/register",            login_json("new@example.com")),
    ("POST",   "/auth/refresh",             None),
    ("POST",   "/auth/logout",              None),
    ("POST",   "/auth/confirm",             {"password": PASSWORD}),
    ("POST",   "/auth/password",            NEW_PASSWORD),
    ("GET",    "/auth/me",                  None),
    ("GET",    "/auth/sessions",            None),
    ("GET",    f"/auth/sessions/{NOBODYS}", None),
    ("GET",    "/auth/events",              None),
    ("DELETE", f"/auth/sessions/{NOBODYS}", None),
    ("DELETE", "/auth/sessions?all=true",   None),
]  # fmt: skip


async def test_s_rt_11_without_its_database_every_route_says_so_and_nothing_is_lost(
    outage: Outage,
) -> None:
    async with a_server(outage.url) as server:
        client = await server.signed_in()
        before = (await client.get("/auth/me")).json()

        comes_back = outage.by_a_crash()
        server.clock.advance(STALE)
        told = {
            path: unavailable(await client.request(method, path, json=body))
            for method, path, body in NEEDS_IT
        }
        login = unavailable(await log_in(server.somebody()))
        ready, alive, keys = [
            await client.get(path) for path in ("/readyz", "/healthz", "/.well-known/jwks.json")
        ]
        comes_back()
        renewed = await client.post("/auth/refresh")
        me = await client.get("/auth/me")
        ready_again = await client.get("/readyz")

    assert set(told.values()) == {UNAVAILABLE}
    assert login == unavailable(ready) == UNAVAILABLE
    assert [answer.status_code for answer in (alive, keys, ready_again)] == [200] * 3
    assert renewed.json()["session_id"] == before["session_id"]
    assert renewed.json()["generation"] == 1
    assert me.json() == before


@pytest.mark.parametrize("goes_away", WAYS, ids=[way.__name__ for way in WAYS])
async def test_however_it_is_away_a_token_waits_for_it(
    outage: Outage, goes_away: Callable[[Outage], Callable[[], None]]
) -> None:
    async with a_server(outage.url) as server:
        client = await server.signed_in()
        await client.post("/auth/refresh")
        token = client.cookies["refresh_token"]

        comes_back = goes_away(outage)
        refused = [await client.post("/auth/refresh") for _ in range(3)]
        login = await log_in(server.somebody())
        comes_back()
        renewed = await server.somebody().post(
            "/auth/refresh", headers={"Cookie": f"refresh_token={token}"}
        )

    assert [unavailable(answer) for answer in [*refused, login]] == [UNAVAILABLE] * 4
    assert renewed.status_code == 200
    assert renewed.json()["generation"] == 2


async def test_a_server_may_start_before_its_database(outage: Outage) -> None:
    migrations.upgrade(outage.url)
    comes_back = outage.by_stopping()
    clock = Clock()
    settings = settings_of(outage.url)
    app = build_app(settings, clock)

    async with app.router.lifespan_context(app):
        server = Server(app, settings, clock)
        client = server.somebody()
        ready, login = await client.get("/readyz"), await log_in(client)
        comes_back()
        ready_again = await client.get("/readyz")
        await server.a_user()
        login_again = await log_in(client)

    assert unavailable(ready) == unavailable(login) == UNAVAILABLE
    assert [answer.status_code for answer in (ready_again, login_again)] == [200, 200]


async def test_every_worker_process_finds_its_way_back(outage: Outage, tmp_path: Path) -> None:
    async with (
        processes.serving(outage.url, tmp_path, workers=2) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        token = (await processes.log_in(client)).json()["refresh_token"]

        comes_back = outage.by_a_crash()
        refused = [await _over_a_new_connection(server.url, token) for _ in range(8)]
        comes_back()
        renewed = [await _over_a_new_connection(server.url, token) for _ in range(8)]

    assert [unavailable(answer) for answer in refused] == [UNAVAILABLE] * 8
    assert {answer.status_code for answer in renewed} == {200}
    assert len({answer.json()["refresh_token"] for answer in renewed}) == 1


async def _over_a_new_connection(url: str, token: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:  # either worker takes it
        return await processes.refresh(client, token)


# --- somebody else holds what a token needs ----------------------------------------------------


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock for a moment only, where it is seconds otherwise."""
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(batching, "LOCK_WAIT_MS", 20)
    monkeypatch.setattr(batching, "LOCK_WAIT_ALONE_MS", 50)
    monkeypatch.setattr(deeds, "LOCK_WAIT_ALONE_MS", 50)


@contextmanager
def a_locked_row(url: str, session_id: str) -> Iterator[None]:
    """Hold one session's row: an operator's transaction that was left open."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT FROM refresh_tokens WHERE id = %s FOR UPDATE", [session_id])
        yield
        connection.rollback()


@contextmanager
def a_locked_table(url: str, _session_id: str) -> Iterator[None]:
    """Hold the whole table: a migration at work."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE refresh_tokens IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@contextmanager
def a_locked_file(url: str, _session_id: str) -> Iterator[None]:
    """Hold a SQLite file as its writer: another program at work."""
    with closing(sqlite3.connect(str(make_url(url).database))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize(("database", "held", "others_wait"), [
    ("postgresql", a_locked_row,   False),
    ("postgresql", a_locked_table, True),
    ("sqlite",     a_locked_file,  True),
])  # fmt: skip
async def test_what_somebody_holds_is_waited_for_and_then_away(
    request: pytest.FixtureRequest,
    database: str,
    held: Callable[[str, str], AbstractContextManager[None]],
    others_wait: bool,
) -> None:
    url = request.getfixturevalue(f"{database}_url")
    async with a_server(url) as server:
        client, other = await server.signed_in(), await server.signed_in()
        me = await client.get("/auth/me")

        with held(url, me.json()["session_id"]):
            refused = [await client.post(f"/auth/{deed}") for deed in ("refresh", "logout")]
            me_meanwhile = await client.get("/auth/me")
            others = await other.post("/auth/refresh")
            login = await log_in(server.somebody())
        renewed = await client.post("/auth/refresh")
        others_again = await other.post("/auth/refresh")
        login_again = await log_in(server.somebody())

    assert [unavailable(answer) for answer in refused] == [UNAVAILABLE] * 2
    assert me_meanwhile.json() == me.json()  # who reads waits for nobody
    assert [others.status_code, login.status_code] == ([503, 503] if others_wait else [200, 200])
    assert renewed.json()["generation"] == 1
    assert [others_again.status_code, login_again.status_code] == [200, 200]


@pytest.mark.usefixtures("little_patience")
async def test_a_refusal_for_want_of_a_database_is_not_held_against_anybody(
    sqlite_url: str,
) -> None:
    """Ten failures would close the login; ten outages must not."""
    async with a_server(sqlite_url) as server:
        client = server.somebody()

        with a_locked_file(sqlite_url, ""):
            refused = [await log_in(client) for _ in range(11)]
        login = await log_in(client)

    assert {unavailable(answer) for answer in refused} == {UNAVAILABLE}
    assert login.status_code == 200
