"""`Batonpass`: what an app sees.

Example:
    auth = Batonpass(engine, Base.metadata, user=Account, secret=settings.secret)

    @auth.authenticate
    def check(form: Login, db: SessionDep) -> Account | None: ...

    auth.install(app)
"""

import asyncio
import contextlib
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Generic, Literal, ParamSpec, cast, get_type_hints, overload

from fastapi import Depends, FastAPI, Request
from sqlalchemy import Connection, Engine, MetaData, Row, Table, select
from sqlalchemy import inspect as inspect_mapping
from sqlalchemy import inspect as inspect_tables
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstanceState, Mapper, Session
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from typing_extensions import TypeVar  # with a default: typing's from Python 3.13 on

from batonpass import models
from batonpass.access_tokens import AccessTokenRefusedError, AccessTokens, Claims
from batonpass.auth_service import AuthService, ClaimsOf, Visit
from batonpass.clock import Clock
from batonpass.errors import (
    AccessTokenInvalidError,
    AccessTokenMissingError,
    BatonpassError,
    ConfigurationError,
    InvalidCredentialsError,
    SessionRevokedError,
    StoreUnavailableError,
)
from batonpass.events import EventName
from batonpass.family import Ending
from batonpass.former_tokens import FOREIGN_TYP, FormerClaims, FormerTokens
from batonpass.http.answers import answer_refusal, logged_out
from batonpass.http.csrf import check_origin
from batonpass.http.dependencies import (
    FRESH_FOR,
    ClaimsDependency,
    VerifiedClaims,
    bearer_scheme,
    bearer_token,
    fresh_claims_of,
)
from batonpass.http.edge import AddressOf, Edge, OriginOf, peer_address, request_origin
from batonpass.http.gate import Gate
from batonpass.http.routes import (
    Login,
    build_router,
    build_well_known,
    finish_login,
    log_in_with,
    login_form,
)
from batonpass.instances import check_name, claim_name, join
from batonpass.keys import MIN_SECRET_BYTES, Algorithm, KeyRing, Keys, parse_secrets, secrets_of
from batonpass.listeners import Handler, Listeners, event_names
from batonpass.policy import Policy
from batonpass.refresh_tokens import Transport
from batonpass.revocations import POLL_SECONDS
from batonpass.storage.callers import CallersTransaction
from batonpass.storage.engine import Database
from batonpass.storage.store import IsActive, Store
from batonpass.user_keys import reader_of

logger = logging.getLogger(__name__)

UserT = TypeVar("UserT", default=Row[Any])  # a table's user is a row of it
CheckP = ParamSpec("CheckP")
T = TypeVar("T")
HandlerT = TypeVar("HandlerT", bound=Handler)
ClaimsFor = Callable[[Any], Mapping[str, Any] | None]  # of the app's own class
PURGE_EVERY_SECONDS = 3600.0
_PREFIX = re.compile(r"(/[\w.~-]+)+")


