"""What an app says of its users: who is active, what their tokens carry, who acts in whose name.

On every engine, over HTTP: what a refresh reads of them is written in SQL for some drivers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from sqlalchemy import (
    ForeignKey,
    MetaData,
    Select,
    create_engine,
    event,
    exists,
    insert,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from starlette.responses import Response

from batonpass import Batonpass, Claims, Login, Policy, SecurityEvent
from batonpass.errors import ConfigurationError
from tests.support.clocks import Clock
from tests.support.servers import refusal, set_cookies
from tests.support.services import AnyEngine, by_driver, create_all, dispose
from tests.test_plugin import ADA, DRIVERS, PASSWORD, SECRET, bearer, log_in, serving

ADA_ID, ROOT_ID = 7, 1


ON_SQLITE = pytest.mark.parametrize("any_engine", ["sqlite"], indirect=True)  # no SQL of its own


@dataclass
class House:
    """An app's models and engine; Ada, who is active and an editor, and Root."""

    engine: AnyEngine
    account: Any  # the mapped classes: each test has its own
    role: Any
    metadata: MetaData
    clock: Clock = field(default_factory=Clock)

    def plug(self, **choices: Any) -> Batonpass[Any]:  # any argument of Batonpass
        """Plug Batonpass in, with the login."""
        given = {"user": self.account, "secret": SECRET, "clock": self.clock} | choices
        auth: Batonpass[Any] = Batonpass(self.engine, self.metadata, **given)
        auth.authenticate(self.check)
        return auth

    async def check(self, form: Login) -> object:
        """Let in whoever knows the password, whatever they are."""
        found = await self.find(select(self.account).where(self.account.email == form.username))
        return found if form.password == PASSWORD else None

    async def find(self, statement: "Select[tuple[Any]]") -> Any:
        """Read one object; it is detached."""
        if isinstance(self.engine, AsyncEngine):
            async with AsyncSession(self.engine) as db:
                return await db.scalar(statement)
        with Session(self.engine) as db:
            return db.scalar(statement)

    async def write(self, *statements: Any) -> None:  # whatever may be executed
        """Commit what the app does to its own rows."""
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.begin() as connection:
                for one in statements:
                    await connection.execute(one)
            return
        with self.engine.begin() as connection:
            for one in statements:
                connection.execute(one)

    async def set(self, **values: object) -> None:
        """Change Ada's row."""
        account = self.account
        await self.write(update(account).where(account.id == ADA_ID).values(values))

    def session(self) -> Session | AsyncSession:
        """Open a session of the engine's own kind."""
        if isinstance(self.engine, AsyncEngine):
            return AsyncSession(self.engine)
        return Session(self.engine)


@pytest.fixture(params=DRIVERS)
async def any_engine(request: pytest.FixtureRequest) -> AsyncIterator[AnyEngine]:
    """An engine as an app may have it."""
    name = request.param.partition("+")[0]
    engine = by_driver(request.param)(request.getfixturevalue(f"{name}_url"))
    yield engine
    await dispose(engine)


@pytest.fixture
async def house(any_engine: AnyEngine) -> House:
    """An app with our tables among its own."""

    class Base(DeclarativeBase):
        metadata = MetaData()

    class Account(Base):
        __tablename__ = "family"  # the name that a statement of ours gives to a table
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)
        is_active: Mapped[bool] = mapped_column(server_default=true())
        roles: Mapped[list["Role"]] = relationship(order_by="Role.name")

    class Role(Base):
        __tablename__ = "roles"
        account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), primary_key=True)
        name: Mapped[str] = mapped_column(primary_key=True)

    house = House(any_engine, Account, Role, Base.metadata)
    house.plug()
    await create_all(any_engine, Base.metadata)
    await house.write(
        insert(Account).values([{"id": ADA_ID, "email": ADA}, {"id": ROOT_ID, "email": "root"}]),
        insert(Role).values(account_id=ADA_ID, name="editor"),
    )
    return house


