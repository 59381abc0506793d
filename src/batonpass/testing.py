"""What an app's own tests use: somebody logged in, a clock to move, a transaction rolled back.

Nothing here is a fake. The session is one in the database, made by the service that makes every
other; the cookies are those of a login; only the password is left out.

Example:
    client = logged_in(TestClient(app), auth, ada)
    assert client.get("/me").json() == "ada@example.com"

Source: docs/how-to/testing.md.
"""

import json
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal
from fastapi import Request
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from batonpass.clock import Clock
from batonpass.errors import ConfigurationError
from batonpass.plugin import Batonpass

if TYPE_CHECKING:  # it needs httpx, or httpx2, and warns of the one it likes less
    from starlette.testclient import TestClient

UserT = TypeVar("UserT")


class MovableClock(Clock):
    """Stands still until a test moves it: `Batonpass(..., clock=MovableClock())`.

    It keeps the contract of the real one but for `follow`: the database beside it lives in another
    time, and a poll must not bring the test back to it.
    """

    def __init__(self, now: datetime | None = None) -> None:
        """Stand at `now`; None: at the time that it is.

        Raises:
            ValueError: `now` has no time zone.
        """
        super().__init__()
        self._now = self._began = super().now() if now is None else now
        if self._now.tzinfo is None:
            message = f"a clock tells the time with its zone, unlike {now!r}"
            raise ValueError(message)

    def advance(self, by: timedelta) -> datetime:
        """Let time pass, and return what it is then."""
        self._now += by
        return self._now

    def now(self) -> datetime:
        """Return the time to which the test has moved."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that move with `advance`."""
        return (self._now - self._began).total_seconds()

    def follow(self, database_now: datetime) -> datetime:  # noqa: ARG002 - it is not followed
        """Stay where the test has moved to."""
        return self._now


# --- somebody logged in ------------------------------------------------------------------------


class _Cookies(Protocol):
    jar: CookieJar


class AsyncClient(Protocol):
    """`httpx.AsyncClient`, of httpx or of httpx2."""

    @property
    def base_url(self) -> object:
        """Where the app seems to be."""

    @property
    def headers(self) -> MutableMapping[str, str]:
        """What goes with every request."""

    @property
    def cookies(self) -> Any:  # httpx's Cookies, or httpx2's
        """The jar."""

    async def aclose(self) -> None:
        """What tells it from a client that is not asynchronous."""


TestClientT = TypeVar("TestClientT", bound="TestClient")
AsyncClientT = TypeVar("AsyncClientT", bound=AsyncClient)


@overload
def logged_in(client: TestClientT, auth: Batonpass[UserT], user: UserT) -> TestClientT: ...


@overload
def logged_in(
    client: AsyncClientT, auth: Batonpass[UserT], user: UserT
) -> Coroutine[Any, Any, AsyncClientT]: ...


def logged_in(client: Any, auth: Batonpass[Any], user: Any) -> Any:  # the overloads say
    """Log a user in without the password: a session of the client's own, cookies and token.

    `client = logged_in(TestClient(app), auth, ada)`, or, where it is asynchronous,
    `client = await logged_in(AsyncClient(transport=…, base_url=…), auth, ada)`. Called once more
    with the same client, it replaces the session, as a second login does.

    Args:
        client: Of the app in which `auth` is installed, with or without its lifespan.
        auth: The app's.
        user: In the database already: committed, or flushed inside of `rolled_back`.

    Returns:
        The same client: its cookie jar holds the refresh token, and each of its requests carries
        the access token, until another header is given.

    Raises:
        ConfigurationError: The client has no `base_url`, so its cookies would be nobody's.
        InvalidCredentialsError: The user is not in the database.
    """
    if not hasattr(client, "portal"):
        return _log_in(client, auth, user)
    if client.portal is not None:  # `with`: the loop in which the app lives
        return client.portal.call(_log_in, client, auth, user)
    with start_blocking_portal(**client.async_backend) as portal:  # as each of its requests does
        return portal.call(_log_in, client, auth, user)


