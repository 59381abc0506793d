"""Who is asking: what a protected route depends on. Tokens come in the Authorization header."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from batonpass.access_tokens import Claims
from batonpass.auth_service import AuthService
from batonpass.errors import AccessTokenMissingError, LoginRequiredAgainError

ClaimsDependency = Callable[..., Awaitable[Claims]]

FRESH_FOR = timedelta(minutes=5)  # ASVS 5.0 V7.5.1


class _OneBearer(OAuth2PasswordBearer):
    """Finds the token of the one Authorization header; of two, nobody can say which counts."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        if len(request.headers.getlist("authorization")) > 1:
            return ""  # what is there is no token
        return await super().__call__(request)


def bearer_scheme(prefix: str) -> OAuth2PasswordBearer:
    """Return the scheme behind the OpenAPI page's Authorize button (RFC 6750 §2.1)."""
    return _OneBearer(
        tokenUrl=f"{prefix.lstrip('/')}/token",
        scheme_name="OAuth2PasswordBearer",
        auto_error=False,
    )


def claims_of(service: AuthService, scheme: OAuth2PasswordBearer) -> ClaimsDependency:
    """Make the dependency that verifies the access token: no query on an ordinary request."""

    async def claims(token: Annotated[str | None, Depends(scheme)]) -> Claims:
        if token is None:
            raise AccessTokenMissingError
        return await service.check_access_token(token)

    return claims


def fresh_claims_of(
    service: AuthService, claims: ClaimsDependency, max_age: timedelta = FRESH_FOR
) -> ClaimsDependency:
    """Make the dependency that also wants a password given not longer than `max_age` ago."""

    async def fresh(found: Annotated[Claims, Depends(claims)]) -> Claims:
        if service.clock.now() - found.auth_time > max_age:
            raise LoginRequiredAgainError
        return found

    return fresh
