"""Peers that send slowly, or do not read, at a real server: S-OPS-3 and A30.

With short limits, which are parameters; `python -m benchmarks.slow_connections` measures 10,000
connections at those of production.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from anyio.to_thread import run_sync
from starlette.types import Message, Receive, Scope, Send

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection, Limits
from tests.support.live_server import HOST, listening
from tests.support.servers import EMAIL, PASSWORD, login_json, settings_of

SLOW = 500
ROOM = 30  # fewer than the threads in which requests may wait
GIVE_UP_SECONDS = 20
SHORT = Limits(head_seconds=1, body_seconds=2, answer_seconds=1, connections=1000)
HEAD = b"POST /auth/refresh HTTP/1.1\r\nHost: a\r\n"
BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
PING = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
MUCH = 64 * 2**20  # more than any buffer between us


class Impatient(Connection):
    """Waits a moment only."""

    limits = SHORT


class Small(Connection):
    """Waits as long as in production, and has little room."""

    limits = Limits(connections=ROOM)


class OwnApp:
    """Answers when it is let, with much."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.asked = threading.Semaphore(0)
        self.may_answer = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/wait` late, anything else with so many bytes that no buffer holds them."""
        if scope["type"] != "http":
            await receive()  # the lifespan, of which nothing is needed
            return
        self.asked.release()
        waits = scope["path"] == "/wait"
        if waits:
            await run_sync(self.may_answer.wait)
        start: Message = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if waits else bytes(MUCH)})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the whole server, which waits a moment only."""
    with serving(tmp_path_factory.mktemp("slow"), Impatient) as url:
        yield url


@contextmanager
def serving(folder: object, http: type[Connection]) -> Iterator[str]:
    database_url = f"sqlite:///{folder}/batonpass.db"
    migrations.upgrade(database_url)
    with listening(build_app(settings_of(database_url)), http=http) as url:
        httpx.post(f"{url}/auth/register", json=login_json(EMAIL, PASSWORD)).raise_for_status()
        yield url


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    port = int(url.rpartition(":")[2])
    with socket.create_connection((HOST, port), timeout=GIVE_UP_SECONDS) as connection:
        yield connection


def drip(connection: socket.socket, byte: bytes) -> bytes:
    """Send a byte every now and then until the server has enough; return what it says."""
    connection.settimeout(0.1)
    for _ in range(10 * GIVE_UP_SECONDS):
        try:
            connection.sendall(byte)
            return connection.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    raise AssertionError("it waits for ever")


def log_in(client: httpx.Client) -> None:
    form = {"username": EMAIL, "password": PASSWORD}
    client.post("/auth/token", data=form).raise_for_status()


# --- in time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "byte"), [
    pytest.param(b"", b"G", id="a method"),
    pytest.param(HEAD, b"a", id="a header"),
    pytest.param(PING + HEAD, b"a", id="the head of a later request"),
    pytest.param(BODY, b" ", id="a body"),
    pytest.param(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="a body without an end"
    ),
    pytest.param(
        PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a", id="trailers"
    ),
])  # fmt: skip
def test_s_ops_3_what_does_not_end_is_refused_in_time(url: str, begin: bytes, byte: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(begin)
        if begin.startswith(PING):
            assert b" 200 " in connection.recv(65536)

        said = drip(connection, byte)

    if byte not in {b"G", b"a"} or begin == HEAD:
        assert b"408 Request Timeout" in said
        assert b'"code":"too_slow"' in said
        assert b"connection: close" in said.lower()
        assert b"cache-control: no-store" in said.lower()
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_s_ops_3_who_says_nothing_is_hung_up_on_without_a_word(url: str) -> None:
    with connected(url) as connection:
        assert connection.recv(65536) == b"", "it would be taken for the answer to a later request"


def test_s_ops_3_line_ends_keep_no_connection_alive(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(PING)
        assert b" 200 " in connection.recv(65536)

        drip(connection, b"\r\n")


def test_s_ops_3_a_request_that_arrives_in_pieces_is_served(url: str) -> None:
    """The clock begins anew with each part, and an answer that takes long is no fault of theirs."""
    with httpx.Client(base_url=url) as client:
        log_in(client)
        cookie = f"Cookie: refresh_token={client.cookies['refresh_token']}\r\n".encode()
    rest = cookie + b"Content-Length: 2\r\n\r\n"

    with connected(url) as connection:
        answers = []
        for _ in range(3):
            for piece in (HEAD[:20], HEAD[20:] + rest[:30], rest[30:], b" ", b" "):
                connection.sendall(piece)
                time.sleep(0.15)  # noqa: TID251 - a peer's slowness is what is tested
            answers.append(connection.recv(65536).split()[1])

    assert answers == [b"200"] * 3, "longer in all than the limit for one"


def test_s_ops_3_who_does_not_read_is_not_waited_for() -> None:
    app = OwnApp()
    with listening(app, http=Impatient) as url, connected(url) as connection:
        connection.sendall(PING)
        until(lambda: app.asked.acquire(blocking=False))
        until(lambda: len(Impatient._theirs) > 0)

        until(lambda: not Impatient._theirs)

        taken = sum(map(len, iter(lambda: connection.recv(2**20), b"")))

    assert taken < MUCH, "it was cut off"


# --- and in number -----------------------------------------------------------------------------


def test_s_ops_3_where_there_is_no_room_the_slowest_makes_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("room"), Small) as url, ExitStack() as stack:
        idle = stack.enter_context(connected(url))
        idle.sendall(PING)
        assert b" 200 " in idle.recv(65536)
        slow = [stack.enter_context(connected(url)) for _ in range(ROOM)]
        for connection in slow:
            connection.sendall(HEAD)

        clients = [stack.enter_context(httpx.Client(base_url=url)) for _ in range(10)]
        answers = [client.get("/healthz").status_code for client in clients]

        said = [connection.recv(65536) for connection in slow[:10]]
        assert idle.recv(65536) == b"", "no word where nothing was asked"
        still_there = len(Small._theirs)

    assert answers == [200] * 10
    assert still_there == ROOM
    assert all(b"503 " in one and b"retry-after" in one.lower() for one in said)


def test_s_ops_3_where_all_the_room_is_at_work_a_newcomer_is_told_to_come_back() -> None:
    app = OwnApp()
    with listening(app, http=Small) as url, ExitStack() as stack:
        busy = [stack.enter_context(connected(url)) for _ in range(ROOM)]
        for connection in busy:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert app.asked.acquire(timeout=GIVE_UP_SECONDS)

        try:
            with connected(url) as newcomer:
                refused = newcomer.recv(65536)
        finally:
            app.may_answer.set()
        served = [connection.recv(12) for connection in busy]

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in refused.lower()
    assert served == [b"HTTP/1.1 200"] * ROOM


def test_a30_beside_hundreds_that_send_slowly_others_are_served(url: str) -> None:
    with ExitStack() as stack, httpx.Client(base_url=url) as client:
        log_in(client)
        slow = [stack.enter_context(connected(url)) for _ in range(SLOW)]
        for connection in slow:
            connection.sendall(HEAD)
            connection.settimeout(0)

        answers, closed = [], 0
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while slow and time.monotonic() < give_up:
            answers.append(client.post("/auth/refresh").status_code)
            open_ = [connection for connection in slow if still_open(connection)]
            closed += len(slow) - len(open_)
            slow = open_

    assert closed == SLOW, "all of them, although each went on sending"
    assert set(answers) == {200}


def still_open(connection: socket.socket) -> bool:
    """Send one byte more; whether nobody has hung up."""
    try:
        connection.send(b"a")
        return not connection.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it waits for ever"
        time.sleep(0.01)  # noqa: TID251 - it happens in another thread
