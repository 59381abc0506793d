"""A real server in a thread of its own, and native clients of it with a clock to move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from batonpass.httpx_auth import BatonpassAuth, MemoryStore, Tokens, TokenStore
from tests.support.bad_lines import CERTIFICATES, BadLine
from tests.support.clocks import Clock
from tests.support.live_server import (
    EMAIL,
    PASSWORD,
    PATIENCE_SECONDS,
    LiveServer,
    running,
)
from tests.support.servers import light_hashes


async def grumble(request: Request) -> Response:
    """Answer 401, whatever the token; `code` as asked for."""
    code = request.query_params.get("code")
    return JSONResponse({} if code is None else {"code": code}, status_code=401)


async def count(request: Request) -> Response:
    """Say how long the body is, if the token is good."""
    body = await request.body()
    inside = httpx.ASGITransport(app=request.app)
    async with httpx.AsyncClient(transport=inside, base_url="http://localhost") as client:
        bearer = request.headers.get("Authorization", "")
        me = await client.get("/auth/me", headers={"Authorization": bearer})
    return JSONResponse(len(body) if me.is_success else me.json(), me.status_code)


async def lead_away(request: Request) -> Response:
    """Redirect to wherever it is said."""
    return RedirectResponse(request.query_params["to"])


ROUTES = [
    Route("/grumble", grumble),
    Route("/count", count, methods=["POST"]),
    Route("/away", lead_away),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server with one user, for all tests of a file: its clock only goes on."""
    url = f"sqlite:///{tmp_path_factory.mktemp('live') / 'batonpass.db'}"
    with light_hashes(), running(url, extra_routes=ROUTES, rate_limit_login="off") as server:
        anyio.run(server.register)
        yield server


@pytest.fixture
def server(live: LiveServer) -> LiveServer:
    """Give the server, with nothing noted yet."""
    live.wire.exchanges.clear()
    return live


@dataclass
class Device:
    """A native client that has logged in.

    Attributes:
        line: Between its auth and the server.
        clock: Its own, not the server's.
    """

    server: LiveServer
    store: TokenStore = field(default_factory=MemoryStore)
    line: BadLine = field(default_factory=BadLine)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Log in."""
        self.auth = self.another_auth()
        self.auth.log_in(EMAIL, PASSWORD)
        self.client = self.another_client()

    def another_auth(self, **choices: object) -> BatonpassAuth:
        """Give an auth as another run, or another process, would have it."""
        given = {"client": httpx.Client(transport=self.line), "clock": self.clock, **choices}
        return BatonpassAuth(self.server.url, self.store, **given)  # type: ignore[arg-type]  # choices

    def another_client(self, auth: BatonpassAuth | None = None) -> httpx.Client:
        """Give a client by a good line."""
        return httpx.Client(
            base_url=self.server.url,
            auth=auth or self.auth,
            timeout=PATIENCE_SECONDS,
            verify=CERTIFICATES,
        )

    def me(self) -> httpx.Response:
        """Ask who one is."""
        return self.client.get("/auth/me")

    @property
    def stored(self) -> Tokens:
        """What the store holds."""
        tokens = self.store.load()
        assert tokens is not None
        return tokens

    def let_token_expire(self) -> None:
        """Let its life pass, for the device and for the server."""
        self.clock.advance(timedelta(minutes=31))
        self.server.expire_access_tokens()

    def close(self) -> None:
        """Leave no connection open."""
        self.client.close()
        self.line.close()


@pytest.fixture
def device(server: LiveServer) -> Iterator[Device]:
    """Give a native client that keeps its tokens in memory."""
    device = Device(server)
    server.wire.exchanges.clear()
    yield device
    device.close()
