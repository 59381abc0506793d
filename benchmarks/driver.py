"""The load driver: keep-alive connections that speak raw bytes, in a process of its own.

It must never be what is measured, so it does as little as Python can: requests are built once, an
answer is searched for the three things that are needed, and nothing is parsed. `ceilings.py` says
how fast it is.

A client that `chains` presents the newest refresh token that it was answered, as a browser does;
its tokens live on from round to round. So do those that travel in a body, as with other libraries:
the next one stands in a `member` of the answer. A crowd with a `rate` asks by the clock, and its
latencies count from when a request was due: a server that stalls is charged for everybody who had
to wait.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter, process_time
from types import TracebackType
from typing import IO, Any, Self, cast

import uvloop

from batonpass.http.cookies import SECURE_REFRESH_TOKEN, SECURE_SESSION_STATE
from batonpass.refresh_tokens import TEXT_LENGTH

HOST = "127.0.0.1"
PUBLIC_URL = "https://app.example.com"  # TLS ends in front of the server, as in production
OK = 200
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TOKEN = "$TOKEN"  # noqa: S105 - what a token takes the place of
_READY = "ready"
_COOKIE = f"{SECURE_REFRESH_TOKEN}=".encode()
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"ength: "  # content-length; WSGI servers write Content-Length
_STATUS = slice(9, 12)  # HTTP/1.1 200 OK

# What a browser says of itself; both sides of every comparison get the same.
_BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: */*",
    f"Origin: {PUBLIC_URL}",
    "Sec-Fetch-Site: same-origin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Clients that do the same thing.

    Attributes:
        name: Its crowd's; a round asks for crowds by their names.
        port: Where the server listens.
        path: What is asked for.
        method: POST or GET.
        cookies: Refresh tokens; each client takes its share and presents them in turn.
        bearers: Access tokens, likewise.
        bodies: Forms, likewise.
        chains: A token is followed by the one that its answer set.
        tokens: Tokens that travel in a body, likewise; none needs escaping there.
        template: That body, with TOKEN where the token is to stand.
        media_type: What bodies are: FORM or JSON.
        member: Where an answer, in JSON, has the token that takes the place of the one in the body;
            empty: they stay.
        clients: How many connections.
        rate: Requests a second, of all clients together; None: as fast as answers come.
        status: What every answer must be.
    """

    name: str
    port: int
    path: str
    method: str = "POST"
    cookies: Sequence[str] = ()
    bearers: Sequence[str] = ()
    bodies: Sequence[str] = ()
    chains: bool = False
    tokens: Sequence[str] = ()
    template: str = TOKEN
    media_type: str = FORM
    member: str = ""
    clients: int = 64
    rate: float | None = None
    status: int = OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a crowd got in one round.

    Attributes:
        requests: How many were answered.
        seconds: From the first request to the last answer.
        p50: Median latency, in seconds.
        p99: What 99 of 100 stayed below.
        driver_seconds: CPU time of the driver, for all crowds of the round.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    driver_seconds: float


class UnexpectedAnswerError(Exception):
    """The server answered otherwise than a benchmark counts on: its figures mean nothing."""


class Driver:
    """The driver's process, as a benchmark sees it."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def add(self, load: Load) -> None:
        """Make a load's crowd known; a second one of the same name takes its place."""
        self._say({"add": asdict(load)})

    def run(
        self, names: Sequence[str], seconds: float, *, at_start: Callable[[], None] = lambda: None
    ) -> dict[str, Answers]:
        """Let crowds ask for so long, all at once.

        Args:
            names: Whose.
            seconds: For how long requests are begun.
            at_start: Called when all are connected, right before the first request.

        Raises:
            UnexpectedAnswerError: An answer had another status, or a connection broke.
        """
        self._say({"run": list(names), "seconds": seconds})
        self._hear(_READY)
        at_start()
        self._say("go")
        found = cast("dict[str, dict[str, Any]]", self._hear())
        for name, one in found.items():
            if one.get("refused"):
                message = f"{name}: {one['refused']}"
                raise UnexpectedAnswerError(message)
        return {name: Answers(**one["answers"]) for name, one in found.items()}

    def _say(self, message: object) -> None:
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(json.dumps(message) + "\n")
        stdin.flush()

    def _hear(self, expected: str | None = None) -> object:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            message = "the load driver has ended; what it said stands above"
            raise UnexpectedAnswerError(message)
        heard: object = json.loads(line)
        if expected is not None and heard != expected:
            raise UnexpectedAnswerError(str(heard))
        return heard


