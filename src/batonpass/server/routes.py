"""The server's own routes: accounts, and whether it is alive."""

from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from batonpass.access_tokens import Claims
from batonpass.errors import StoreUnavailableError
from batonpass.http import schemas
from batonpass.http.answers import JsonResponse, token_answer
from batonpass.http.login import Login, finish_login, login_form
from batonpass.http.routes import AuthRoute, GatedRoute, refusals
from batonpass.plugin import Batonpass
from batonpass.server import users
from batonpass.server.accounts import Accounts
from batonpass.server.admission import Admission, bounded_by
from batonpass.server.users import User

_CREATED = 201
_ACCEPTED = 202
_MAX_RAW = 8192  # what is longer is refused by the rules; this only bounds what they look at


class Registration(BaseModel):
    """A new account."""

    # What else a request says is ignored, here as in every form (S-ENUM-6).

    email: str = Field(max_length=_MAX_RAW)
    password: str = Field(max_length=_MAX_RAW)


class RegistrationFinish(BaseModel):
    """A link's token."""

    token: str = Field(max_length=_MAX_RAW)


class Mailed(BaseModel):
    """What decides is in a mail."""

    detail: str = "A mail is on its way. It says how to go on."


class PasswordAgain(BaseModel):
    """The signed-in user's password."""

    password: str = Field(max_length=_MAX_RAW)


class NewPassword(BaseModel):
    """The signed-in user's password, and the one that takes its place."""

    current_password: str = Field(max_length=_MAX_RAW)
    new_password: str = Field(max_length=_MAX_RAW)


class Account(BaseModel):
    """A user, as they see themselves."""

    id: str
    email: str
    created_at: datetime


class Me(Account):
    """The signed-in user and their session."""

    session_id: str


class Readiness(Protocol):
    """Tells whether requests can be served."""

    async def __call__(self) -> bool:
        """Whether the database is reachable and migrated."""


def build_router(auth: Batonpass[User], accounts: Accounts, admission: Admission) -> APIRouter:
    """Make the account routes; those that hash share the places of an admission."""
    edge = auth.edge
    router = APIRouter(prefix=edge.prefix, tags=["account"], route_class=GatedRoute)
    hashing = APIRouter(route_class=bounded_by(admission))
    Signed = Annotated[Claims, Depends(auth.claims)]  # noqa: N806 - a type

    @hashing.post(
        "/register",
        summary="Create an account",
        status_code=_CREATED,
        response_model=Account,
        responses={
            _ACCEPTED: {"model": Mailed, "description": "REGISTRATION=confirm: a mail decides"},
            **refusals(403, 409, 413, 415, 422, 429, 503),
        },
    )
    async def register(form: Registration, request: Request) -> Response:
        scope = request.scope
        origin = edge.own_origin or edge.origin_of(scope)
        user = await accounts.register(form.email, form.password, edge.visit(scope), origin=origin)
        if user is None:
            return JsonResponse(Mailed().model_dump(), status_code=_ACCEPTED)
        return JsonResponse(_account(user).model_dump(mode="json"), status_code=_CREATED)

    @router.post(
        "/register/finish",
        summary="Create the account of a link from a mail (REGISTRATION=confirm)",
        status_code=_CREATED,
        response_model=Account,
        responses=refusals(403, 410, 413, 415, 422, 503),
    )
    async def finish_registration(form: RegistrationFinish, request: Request) -> Response:
        user = await accounts.finish_registration(form.token, edge.visit(request.scope))
        return JsonResponse(_account(user).model_dump(mode="json"), status_code=_CREATED)

    @hashing.post(
        "/token",
        summary="Log in",
        response_model=schemas.Token,
        responses=refusals(401, 403, 413, 415, 422, 429, 503),
    )
    async def log_in(request: Request, form: Annotated[Login, Depends(login_form)]) -> Response:
        visit = edge.visit(request.scope)
        user = await accounts.log_in(form.username, form.password, visit)
        return await finish_login(
            edge,
            request,
            user.id,
            form.remember,
            guard=lambda connection: users.lock_unchanged(connection, user),
            events_of=lambda connection: [accounts.success_event(connection, user, visit)],
        )

    @router.get("/me", summary="Who you are", response_model=Me, responses=refusals(401, 503))
    async def me(found: Signed) -> Response:
        user = await accounts.get(UUID(found.subject))
        content = Me(**_account(user).model_dump(), session_id=str(found.family_id))
        return JsonResponse(content.model_dump(mode="json"))

    @hashing.post(
        "/confirm",
        summary="Give your password again",
        response_model=schemas.Token,
        responses=refusals(401, 403, 413, 415, 422, 429, 503),
    )
    async def confirm(form: PasswordAgain, request: Request, found: Signed) -> Response:
        answer = await accounts.confirm(found, form.password, edge.visit(request.scope))
        return token_answer(edge.cookies(request.scope), answer)

    @hashing.post(
        "/password",
        summary="Change your password; every other session ends",
        response_model=schemas.Token,
        responses=refusals(401, 403, 413, 415, 422, 429, 503),
    )
    async def change_password(form: NewPassword, request: Request, found: Signed) -> Response:
        answer = await accounts.change_password(
            found, form.current_password, form.new_password, edge.visit(request.scope)
        )
        return token_answer(edge.cookies(request.scope), answer)

    router.include_router(hashing)
    return router


def build_health(ready: Readiness) -> APIRouter:
    """Make the routes that an orchestrator asks."""
    router = APIRouter(tags=["health"], route_class=AuthRoute)

    # Monitors ask by HEAD as well; the schema tells of GET.
    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="The process is alive")
    async def healthz() -> Response:
        return JsonResponse({"status": "ok"})

    @router.head("/readyz", include_in_schema=False)
    @router.get(
        "/readyz", summary="The database is reachable and migrated", responses=refusals(503)
    )
    async def readyz() -> Response:
        if not await ready():
            raise StoreUnavailableError
        return JsonResponse({"status": "ok"})

    return router


def _account(user: User) -> Account:
    return Account(id=str(user.id), email=user.email.stored, created_at=user.created_at)
