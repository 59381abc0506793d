"""The usual app: notes of its users, who are logged in by a token of 30 minutes."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from fastapi.staticfiles import StaticFiles
from jose import JWTError, jwt
from pwdlib import PasswordHash
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"
ACCESS_TOKEN_EXPIRE_MINUTES = 30

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
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)], db: SessionDep) -> User:
    """Find out who is asking."""
    refused = HTTPException(401, "Not logged in", {"WWW-Authenticate": "Bearer"})
    try:
        claims = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM])
    except JWTError:
        raise refused from None
    user = db.get(User, int(claims["sub"]))
    if user is None:
        raise refused
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
app = FastAPI(title="Notes")


@app.post("/token")
def log_in(form: Annotated[OAuth2PasswordRequestForm, Depends()], db: SessionDep) -> dict[str, str]:
    """Take a password, give a token."""
    user = db.scalar(select(User).where(User.email == form.username))
    right = passwords.verify(form.password, user.password_hash if user else NOBODY)
    if user is None or not right:
        raise HTTPException(401, "The e-mail or the password is wrong.")
    over_at = datetime.now(UTC) + timedelta(minutes=ACCESS_TOKEN_EXPIRE_MINUTES)
    token = jwt.encode({"sub": str(user.id), "exp": over_at}, SECRET_KEY, algorithm=ALGORITHM)
    return {"access_token": token, "token_type": "bearer"}


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