# --- the driver's own process ------------------------------------------------------------------


def build_requests(load: Load) -> list[bytes]:
    """Write every request of a load as it goes over the wire."""
    bodies = [*load.bodies, *(_fill(load, token) for token in load.tokens)]
    count = max(len(load.cookies), len(load.bearers), len(bodies), 1)
    return [
        _request(
            load,
            _one_of(load.cookies, index),
            _one_of(load.bearers, index),
            _one_of(bodies, index),
        )
        for index in range(count)
    ]


def _fill(load: Load, token: str) -> str:
    return load.template.replace(TOKEN, token)


def _one_of(values: Sequence[str], index: int) -> str:
    return values[index % len(values)] if values else ""


def _request(load: Load, cookie: str, bearer: str, body: str) -> bytes:
    lines = [f"{load.method} {load.path} HTTP/1.1", f"Host: {HOST}:{load.port}", *_BROWSER]
    if load.method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    if body:
        lines.append(f"Content-Type: {load.media_type}")
    if bearer:
        lines.append(f"Authorization: Bearer {bearer}")
    if cookie:
        lines.append(f"Cookie: {_COOKIE.decode()}{cookie}; {SECURE_SESSION_STATE}=Xq3pO0aB.7")
    return "\r\n".join([*lines, "", body]).encode()