def an_app(auth: Batonpass[Any]) -> FastAPI:
    """Write the app's own routes; `install` is the test's."""
    app = FastAPI()

    @app.get("/me")
    async def me(account: Annotated[Any, Depends(auth.user)]) -> str:
        return str(account.email)

    @app.get("/claims")
    async def claims(found: Annotated[Claims, Depends(auth.claims)]) -> dict[str, Any]:
        return {"extra": dict(found.extra), "actor": found.actor}

    @app.get("/fresh")
    async def fresh(found: Annotated[Claims, Depends(auth.fresh())]) -> str:
        return found.subject

    return app


async def claims_of(client: httpx.AsyncClient, answer: httpx.Response) -> Any:
    return (await client.get("/claims", headers=bearer(answer))).json()["extra"]


# --- who is active ------------------------------------------------------------------------------


async def test_a_disabled_users_next_refresh_ends_the_session(house: House) -> None:
    auth = house.plug(active=house.account.is_active)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)
        while_active = await client.post("/auth/refresh")
        await house.set(is_active=False)
        me = await client.get("/me", headers=bearer(while_active))
        refused = await client.post("/auth/refresh")
        login = await log_in(client)
        await house.set(is_active=True)
        still_over = await client.post("/auth/refresh")
        again = await log_in(client)

    assert while_active.status_code == 200
    assert (me.status_code, me.json()["reason"]) == (401, "user_disabled")
    assert refusal(refused) == (401, "refresh_revoked")
    assert refused.json()["reason"] == "user_disabled"
    assert refusal(login) == (401, "invalid_credentials")
    assert refusal(still_over) == (401, "refresh_revoked")  # what is over stays over
    assert again.status_code == 200


async def test_any_condition_on_the_users_row_says_who_is_active(house: House) -> None:
    auth = house.plug(active=house.account.email.not_like("%:gone'") & house.account.is_active)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)
        while_active = await client.post("/auth/refresh")
        await house.set(email="ada:gone'")
        refused = await client.post("/auth/refresh")

    assert while_active.status_code == 200
    assert refusal(refused) == (401, "refresh_revoked")


async def test_s_rt_5_a_repeated_refresh_of_a_disabled_user_is_refused_too(house: House) -> None:
    """The plain case is one statement; everything else is judged: both ask."""
    auth = house.plug(active=house.account.is_active)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)
        kept = dict(client.cookies)
        await client.post("/auth/refresh")
        await house.set(is_active=False)
        header = "; ".join(f"{name}={value}" for name, value in kept.items())
        client.cookies.clear()
        refused = await client.post("/auth/refresh", headers={"Cookie": header})

    assert refusal(refused) == (401, "refresh_revoked")
    assert refused.json()["reason"] == "user_disabled"


async def test_who_is_signed_in_and_may_be_here_is_one_question(house: House) -> None:
    auth = house.plug(active=house.account.is_active)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        with what_is_asked(house.engine) as asked:
            me = await client.get("/me", headers=bearer(login))

    assert me.json() == ADA
    assert len(asked) == 1


async def test_a_login_locks_its_user_once(house: House) -> None:
    auth = house.plug(active=house.account.is_active, policy=Policy(sessions_per_user=1))
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)
        client.cookies.clear()  # another browser
        with what_is_asked(house.engine) as asked:
            await log_in(client)

    of_users = [one for one in asked if one.startswith(("SELECT family", "SELECT batonpass_users"))]
    assert len(of_users) == 3  # looked up by the app; locked by us; then judged
    assert of_users[2].startswith("SELECT batonpass_users.is_active")
    if house.engine.dialect.name != "sqlite":  # where every writer waits anyway
        assert ["FOR NO KEY UPDATE" in one for one in of_users] == [False, True, False]


