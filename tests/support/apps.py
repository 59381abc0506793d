"""Apps as others write them: models of every kind, on every engine, with a login of their own.

A `Kind` says how an app is made; `an_app` writes it. What is tested is plugged in by the test.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from types import new_class
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

import httpx
from fastapi import Depends, FastAPI, Request
from sqlalchemy import (
    CHAR,
    BigInteger,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    Uuid,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import UUID as PostgresUuid  # noqa: N811
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
from sqlalchemy.types import TypeEngine
from starlette.applications import Starlette

from batonpass import Batonpass, Login
from tests.support.clocks import Clock
from tests.support.services import AnyEngine, by_driver

SECRET = "c7a1f05d92be4836a8d7e3f1b6094c25f8e2d1a7b3960c4e5f7d8a9b0c1e2f34"
ADA = "ada@example.com"
PASSWORD = "a long walk at noon"
ORIGIN = "http://app.example"

# Alembic's documentation recommends such a one
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

T = TypeVar("T")
Orm = Literal["declarative", "table", "sqlmodel"]


@dataclass(frozen=True)
class Key:
    """A primary key of a user table: its types, and Ada's."""

    python_type: type
    column_type: TypeEngine[Any]
    value: object


INTEGER = Key(int, Integer(), 7)
BIG_INTEGER = Key(int, BigInteger(), 2**40 + 7)
UUID_KEY = Key(UUID, Uuid(), UUID("5a63a445-32ad-4a44-9ae9-b2c4bb6d6e01"))
STRING = Key(str, String(64), "ada, the 1st/ü")


class Guid(TypeDecorator[UUID]):
    """A type of the app's own: the recipe that stood in SQLAlchemy's documentation for years."""

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Take PostgreSQL's own type where it is."""
        return dialect.type_descriptor(PostgresUuid() if _is_postgres(dialect) else CHAR(32))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write it; text is taken, too."""
        if value is None or _is_postgres(dialect):
            return None if value is None else str(value)
        return f"{(value if isinstance(value, UUID) else UUID(value)).int:032x}"

    def process_result_value(self, value: Any, _dialect: Dialect) -> UUID | None:
        """Read it."""
        return value if value is None or isinstance(value, UUID) else UUID(value)


def _is_postgres(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"


GUID = Key(UUID, Guid(), UUID("5a63a445-32ad-4a44-9ae9-b2c4bb6d6e01"))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How an app is made.

    Attributes:
        driver: As `by_driver` takes it.
        orm: What its models are written with.
        key: Its users' key.
        schema: Where its tables live; None: in the default one.
        schema_by_metadata: It is said once for all tables, by `MetaData(schema=…)`.
        table_prefix: Stands before our tables' names.
        convention: How its constraints are named.
    """

    driver: str = "sqlite"
    orm: Orm = "declarative"
    key: Key = INTEGER
    schema: str | None = None
    schema_by_metadata: bool = False
    table_prefix: str = ""
    convention: Mapping[str, str] = field(default_factory=dict)

    def metadata(self) -> MetaData:
        """Return an empty one."""
        schema = self.schema if self.schema_by_metadata else None
        return MetaData(schema=schema, naming_convention=dict(self.convention) or None)

    @property
    def table_schema(self) -> str | None:
        """What each table says of its schema."""
        return None if self.schema_by_metadata else self.schema


@dataclass
class House:
    """An app's engine and models, and Ada in its user table."""

    kind: Kind
    engine: AnyEngine
    metadata: MetaData
    account: Any  # the mapped class or the table: each house has its own
    clock: Clock = field(default_factory=Clock)

    @property
    def table(self) -> Table:
        """The user table."""
        found = self.account if isinstance(self.account, Table) else self.account.__table__
        return cast("Table", found)

    def plug(self, **choices: Any) -> Batonpass[Any]:  # any argument of Batonpass
        """Plug Batonpass in, with the login."""
        given: dict[str, Any] = {
            "user": self.account,
            "secret": SECRET,
            "clock": self.clock,
            "table_prefix": self.kind.table_prefix,
            "schema": self.kind.table_schema,
        }
        auth: Batonpass[Any] = Batonpass(self.engine, self.metadata, **(given | choices))
        auth.authenticate(self.check)
        return auth

    async def check(self, form: Login) -> object:
        """Let in whoever knows the password."""
        by_name = select(self.account).where(self.table.c.email == form.username)

        def find(connection: Connection) -> object:
            with Session(connection, expire_on_commit=False) as db:
                rows = db.execute(by_name)
                return (rows if isinstance(self.account, Table) else rows.scalars()).first()

        found = await run(self.engine, find)
        return found if form.password == PASSWORD else None

    async def furnish(self) -> None:
        """Create all tables, ours too, and Ada."""
        await run(self.engine, self.metadata.create_all)
        ada = insert(self.table).values(number=self.kind.key.value, email=ADA)
        await run(self.engine, lambda connection: connection.execute(ada))


