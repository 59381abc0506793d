"""A user's app on a sync engine: mypy --strict and pyright's strict mode find nothing in it."""

import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Request, Response
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from batonpass import Batonpass, Claims, EventName, Login, SecurityEvent

engine = create_engine("sqlite:///app.db")


class Base(DeclarativeBase):
    """The app's own."""


class Account(Base):
    """A user of the app's own making."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


def get_db() -> Iterator[Session]:
    with Session(engine) as db:
        yield db


app = FastAPI()
auth = Batonpass(engine, Base.metadata, user=Account, secret=os.environ["SECRET_KEY"])
assert_type(auth, Batonpass[Account])


@auth.authenticate
def check(form: Login, db: Annotated[Session, Depends(get_db)]) -> Account | None:
    assert_type(form.username, str)
    assert_type(form.remember, bool)
    return db.scalar(select(Account).where(Account.email == form.username))


@auth.on("refresh_token_reused", EventName.SESSION_CREATED)
def told(event: SecurityEvent) -> None:
    assert_type(event.name, EventName)


auth.install(app)

CurrentUser = Annotated[Account, Depends(auth.user)]
MaybeUser = Annotated[Account | None, Depends(auth.optional_user)]
RecentLogin = Annotated[Claims, Depends(auth.fresh(timedelta(minutes=1)))]


@app.get("/me")
def me(account: CurrentUser) -> str:
    return account.email


@app.get("/greeting")
def greeting(account: MaybeUser, claims: Annotated[Claims, Depends(auth.claims)]) -> str:
    assert_type(claims.subject, str)
    return claims.subject if account is None else account.email


@app.post("/close")
async def close(account: CurrentUser, _recent: RecentLogin, request: Request) -> int:
    return await auth.end_sessions(account, request)


@app.get("/callback")
async def callback(account: CurrentUser, request: Request) -> Response:
    return await auth.sign_in(account, request, persistent=False)


@app.post("/leave")
async def leave(request: Request) -> Response:
    return await auth.sign_out(request)


async def what_the_dependencies_yield(claims: Claims, request: Request) -> None:
    """A test may call them, and other code ask the service."""
    assert_type(auth.user, Callable[..., Awaitable[Account]])
    assert_type(await auth.user(claims), Account)
    assert_type(await auth.optional_user(request, None), Account | None)
    assert_type(await auth.claims(request), Claims)
    assert_type(await auth.fresh()(claims), Claims)
    app.dependency_overrides[auth.user] = lambda: Account(id=7, email="ada@example.com")
