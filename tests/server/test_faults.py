"""A fault in each layer: one 500 in the documented shape, whose id leads to a log without secrets.

Where the real part can be broken, it is (a table is gone, no key may sign); else the method at the
layer's door raises what a bug would.
"""

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import update
from starlette.types import Message, Receive, Scope, Send

from batonpass.access_tokens import AccessTokens
from batonpass.auth_service import AuthService
from batonpass.cli.context import VISIT
from batonpass.http import schemas
from batonpass.http.edge import Edge
from batonpass.keys import LEARNT_WITHIN
from batonpass.revocations import Revocations
from batonpass.server.accounts import Accounts
from batonpass.server.app import build_auth
from batonpass.server.faults import Faults
from batonpass.server.logging import configure
from batonpass.server.passwords import PasswordHasher
from batonpass.server.throttle import Throttle
from batonpass.storage.store import Store
from tests.support.families import TICK
from tests.support.servers import EMAIL, PASSWORD, SECRET_KEY, Server, a_server, set_cookies

WHY = "the flux capacitor is empty"
REQUEST_ID = "fault-0001"
UNDEFINED_TABLE = "42P01"  # PostgreSQL, Appendix A
# What no answer may show: how we are built, and what went wrong.
INSIDE = (WHY, "Traceback", "SELECT", "INSERT", "UPDATE", "DELETE", "sqlalchemy", "asyncpg", ".py",
          "relation", "RuntimeError", "keys rotate", version("batonpass"))  # fmt: skip

Request = tuple[str, str, dict[str, Any]]
LOG_IN: Request = ("POST", "/auth/token", {"data": {"username": EMAIL, "password": PASSWORD}})
REGISTER: Request = (
    "POST", "/auth/register", {"json": {"email": "bob@example.com", "password": PASSWORD}}
)  # fmt: skip
REFRESH: Request = ("POST", "/auth/refresh", {})
LOG_OUT: Request = ("POST", "/auth/logout", {})
ME: Request = ("GET", "/auth/me", {})
SESSIONS: Request = ("GET", "/auth/sessions", {})
EVENTS: Request = ("GET", "/auth/events", {})
CONFIRM: Request = ("POST", "/auth/confirm", {"json": {"password": PASSWORD}})
NEW_PASSWORD: Request = (
    "POST",
    "/auth/password",
    {"json": {"current_password": PASSWORD, "new_password": "another horse battery"}},
)
READY: Request = ("GET", "/readyz", {})


@dataclass
class Scene:
    """A server with a signed-in user, and the log that it writes, at DEBUG.

    Attributes:
        read_log: What was logged so far.
        secrets: What must never stand in it.
    """

    server: Server
    client: httpx.AsyncClient
    read_log: Callable[[], str]
    secrets: set[str]

    async def ask(self, request: Request) -> httpx.Response:
        method, path, content = request
        headers = {"X-Request-ID": REQUEST_ID}
        return await self.client.request(method, path, headers=headers, **content)

    def note_tokens(self) -> None:
        self.secrets |= {value for value in self.client.cookies.values() if len(value) > 20}