def a_house(engine: AnyEngine, kind: Kind | None = None) -> House:
    """Write the models of an app; nothing is in the database yet."""
    kind = kind or Kind()
    metadata = kind.metadata()
    account = _MODELS[kind.orm](kind, metadata)
    table = account if isinstance(account, Table) else account.__table__
    Table(
        "notes", metadata, Column("id", Integer, primary_key=True),
        Column("owner", table.c.number.type, ForeignKey(table.c.number), index=True),
        Column("title", String(80), unique=True), schema=kind.table_schema,
    )  # fmt: skip
    return House(kind, engine, metadata, account)


def an_engine(kind: Kind, urls: Callable[[str], str]) -> AnyEngine:
    """Connect to a database of the kind's own.

    Args:
        kind: Whose driver it is.
        urls: Gives a fresh database by the name of its fixture, such as "sqlite_url".
    """
    name = kind.driver.partition("+")[0].partition(" ")[0]
    return by_driver(kind.driver)(urls(f"{name}_url"))


def driver_url(engine: AnyEngine) -> str:
    """Write an engine's URL as Alembic's `sqlalchemy.url` wants it."""
    return engine.url.render_as_string(hide_password=False).replace("%", "%%")


async def run(engine: AnyEngine, work: Callable[[Connection], T]) -> T:
    """Do something in a transaction, on any engine."""
    if isinstance(engine, AsyncEngine):
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    with engine.begin() as connection:
        return work(connection)


# --- the models --------------------------------------------------------------------------------


def _declarative(kind: Kind, metadata: MetaData) -> type[Any]:
    class Base(DeclarativeBase):
        pass

    Base.metadata = metadata

    class Account(Base):
        __tablename__ = "accounts"
        __table_args__ = {"schema": kind.table_schema}  # noqa: RUF012 - as SQLAlchemy wants it
        number: Mapped[Any] = mapped_column(kind.key.column_type, primary_key=True)
        email: Mapped[str] = mapped_column(String(80), unique=True)

    return Account


def _sqlmodel(kind: Kind, metadata: MetaData) -> type[Any]:
    sqlmodel = import_module("sqlmodel")  # it wants SQLAlchemy 2.0: only .venv-oldest has it
    base = new_class("Base", (sqlmodel.SQLModel,), {"registry": registry(metadata=metadata)})

    def more(namespace: dict[str, Any]) -> None:
        given = {} if kind.key.python_type is not int else {"sa_type": type(kind.key.column_type)}
        namespace |= {
            "__tablename__": "accounts",
            "__table_args__": {"schema": kind.table_schema},
            "__annotations__": {"number": kind.key.python_type, "email": str},
            "number": sqlmodel.Field(primary_key=True, **given),
            "email": sqlmodel.Field(unique=True, max_length=80),
        }

    return new_class("Account", (base,), {"table": True}, more)


def _table(kind: Kind, metadata: MetaData) -> Table:
    return Table(
        "accounts", metadata, Column("number", kind.key.column_type, primary_key=True),
        Column("email", String(80), unique=True), schema=kind.table_schema,
    )  # fmt: skip


_MODELS: dict[Orm, Callable[[Kind, MetaData], Any]] = {
    "declarative": _declarative,
    "table": _table,
    "sqlmodel": _sqlmodel,
}

# --- the app -----------------------------------------------------------------------------------


def an_app(auth: Batonpass[Any], **settings: Any) -> FastAPI:  # any argument of FastAPI
    """Write the app's own routes; `install` is the test's."""
    app = FastAPI(**settings)

    @app.get("/me")
    async def me(account: Annotated[Any, Depends(auth.user)]) -> dict[str, str]:
        return {"email": account.email, "key": str(account.number)}

    @app.get("/spy")
    async def spy(request: Request) -> str:
        return repr(request.scope["headers"])

    return app


@asynccontextmanager
async def serving(app: Starlette, origin: str = ORIGIN) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an app, heartbeat included; give a client of it."""
    async with app.router.lifespan_context(app), a_client(app, origin) as client:
        yield client


def a_client(app: Starlette, origin: str = ORIGIN, *, root_path: str = "") -> httpx.AsyncClient:
    """Return a browser with an empty jar; a fault of ours is a 500, as over the wire."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url=origin)


async def log_in(client: httpx.AsyncClient, path: str = "/auth/token") -> httpx.Response:
    """Post the login form."""
    return await client.post(path, data={"username": ADA, "password": PASSWORD})


def bearer(answer: httpx.Response) -> dict[str, str]:
    """Write the header that carries an answer's access token."""
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def cookie_of(client: httpx.AsyncClient) -> dict[str, str]:
    """Copy what a thief would: all cookies of a browser."""
    jar = dict(client.cookies)
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
