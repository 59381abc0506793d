"""The routes that every app gets: log in, refresh, log out, sessions, events, public keys.

What needs a users table of ours (register, password) is the server's. Each route reads the request
through the edge, calls one method of the service, and renders what it answers.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, OAuth2PasswordBearer
from starlette.exceptions import HTTPException

from batonpass.access_tokens import Claims
from batonpass.errors import (
    BatonpassError,
    InvalidRequestError,
    NotFoundError,
)
from batonpass.http import schemas
from batonpass.http.answers import JsonResponse, logged_out, refusal
from batonpass.http.cookies import refresh_token_names
from batonpass.http.dependencies import ClaimsDependency, scheme_name
from batonpass.http.edge import JSON_TYPES, Edge, Head, check_media_type, require_json, told
from batonpass.http.gate import PASSED, refresh
from batonpass.http.login import LogIn, cookie_or_none
from batonpass.refresh_tokens import Transport

_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_NO_CONTENT = 204
_BAD_REQUEST = 400
MAX_EVENTS = 200
MAX_SENTENCE = 500

KeyOf = Callable[[str], object]


class AuthRoute(APIRoute):
    """A route that refuses in the documented shape, whatever app it stands in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()
        accepted = _FORM_TYPES if self.path.endswith("/token") else JSON_TYPES
        takes_body = self.body_field is not None

        async def answer(request: Request) -> Response:
            try:
                if takes_body:
                    check_media_type(request.scope, accepted)
                return await handle(request)
            except RequestValidationError as error:
                return refusal(told(request.scope, InvalidRequestError(_sentence(error))))
            except HTTPException as error:
                if error.status_code != _BAD_REQUEST:  # the app's own
                    raise
                # a body that cannot be parsed
                return refusal(told(request.scope, InvalidRequestError()))
            except BatonpassError as error:
                return refusal(told(request.scope, error))

        return answer


class GatedRoute(AuthRoute):
    """A route that the gate stands in front of, or it answers nobody (S-CSRF-8)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            if PASSED not in request.scope:
                message = (
                    f"{self.path} is served by an app that Batonpass was not installed in: without "
                    "its gate nothing holds other sites off. Call auth.install(app) with that app; "
                    "include_router takes the routes alone."
                )
                raise RuntimeError(message)
            return await handle(request)

        return answer


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals to the OpenAPI schema."""
    return {status: {"model": schemas.ErrorAnswer} for status in statuses}


