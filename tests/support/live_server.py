"""The whole server on a real port, in a thread of its own, with a clock that the test moves.

Between it and whoever calls lies a `Wire`: it notes every exchange, and it can hold an answer back
or lose it on the way, after the server has done its work, as a real network does.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from threading import Barrier, Event, Thread
from typing import NamedTuple, cast

import anyio
import httpx
import uvicorn
from anyio.to_thread import run_sync
from sqlalchemy import create_engine, make_url, select
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from batonpass.clock import Clock as RealClock
from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.models import metadata
from batonpass.server.settings import load_settings
from tests.support.clocks import Clock

HOST = "127.0.0.1"
SECRET = token_hex(32)
EMAIL = "ada@example.org"
PASSWORD = "seven green bicycles in the rain"
PATIENCE_SECONDS = 20  # a loaded machine; what is waited for takes milliseconds
_TRANSPORT = "tests.transport"  # where a request's scope has its connection


class Exchange(NamedTuple):
    """A request that the server has answered, whether or not the answer arrived."""

    method: str
    path: str
    status: int
    asked: Headers
    answered: Headers
    body: bytes  # the answer's


class Held:
    """An answer that the server has given, and that has not left it yet."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.reached = Event()
        self.released = Event()

    async def arrived(self) -> None:
        """Wait until the server has answered."""
        assert await run_sync(self.reached.wait, PATIENCE_SECONDS), "nothing was asked"

    def release(self) -> None:
        """Let it go on its way."""
        self.released.set()


class Wire:
    """Notes what goes over it; holds or loses answers when told to.

    Server-sent events and WebSockets pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Lead to `app`."""
        self.app = app
        self.exchanges: list[Exchange] = []
        self._lost: set[str] = set()
        self._held: dict[str, Held] = {}
        self._meetings: dict[str, Barrier] = {}

    def count(self, method: str, path: str, status: int | None = None) -> int:
        """Count the exchanges with a path, of any status unless one is given."""
        return sum(
            (one.method, one.path) == (method, path) and status in {None, one.status}
            for one in self.exchanges
        )

    @contextmanager
    def losing(self, path: str) -> Iterator[None]:
        """Let the server do what it is asked to, and break the connection before it answers."""
        self._lost.add(path)
        try:
            yield
        finally:
            self._lost.discard(path)

    @contextmanager
    def holding(self, path: str) -> Iterator[Held]:
        """Hold answers from this path back until released, or until the end of the block.

        A block within the block holds what comes later by itself.
        """
        outer, held = self._held.get(path), Held()
        self._held[path] = held
        try:
            yield held
        finally:
            if outer is None:
                del self._held[path]
            else:
                self._held[path] = outer
            held.release()

    @contextmanager
    def gathering(self, path: str, parties: int) -> Iterator[None]:
        """Let requests to this path wait in front of the server until there are so many."""
        self._meetings[path] = Barrier(parties, timeout=PATIENCE_SECONDS)
        try:
            yield
        finally:
            self._meetings.pop(path).abort()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request there and its answer back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path in self._meetings:
            await run_sync(self._meetings[path].wait)
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)
            if _is_stream(answer[0]):  # it has no end to wait for
                await send(message)

        await self.app(scope, receive, keep)
        if _is_stream(answer[0]):
            return
        self.exchanges.append(
            Exchange(
                scope["method"],
                path,
                answer[0]["status"],
                Headers(scope=scope),
                Headers(raw=answer[0]["headers"]),
                b"".join(message.get("body", b"") for message in answer),
            )
        )
        if held := self._held.get(path):
            held.reached.set()
            await run_sync(held.released.wait)
        if path in self._lost:
            scope[_TRANSPORT].abort()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        for message in answer:
            await send(message)


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start["headers"]
    )


class _Connection(H11Protocol):
    """Tells each request which connection it came over, so that the wire can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the scope of what comes."""
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await cast("ASGIApp", app)({**scope, _TRANSPORT: transport}, receive, send)

        self.app = with_transport


