"""Who the shop's customers are: the only service that knows a password, a session or a secret."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException
from pwdlib import PasswordHash
from pydantic import BaseModel, Field
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from batonpass import Batonpass, Login

engine = create_engine(os.environ.get("ACCOUNTS_DATABASE", "sqlite:///accounts.db"))
passwords = PasswordHash.recommended()
NOBODY = passwords.hash("nobody's password")  # an unknown name takes as long as a known one


class Base(DeclarativeBase):
    """Whose tables are this service's; those of Batonpass stand beside."""


class Account(Base):
    """A customer."""

    __tablename__ = "accounts"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)  # the other services know it
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class NewAccount(BaseModel):
    """What a customer registers with."""

    email: str = Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=8, max_length=1024)


auth = Batonpass(
    engine,
    Base.metadata,
    user=Account,
    secret=os.environ["SECRET_KEY"],
    issuer="accounts",
    audience="shop",
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Create what is missing; a real service has migrations."""
    Base.metadata.create_all(engine)
    yield


app = FastAPI(title="Accounts", lifespan=lifespan)


@app.post("/register", status_code=201)
def register(new: NewAccount) -> UUID:
    """Make an account."""
    account = Account(email=new.email, password_hash=passwords.hash(new.password))
    try:
        with Session(engine, expire_on_commit=False) as db, db.begin():
            db.add(account)
    except IntegrityError as error:
        raise HTTPException(409, "There is an account with this e-mail.") from error
    return account.id


@auth.authenticate
def check(form: Login) -> Account | None:
    """Decide who may log in."""
    with Session(engine) as db:
        account = db.scalar(select(Account).where(Account.email == form.username))
    known = passwords.verify(form.password, account.password_hash if account else NOBODY)
    return account if known else None


auth.install(app)  # and with it /.well-known/jwks.json, which the orders read


@app.get("/me")
def me(account: Annotated[Account, Depends(auth.user)]) -> str:
    """Say who is signed in."""
    return account.email
