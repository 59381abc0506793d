"""fastapi-users keeps the users, Batonpass their sessions: an AuthenticationBackend of theirs.

Its login answers with our token answer and sets the cookies, so `/auth/refresh`, the session list
and everything else that `auth.install` adds works for a user of theirs. `current_user` takes our
access tokens, and refuses those of a session that has ended.

Example:
    auth_backend = batonpass_backend(auth)
    fastapi_users = FastAPIUsers[User, UUID](get_user_manager, [auth_backend])

Source: docs/how-to/fastapi-users.md; fastapi-users 15, `authentication/backend.py`.
"""

from typing import Any

from fastapi import Request, Response
from starlette.requests import HTTPConnection

from batonpass.errors import AccessTokenInvalidError
from batonpass.http import schemas
from batonpass.http.dependencies import bearer_scheme_at
from batonpass.plugin import Batonpass

try:
    from fastapi_users import exceptions
    from fastapi_users.authentication import AuthenticationBackend, BearerTransport
except ImportError as error:
    message = "batonpass.contrib.fastapi_users needs it: pip install 'fastapi-users[sqlalchemy]'."
    raise ImportError(message) from error

_OK, _NO_CONTENT = 200, 204


def batonpass_backend(
    auth: Batonpass[Any],
    *,
    name: str = "batonpass",
    token_url: str = "auth/jwt/login",  # noqa: S107 - an address
) -> "BatonpassBackend":
    """Make the backend that stands where `AuthenticationBackend(name="jwt", …)` stood.

    Args:
        auth: The app's, made with `user=User`; `auth.install(app)` is the app's to call.
        name: The backend's, in fastapi-users' route names and the OpenAPI schema.
        token_url: Where its login is mounted, for the OpenAPI page's Authorize button.
    """
    return BatonpassBackend(auth, name, token_url)


class BatonpassBackend(AuthenticationBackend):  # type: ignore[misc]  # not installed where we check
    """Logs in and out by Batonpass; who the user is, and whether active, fastapi-users says."""

    def __init__(self, auth: Batonpass[Any], name: str, token_url: str) -> None:
        """Bind to an app's sessions."""

        def get_strategy(connection: HTTPConnection) -> Strategy:
            return Strategy(auth, connection)

        super().__init__(name, Transport(name, token_url), get_strategy)
        self._auth = auth

    async def login(self, strategy: "Strategy", user: Any) -> Response:  # the app's own class
        """Start a session, and answer with its tokens and cookies.

        Raises:
            CsrfError: The request is another site's, wherever the route is mounted.
        """
        request, edge = strategy.request, self._auth.edge
        edge.check_csrf(request.method, edge.head(request.scope), edge.origin_of(request.scope))
        return await self._auth.sign_in(user, request)

    async def logout(self, strategy: "Strategy", user: Any, token: str) -> Response:  # noqa: ARG002 - theirs
        """End the session that the access token belongs to, and clear the cookies."""
        return await self._auth.sign_out(strategy.request)


class Strategy:
    """Finds the user of an access token, for one request."""

    def __init__(self, auth: Batonpass[Any], connection: HTTPConnection) -> None:
        """Speak for this request, or WebSocket."""
        self._auth = auth
        self._connection = connection

    @property
    def request(self) -> Request:
        """The request, for what a WebSocket cannot do.

        Raises:
            TypeError: It is one.
        """
        if not isinstance(self._connection, Request):
            message = "Nobody logs in or out over a WebSocket."
            raise TypeError(message)
        return self._connection

    async def read_token(
        self, token: str | None, user_manager: Any
    ) -> Any:  # the app's own classes
        """Return the user of a token; None where it may be another backend's.

        Raises:
            SessionRevokedError: It is ours, and its session has been ended.
            StoreUnavailableError: Whether it has been ended cannot be known.
        """
        if token is None:
            return None
        try:
            claims = await self._auth.service.check_access_token(token)
            return await user_manager.get(user_manager.parse_id(claims.subject))
        except (AccessTokenInvalidError, exceptions.UserNotExists, exceptions.InvalidID):
            return None


class Transport(BearerTransport):  # type: ignore[misc]  # not installed where we check
    """Finds the bearer token, and describes our answers to the OpenAPI schema."""

    def __init__(self, name: str, token_url: str) -> None:
        """Name the scheme as the backend is called: an app may have others."""
        self.scheme = bearer_scheme_at(token_url, name=name)

    @staticmethod
    def get_openapi_login_responses_success() -> dict[int | str, dict[str, Any]]:
        """Describe the token answer."""
        return {_OK: {"model": schemas.Token}}

    @staticmethod
    def get_openapi_logout_responses_success() -> dict[int | str, dict[str, Any]]:
        """Describe the end of a session."""
        return {_NO_CONTENT: {"description": "The session has ended."}}