@dataclass
class LiveServer:
    """A server that answers.

    Attributes:
        url: Its origin.
        clock: Its time; it stands still unless the test moves it.
        wire: What lies in front of it.
    """

    url: str
    database_url: str
    clock: Clock
    wire: Wire
    _verify: ssl.SSLContext | bool = field(default=True, repr=False)

    @property
    def refreshes(self) -> int:
        """How many refreshes it has been asked for."""
        return self.wire.count("POST", "/auth/refresh")

    def advance(self, *, minutes: float) -> None:
        """Move the server's clock."""
        self.clock.advance(timedelta(minutes=minutes))

    def expire_access_tokens(self) -> None:
        """Move the clock to where every access token is over, for the server at least."""
        self.advance(minutes=31)

    async def register(self, email: str = EMAIL, password: str = PASSWORD) -> None:
        """Create an account, from outside of any browser."""
        answer = await self.post("/auth/register", json={"email": email, "password": password})
        assert answer.status_code == httpx.codes.CREATED, answer.text

    async def log_in_elsewhere(self, user_agent: str) -> str:
        """Log in from another device, and return its access token."""
        form = {"username": EMAIL, "password": PASSWORD}
        answer = await self.post("/auth/token", data=form, headers={"User-Agent": user_agent})
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    async def post(self, path: str, **request: object) -> httpx.Response:
        """Send a request from outside of any browser, as a thief or another device does."""
        async with self._outside() as client:
            return await client.post(path, **request)  # type: ignore[arg-type]  # httpx's own

    async def get(self, path: str) -> httpx.Response:
        """Read a page from outside of any browser."""
        async with self._outside() as client:
            return await client.get(path)

    async def delete(self, path: str, bearer: str) -> None:
        """End a session, or several, from another device."""
        headers = {"Authorization": f"Bearer {bearer}"}
        async with self._outside() as client:
            answer = await client.delete(path, headers=headers)
        assert answer.status_code == httpx.codes.NO_CONTENT, answer.text

    def _outside(self) -> httpx.AsyncClient:
        # The first call waits until the server has started: httpx's own 5 s are short for that.
        return httpx.AsyncClient(base_url=self.url, verify=self._verify, timeout=PATIENCE_SECONDS)

    def events(self) -> list[str]:
        """Name the security events that the database keeps."""
        table = metadata.tables["security_events"]
        url = make_url(self.database_url)
        driver = "sqlite+pysqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
        engine = create_engine(url.set(drivername=driver))
        try:
            with engine.connect() as connection:
                return [str(name) for name in connection.scalars(select(table.c.event))]
        finally:
            engine.dispose()


@contextmanager
def running(
    database_url: str,
    *,
    certificate: Path | None = None,
    extra_routes: Sequence[BaseRoute] = (),
    **settings: object,
) -> Iterator[LiveServer]:
    """Serve everything that `batonpass serve` does, from an empty database.

    Args:
        database_url: It is migrated first.
        certificate: A PEM file with key and certificate: then over https.
        extra_routes: What else it shall answer.
        settings: Fields of `Settings`.
    """
    migrations.upgrade(database_url)
    clock = Clock(RealClock().now())  # the browser's: dates on pages are counted from it
    chosen = load_settings(
        _env_file=None,
        BATONPASS_SECRET_KEY=SECRET,
        database_url=database_url,
        **settings,
    )
    app = build_app(chosen, clock)
    app.router.routes[:0] = extra_routes
    wire = Wire(app)
    with listening(wire, certificate=certificate) as url:
        verify = True if certificate is None else ssl.create_default_context(cafile=certificate)
        yield LiveServer(url, database_url, clock, wire, verify)


@contextmanager
def listening(
    app: ASGIApp,
    *,
    certificate: Path | None = None,
    http: type[asyncio.Protocol] = _Connection,
) -> Iterator[str]:
    """Answer for `app` on a port of its own, in a thread of its own; give its origin."""
    with socket.create_server((HOST, 0)) as port:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=http,
                ws="websockets-sansio",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                ssl_certfile=certificate,
                timeout_graceful_shutdown=1,
            )
        )
        # The port listens already: whoever calls waits until the server takes the call.
        thread = Thread(target=server.run, args=([port],))
        thread.start()
        scheme = "http" if certificate is None else "https"
        try:
            yield f"{scheme}://{HOST}:{port.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, asking again and again; it is the test's failure if it is not."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - a browser tells nobody of its cookie jar
            await anyio.sleep(0.02)
