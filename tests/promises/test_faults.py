"""A connection that is cut, a database that is killed, a disk that is full, a pool that is empty.

Whatever it is, the session goes on, nothing that was answered is lost, and who cannot be served is
told when to come back. What it was measured to be is in docs/reliability.md.
"""

import asyncio
import os
import resource
import socket
import sqlite3
import struct
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from batonpass.server import engines, migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection
from batonpass.storage import engine as storage_engine
from tests.support import processes
from tests.support.clocks import Clock
from tests.support.live_server import listening, until
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    a_server,
    log_in,
    login_json,
    refusal,
    settings_of,
)

A_REFRESH = timedelta(seconds=31)  # longer than grace: what was lost is recovered, not repeated
CUT_EVERY = int(os.environ.get("CUT_EVERY", "30"))  # bytes of an answer; 1: every one of them
CLIENTS = 12
KILLS = 3
PATIENCE_SECONDS = 20  # the first call waits until the server has started
ROOM_BYTES = 256 * 1024
AS_IT_WAS = 20  # refreshes before the disk is full
UNAVAILABLE = 503
MOUNT = ("mount", "-t", "tmpfs", "-o", "size=128m,mode=711", "tmpfs")
UNMOUNT = ("umount", "--lazy")


# --- the connection is cut ---------------------------------------------------------------------


class Browser:
    """Sends bytes, and goes away whenever it likes; its jar takes a cookie once the head is whole.

    Attributes:
        token: What is in the jar.
    """

    def __init__(self, url: str) -> None:
        """Log in."""
        self._address = make_url(url).host, make_url(url).port
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            client.post("/auth/register", json=login_json(EMAIL, PASSWORD)).raise_for_status()
            self.token = _log_in(client)

    @property
    def request(self) -> bytes:
        """The refresh that it would send."""
        return (
            "POST /auth/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
            "Content-Type: application/json\r\n"
            f"Cookie: refresh_token={self.token}\r\n\r\n{{}}"
        ).encode()

    def send(self, sent: bytes, *, read: int) -> bytes:
        """Send, read so many bytes of the answer, and cut the connection in both directions."""
        with socket.create_connection(self._address, timeout=20) as connection:
            connection.sendall(sent)
            got = b""
            while len(got) < read and (piece := connection.recv(read - len(got))):
                got += piece
            # No farewell: what is under way is lost (SO_LINGER of no seconds is a reset).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        head, whole, _ = got.partition(b"\r\n\r\n")
        if whole:
            assert head.startswith(b"HTTP/1.1 200 "), got
            self.token = head.partition(b"refresh_token=")[2].partition(b";")[0].decode()
        return got

    def refresh(self) -> bytes:
        """Read an answer to its end."""
        return self.send(self.request.replace(b"Host", b"Connection: close\r\nHost"), read=2**20)


@contextmanager
def served(url: str) -> Iterator[tuple[str, Clock]]:
    migrations.upgrade(url)
    clock = Clock()
    with listening(build_app(settings_of(url), clock), http=Connection) as origin:
        yield origin, clock


def test_a42_a_request_that_is_cut_at_any_byte_spends_nothing(database_url: str) -> None:
    with served(database_url) as (url, _):
        browser = Browser(url)

        for length in range(len(browser.request)):
            browser.send(browser.request[:length], read=0)

        assert b'"generation":1' in browser.refresh(), "not one of them was taken for a refresh"


def test_a42_an_answer_that_is_cut_at_any_byte_loses_no_session(database_url: str) -> None:
    """It is asked for again at once, and now and then after grace: both must go on."""
    with served(database_url) as (url, clock):
        browser = Browser(url)
        answer = browser.refresh()
        end_of_head = answer.index(b"\r\n\r\n") + 4
        edges = {0, 1, *range(end_of_head - 5, end_of_head + 2), len(answer) - 1}

        for length in sorted(edges | set(range(0, len(answer), CUT_EVERY))):
            got = browser.send(browser.request, read=length)
            assert got.startswith(b"HTTP/1.1 200 "[: len(got)])
            if length % 4 == 0:
                clock.advance(A_REFRESH)

        assert b'"generation"' in browser.refresh()
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            _log_in(client)
            events = client.get("/auth/events").json()["events"]
    assert not {one["event"] for one in events} & {"refresh_token_reused", "history_forked"}