async def _log_in(client: AsyncClientT, auth: Batonpass[UserT], user: UserT) -> AsyncClientT:
    jar = cast("_Cookies", client.cookies).jar
    login = urllib.request.Request(f"{_origin(client)}/", method="POST")  # noqa: S310 - not sent
    jar.add_cookie_header(login)
    response = await auth.sign_in(user, _as_asgi(login, client.headers.get("user-agent")))
    jar.extract_cookies(_Answer(response.raw_headers), login)  # type: ignore[arg-type]  # it asks for no more
    token = json.loads(bytes(response.body))["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def _origin(client: AsyncClient) -> str:
    url = urlsplit(str(client.base_url))
    if not url.netloc:
        message = "logged_in: give the client a base_url, such as 'http://test'."
        raise ConfigurationError(message)
    return f"{url.scheme}://{url.netloc}"


def _as_asgi(login: urllib.request.Request, user_agent: str | None) -> Request:
    """Write the login down as the app would get it."""
    given = {"Host": login.host, "User-Agent": user_agent, "Cookie": login.get_header("Cookie")}
    headers = [
        (name.lower().encode(), value.encode("latin-1"))
        for name, value in given.items()
        if value is not None
    ]
    return Request({
        "type": "http",
        "method": "POST",
        "scheme": login.type,
        "path": "/",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
    })  # fmt: skip


class _Answer:
    """What a cookie jar wants of an answer."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._message = Message()
        for name, value in headers:
            self._message[name.decode()] = value.decode("latin-1")

    def info(self) -> Message:
        return self._message


# --- a transaction that is rolled back ---------------------------------------------------------


@contextmanager
def rolled_back(auth: Batonpass[Any]) -> Iterator[Connection]:
    """Have everything that `auth` writes rolled back at the end; the app joins in.

    Bind the app's own session to the connection, by SQLAlchemy's recipe for test suites:
    `Session(connection, join_transaction_mode="create_savepoint")`. Whoever looks from another
    connection sees nothing. What the app's session rolls back takes with it what Batonpass wrote
    since that session began: there is but one transaction.

    Raises:
        ConfigurationError: The engine is async: `rolled_back_async`.
    """
    engine = auth.database.engine
    if isinstance(engine, AsyncEngine):
        message = "rolled_back: this engine is async; use `async with rolled_back_async(auth)`."
        raise ConfigurationError(message)
    with engine.connect() as connection:
        outer = connection.begin()
        try:
            _begin_for_real(connection)
            with auth.database.inside(connection):
                yield connection
        finally:
            outer.rollback()
            auth.service.revocations.forget()


@asynccontextmanager
async def rolled_back_async(auth: Batonpass[Any]) -> AsyncIterator[AsyncConnection]:
    """Do what `rolled_back` does, on an async engine: `AsyncSession(connection, …)`.

    The client has to live in the same event loop: `AsyncClient`, not `TestClient`.

    Raises:
        ConfigurationError: The engine is not async: `rolled_back`.
    """
    engine = auth.database.engine
    if not isinstance(engine, AsyncEngine):
        message = "rolled_back_async: this engine is not async; use `with rolled_back(auth)`."
        raise ConfigurationError(message)
    async with engine.connect() as connection:
        outer = await connection.begin()
        try:
            await connection.run_sync(_begin_for_real)
            with auth.database.inside(connection):
                yield connection
        finally:
            await outer.rollback()
            auth.service.revocations.forget()


def _begin_for_real(connection: Connection) -> None:
    """Begin on SQLite, whose driver waits for the first write: a savepoint would be the outermost.

    Source: SQLAlchemy, "Serializable isolation / Savepoints / Transactional DDL" (pysqlite).
    """
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        if not getattr(driver, "in_transaction", False):
            connection.exec_driver_sql("BEGIN")
