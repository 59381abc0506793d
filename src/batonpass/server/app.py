"""The server: the library's first customer, with users, a throttle and the web app around it."""

from contextlib import asynccontextmanager
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from batonpass.clock import Clock
from batonpass.errors import StoreUnavailableError
from batonpass.keys import Keys, parse_secrets
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.accounts import Accounts
from batonpass.server.engines import build_engine
from batonpass.server.faults import Faults, add_error_answers
from batonpass.server.headers import SecurityHeaders
from batonpass.server.models import metadata, tables, users
from batonpass.server.passwords import PasswordHasher
from batonpass.server.proxies import Proxies
from batonpass.server.requests import RequestIds
from batonpass.server.routes import build_health, build_router
from batonpass.server.settings import Settings
from batonpass.server.throttle import Throttle
from batonpass.server.users import User
from batonpass.server.web import build_web

DESCRIPTION = """Secure sessions: short-lived access tokens, refresh tokens that are passed on once.

Authorize with an e-mail and its password; the refresh token stays in a cookie that no script reads."""


def build_auth(settings: Settings, clock: Clock | None = None) -> Batonpass[User]:
    """Put the library on the settings' database."""
    proxies = Proxies(settings.trusted_proxies)
    return Batonpass(
        build_engine(settings.database_url),
        metadata,
        user=users,
        secret=settings.secret_key,
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