@pytest.mark.parametrize("any_engine", ["postgresql+asyncpg async"], indirect=True)
async def test_a_login_that_waited_asks_who_is_active_when_the_wait_is_over(
    house: House, postgresql_url: str
) -> None:
    """So it is a statement of its own: what the waiting one saw of other tables is old by then."""
    account, role = house.account, house.role
    is_banned = exists().where(role.account_id == account.id, role.name == "banned")
    auth = house.plug(active=~is_banned)
    app = an_app(auth)
    auth.install(app)
    neighbour = create_engine(by_psycopg(postgresql_url))
    ada = select(account.id).where(account.id == ADA_ID).with_for_update(key_share=True)

    async with serving(app) as client:
        while_welcome = await log_in(client)
        with neighbour.connect() as holder, neighbour.connect() as other:
            holder.execute(ada)
            waiting = asyncio.ensure_future(log_in(client))
            while not other.scalar(WAITING_FOR_A_LOCK):
                other.rollback()
                await asyncio.sleep(0.01)
            other.execute(insert(role).values(account_id=ADA_ID, name="banned"))
            other.commit()
            holder.rollback()
        banned = await waiting
    neighbour.dispose()

    assert while_welcome.status_code == 200
    assert refusal(banned) == (401, "invalid_credentials")


WAITING_FOR_A_LOCK = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def by_psycopg(url: str) -> str:
    return url.replace("://", "+psycopg://")


