"""The same app with Batonpass: its users stay logged in, and those of before the move as well."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pwdlib import PasswordHash
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from batonpass import Batonpass, FormerTokens, Login

SECRET_KEY = os.environ["SECRET_KEY"]
MOVED_AT = datetime.fromisoformat(os.environ["MOVED_AT"])  # when the last old process stopped

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///notes.db"))
passwords = PasswordHash.recommended()
NOBODY = passwords.hash("nobody's password")  # an unknown name takes as long as a known one


class Base(DeclarativeBase):
    """The app's tables."""


class User(Base):
    """Somebody with an account."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class Note(Base):
    """What somebody wrote down."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    text: Mapped[str]


class NewUser(BaseModel):
    """What signing up takes."""

    email: str
    password: str


def get_db() -> Iterator[Session]:
    """Give a route its session."""
    with Session(engine) as db:
        yield db


SessionDep = Annotated[Session, Depends(get_db)]
auth = Batonpass(
    engine,
    Base.metadata,
    user=User,
    secret=os.environ["BATONPASS_SECRET_KEY"],
    former_tokens=FormerTokens(
        key=SECRET_KEY, lifetime=timedelta(minutes=30), issued_before=MOVED_AT
    ),
)
CurrentUser = Annotated[User, Depends(auth.user)]
app = FastAPI(title="Notes")


@auth.authenticate
def log_in(form: Login, db: SessionDep) -> User | None:
    """Take a password, say whose it is."""
    user = db.scalar(select(User).where(User.email == form.username))
    right = passwords.verify(form.password, user.password_hash if user else NOBODY)
    return user if right else None


@app.post("/auth/upgrade")
async def upgrade(request: Request) -> Response:
    """Give whoever logged in before the move a session for their token."""
    return await auth.exchange_former_token(request)


auth.install(app)


@app.post("/users", status_code=201)
def sign_up(new: NewUser, db: SessionDep) -> str:
    """Create an account."""
    if db.scalar(select(User).where(User.email == new.email)):
        raise HTTPException(409, "There is such an account.")
    db.add(User(email=new.email, password_hash=passwords.hash(new.password)))
    db.commit()
    return new.email


@app.get("/notes")
def list_notes(user: CurrentUser, db: SessionDep) -> list[str]:
    """Show one's own notes."""
    return list(db.scalars(select(Note.text).where(Note.user_id == user.id).order_by(Note.id)))


@app.post("/notes", status_code=201)
def add_note(text: str, user: CurrentUser, db: SessionDep) -> str:
    """Write something down."""
    db.add(Note(user_id=user.id, text=text))
    db.commit()
    return text


Base.metadata.create_all(engine)
if (pages := Path(__file__).parent / "frontend" / "dist").exists():
    app.get("/login", include_in_schema=False)(lambda: FileResponse(pages / "index.html"))
    app.mount("/", StaticFiles(directory=pages, html=True))
