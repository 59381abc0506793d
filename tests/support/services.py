"""The real service on a real database, put together as an app would, with a clock to move."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Uuid,
    create_engine,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from batonpass import models
from batonpass.access_tokens import AccessTokens
from batonpass.auth_service import AuthService
from batonpass.clock import Clock as RealClock
from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.keys import KeyRing, Keys
from batonpass.policy import Policy
from batonpass.server.engines import build_engine
from batonpass.storage.engine import Database
from batonpass.storage.store import Store, StoredFamily
from tests.support.clocks import Clock
from tests.support.families import POLICY

SECRETS = (bytes(range(100, 132)),)

AnyEngine = Engine | AsyncEngine
MakeEngine = Callable[[str], AnyEngine]


@dataclass
class House:
    """A database with users in it, and the service as one process after another offers it.

    Attributes:
        service: The process that tests speak to first.
        clock: Shared by every process.
        user_id: Somebody to log in.
        told: The events that `service` told its handlers.
    """

    url: str
    clock: RealClock
    policy: Policy
    tables: models.Tables
    users: Table
    make_engine: MakeEngine
    service: AuthService
    user_id: UUID
    told: list[SecurityEvent] = field(default_factory=list)
    _opened: list[AuthService] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """The first process' way to the database."""
        return self.service.database

    @property
    def store(self) -> Store:
        """The statements."""
        return self.service.store

    def another_process(
        self, *, clock: RealClock | None = None, policy: Policy | None = None
    ) -> AuthService:
        """Start the service once more on the same database, as a restart or a neighbour would."""
        service = _a_service(
            self.make_engine(self.url), self.tables, policy or self.policy, clock or self.clock
        )
        self._opened.append(service)
        return service

    def forget(self, service: AuthService) -> None:
        """Leave the stopping of a process to whoever asks for this."""
        self._opened.remove(service)

    async def add_user(self) -> UUID:
        """Add somebody to the users table."""
        user_id = uuid4()
        await self.database.write(
            lambda connection: connection.execute(insert(self.users), {"id": user_id})
        )
        return user_id

    async def set_password(self, user_id: UUID, password: str) -> None:
        """Change what the users table keeps of somebody, outside of any deed of the service."""
        statement = update(self.users).where(self.users.c.id == user_id).values(password=password)
        await self.database.write(lambda connection: connection.execute(statement))

    async def row(self, family_id: UUID) -> StoredFamily:
        """Read a family as the database has it."""
        stored = await self.database.read(lambda connection: self.store.get(connection, family_id))
        assert stored is not None
        return stored

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        """Read a whole table."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(table))]

        return await self.database.read(work)

    async def events(self) -> list[EventName]:
        """Name the events that the database keeps, oldest first."""
        rows = await self.rows(self.tables.security_events)
        return [EventName(row["event"]) for row in sorted(rows, key=lambda row: row["at"])]

    async def feed(self) -> list[tuple[UUID, Ending]]:
        """Read the revocation feed."""
        rows = await self.rows(self.tables.revocations)
        return [(row["family_id"], Ending(row["reason"])) for row in rows]

    async def close(self) -> None:
        """Stop every process that was started."""
        for service in [*self._opened, self.service]:
            await close(service)


async def open_house(
    url: str,
    *,
    policy: Policy = POLICY,
    clock: RealClock | None = None,
    make_engine: MakeEngine = build_engine,
) -> House:
    """Create the tables in an empty database, add a user, and start the service."""
    metadata = MetaData()
    users = Table(
        "users", metadata, Column("id", Uuid, primary_key=True), Column("password", String(64))
    )
    tables = models.define(metadata, users.c.id)
    engine = make_engine(url)
    await create_all(engine, metadata)
    clock = clock or Clock()
    service = _a_service(engine, tables, policy, clock)
    house = House(url, clock, policy, tables, users, make_engine, service, user_id=uuid4())
    service.on_event(house.told.append)
    house.user_id = await house.add_user()
    return house


@asynccontextmanager
async def a_house(
    url: str,
    *,
    policy: Policy = POLICY,
    clock: RealClock | None = None,
    make_engine: MakeEngine = build_engine,
) -> AsyncIterator[House]:
    """Open a house, and close it when the test is over."""
    house = await open_house(url, policy=policy, clock=clock, make_engine=make_engine)
    try:
        yield house
    finally:
        await house.close()


async def create_all(engine: AnyEngine, metadata: MetaData) -> None:
    """Create the tables, on any engine."""
    if isinstance(engine, AsyncEngine):
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
    else:
        metadata.create_all(engine)


async def close(service: AuthService) -> None:
    """Stop a process in order."""
    try:
        await service.drain()
    finally:  # also where the database is away: nothing is left open
        await service.database.aclose()
        await dispose(service.database.engine)


async def dispose(engine: AnyEngine) -> None:
    """Close an engine's connections."""
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


def by_driver(driver: str) -> MakeEngine:
    """Return what makes an engine as an app may have it.

    Args:
        driver: As in a URL, and where SQLAlchemy offers both, the style: "sqlite+aiosqlite",
            "postgresql+psycopg sync".
    """
    name, _, style = driver.partition(" ")

    def make(url: str) -> AnyEngine:
        parsed = make_url(url).set(drivername=name)
        is_async = style == "async" or name == "sqlite+aiosqlite"
        return create_async_engine(parsed) if is_async else create_engine(parsed)

    return make


def _a_service(
    engine: AnyEngine, tables: models.Tables, policy: Policy, clock: RealClock
) -> AuthService:
    database = Database(engine)
    return AuthService(
        database=database,
        store=Store(tables, database.dialect),
        keys=Keys.derive_from(SECRETS),
        access_tokens=AccessTokens(KeyRing(SECRETS, "HS256"), "batonpass", "batonpass"),
        policy=policy,
        clock=clock,
    )
