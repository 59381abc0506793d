"""`Batonpass`: what an app sees.

Example:
    auth = Batonpass(engine, Base.metadata, user=Account, secret=settings.secret)

    @auth.authenticate
    def check(form: Login, db: SessionDep) -> Account | None: ...

    auth.install(app)
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, Literal, ParamSpec, overload

from fastapi import FastAPI, Request
from sqlalchemy import Engine, MetaData, Row, Table
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from starlette.responses import Response
from typing_extensions import TypeVar  # with a default: typing's from Python 3.13 on

from batonpass.access_tokens import AccessTokens
from batonpass.added_claims import ClaimsOf
from batonpass.app_users import AppUsers
from batonpass.auth_service import AuthService
from batonpass.clock import Clock
from batonpass.errors import (
    AccessTokenInvalidError,
    AccessTokenMissingError,
    ConfigurationError,
)
from batonpass.events import EventName
from batonpass.former_tokens import FormerTokens
from batonpass.former_users import FormerUsers
from batonpass.heartbeat import Heartbeat
from batonpass.http.answers import logged_out
from batonpass.http.csrf import exact_origins
from batonpass.http.dependencies import (
    FRESH_FOR,
    ClaimsDependency,
    VerifiedClaims,
    bearer_scheme,
    bearer_token,
    fresh_claims_of,
    optional_user_of,
    user_of,
)
from batonpass.http.edge import (
    AddressOf,
    Edge,
    OriginOf,
    check_prefix,
    peer_address,
    request_origin,
)
from batonpass.http.login import finish_login, log_in_with, with_login_form
from batonpass.http.routes import build_router
from batonpass.installation import install_into, require_unserved
from batonpass.instances import check_name, tables_of
from batonpass.keys import Algorithm, KeyRing, Keys, secrets_of
from batonpass.listeners import Handler, Listeners, event_names
from batonpass.policy import Policy
from batonpass.refresh_tokens import Transport
from batonpass.secret_key import check_secrets, parse_secrets
from batonpass.storage.callers import CallersTransaction
from batonpass.storage.engine import Database
from batonpass.storage.store import IsActive, Store
from batonpass.visits import Visit

UserT = TypeVar("UserT", default=Row[Any])  # a table's user is a row of it
CheckP = ParamSpec("CheckP")
HandlerT = TypeVar("HandlerT", bound=Handler)
ClaimsFor = Callable[[Any], Mapping[str, Any] | None]  # of the app's own class


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
        given = parse_secrets(secret) if isinstance(secret, str) else check_secrets(secret)
        secrets = secrets_of(name, given)
        check_prefix(prefix)
        origins = exact_origins(cors_origins)
        self.database = Database(engine)
        self._users = AppUsers(user, engine.dialect, active)
        self.tables = tables_of(name, metadata, self._users.key, prefix=table_prefix, schema=schema)
        self.clock = clock or Clock()
        self.ring = KeyRing(secrets, algorithm)
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
        self._listeners = Listeners()
        self.service.on_event(self._listeners.tell)
        self._heartbeat = Heartbeat(self.service, self.tables, self._listeners)
        self._former_users = (
            None
            if former_tokens is None
            else FormerUsers(former_tokens, self._users, self.database, self.clock)
        )
        self.scheme = bearer_scheme(prefix, name)
        self.claims = VerifiedClaims(self.service.check_access_token, self.scheme)
        self.user: Callable[..., Awaitable[UserT]] = user_of(
            self._users, self._former_users, self.database, self.claims, self.scheme
        )
        self.optional_user: Callable[..., Awaitable[UserT | None]] = optional_user_of(
            self.user, self.claims, self.scheme, takes_former=former_tokens is not None
        )

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
        self._authenticate = with_login_form(check)
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
        key = self._users.key_of_either(user)
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
            actor=actor
            if actor is None or isinstance(actor, str)
            else str(self._users.key_of_either(actor)),
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
        if self._former_users is None:
            raise AccessTokenInvalidError
        found, user = await self._former_users.find(token)
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
        return await self.service.end_sessions(self._users.key_of_either(user), visit)

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
        require_unserved(app)
        if prefix is not None:
            self._move_to(prefix)
        log_in = None
        if self._authenticate is not None:
            log_in = log_in_with(self.edge, self._authenticate, self.key_of_user, self._claims_of)
        router = build_router(
            self.edge,
            scheme=self.scheme,
            claims=self.claims,
            key_of=self.key_of,
            log_in=log_in,
        )
        install_into(app, self.edge, router, self._heartbeat, fast=fast)
        self._is_installed = True

    def key_of(self, subject: str) -> object:
        """Turn a token's subject into the users table's key.

        Raises:
            AccessTokenInvalidError: It is none.
        """
        return self._users.key_named(subject)

    def key_of_user(self, user: Any) -> object:  # the app's own class
        """Return a user's key.

        Raises:
            TypeError: It is no user.
        """
        return self._users.key_of(user)

    def _claims_of(self, key: object) -> ClaimsOf | None:
        """Bind `claims_for` to a user, who is loaded where it is asked."""
        claims_for = self._claims_for
        if claims_for is None:
            return None
        return lambda connection: self._users.use(connection, key, claims_for)

    def _move_to(self, prefix: str) -> None:
        check_prefix(prefix)
        self.edge = replace(self.edge, prefix=prefix)
        self.scheme.model = bearer_scheme(prefix).model
        self.claims.model = self.scheme.model

    # --- the heartbeat -------------------------------------------------------------------------

    async def start(self) -> None:
        """Learn what has ended and which keys count: the first request is judged by all of it.

        Raises:
            ConfigurationError: The database is there, but our tables are not.
        """
        await self._heartbeat.start()

    async def beat(self) -> None:
        """Do once what the process does every second: read the feed, write what has settled.

        And, where their time has come, read which signing keys count.
        """
        await self._heartbeat.beat()

    async def stop(self) -> None:
        """Answer what was taken in, and let the threads go."""
        await self._heartbeat.stop()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Hold the heartbeat for as long as the app serves."""
        return self._heartbeat.running()
