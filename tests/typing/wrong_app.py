"""What a user must be told: each line here is wrong, and both checkers have to say so.

An ignore that nothing is ignored by is an error itself (mypy: warn_unused_ignores; pyright:
reportUnnecessaryTypeIgnoreComment), so this file is clean only while each mistake is caught.
"""

import os
from typing import assert_type

from fastapi import FastAPI, Request
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from batonpass import Batonpass, Claims, Login, SecurityEvent

engine = create_engine("sqlite:///app.db")


class Base(DeclarativeBase):
    """The app's own."""


class Account(Base):
    """A user."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)


class Stranger:
    """No user."""


app = FastAPI()
auth = Batonpass(engine, Base.metadata, user=Account, secret=os.environ["SECRET_KEY"])


def says_yes(form: Login) -> bool:
    """Return no user."""
    return form.username == "ada@example.com"


async def finds_a_stranger(form: Login) -> Stranger | None:
    """Return another class."""
    return Stranger() if form.remember else None


def wants_two(event: SecurityEvent, other: str) -> None:
    """Take more than an event."""
    raise NotImplementedError(event, other)


def reads_a_stranger(user: Stranger) -> dict[str, str]:
    """Take another class."""
    return {"class": user.__class__.__name__}


auth.claims_for(reads_a_stranger)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
auth.authenticate(says_yes)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
auth.authenticate(finds_a_stranger)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
auth.on("session_created")(wants_two)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


async def what_is_no_user(stranger: Stranger, request: Request, claims: Claims) -> None:
    """Mistake one thing for another."""
    await auth.sign_in(stranger, request)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await auth.sign_in(Account(), request, actor=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await auth.user(claims), Stranger)  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]
    found: Account = await auth.optional_user(request)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    auth.install(found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_cannot_be_made() -> None:
    """Say what Batonpass does not know."""
    metadata, secret = Base.metadata, "x"
    Batonpass(engine, metadata, user=Account)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Batonpass(engine, metadata, user=Account, secret=secret, algorithm="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Batonpass(engine, metadata, user=Account, secret=secret, cookie_samesite="Lax")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