@pytest.fixture
def log() -> Iterator[Callable[[], str]]:
    """Write the log as production does, and everything of it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("json")
    root.setLevel(logging.DEBUG)
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream.getvalue
    root.handlers[:] = handlers
    root.setLevel(level)


async def scene_on(url: str, log: Callable[[], str]) -> AsyncIterator[Scene]:
    async with a_server(url) as server:
        client = await server.signed_in()
        access_token = client.headers["Authorization"].partition(" ")[2]
        secrets = {PASSWORD, "another horse battery", SECRET_KEY, access_token}
        scene = Scene(server, client, log, secrets)
        scene.note_tokens()
        yield scene


@pytest.fixture
async def scene(sqlite_url: str, log: Callable[[], str]) -> AsyncIterator[Scene]:
    async for made in scene_on(sqlite_url, log):
        yield made


@pytest.fixture
async def on_postgresql(postgresql_url: str, log: Callable[[], str]) -> AsyncIterator[Scene]:
    async for made in scene_on(postgresql_url, log):
        yield made


def assert_is_a_fault(answer: httpx.Response, scene: Scene) -> None:
    """Hold what is true of every fault, whatever broke."""
    assert answer.status_code == 500, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"detail", "code"}
    assert answer.json()["code"] == "internal_error"
    assert REQUEST_ID in answer.json()["detail"]
    assert answer.headers["x-request-id"] == REQUEST_ID
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not set_cookies(answer), "no cookie is touched"
    shown = answer.text + repr(answer.headers.multi_items())
    assert not [word for word in INSIDE if word in shown]

    scene.note_tokens()
    written = scene.read_log()
    records = [json.loads(line) for line in written.splitlines()]
    errors = [one for one in records if one["level"] == "error" and "request_id" in one]
    assert [one["request_id"] for one in errors] == [REQUEST_ID], "the id leads to what happened"
    assert {"exception", "why"} & set(errors[0])
    assert not [secret for secret in scene.secrets if secret in written]


# --- a bug at the door of each layer -----------------------------------------------------------


LAYERS = [
    pytest.param(Edge, "visit", LOG_IN, id="http/edge: reading the request"),
    pytest.param(Edge, "visit", REFRESH, id="http/gate: a refresh"),
    pytest.param(Edge, "check_csrf", LOG_OUT, id="http/gate: before any route"),
    pytest.param(schemas, "session", SESSIONS, id="http/schemas: writing the answer"),
    pytest.param(Accounts, "log_in", LOG_IN, id="server/accounts"),
    pytest.param(Accounts, "get", ME, id="server/accounts: a bearer route"),
    pytest.param(PasswordHasher, "hash", REGISTER, id="server/passwords: hashing"),
    pytest.param(PasswordHasher, "_verify", LOG_IN, id="server/passwords: in its thread"),
    pytest.param(Throttle, "take_login", LOG_IN, id="server/throttle: in a transaction"),
    pytest.param(Throttle, "take_confirmation", CONFIRM, id="server/throttle: a confirmation"),
    pytest.param(AuthService, "rotate_refresh_token", REFRESH, id="auth_service: a refresh"),
    pytest.param(AuthService, "log_out", LOG_OUT, id="auth_service: a logout"),
    pytest.param(AuthService, "change_rights", NEW_PASSWORD, id="auth_service: a password"),
    pytest.param(Revocations, "check", ME, id="revocations"),
    pytest.param(AccessTokens, "verify", ME, id="access_tokens: verifying"),
    pytest.param(AccessTokens, "issue", REFRESH, id="access_tokens: issuing"),
    pytest.param(Store, "list_of", SESSIONS, id="storage: a statement that reads"),
    pytest.param(Store, "add_events", LOG_IN, id="storage: a statement that writes"),
]


@pytest.mark.parametrize(("owner", "name", "request_"), LAYERS)
async def test_s_log_4_a_bug_is_a_500_and_an_id(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, request_: Request
) -> None:
    def bug(*_arguments: object, **_named: object) -> None:
        raise RuntimeError(WHY)

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, bug)
        answer = await scene.ask(request_)

    assert_is_a_fault(answer, scene)
    assert WHY in scene.read_log(), "the log has what the answer hides"
    assert (await scene.client.post("/auth/refresh")).status_code == 200, "nobody is logged out"


# --- what is really broken ---------------------------------------------------------------------


@pytest.mark.parametrize(("table", "request_"), [
    ("refresh_tokens", REFRESH), ("refresh_tokens", SESSIONS), ("throttle", LOG_IN),
    ("users", ME), ("security_events", EVENTS), ("revocations", LOG_OUT),
])  # fmt: skip
async def test_s_log_4_a_table_that_is_gone_shows_no_sql(
    on_postgresql: Scene, table: str, request_: Request
) -> None:
    with psycopg.connect(on_postgresql.server.settings.database_url, autocommit=True) as operator:
        operator.execute(f"ALTER TABLE {table} RENAME TO elsewhere".encode())

        answer = await on_postgresql.ask(request_)

    assert_is_a_fault(answer, on_postgresql)
    log = on_postgresql.read_log()
    assert "UndefinedTable" in log or UNDEFINED_TABLE in log


async def test_s_log_4_a_value_that_the_database_refuses_shows_no_row(on_postgresql: Scene) -> None:
    with psycopg.connect(on_postgresql.server.settings.database_url, autocommit=True) as operator:
        operator.execute("ALTER TABLE users ADD CHECK (email NOT LIKE 'bob%')")

        answer = await on_postgresql.ask(REGISTER)

    assert_is_a_fault(answer, on_postgresql)
    log = on_postgresql.read_log()
    assert "CheckViolation" in log
    assert "argon2id" not in log, "PostgreSQL quotes the whole row"


async def test_s_log_4_no_key_that_may_sign_is_no_business_of_the_users(scene: Scene) -> None:
    operator = build_auth(scene.server.settings, scene.server.clock)
    await operator.service.rotate_signing_keys(VISIT)
    withdraw = update(operator.tables.signing_keys).values(is_withdrawn=True)
    await operator.database.write(lambda connection: connection.execute(withdraw))
    await operator.stop()
    scene.server.clock.advance(LEARNT_WITHIN + TICK)
    assert (await scene.client.get("/auth/me")).status_code == 401, "it has read the table"

    answer = await scene.ask(LOG_IN)

    assert_is_a_fault(answer, scene)


# --- the middleware ----------------------------------------------------------------------------


async def test_a_fault_after_the_answer_began_is_the_servers_to_end() -> None:
    """The status is out: nothing that is sent now could be told from the answer itself."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(WHY)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(RuntimeError, match=WHY):
        await Faults(app)({"type": "http", "headers": []}, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("GET", "/auth/nowhere", 404, "not_found"),
    ("GET", "/nowhere/at/all", 404, "not_found"),
    ("PUT", "/auth/me", 405, "method_not_allowed"),
    ("DELETE", "/healthz", 405, "method_not_allowed"),
    ("POST", "/.well-known/jwks.json", 405, "method_not_allowed"),
])  # fmt: skip
async def test_what_routing_itself_refuses_is_of_the_same_shape(
    scene: Scene, method: str, path: str, status: int, code: str
) -> None:
    answer = await scene.client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"detail", "code"}
    assert ("allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(("path", "methods"), [
    ("/auth/sessions", "GET, DELETE"),
    ("/auth/sessions/x", "GET, DELETE"),
    ("/auth/me", "GET"),
    ("/auth/token", "POST"),
    ("/login", "GET, HEAD"),
])  # fmt: skip
async def test_what_is_not_allowed_names_all_that_is(scene: Scene, path: str, methods: str) -> None:
    """RFC 9110 §15.5.6; Starlette names the methods of a path's first route only."""
    answer = await scene.client.put(path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == methods