def build_router(
    edge: Edge,
    *,
    scheme: OAuth2PasswordBearer,
    claims: ClaimsDependency,
    key_of: KeyOf,
    log_in: LogIn | None,
) -> APIRouter:
    """Make the routes of one app.

    Args:
        edge: How requests are read.
        scheme: Finds the bearer token.
        claims: Verifies it.
        key_of: Turns a token's subject into the users table's key.
        log_in: The endpoint of POST /auth/token; None: the app has one of its own.
    """
    service = edge.service
    tag = f"{edge.name} sessions".lstrip()
    router = APIRouter(prefix=edge.prefix, tags=[tag], route_class=GatedRoute)
    Signed = Annotated[Claims, Depends(claims)]  # noqa: N806 - a type
    cookie = Security(_cookie_scheme(edge))

    if log_in is not None:
        router.post(
            "/token",
            summary="Log in",
            response_model=schemas.Token,
            responses=refusals(401, 403, 413, 415, 422, 429, 503),
        )(log_in)

    @router.post(
        "/refresh",
        summary="Pass the baton on: a new access token and the refresh token's successor",
        response_model=schemas.Token,
        responses=refusals(401, 403, 409, 413, 415, 422, 503),
        dependencies=[cookie],
    )
    async def refresh_route(request: Request) -> Response:
        scope = request.scope
        body = await request.body()
        return await refresh(edge, scope, Head(scope), body, edge.origin_of(scope))

    @router.post(
        "/logout",
        summary="End this session",
        status_code=_NO_CONTENT,
        responses=refusals(403, 413, 415, 503),
        response_class=Response,
        dependencies=[cookie],
    )
    async def log_out(request: Request, bearer: Annotated[str | None, Depends(scheme)]) -> Response:
        text, transport = await _token_to_end(edge, request)
        await service.log_out(
            edge.visit(request.scope), refresh_token=text, transport=transport, bearer=bearer
        )
        return logged_out(edge.cookies(request.scope))

    @router.get(
        "/sessions",
        summary="Your sessions; ended ones for a day",
        response_model=list[schemas.Session],
        responses=refusals(401, 503),
    )
    async def list_sessions(found: Signed) -> Response:
        now = service.clock.now()
        stored = await service.list_sessions(key_of(found.subject))
        shown = [schemas.session(one, service.policy, now, str(found.family_id)) for one in stored]
        return _json([one.model_dump(mode="json") for one in shown])

    @router.get(
        "/sessions/{session_id}",
        summary="One session and its lineage",
        response_model=schemas.SessionWithLineage,
        responses=refusals(401, 404, 422, 503),
    )
    async def show_session(session_id: str, found: Signed) -> Response:
        now = service.clock.now()
        lineage = await service.get_session(key_of(found.subject), _family_id(session_id))
        shown = schemas.session(lineage.family, service.policy, now, str(found.family_id))
        entries = schemas.lineage(lineage, service.policy, now)
        content = schemas.SessionWithLineage(**shown.model_dump(), lineage=entries)
        return _json(content.model_dump(mode="json"))

    @router.delete(
        "/sessions/{session_id}",
        summary="End one session",
        status_code=_NO_CONTENT,
        responses=refusals(401, 403, 404, 413, 422, 503),
        response_class=Response,
    )
    async def revoke_session(session_id: str, request: Request, found: Signed) -> Response:
        await service.revoke_session(
            key_of(found.subject), _family_id(session_id), edge.visit(request.scope)
        )
        return Response(status_code=_NO_CONTENT)

    @router.delete(
        "/sessions",
        summary="End every other session",
        status_code=_NO_CONTENT,
        responses=refusals(401, 403, 413, 422, 503),
        response_class=Response,
    )
    async def revoke_sessions(
        request: Request,
        found: Signed,
        everywhere: Annotated[  # noqa: FBT002 - a query parameter
            bool, Query(alias="all", description="End this one as well.")
        ] = False,
    ) -> Response:
        keep = None if everywhere else found.family_id
        await service.end_sessions(key_of(found.subject), edge.visit(request.scope), keep=keep)
        return Response(status_code=_NO_CONTENT)

    @router.get(
        "/events",
        summary="Your security events, newest first",
        response_model=schemas.Events,
        responses=refusals(401, 422, 503),
    )
    async def list_events(
        found: Signed,
        before: Annotated[str | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
    ) -> Response:
        cursor = None if before is None else _cursor(before)
        rows = await service.list_events(key_of(found.subject), before=cursor, limit=limit)
        page = schemas.Events(
            events=[schemas.event(event_id, one) for event_id, one in rows],
            next=str(rows[-1][0]) if len(rows) == limit else None,
        )
        return _json(page.model_dump(mode="json"))

    return router


def build_well_known(edges: Iterable[Edge]) -> APIRouter:
    """Make the route that other services read our public keys from (RFC 7517 §5).

    Args:
        edges: Each Batonpass of the app; read anew for each answer.
    """
    router = APIRouter(tags=["sessions"], route_class=AuthRoute)

    @router.get("/.well-known/jwks.json", summary="Public keys; an empty list for HS256")
    async def jwks() -> Response:
        keys: list[dict[str, str]] = []
        for edge in edges:
            keys += edge.service.access_tokens.ring.jwks(edge.service.clock.now())["keys"]
        return JsonResponse({"keys": keys}, headers={"Cache-Control": "public, max-age=60"})

    return router


async def _token_to_end(edge: Edge, request: Request) -> tuple[str | None, Transport]:
    require_json(request.scope, await request.body())
    text = cookie_or_none(edge, request)
    if text is not None or not edge.may_use_body(Head(request.scope)):
        return text, Transport.COOKIE
    try:
        content = await request.json()
    except (ValueError, RecursionError):
        return None, Transport.BODY
    text = content.get("refresh_token") if isinstance(content, dict) else None
    return (text if isinstance(text, str) else None), Transport.BODY


def _cookie_scheme(edge: Edge) -> APIKeyCookie:
    """Describe the refresh cookie to the OpenAPI schema; the edge alone reads it."""
    secure, plain = refresh_token_names(edge.name)
    return APIKeyCookie(
        name=plain if edge.cookie_secure is False else secure,
        scheme_name=scheme_name("RefreshCookie", edge.name),
        description=f"The refresh token; on plain http the cookie is called {plain}.",
        auto_error=False,
    )


def _family_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError from error


def _cursor(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        message = "The query parameter `before` is not the `next` of a page."
        raise InvalidRequestError(message) from error


def _json(content: object) -> Response:
    return JsonResponse(content)


def _sentence(error: RequestValidationError) -> str:
    """Say what is wrong and where, never with which value: it may be a password."""
    parts = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()]
    return "; ".join(dict.fromkeys(parts))[:MAX_SENTENCE]


def _place(steps: Sequence[object]) -> str:
    return ".".join(str(step) for step in steps[1:]) or "body"