def _log_in(client: httpx.Client) -> str:
    form = {"username": EMAIL, "password": PASSWORD}
    answer = client.post("/auth/token", data=form).raise_for_status()
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.cookies["refresh_token"]


# --- the database is killed --------------------------------------------------------------------


async def test_s_rt_11_no_session_is_lost_when_the_database_is_killed_under_load(
    own_postgres: PostgresServer,
) -> None:
    successors: defaultdict[str, set[str]] = defaultdict(set)
    refused: list[httpx.Response] = []
    answered, over = asyncio.Semaphore(0), asyncio.Event()

    async def go_on_refreshing(client: httpx.AsyncClient) -> None:
        while not over.is_set():
            token = client.cookies["refresh_token"]
            answer = await client.post("/auth/refresh")
            if answer.status_code == UNAVAILABLE:
                refused.append(answer)
                assert client.cookies["refresh_token"] == token
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == httpx.codes.OK, answer.text
            successors[token].add(client.cookies["refresh_token"])
            answered.release()

    with fresh_database(own_postgres.url) as url:
        async with a_server(url) as server, asyncio.TaskGroup() as load:
            clients = [await server.signed_in() for _ in range(CLIENTS)]
            tasks = [load.create_task(go_on_refreshing(one)) for one in clients]
            for _ in range(KILLS):
                await _so_many(answered)
                before = len(refused)
                await asyncio.to_thread(own_postgres.kill)
                while len(refused) < before + CLIENTS:  # noqa: ASYNC110 - they ask on and on
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(own_postgres.start)
            await _so_many(answered)
            over.set()
            await asyncio.wait(tasks)
            after = [await one.post("/auth/refresh") for one in clients]

    assert [answer.status_code for answer in after] == [200] * CLIENTS
    assert {len(of_a_token) for of_a_token in successors.values()} == {1}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


async def _so_many(answered: asyncio.Semaphore) -> None:
    for _ in range(2 * CLIENTS):
        await answered.acquire()


# --- the disk is full --------------------------------------------------------------------------


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[tuple[processes.ServerProcess, Path]]:
    database = folder / "full.db"
    async with processes.serving(f"sqlite:///{database}", folder, workers=1) as server:
        yield server, database