class _Crowd:
    """The clients of one load."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.expected = str(load.status).encode()
        self.next_token = re.compile(rb'"%s":\s*"([^"\\]+)"' % re.escape(load.member.encode()))
        self.latencies: list[float] = []
        self.refused: Counter[str] = Counter()
        self.begin = self.end = self.last = 0.0
        requests = build_requests(load)
        shares = [requests[start :: load.clients] for start in range(load.clients)]
        # With fewer values than clients, several present the same: replays, an empty route.
        self.shares = [share or [requests[0]] for share in shares]
        self.clients: list[_Client] = []

    def follow(self, answer: bytes, start: int) -> bytes | None:
        """Write the request that presents the token in an answer's body; None: there is none."""
        found = self.next_token.search(answer, start)
        if found is None:
            return None
        return _request(self.load, "", "", _fill(self.load, found[1].decode()))

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.latencies.clear()
        self.refused.clear()
        interval = None if self.load.rate is None else self.load.clients / self.load.rate
        self.done = loop.create_future()
        self.clients = [_Client(self, share, interval) for share in self.shares]
        self.missing = len(self.clients)
        for client in self.clients:
            await loop.create_connection(partial(_itself, client), HOST, self.load.port)

    def start(self, begin: float, seconds: float) -> None:
        self.begin, self.end = begin, begin + seconds
        for index, client in enumerate(self.clients):
            client.start(index / len(self.clients))

    def leave(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.last = perf_counter()
            self.done.set_result(None)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def report(self, driver_seconds: float) -> dict[str, object]:
        if self.refused or not self.latencies:
            return {"refused": f"{dict(self.refused) or 'no answer at all'}"}
        latencies = sorted(self.latencies)
        answers = Answers(
            requests=len(latencies),
            seconds=self.last - self.begin,
            p50=percentile(latencies, 50),
            p99=percentile(latencies, 99),
            driver_seconds=driver_seconds,
        )
        return {"answers": asdict(answers)}


def _itself(client: "_Client") -> "_Client":
    return client


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value that so many in a hundred do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


class _Client(asyncio.Protocol):
    """One keep-alive connection: a request is sent when the answer before it has come whole."""

    def __init__(self, crowd: _Crowd, requests: list[bytes], interval: float | None) -> None:
        self._crowd = crowd
        self._requests = requests  # the crowd's own list: what is put into it lives on
        self._chains = crowd.load.chains
        self._follows = bool(crowd.load.member)
        self._interval = interval
        self._at = 0
        self._rest = b""
        self._due = self._sent = 0.0
        self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def start(self, share: float) -> None:
        if self._interval is None:
            self._send(self._crowd.begin)
        else:
            self._due = self._crowd.begin + share * self._interval
            self._wait(self._crowd.begin)

    def close(self) -> None:
        self._left = True
        self._transport.abort()
        # The next round goes on where this one ended, or it would use the first tokens only.
        self._requests[:] = self._requests[self._at :] + self._requests[: self._at]

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        end = data.find(_END_OF_HEAD)
        at = data.find(_LENGTH, 0, end) + len(_LENGTH)
        if end < 0 or len(data) < end + 4 + int(data[at : data.find(b"\r", at)]):
            self._rest = data
            return
        self._rest = b""
        now = perf_counter()
        crowd = self._crowd
        crowd.latencies.append(now - self._sent)
        if data[_STATUS] != crowd.expected:
            self._refuse(data.decode("latin-1"))
            return
        if self._chains:
            start = data.find(_COOKIE, 0, end)
            if start < 0:
                self._refuse("a token answer without its cookie")
                return
            # The new token in the place of the one that was spent: both are equally long.
            request = self._requests[self._at]
            spent = request.find(_COOKIE)
            self._requests[self._at] = (
                request[:spent]
                + data[start : start + len(_COOKIE) + TEXT_LENGTH]
                + request[spent + len(_COOKIE) + TEXT_LENGTH :]
            )
        elif self._follows and not self._follow(data, end):
            return
        self._at += 1
        if self._at == len(self._requests):
            self._at = 0
        if now >= crowd.end:
            self._leave()
        elif self._interval is None:
            self._send(now)
        else:
            self._due += self._interval
            self._wait(now)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._left:
            self._refuse("the connection was lost")

    def _send(self, now: float) -> None:
        self._sent = now
        self._transport.write(self._requests[self._at])

    def _follow(self, data: bytes, end: int) -> bool:
        request = self._crowd.follow(data, end)
        if request is None:
            self._refuse("a token answer without its member")
            return False
        self._requests[self._at] = request
        return True

    def _wait(self, now: float) -> None:
        if self._due >= self._crowd.end:
            self._leave()
        elif self._due <= now:
            self._send(self._due)  # late: whoever is waiting has been waiting since then
        else:
            asyncio.get_running_loop().call_later(self._due - now, self._send_by_the_clock)

    def _send_by_the_clock(self) -> None:
        self._send(perf_counter())  # a late timer is the driver's own

    def _refuse(self, why: str) -> None:
        self._crowd.refused[why] += 1
        self._leave()

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self._crowd.leave()


async def _run(crowds: Sequence[_Crowd], seconds: float) -> dict[str, object]:
    for crowd in crowds:
        await crowd.connect()
    _answer(_READY)
    sys.stdin.readline()  # nothing else is to be done meanwhile
    begin, cpu = perf_counter(), process_time()
    for crowd in crowds:
        crowd.start(begin, seconds)
    await asyncio.gather(*(crowd.done for crowd in crowds))
    cpu = process_time() - cpu
    found: dict[str, object] = {crowd.load.name: crowd.report(cpu) for crowd in crowds}
    for crowd in crowds:
        crowd.close()
    return found


def _answer(message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    """Do what is asked on stdin, a line of JSON each."""
    crowds: dict[str, _Crowd] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "add" in asked:
            load = Load(**asked["add"])
            crowds[load.name] = _Crowd(load)
        else:
            chosen = [crowds[name] for name in asked["run"]]
            _answer(uvloop.run(_run(chosen, asked["seconds"])))


if __name__ == "__main__":
    main()