class Batonpass(Generic[UserT]):
    """Secure sessions for one FastAPI app.

    Attributes:
        service: What users do with their sessions, for code that is not a route.
        tables: Our tables, in the app's MetaData.
        claims: Dependency: the verified claims of the access token; costs no query.
        user: Dependency: the signed-in user, as the app's own class. It also takes one of
            `former_tokens`, as `optional_user` does and nothing else.
        optional_user: Dependency: the same, or None where nobody is signed in. A token that is over
            or wrong is refused all the same, so that the client refreshes.
    """

    def __init__(  # noqa: PLR0913 - an app's choices, each by its name and with a default
        self,
        engine: Engine | AsyncEngine,
        metadata: MetaData,
        *,
        user: type[UserT] | Table,
        secret: str | Iterable[bytes],
        policy: Policy | None = None,
        algorithm: Algorithm = "ES256",
        issuer: str = "batonpass",
        audience: str | None = None,
        name: str = "",
        prefix: str = "/auth",
        table_prefix: str | None = None,
        schema: str | None = None,
        active: IsActive | None = None,
        cookie_secure: bool | None = None,
        cookie_samesite: Literal["strict", "lax", "none"] = "strict",
        public_url: str | None = None,
        cors_origins: Iterable[str] = (),
        address_of: AddressOf = peer_address,
        origin_of: OriginOf = request_origin,
        former_tokens: FormerTokens | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Add our tables to `metadata` and derive every key from `secret`; no I/O yet.

        Args:
            engine: The app's own, sync or async: SQLite or PostgreSQL.
            metadata: Where our tables are added; migrate as for the app's own.
            user: The app's user class or table, with one primary key column of any type.
            secret: SECRET_KEY: at least 32 bytes as hex or base64url, several comma-separated: all
                are accepted, the first issues.
            policy: How long things last.
            algorithm: How access tokens are signed.
            issuer: Their claim `iss`.
            audience: Their claim `aud`; None: the name, or "batonpass".
            name: Tells several in one app apart ("staff"): its cookies, tables and keys are its
                own. Another name ends every session.
            prefix: Where our routes stand: a path such as "/auth".
            table_prefix: Stands before each of our tables' names; None: the name and "_", if any.
            schema: The schema of our tables.
            active: What of a user's row says that they may still be here: `Account.is_active`, or
                any condition on their table. Of anybody else a login and the next refresh are
                refused. None: a refresh reads no user.
            cookie_secure: True: Secure cookies with __Host- names; False: plain ones; None: by the
                request's scheme.
            cookie_samesite: The cookies' SameSite.
            public_url: The origin that users see; None: what the request says.
            cors_origins: Other origins that may send credentials.
            address_of: Reads the client's address, where a proxy stands in front.
            origin_of: Reads the origin a request was sent to, likewise.
            former_tokens: What the app gave out before: `auth.user` takes it until it is over.
            clock: What asks for the time.

        Raises:
            ConfigurationError: The secret is too weak, the user table has no single key, or
                another argument cannot work; the sentence says which.
        """
        check_name(name)
        given = parse_secrets(secret) if isinstance(secret, str) else _checked(secret)
        secrets = secrets_of(name, given)
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(_no_prefix(prefix))
        origins = _exact_origins(cors_origins)
        self._user = user
        self._user_key = _single_key(user)
        if table_prefix is None:
            table_prefix = f"{name}_" if name else ""
        self.tables = models.define(metadata, self._user_key, prefix=table_prefix, schema=schema)
        if self.tables.user_key is not self._user_key:
            message = (
                f"These tables belong to the users in {self.tables.user_key.table.name!r}. Give "
                "other users a Batonpass with a name (name='staff', say) or a table_prefix."
            )
            raise ConfigurationError(message)
        claim_name(metadata, self.tables, name)
        self.clock = clock or Clock()
        self.ring = KeyRing(secrets, algorithm)
        self.database = Database(engine)
        self._read_key = reader_of(self._user_key.type, engine.dialect)
        self._active = active
        self.store = Store(self.tables, self.database.dialect, active)
        self.service = AuthService(
            database=self.database,
            store=self.store,
            keys=Keys.derive_from(secrets),
            access_tokens=AccessTokens(self.ring, issuer, audience or name or "batonpass"),
            policy=policy or Policy(),
            clock=self.clock,
        )
        self.edge = Edge(
            service=self.service,
            name=name,
            prefix=prefix,
            cookie_secure=cookie_secure,
            cookie_samesite=cookie_samesite,
            own_origin=public_url,
            allowed_origins=origins,
            address_of=address_of,
            origin_of=origin_of,
        )
        self._authenticate: Callable[..., Any] | None = None
        self._claims_for: ClaimsFor | None = None
        self._is_installed = False
        self._is_running = False
        self._former_tokens = former_tokens
        self.scheme = bearer_scheme(prefix, name)
        self.claims = VerifiedClaims(self.service.check_access_token, self.scheme)
        self.user: Callable[..., Awaitable[UserT]] = self._make_user_dependency()
        self.optional_user: Callable[..., Awaitable[UserT | None]] = (
            self._make_optional_user_dependency()
        )
        self._listeners = Listeners()
        self.service.on_event(self._listeners.tell)

    # --- what an app calls ---------------------------------------------------------------------

    @overload
    def authenticate(
        self, check: Callable[CheckP, Awaitable[UserT | None]]
    ) -> Callable[CheckP, Awaitable[UserT | None]]: ...

    @overload
    def authenticate(
        self, check: Callable[CheckP, UserT | None]
    ) -> Callable[CheckP, UserT | None]: ...

    def authenticate(self, check: Callable[CheckP, object]) -> Callable[CheckP, object]:
        """Decide who may log in: a FastAPI dependency that returns the user, or None.

        Its parameter of type `Login` gets the login form; all others are the app's to declare. Sync
        functions run in a thread. Comes before `install`.

        Raises:
            ConfigurationError: It takes no `Login`, or comes too late.
        """
        if self._is_installed:
            message = "auth.authenticate comes before auth.install: the login is a route by then."
            raise ConfigurationError(message)
        self._authenticate = _with_login_form(check)
        return check

    def claims_for(
        self, claims: Callable[[UserT], Mapping[str, Any] | None]
    ) -> Callable[[UserT], Mapping[str, Any] | None]:
        """Decide what a user's access tokens carry besides ours: roles and the like.

        A function of the user that returns a dict, or None. It is asked at each login, with the
        user as they are in the database, inside of the session that has loaded them: it may follow
        their relationships, also on an async engine. What it says is kept with the session, so a
        refresh reads no user: call `update_claims` when it changes. `auth.claims` shows it as
        `extra`.

        Raises:
            ConfigurationError: It is async.
        """
        if inspect.iscoroutinefunction(claims):
            message = (
                "auth.claims_for takes no async function: it is given a user whose relationships "
                "may be read."
            )
            raise ConfigurationError(message)
        self._claims_for = claims
        return claims

    async def update_claims(self, user: UserT | object) -> int:
        """Ask `claims_for` again: a user's sessions carry the answer from their next refresh on.

        Access tokens that are out keep what they say until they are over; where that is too long
        (somebody loses a right), `end_sessions`.

        Args:
            user: Whose, or their key. What changed is committed by now.

        Returns:
            How many sessions carry it.

        Raises:
            ConfigurationError: There is no `claims_for`.
        """
        key = self._key(user)
        claims_of = self._claims_of(key)
        if claims_of is None:
            message = "auth.update_claims asks the function of auth.claims_for: there is none."
            raise ConfigurationError(message)
        return await self.service.update_claims(key, claims_of)

    async def sign_in(
        self,
        user: UserT,
        request: Request,
        *,
        persistent: bool = True,
        session: Session | AsyncSession | None = None,
        actor: UserT | str | None = None,
    ) -> Response:
        """Start a session for a user who proved who they are in another way (a passkey, OAuth).

        It takes the place of the one that this browser had, where its cookie comes along: not with
        the link that leads here from another site, unless cookie_samesite is "lax".

        Args:
            user: Who.
            request: Theirs.
            persistent: "Keep me signed in".
            session: Of SQLAlchemy, sync or async, in whose transaction this takes part: a sign-up
                then makes user and session in one commit, which is the caller's. None: a
                transaction of its own.
            actor: Who acts in the user's name, support staff say: a user, or a name. Such a session
                lasts for an hour at most and until the browser closes, its tokens carry the claim
                `act` (RFC 8693 §4.1), `auth.fresh` refuses it, and the user sees who it was.

        Returns:
            A token answer with its cookies.

        Raises:
            InvalidCredentialsError: There is no such user, or they are not active.
        """
        within = None
        if session is not None:
            within = CallersTransaction(session)
            await within.flush()
        key = self.key_of_user(user)
        return await finish_login(
            self.edge,
            request,
            key,
            persistent and actor is None,
            claims_of=self._claims_of(key),
            actor=actor if actor is None or isinstance(actor, str) else str(self._key(actor)),
            within=within,
        )

    async def exchange_former_token(self, request: Request) -> Response:
        """Start a session for whoever the request's former token says they are.

        For a route of the app's own, which its page calls once, before anything else: people who
        logged in before the app moved in stay signed in. How long ago that was, `fresh` knows.

        Returns:
            A token answer with its cookies.

        Raises:
            AccessTokenMissingError: There is no token.
            AccessTokenInvalidError: It is no former one, or over; one of ours opens no session.
        """
        token = bearer_token(request.scope)
        if token is None:
            raise AccessTokenMissingError
        found, user = await self._former_user(token)
        key = self.key_of_user(user)
        return await finish_login(
            self.edge,
            request,
            key,
            True,  # noqa: FBT003 - persistent, as what it takes the place of
            claims_of=self._claims_of(key),
            auth_time=found.issued_at,
        )

    async def sign_out(self, request: Request) -> Response:
        """End the session that the request's access token belongs to.

        No route of an app's sees the refresh cookie; the answer clears it.

        Returns:
            204; where there is no session, too (RFC 7009 §2.2).
        """
        scope = request.scope
        await self.service.log_out(
            self.edge.visit(scope),
            refresh_token=None,
            transport=Transport.COOKIE,
            bearer=bearer_token(scope),
        )
        return logged_out(self.edge.cookies(scope))

    async def end_sessions(self, user: UserT | object, request: Request | None = None) -> int:
        """End every session of a user, on each process within 2 s: an account was taken over, say.

        Args:
            user: Whose, or their key.
            request: Whose address the events shall show; None: nobody's.

        Returns:
            How many were ended.
        """
        visit = Visit() if request is None else self.edge.visit(request.scope)
        return await self.service.end_sessions(self._key(user), visit)

    def fresh(self, max_age: timedelta = FRESH_FOR) -> ClaimsDependency:
        """Make a dependency for dangerous deeds: the claims, of a recent login.

        An older one gets 401 `login_required_again`: the client asks for the password
        (`/auth/confirm`, `useConfirm`), and the request goes on.

        Args:
            max_age: How long ago the password may have been given; a session that is refreshed
                does not count as a login (ASVS 5.0 V7.5.1).
        """
        return fresh_claims_of(self.service, self.claims, max_age)

    def on(self, *events: EventName | str) -> Callable[[HandlerT], HandlerT]:
        """Have the decorated function told of security events, after each one's commit.

        It may be async; a sync one runs in a thread. What it raises is logged, and harms nobody.

        Args:
            events: Their names: "refresh_token_reused", say, or `EventName.REFRESH_TOKEN_REUSED`.

        Raises:
            ConfigurationError: There is no such event.
        """
        names = event_names(events)

        def add(handler: HandlerT) -> HandlerT:
            self._listeners.add(names, handler)
            return handler

        return add

    def install(self, app: FastAPI, *, prefix: str | None = None, fast: bool = True) -> None:
        """Add the routes, the gate, the error answers and the heartbeat to an app.

        Without `authenticate` there is no route to log in by: `sign_in` is the app's way then.

        Args:
            app: The app, at any time before it serves.
            prefix: Where our routes stand; None: as the constructor was told.
            fast: Answer refreshes in the gate; False: by an ordinary route.

        Raises:
            ConfigurationError: This was installed already, or the app serves by now, or `prefix` is
                no path.
        """
        if self._is_installed:
            message = "This Batonpass is installed already: each app has one of its own."
            raise ConfigurationError(message)
        if app.middleware_stack is not None:
            message = (
                "auth.install adds a middleware, and to the lifespan: call it where the app is "
                "made, before it serves its first request or its lifespan begins."
            )
            raise ConfigurationError(message)
        if prefix is not None:
            self._move_to(prefix)
        edges = join(app, self.edge)
        self._is_installed = True
        log_in = None
        if self._authenticate is not None:
            user_of = _or_refuse(self._authenticate)
            log_in = log_in_with(self.edge, user_of, self.key_of_user, self._claims_of)
        router = build_router(
            self.edge,
            scheme=self.scheme,
            claims=self.claims,
            key_of=self.key_of,
            log_in=log_in,
        )
        app.include_router(router)
        if len(edges) == 1:  # one address for the keys of all
            app.include_router(build_well_known(edges))
        app.exception_handlers.setdefault(BatonpassError, answer_refusal)
        # Innermost: the app's CORS, request ids and tracing see a refresh as any other request.
        app.user_middleware.append(
            Middleware(Gate, edge=self.edge, fast=fast, is_tended=lambda: self._is_running)
        )
        app.router.lifespan_context = self._with_heartbeat(app.router.lifespan_context)

    def key_of(self, subject: str) -> object:
        """Turn a token's subject into the users table's key.

        Raises:
            AccessTokenInvalidError: It is none.
        """
        try:
            return self._read_key(subject)
        except (ValueError, TypeError, AttributeError) as error:
            raise AccessTokenInvalidError from error

    def key_of_user(self, user: Any) -> object:  # the app's own class
        """Return a user's key.

        Raises:
            TypeError: It is no user.
        """
        if isinstance(self._user, Table):
            if not hasattr(user, self._user_key.key):
                raise TypeError(_no_user(user, f"a row of {self._user.name!r}"))
            return getattr(user, self._user_key.key)
        if not isinstance(user, self._user):
            raise TypeError(_no_user(user, self._user.__name__))
        state = cast("InstanceState[UserT]", inspect_mapping(user))
        if state.identity is not None:  # known also after a commit, when reading is a query
            return state.identity[0]
        mapper = cast("Mapper[UserT]", inspect_mapping(self._user))
        return mapper.primary_key_from_instance(user)[0]

    def _key(self, user: UserT | object) -> object:
        """Take a user, or what is their key already."""
        is_user = not isinstance(self._user, Table) and isinstance(user, self._user)
        return self.key_of_user(user) if is_user or isinstance(user, Row) else user

    def _claims_of(self, key: object) -> ClaimsOf | None:
        """Bind `claims_for` to a user, who is loaded where it is asked."""
        claims_for = self._claims_for
        if claims_for is None:
            return None
        return lambda connection: self._with_user(connection, key, claims_for)

    def _move_to(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(_no_prefix(prefix))
        self.edge = replace(self.edge, prefix=prefix)
        self.scheme.model = bearer_scheme(prefix).model
        self.claims.model = self.scheme.model

    # --- the heartbeat -------------------------------------------------------------------------

    async def start(self) -> None:
        """Learn what has ended and which keys count: the first request is judged by all of it.

        Raises:
            ConfigurationError: The database is there, but our tables are not.
        """
        with contextlib.suppress(StoreUnavailableError):  # each request asks again; readyz says so
            await self._require_tables()
            await self.service.revocations.poll()
            await self.service.signing_keys.poll()

    async def _require_tables(self) -> None:
        missing = await self.database.read(self._missing_tables)
        if missing:
            message = (
                f"The database has no table {missing[0]!r}: create Batonpass's tables with your "
                "own, by a migration or by metadata.create_all(engine), before the app is served."
            )
            raise ConfigurationError(message)

    def _missing_tables(self, connection: Connection) -> list[str]:
        found = inspect_tables(connection)
        return [t.fullname for t in self.tables.all if not found.has_table(t.name, schema=t.schema)]

    async def beat(self) -> None:
        """Do once what the process does every second: read the feed, write what has settled.

        And, where their time has come, read which signing keys count.
        """
        if self.database.is_lent_a_connection:  # a test's, which it may be using at this moment
            return
        try:
            await self.service.revocations.poll()
            if self.service.signing_keys.is_due():
                await self.service.signing_keys.poll()
            await self.service.settling.write()
        except StoreUnavailableError as error:
            logger.warning("database_unavailable", extra={"why": repr(error.__cause__)})

    async def stop(self) -> None:
        """Answer what was taken in, and let the threads go."""
        with contextlib.suppress(StoreUnavailableError):
            await self.service.drain()
        await self._listeners.drain()
        await self.database.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the heartbeat for as long as the app serves."""
        await self.start()
        heart = asyncio.create_task(self._beat_for_ever())
        self._is_running = True
        try:
            yield
        finally:
            self._is_running = False
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
            await self.stop()

    async def _beat_for_ever(self) -> None:
        purge_at = self.clock.monotonic() + PURGE_EVERY_SECONDS
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.beat()
                if self.clock.monotonic() >= purge_at:
                    purge_at += PURGE_EVERY_SECONDS
                    await self.service.purge()
            except Exception:
                logger.exception("heartbeat_failed")

    def _with_heartbeat(self, lifespan: Any) -> Any:  # Starlette's Lifespan[Any]
        @asynccontextmanager
        async def extended(app: FastAPI) -> AsyncIterator[Any]:
            async with lifespan(app) as state, self.running():
                yield state

        return extended

    def _make_user_dependency(self) -> Callable[..., Awaitable[UserT]]:
        async def user(found: Annotated[Claims, Depends(self.claims)]) -> UserT:
            key = self.key_of(found.subject)
            loaded, is_active = await self.database.read(
                lambda connection: (self._load(connection, key), self._may_be_here(connection, key))
            )
            if loaded is None:
                raise AccessTokenInvalidError
            if not is_active:
                raise SessionRevokedError(reason=Ending.USER_DISABLED.value)
            return loaded

        async def user_or_former_user(
            request: HTTPConnection, token: Annotated[str | None, Depends(self.scheme)]
        ) -> UserT:
            try:
                found = await self.claims(request)
            except AccessTokenRefusedError as error:
                if token is None or error.problem != FOREIGN_TYP:
                    raise
                return (await self._former_user(token))[1]
            return await user(found)

        return user if self._former_tokens is None else user_or_former_user

    async def _former_user(self, token: str) -> tuple[FormerClaims, UserT]:
        former = self._former_tokens
        if former is None:
            raise AccessTokenInvalidError
        found = former.verify(token, self.clock.now())

        def work(connection: Connection) -> UserT | None:
            key = self._key_named(connection, found.subject, former.named_by)
            if key is None or not self._may_be_here(connection, key):
                return None
            return self._load(connection, key)

        user = await self.database.read(work)
        if user is None:
            raise AccessTokenInvalidError
        return found, user

    def _key_named(self, connection: Connection, subject: str, column: Any) -> object | None:
        """Find the key of the one user whom a column names so; None: there is none, or several."""
        if column is None:
            return self.key_of(subject)
        keys = connection.execute(select(self._user_key).where(column == subject)).scalars().all()
        return keys[0] if len(keys) == 1 else None

    def _make_optional_user_dependency(self) -> Callable[..., Awaitable[UserT | None]]:
        async def optional_user(
            request: HTTPConnection, token: Annotated[str | None, Depends(self.scheme)]
        ) -> UserT | None:
            if token is None:
                return None
            if self._former_tokens is not None:
                return await self.user(request, token)
            return await self.user(await self.claims(request))

        return optional_user

    def _load(self, connection: Connection, key: object) -> UserT | None:
        return self._with_user(connection, key, lambda user: user)

    def _with_user(
        self, connection: Connection, key: object, use: Callable[[UserT], T | None]
    ) -> T | None:
        """Load a user, and use them while what they refer to can be loaded; None: there is none."""
        if isinstance(self._user, Table):
            row = connection.execute(select(self._user).where(self._user_key == key)).first()
            return None if row is None else use(cast("UserT", row))
        with Session(bind=connection, expire_on_commit=False) as session:
            user = session.get(self._user, key)
            return None if user is None else use(user)

    def _may_be_here(self, connection: Connection, key: object) -> bool:
        if self._active is None:
            return True
        statement = select(self._user_key).where(self._user_key == key, self._active)
        return connection.execute(statement).first() is not None


def _checked(given: object) -> tuple[bytes, ...]:
    """Take secrets that were read already; only their length can be judged."""
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        message = "SECRET_KEY: pass text (hex or base64url), or a list of bytes."
        raise ConfigurationError(message)
    secrets = tuple(given)
    for position, secret in enumerate(secrets, start=1):
        if not isinstance(secret, bytes) or len(secret) < MIN_SECRET_BYTES:
            message = f"SECRET_KEY: key {position} is not at least {MIN_SECRET_BYTES} bytes long."
            raise ConfigurationError(message)
    if not secrets:
        message = "SECRET_KEY: there is none."
        raise ConfigurationError(message)
    return secrets


def _exact_origins(origins: Iterable[str]) -> frozenset[str]:
    """Take origins as browsers write them: any other would never be met (S-CORS-1)."""
    found = frozenset((origins,) if isinstance(origins, str) else origins)
    for origin in found:
        if isinstance(origins, str) or not _is_exact(origin):
            message = (
                f"cors_origins: {origin!r} is no list of exact origins: write for instance "
                "['https://app.example.com']."
            )
            raise ConfigurationError(message)
    return found


def _is_exact(origin: str) -> bool:
    try:
        check_origin(origin)
    except ValueError:
        return False
    return True


def _no_prefix(found: str) -> str:
    return f"prefix: {found!r} is no path such as '/auth'."


def _no_user(found: object, wanted: str) -> str:
    return f"auth.authenticate returns {wanted} or None, not {type(found).__name__}."


def _single_key(user: type[Any] | Table) -> Any:  # a column of the app's key type
    try:
        table = (
            user if isinstance(user, Table) else cast("Table", inspect_mapping(user).local_table)
        )
    except NoInspectionAvailable as error:
        message = f"user: {user!r} is neither a mapped class nor a table."
        raise ConfigurationError(message) from error
    keys = list(table.primary_key.columns)
    if len(keys) != 1:
        message = f"The user table {table.name!r} needs one primary key column, not {len(keys)}."
        raise ConfigurationError(message)
    return keys[0]


def _with_login_form(check: Callable[..., Any]) -> Callable[..., Any]:
    """Let FastAPI fill the parameter of type `Login` from the form."""
    hints = get_type_hints(check, include_extras=True)
    signature = inspect.signature(check)
    parameters = [
        parameter.replace(
            annotation=Annotated[Login, Depends(login_form)]
            if hints.get(name) is Login
            else hints.get(name, parameter.annotation)
        )
        for name, parameter in signature.parameters.items()
    ]
    if not any(hint is Login for hint in hints.values()):
        message = "auth.authenticate needs a parameter of type Login."
        raise ConfigurationError(message)
    wrapped: Any = _async_copy(check) if inspect.iscoroutinefunction(check) else _copy(check)
    wrapped.__signature__ = signature.replace(parameters=parameters)
    return cast("Callable[..., Any]", wrapped)


def _copy(check: Callable[..., Any]) -> Callable[..., Any]:
    def call(**values: object) -> object:
        return check(**values)

    return call


def _async_copy(check: Callable[..., Any]) -> Callable[..., Any]:
    async def call(**values: object) -> object:
        return await check(**values)

    return call


def _or_refuse(user_of: Callable[..., Any]) -> Callable[..., Any]:
    async def user_or_refusal(user: Annotated[Any, Depends(user_of)]) -> object:
        if user is None:
            raise InvalidCredentialsError
        return user

    return user_or_refusal
