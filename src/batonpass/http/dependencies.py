"""Who is asking: what a protected route depends on. Tokens come in the Authorization header."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.types import Scope

from batonpass.access_tokens import Claims
from batonpass.auth_service import AuthService
from batonpass.errors import (
    AccessTokenMissingError,
    ActorNotAllowedError,
    LoginRequiredAgainError,
)

ClaimsDependency = Callable[..., Awaitable[Claims]]

FRESH_FOR = timedelta(minutes=5)  # ASVS 5.0 V7.5.1


class _OneBearer(OAuth2PasswordBearer):
    """Finds the token of the one Authorization header; of two, nobody can say which counts."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        return bearer_token(request.scope)


def bearer_scheme(prefix: str) -> OAuth2PasswordBearer:
    """Return the scheme behind the OpenAPI page's Authorize button (RFC 6750 §2.1)."""
    return bearer_scheme_at(f"{prefix.lstrip('/')}/token", name="OAuth2PasswordBearer")


def bearer_scheme_at(token_url: str, *, name: str) -> OAuth2PasswordBearer:
    """Return the same for a login that stands elsewhere, by the name that the schema shows."""
    return _OneBearer(tokenUrl=token_url, scheme_name=name, auto_error=False)


class VerifiedClaims(SecurityBase):
    """The dependency that verifies the access token: no query on an ordinary request.

    It is the security scheme itself: FastAPI solves each dependency of a dependency anew, and this
    one is asked on every request.
    """

    def __init__(self, service: AuthService, scheme: OAuth2PasswordBearer) -> None:
        """Verify what `scheme` describes."""
        self.model = scheme.model
        self.scheme_name = scheme.scheme_name
        self._service = service

    async def __call__(self, request: HTTPConnection) -> Claims:
        """Return the claims of the request's access token.

        Raises:
            AccessTokenMissingError: There is none.
            AccessTokenInvalidError: It is none of ours, or over; or there are two headers.
            SessionRevokedError: Its session has been ended.
            StoreUnavailableError: Whether it has been ended cannot be known.
        """
        token = bearer_token(request.scope)
        if token is None:
            raise AccessTokenMissingError
        return await self._service.check_access_token(token)


def bearer_token(scope: Scope) -> str | None:
    """Return the token of the Authorization header; None where there is none, "" for two."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if not found:
        return None
    if len(found) > 1:
        return ""  # what is there is no token
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def fresh_claims_of(
    service: AuthService, claims: ClaimsDependency, max_age: timedelta = FRESH_FOR
) -> ClaimsDependency:
    """Make the dependency that also wants a password given not longer than `max_age` ago."""

    async def fresh(found: Annotated[Claims, Depends(claims)]) -> Claims:
        if found.actor is not None:  # whose password it was nobody knows
            raise ActorNotAllowedError
        if service.clock.now() - found.auth_time > max_age:
            raise LoginRequiredAgainError
        return found

    return fresh
