"""What routes depend on."""

from collections.abc import Iterator
from typing import Annotated

from app.core.auth import auth
from app.core.db import engine
from app.models import User
from fastapi import Depends, HTTPException
from sqlmodel import Session


def get_db() -> Iterator[Session]:
    """Give a route its session."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]


def get_current_user(session: SessionDep, user: Annotated[User, Depends(auth.user)]) -> User:
    """Put who is asking into the route's own session, without a query."""
    return session.merge(user, load=False)


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_current_active_superuser(current_user: CurrentUser) -> User:
    """Let administrators through."""
    if not current_user.is_superuser:
        raise HTTPException(403, "The user doesn't have enough privileges")
    return current_user
