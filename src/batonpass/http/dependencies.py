"""Who is asking: what a protected route depends on. Tokens come in the Authorization header."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase
from sqlalchemy import Connection
from starlette.requests import HTTPConnection
from starlette.types import Scope

from batonpass.access_tokens import AccessTokenRefusedError, Claims
from batonpass.app_users import AppUsers
from batonpass.auth_service import AuthService
from batonpass.errors import (
    AccessTokenInvalidError,
    AccessTokenMissingError,
    ActorNotAllowedError,
    BatonpassError,
    LoginRequiredAgainError,
    SessionRevokedError,
)
from batonpass.family import Ending
from batonpass.former_tokens import FOREIGN_TYP
from batonpass.former_users import FormerUsers
from batonpass.http.answers import answer_refusal
from batonpass.http.edge import CLAIMS
from batonpass.storage.engine import Database

UserT = TypeVar("UserT")
ClaimsDependency = Callable[..., Awaitable[Claims]]
UserDependency = Callable[..., Awaitable[UserT]]
CheckAccessToken = Callable[[str], Awaitable[Claims]]

BEARER_SCHEME = "OAuth2PasswordBearer"
FRESH_FOR = timedelta(minutes=5)  # S-SES-6; ASVS 5.0 V7.5.1


class _OneBearer(OAuth2PasswordBearer):
    """Finds the token of the one Authorization header; of two, nobody can say which counts."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        return bearer_token(request.scope)


def bearer_scheme(prefix: str, name: str = "") -> OAuth2PasswordBearer:
    """Return the scheme behind the OpenAPI page's Authorize button (RFC 6750 §2.1).

    Args:
        prefix: Where the login stands.
        name: The Batonpass' own, where an app has several: each is a scheme of its own then.
    """
    return bearer_scheme_at(f"{prefix.lstrip('/')}/token", name=scheme_name(BEARER_SCHEME, name))


def bearer_scheme_at(token_url: str, *, name: str) -> OAuth2PasswordBearer:
    """Return the same for a login that stands elsewhere, by the name that the schema shows."""
    return _OneBearer(tokenUrl=token_url, scheme_name=name, auto_error=False)


def scheme_name(kind: str, name: str) -> str:
    """Name a security scheme in the OpenAPI schema."""
    return f"{kind}_{name}" if name else kind


class VerifiedClaims(SecurityBase):
    """The dependency that verifies the access token: no query on an ordinary request.

    It is the security scheme itself: FastAPI solves each dependency of a dependency anew, and this
    one is asked on every request.
    """

    def __init__(self, check: CheckAccessToken, scheme: OAuth2PasswordBearer) -> None:
        """Have `check` verify what `scheme` describes."""
        self.model = scheme.model
        self.scheme_name = scheme.scheme_name
        self._check = check

    async def __call__(self, request: HTTPConnection) -> Claims:
        """Return the claims of the request's access token.

        Raises:
            AccessTokenMissingError: There is none.
            AccessTokenInvalidError: It is none of ours, or over; or there are two headers.
            SessionRevokedError: Its session has been ended.
            StoreUnavailableError: Whether it is good cannot be known.
        """
        answer_errors_in(request.scope)
        token = bearer_token(request.scope)
        if token is None:
            raise AccessTokenMissingError
        claims = await self._check(token)
        request.scope[CLAIMS] = claims  # who was refused something, should that be
        return claims


def bearer_token(scope: Scope) -> str | None:
    """Return the token of the Authorization header; None where there is none, "" for two.

    No other place counts: no query, which stands in logs and in a Referer, no cookie, no body
    (S-CSRF-7, S-JWT-8).
    """
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if not found:
        return None
    if len(found) > 1:
        return ""  # what is there is no token
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def answer_errors_in(scope: Scope) -> None:
    """Have the app that this request is in answer our errors, unless it does so already.

    A route may depend on us in an app that is mounted in the one that was installed into, or
    around it, and each app answers only the errors it knows.
    """
    handlers = scope.get("starlette.exception_handlers")
    if handlers is not None:
        handlers[0].setdefault(BatonpassError, answer_refusal)


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


def user_of(
    users: AppUsers[UserT],
    former: FormerUsers[UserT] | None,
    database: Database,
    claims: VerifiedClaims,
    scheme: OAuth2PasswordBearer,
) -> UserDependency[UserT]:
    """Make the dependency that loads the signed-in user, in one statement.

    With `former`, it takes a former token too, where `claims` says that it is none of ours.
    """

    async def user(found: Annotated[Claims, Depends(claims)]) -> UserT:
        key = users.key_named(found.subject)

        def work(connection: Connection) -> UserT:
            loaded = users.load(connection, key)
            if loaded is not None:
                return loaded
            if users.is_disabled(connection, key):
                raise SessionRevokedError(reason=Ending.USER_DISABLED.value)
            raise AccessTokenInvalidError

        return await database.read(work)

    if former is None:
        return user

    async def user_or_former_user(
        request: HTTPConnection, token: Annotated[str | None, Depends(scheme)]
    ) -> UserT:
        try:
            found = await claims(request)
        except AccessTokenRefusedError as error:
            if token is None or error.problem != FOREIGN_TYP:
                raise
            return (await former.find(token))[1]
        return await user(found)

    return user_or_former_user


def optional_user_of(
    user: UserDependency[UserT],
    claims: VerifiedClaims,
    scheme: OAuth2PasswordBearer,
    *,
    takes_former: bool,
) -> UserDependency[UserT | None]:
    """Make the one that is content with nobody, but not with a token that is wrong.

    Args:
        user: What `user_of` has made.
        claims: Verifies the access token.
        scheme: Finds it.
        takes_former: Whether `user` was made with `former`.
    """

    async def optional_user(
        request: HTTPConnection, token: Annotated[str | None, Depends(scheme)]
    ) -> UserT | None:
        if token is None:
            return None
        if takes_former:
            return await user(request, token)
        return await user(await claims(request))

    return optional_user
