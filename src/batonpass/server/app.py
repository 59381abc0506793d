"""The server: the library's first customer, with users, a throttle and the web app around it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Literal

from fastapi import FastAPI
from starlette.types import Scope

from batonpass.clock import Clock
from batonpass.errors import ConfigurationError
from batonpass.events import EventName
from batonpass.http.edge import header
from batonpass.keys import Keys
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.accounts import Accounts, MailConfirmation
from batonpass.server.admission import Admission
from batonpass.server.api_docs import docs_route
from batonpass.server.cors import Cors, OnRefused
from batonpass.server.engines import build_engine, dispose
from batonpass.server.fast_lane import FastLane, ServerApp
from batonpass.server.faults import Faults, add_error_answers
from batonpass.server.headers import HeaderRules, SecurityHeaders
from batonpass.server.lab import Lab, lab_router
from batonpass.server.logging import RequestIds, configure
from batonpass.server.mail import Outbox
from batonpass.server.metrics import Metrics
from batonpass.server.models import metadata, users
from batonpass.server.passwords import PasswordHasher
from batonpass.server.proxies import Proxies
from batonpass.server.registration import RegistrationLinks
from batonpass.server.routes import Readiness, build_health, build_router
from batonpass.server.settings import Settings, load_settings, require_safe
from batonpass.server.throttle import Limit, Throttle
from batonpass.server.throttle import purge as purge_throttle
from batonpass.server.users import User
from batonpass.server.web import web_routes

logger = logging.getLogger(__name__)

DESCRIPTION = """Secure sessions: short-lived access tokens, and refresh tokens passed on once.

Authorize with an e-mail and its password; the refresh token stays in a cookie no script reads."""

# docs/security.md, "Throttles and registration" (S-THR-5). Refreshes have none: a MAC comes first.
REGISTRATIONS_IN_PRODUCTION = Limit(20, timedelta(hours=1))
CONFIRMATIONS = Limit(10, timedelta(minutes=15))
LETTERS = Limit(10, timedelta(hours=1))  # more would be a nuisance that strangers can make


def build_auth(settings: Settings, clock: Clock | None = None) -> Batonpass[User]:
    """Put the library on the settings' database."""
    proxies = Proxies(settings.proxy_networks)
    auth: Batonpass[User] = Batonpass(
        build_engine(settings.database_url),
        metadata,
        user=users,
        secret=settings.secrets,
        policy=settings.policy,
        algorithm=settings.jwt_algorithm,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        cookie_secure=settings.cookie_secure,
        cookie_samesite=settings.cookie_samesite,
        public_url=settings.public_url,
        cors_origins=settings.cors_origins,
        address_of=proxies.address_of,
        origin_of=proxies.origin_of,
        clock=clock,
    )
    auth.service.purge_also("throttle", purge_throttle)
    return auth


def build_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Put the whole server together; nothing is connected before its lifespan begins."""
    auth = build_auth(settings, clock)
    keys = Keys.derive_from(settings.secrets)
    passwords = PasswordHasher()
    throttle = Throttle(
        keys.throttle,
        login=settings.login_limits,
        registration=REGISTRATIONS_IN_PRODUCTION if settings.is_production else None,
        confirmation=CONFIRMATIONS,
        mail=LETTERS,
    )
    registration = _registration(settings)
    accounts = Accounts(
        auth.service,
        passwords,
        throttle,
        registration=registration,
        log_key=keys.log,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        logger.info(EventName.STARTED.value, extra={"environment": settings.environment})
        try:
            yield
        finally:
            passwords.close()
            await dispose(auth.database.engine)
            logger.info(EventName.STOPPED.value)

    app = ServerApp(
        title="Batonpass",
        description=DESCRIPTION,
        version=version("batonpass"),
        lifespan=lifespan,
        # Such a redirect would lead to wherever the Host header says, behind TLS to plain http, and
        # a browser would send the password there again (307).
        redirect_slashes=False,
        docs_url=None,  # api_docs.py: FastAPI's own page loads from a foreign host
        redoc_url=None,
        openapi_url=None if settings.is_production else "/openapi.json",
    )
    admission = Admission(passwords.places)
    app.include_router(build_router(auth, accounts, admission))
    app.include_router(build_health(_readiness(auth)))
    auth.install(app)
    if isinstance(registration, MailConfirmation):
        _empty_before_the_end(app, registration.outbox)
    if not settings.is_production:
        app.router.routes.append(docs_route())
        app.include_router(lab_router(auth))
        app.add_middleware(Lab, edge=auth.edge)
    if settings.metrics:
        app.router.routes.append(Metrics(auth.service).route())
    app.router.routes.extend(web_routes(production=settings.is_production))
    add_error_answers(app)
    rules = HeaderRules(
        https=settings.cookie_secure is True,
        own_origin=settings.public_url,
        origin_of=auth.edge.origin_of,
    )

    def on_foreign_origin(scope: Scope) -> None:
        told = {"origin": header(scope, b"origin") or ""}
        auth.edge.refusals.tell_event(EventName.CORS_REFUSED, auth.edge.visit(scope), told)

    _add_middlewares(app, settings, rules, on_foreign_origin)
    app.fast_lane = FastLane(
        auth.edge, rules, admission, answers_origins=bool(settings.cors_origins)
    )
    return app


def build_app_from_environment() -> FastAPI:
    """Make the app of one worker process.

    Raises:
        ConfigurationError: A setting cannot work, or is unsafe in production: `batonpass serve` has
            asked before, another server's command has not.
    """
    settings = load_settings()
    require_safe(settings)
    configure(settings.log_format or ("json" if settings.is_production else "console"))
    return build_app(settings)


def _registration(settings: Settings) -> Literal["open", "closed"] | MailConfirmation:
    """Read REGISTRATION.

    Raises:
        ConfigurationError: It wants mail, and there is nowhere to send it.
    """
    if settings.registration != "confirm":
        return settings.registration
    server = settings.smtp_server
    if server is None:
        message = "BATONPASS_SMTP_URL is not set, and REGISTRATION=confirm sends mail."
        raise ConfigurationError(message)
    return MailConfirmation(RegistrationLinks(settings.secrets), Outbox(server))


def _empty_before_the_end(app: FastAPI, outbox: Outbox) -> None:
    """Have letters under way arrive while the database is still there: they look users up in it."""
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with around(app) as state:
            try:
                yield state
            finally:
                await outbox.aclose()

    app.router.lifespan_context = lifespan


def _add_middlewares(
    app: FastAPI, settings: Settings, rules: HeaderRules, on_foreign_origin: OnRefused
) -> None:
    # From the outside in: request ids, security headers, CORS, faults, the gate (already there).
    app.add_middleware(Faults)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins, on_refused=on_foreign_origin)
    app.add_middleware(SecurityHeaders, rules=rules)
    app.add_middleware(RequestIds)


def _readiness(auth: Batonpass[User]) -> Readiness:
    async def ready() -> bool:
        return await auth.database.read(migrations.is_current)

    return ready