async def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """The system itself refuses to let a file of the server's grow, in the middle of its work."""
    async with (
        _serving(tmp_path) as (server, database),
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        token = (await processes.log_in(client)).json()["refresh_token"]
        answers: list[httpx.Response] = []

        with no_room(server, (database, database.with_name("full.db-wal"))):
            while [one.status_code for one in answers[-3:]] != [UNAVAILABLE] * 3:
                answers.append(await processes.refresh(client, token))
                if answers[-1].status_code == httpx.codes.OK:
                    token = answers[-1].json()["refresh_token"]
                assert len(answers) < 10_000, "it is never full"
            login = await client.post(
                "/auth/token", data={"username": "ada@example.com", "password": processes.PASSWORD}
            )
            alive = await client.get("/healthz")
        renewed = await processes.refresh(client, token)
        login_again = await processes.log_in(client)

    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, UNAVAILABLE}
    for refused in (answers[-1], login):
        assert (refused.status_code, refused.json()["code"]) == (UNAVAILABLE, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert "set-cookie" not in refused.headers
        assert "disk" not in refused.text
    assert alive.status_code == renewed.status_code == login_again.status_code == 200
    went_on = sum(answer.status_code == httpx.codes.OK for answer in answers)
    assert renewed.json()["generation"] == went_on + 1, "each that was answered counts, no other"
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@contextmanager
def no_room(server: processes.ServerProcess, files: tuple[Path, ...]) -> Iterator[None]:
    """Let no file of the server's grow over what its largest is now, and a little."""
    assert server._process is not None
    process = psutil.Process(server._process.pid)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in files if file.exists())
    process.rlimit(resource.RLIMIT_FSIZE, (largest + ROOM_BYTES, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_under_postgresql_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """PostgreSQL itself stops when it cannot write its log, and is started when there is room."""
    with (
        small_disk(tmp_path / "disk") as disk,
        # segments of 1 MiB: the next one is soon needed
        PostgresServer(folder=disk, initdb=["--wal-segsize=1"]) as postgres,
        fresh_database(postgres.url) as url,
    ):
        async with a_server(url) as server:
            client = await server.signed_in()
            generation, refused = 0, list[httpx.Response]()
            while len(refused) < 3:
                if generation == AS_IT_WAS:
                    fill(disk / "filler")
                token = client.cookies["refresh_token"]
                answer = await client.post("/auth/refresh")
                if answer.status_code == httpx.codes.OK:
                    generation = answer.json()["generation"]
                    continue
                refused.append(answer)
                assert client.cookies["refresh_token"] == token
                assert generation < 10_000, "it is never full"
            ended = not postgres.runs
            (disk / "filler").unlink()
            if ended:
                postgres.kill()
                await asyncio.to_thread(postgres.start)

            after: list[httpx.Response] = []

            async def renewed() -> bool:
                after.append(await client.post("/auth/refresh"))
                return after[-1].status_code == httpx.codes.OK

            await until(renewed)

    assert {refusal(one) for one in refused} == {(UNAVAILABLE, "unavailable")}
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert generation >= AS_IT_WAS
    assert after[-1].json()["generation"] == generation + 1, "what was answered counts, no more"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a disk of its own, which can be full without anybody else's being so."""
    folder.mkdir()
    for above in folder.parents:  # PostgreSQL runs as somebody else
        if above.is_relative_to(tempfile.gettempdir()) and above != Path(tempfile.gettempdir()):
            above.chmod(0o711)
    mounted = os.geteuid() == 0 and subprocess.run([*MOUNT, folder], check=False).returncode == 0
    if not mounted:
        pytest.skip("only root may mount a disk, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run([*UNMOUNT, folder], check=True)


def fill(filler: Path) -> None:
    """Write until there is no room."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))


# --- every connection to the database is taken -------------------------------------------------


async def test_logins_that_hang_leave_refreshes_a_connection(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_POOL_SIZE", 2)
    async with a_server(postgresql_url) as server:
        client = await server.signed_in()
        with locked(postgresql_url, "throttle"):
            logins = [asyncio.create_task(log_in(server.somebody())) for _ in range(8)]
            await asyncio.sleep(0)  # each has asked for a connection
            renewed = [await client.post("/auth/refresh") for _ in range(3)]
        told = [await login for login in logins]

    assert [one.status_code for one in renewed] == [httpx.codes.OK] * 3
    assert {one.status_code for one in told} == {httpx.codes.OK}


async def test_who_finds_no_connection_to_the_database_waits_a_bounded_time(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the pool has wait for locks of somebody else's."""
    monkeypatch.setattr(storage_engine, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(engines, "_POOL_SIZE", 2)
    async with a_server(postgresql_url) as server:
        client = await server.signed_in()
        with locked(postgresql_url, "users", "throttle", "refresh_tokens"):
            logins = [asyncio.create_task(log_in(server.somebody())) for _ in range(12)]
            refused = await client.post("/auth/refresh")
            told = [await login for login in logins]

        async def renewed() -> bool:
            return (await client.post("/auth/refresh")).status_code == httpx.codes.OK

        await until(renewed)

    assert (refused.status_code, refused.json()["code"]) == (UNAVAILABLE, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert {one.status_code for one in told} == {UNAVAILABLE}


@contextmanager
def locked(url: str, *tables: str) -> Iterator[None]:
    """Hold locks for which every statement on these tables waits."""
    with psycopg.connect(url) as connection:
        for table in tables:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        connection.rollback()