@contextmanager
def what_is_asked(engine: AnyEngine) -> Iterator[list[str]]:
    """Note what the database is asked, in the order of asking."""
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    asked: list[str] = []

    def note(*said: Any) -> None:
        if not said[2].startswith(("BEGIN", "SELECT set_config")):
            asked.append(" ".join(said[2].split()))

    event.listen(sync, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(sync, "before_cursor_execute", note)


# --- what tokens carry --------------------------------------------------------------------------


def roles_of(account: Any) -> Mapping[str, Any]:
    """Follow a relationship: it is loaded only now."""
    return {"roles": [role.name for role in account.roles]}


async def test_tokens_carry_what_the_app_says_until_it_says_something_else(house: House) -> None:
    auth = house.plug()
    auth.claims_for(roles_of)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        at_login = await claims_of(client, login)
        renewed = await claims_of(client, await client.post("/auth/refresh"))
        await house.write(insert(house.role).values(account_id=ADA_ID, name="admin"))
        not_asked = await claims_of(client, await client.post("/auth/refresh"))
        updated = await auth.update_claims(ADA_ID)
        asked = await claims_of(client, await client.post("/auth/refresh"))
        nobody = await auth.update_claims(99)

    assert at_login == renewed == not_asked == {"roles": ["editor"]}
    assert asked == {"roles": ["admin", "editor"]}
    assert (updated, nobody) == (1, 0)


async def test_claims_are_updated_for_a_user_as_well_as_for_their_key(house: House) -> None:
    auth = house.plug()
    said: dict[str, Any] = {"plan": "free"}
    auth.claims_for(lambda _: said)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        await log_in(client)
        said["plan"] = "paid"
        ada = await house.find(select(house.account).where(house.account.id == ADA_ID))
        await auth.update_claims(ada)
        renewed = await claims_of(client, await client.post("/auth/refresh"))
        ended = await auth.end_sessions(ADA_ID)

    assert renewed == {"plan": "paid"}
    assert ended == 1


@ON_SQLITE
@pytest.mark.parametrize("claims", [
    pytest.param({"sub": "1"},                    id="a claim of ours"),
    pytest.param({"act": {"sub": "1"}},           id="who acts"),
    pytest.param({"since": timedelta(1)},         id="no JSON"),
    pytest.param({"roles": ["x" * 4096]},         id="too long"),
    pytest.param({"name": "\ud800"},              id="no Unicode"),
    pytest.param({"a": [[[[[[[[[1]]]]]]]]]},      id="too deep"),
])  # fmt: skip
async def test_claims_that_no_token_may_carry_fail_the_login_and_start_nothing(
    house: House, claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    auth = house.plug()
    auth.claims_for(lambda _: claims)
    app = an_app(auth)
    auth.install(app)

    async with serving(app) as client:
        answer = await log_in(client)

    assert answer.status_code == 500
    assert await auth.service.list_sessions(ADA_ID) == []


@ON_SQLITE
async def test_an_async_claims_for_is_a_sentence(house: House) -> None:
    async def claims(_: object) -> dict[str, Any]:
        return {}

    with pytest.raises(ConfigurationError, match="async"):
        house.plug().claims_for(claims)  # type: ignore[arg-type]  # which is the mistake


@ON_SQLITE
async def test_claims_cannot_be_updated_where_nobody_says_them(house: House) -> None:
    with pytest.raises(ConfigurationError, match="claims_for"):
        await house.plug().update_claims(ADA_ID)


# --- in whose name ------------------------------------------------------------------------------


async def test_an_actor_has_a_session_of_an_hour_that_says_who_it_is(house: House) -> None:
    auth = house.plug()
    auth.claims_for(roles_of)
    told: list[SecurityEvent] = []
    auth.service.on_event(told.append)
    app = an_app(auth)

    @app.post("/become/{user_id}")
    async def become(
        user_id: int, request: Request, admin: Annotated[Any, Depends(auth.user)]
    ) -> Response:
        user = await house.find(select(house.account).where(house.account.id == user_id))
        return await auth.sign_in(user, request, actor=admin)

    auth.install(app)

    async with serving(app) as client:
        form = {"username": "root", "password": PASSWORD}
        root = await client.post("/auth/token", data=form)
        acting = await client.post(f"/become/{ADA_ID}", headers=bearer(root))
        me = await client.get("/me", headers=bearer(acting))
        no_longer_root = await client.get("/me", headers=bearer(root))
        fresh = await client.get("/fresh", headers=bearer(acting))
        renewed = await client.post("/auth/refresh")
        said = await client.get("/claims", headers=bearer(renewed))
        await auth.update_claims(ADA_ID)
        house.clock.advance(timedelta(minutes=59))
        late = await client.post("/auth/refresh")
        still = await client.get("/claims", headers=bearer(late))
        house.clock.advance(timedelta(minutes=1))
        over = await client.post("/auth/refresh")

    assert me.json() == ADA
    assert refusal(no_longer_root) == (401, "session_revoked")  # one browser, one session
    assert refusal(fresh) == (403, "actor_not_allowed")
    assert said.json() == {"extra": {"roles": ["editor"], "act": {"sub": "1"}}, "actor": "1"}
    assert still.json() == said.json()
    assert late.json()["expires_in"] == 60
    assert refusal(over) == (401, "refresh_expired")
    assert not any("Max-Age" in one for one in set_cookies(acting)["refresh_token"])
    created = [event for event in told if event.name == "session_created"]
    assert [event.details.get("actor") for event in created] == [None, "1"]


async def test_an_actor_ends_none_of_the_users_sessions(house: House) -> None:
    auth = house.plug(policy=Policy(sessions_per_user=1))
    app = an_app(auth)

    @app.post("/become")
    async def become(request: Request) -> Response:
        user = await house.find(select(house.account).where(house.account.id == ADA_ID))
        return await auth.sign_in(user, request, actor="support")

    auth.install(app)

    async with serving(app) as client:
        login = await log_in(client)
        client.cookies.clear()  # another browser
        acting = await client.post("/become")
        me = await client.get("/me", headers=bearer(login))

    assert acting.status_code == 200
    assert me.status_code == 200


# --- in the caller's transaction ----------------------------------------------------------------


async def commit(session: Session | AsyncSession) -> None:
    if isinstance(session, AsyncSession):
        await session.commit()
    else:
        session.commit()


async def roll_back(session: Session | AsyncSession) -> None:
    if isinstance(session, AsyncSession):
        await session.rollback()
    else:
        session.rollback()


async def close(session: Session | AsyncSession) -> None:
    if isinstance(session, AsyncSession):
        await session.close()
    else:
        session.close()


def sign_up(house: House, auth: Batonpass[Any], end: Callable[[Any], Any]) -> FastAPI:
    """Write an app whose sign-up adds a user and signs them in, in one transaction."""
    app = an_app(auth)

    @app.post("/sign-up")
    async def route(request: Request) -> Response:
        session = house.session()
        user = house.account(id=8, email="grace@example.com", is_active=True)
        session.add(user)
        answer = await auth.sign_in(user, request, session=session)
        await end(session)
        await close(session)
        return answer

    auth.install(app)
    return app


async def test_a_sign_up_is_one_commit(house: House) -> None:
    auth = house.plug(active=house.account.is_active)
    auth.claims_for(roles_of)
    told: list[SecurityEvent] = []
    auth.on("session_created")(told.append)
    app = sign_up(house, auth, commit)

    async with serving(app) as client:
        answer = await client.post("/sign-up")
        me = await client.get("/me", headers=bearer(answer))
        renewed = await client.post("/auth/refresh")

    assert me.json() == "grace@example.com"
    assert renewed.status_code == 200
    assert [event.user_id for event in told] == [8]


async def test_a_sign_up_that_is_rolled_back_leaves_nothing_and_is_told_to_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    auth = house.plug()
    told: list[SecurityEvent] = []
    auth.on("session_created")(told.append)

    async def roll_back_and_go_on(session: Session | AsyncSession) -> None:
        await roll_back(session)
        session.add(house.account(id=9, email="alan@example.com", is_active=True))
        await commit(session)

    app = sign_up(house, auth, roll_back_and_go_on)

    with caplog.at_level(logging.INFO, "batonpass.security"):
        async with serving(app) as client:
            await client.post("/sign-up")
            refused = await client.post("/auth/refresh")

    assert refusal(refused) == (401, "refresh_expired")
    assert await auth.service.list_sessions(8) == []
    assert told == []
    assert not [one for one in caplog.records if one.message == "session_created"]


async def test_a_savepoint_tells_nobody_before_the_whole_is_committed(house: House) -> None:
    auth = house.plug()
    told: list[SecurityEvent] = []
    auth.on("session_created")(told.append)
    app = an_app(auth)

    @app.post("/sign-up")
    async def route(request: Request) -> Response:
        session = house.session()
        savepoint = session.begin_nested()
        if isinstance(session, AsyncSession):
            await savepoint  # type: ignore[misc]  # an async session's
        user = house.account(id=8, email="grace@example.com", is_active=True)
        session.add(user)
        answer = await auth.sign_in(user, request, session=session)
        if isinstance(session, AsyncSession):
            await savepoint.commit()  # type: ignore[misc]  # likewise
        else:
            savepoint.commit()
        await roll_back(session)
        await close(session)
        return answer

    auth.install(app)

    async with serving(app) as client:
        await client.post("/sign-up")

    assert told == []


# --- where our routes stand ---------------------------------------------------------------------


@ON_SQLITE
async def test_install_may_say_where_our_routes_stand(house: House) -> None:
    auth = house.plug()
    app = an_app(auth)
    auth.install(app, prefix="/api/session")

    async with serving(app) as client:
        form = {"username": ADA, "password": PASSWORD}
        login = await client.post("/api/session/token", data=form)
        renewed = await client.post("/api/session/refresh")
        elsewhere = await client.post("/auth/refresh")
        schema = (await client.get("/openapi.json")).json()

    assert (login.status_code, renewed.status_code, elsewhere.status_code) == (200, 200, 404)
    flows = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    assert flows["password"]["tokenUrl"] == "api/session/token"


@ON_SQLITE
async def test_install_wants_a_path(house: House) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        house.plug().install(FastAPI(), prefix="session/")
