"""How somebody logs in: the form, the app's own check of it, the session that follows.

Source: RFC 6749 §4.3.2 (the form).
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, cast, get_type_hints

from fastapi import Depends, Form, Request, Response

from batonpass.added_claims import ClaimsOf
from batonpass.errors import ConfigurationError, InvalidCredentialsError, RefreshTokenInvalidError
from batonpass.http.answers import token_answer
from batonpass.http.edge import Edge
from batonpass.logins import EventsOf, Guard
from batonpass.storage.callers import CallersTransaction

LogIn = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Login:
    """What the login form says.

    Attributes:
        username: The e-mail, in OAuth's word for it.
        password: As typed.
        remember: "Keep me signed in".
    """

    username: str
    password: str = field(repr=False)
    remember: bool = True


def login_form(
    username: Annotated[str, Form(min_length=1)],
    password: Annotated[str, Form(min_length=1)],
    remember: Annotated[bool, Form()] = True,  # noqa: FBT002 - a form field
) -> Login:
    """Read OAuth's password form (RFC 6749 §4.3.2); other fields of it are ignored."""
    return Login(username, password, remember)


def with_login_form(check: Callable[..., Any]) -> Callable[..., Any]:
    """Let FastAPI fill the parameter of an app's check that has the type `Login`.

    Raises:
        ConfigurationError: It has none.
    """
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


def log_in_with(
    edge: Edge,
    check: Callable[..., Any],
    key_of_user: Callable[[Any], object],
    claims_of: Callable[[object], ClaimsOf | None],
) -> LogIn:
    """Make the login endpoint around an app's own check, a FastAPI dependency.

    Args:
        edge: How requests are read.
        check: Returns the user, or None.
        key_of_user: Says what their key is.
        claims_of: Says of a key what access tokens carry.
    """
    user_of = _or_refuse(check)

    async def log_in(
        request: Request,
        form: Annotated[Login, Depends(login_form)],
        user: Annotated[Any, Depends(user_of)],
    ) -> Response:
        key = key_of_user(user)
        return await finish_login(edge, request, key, form.remember, claims_of=claims_of(key))

    return log_in


async def finish_login(  # noqa: PLR0913 - what a login may carry, by keyword
    edge: Edge,
    request: Request,
    user_id: object,
    persistent: bool,  # noqa: FBT001 - what the form says
    *,
    guard: Guard | None = None,
    claims_of: ClaimsOf | None = None,
    actor: str | None = None,
    auth_time: datetime | None = None,
    within: CallersTransaction | None = None,
    events_of: EventsOf | None = None,
) -> Response:
    """Start the session of a user who has proved who they are, and answer with its tokens."""
    scope = request.scope
    answer = await edge.service.create_refresh_token(
        user_id,
        edge.visit(scope),
        transport=edge.login_transport(scope),
        persistent=persistent,
        replaces=cookie_or_none(edge, request),
        claims_of=claims_of,
        actor=actor,
        auth_time=auth_time,
        guard=guard,
        events_of=events_of,
        within=within,
    )
    return token_answer(edge.cookies(scope), answer)


def cookie_or_none(edge: Edge, request: Request) -> str | None:
    """Return the refresh cookie; two different ones are none."""
    try:
        return edge.cookies(request.scope).read_refresh_token(
            edge.head(request.scope).values(b"cookie")
        )
    except RefreshTokenInvalidError:
        return None


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
