"""Users, their passwords and their end."""

import uuid
from datetime import timedelta

from anyio.from_thread import run
from app import crud
from app.api.deps import CurrentUser, SessionDep, get_current_active_superuser
from app.core.auth import auth
from app.core.security import get_password_hash, verify_password
from app.models import UpdatePassword, User, UserCreate, UserPublic, UserRegister, UserUpdate
from fastapi import APIRouter, Depends, HTTPException, Request, Response

router = APIRouter(prefix="/users", tags=["users"])
RECENT_LOGIN = Depends(auth.fresh(timedelta(minutes=5)))


@router.post("/signup", response_model=UserPublic)
def register_user(session: SessionDep, user_in: UserRegister) -> User:
    """Create an account of one's own."""
    if crud.get_user_by_email(session=session, email=user_in.email):
        raise HTTPException(409, "There is a user with this email already")
    return crud.create_user(session=session, user_create=UserCreate(**user_in.model_dump()))


@router.get("/me", response_model=UserPublic)
def read_user_me(current_user: CurrentUser) -> User:
    """Say who is asking."""
    return current_user


@router.patch("/me/password")
def update_password_me(
    request: Request, session: SessionDep, body: UpdatePassword, current_user: CurrentUser
) -> Response:
    """Change the password: every session ends, and this browser gets a new one."""
    if not verify_password(body.current_password, current_user.hashed_password):
        raise HTTPException(403, "Incorrect password")
    current_user.hashed_password = get_password_hash(body.new_password)
    session.add(current_user)
    session.commit()
    run(auth.end_sessions, current_user, request)
    return run(auth.sign_in, current_user, request)


@router.delete("/me", status_code=204, dependencies=[RECENT_LOGIN])
def delete_user_me(session: SessionDep, current_user: CurrentUser) -> None:
    """Delete oneself, sessions and all: shortly after a login only."""
    run(auth.end_sessions, current_user)
    session.delete(current_user)
    session.commit()


@router.patch(
    "/{user_id}",
    response_model=UserPublic,
    dependencies=[Depends(get_current_active_superuser)],
)
def update_user(session: SessionDep, user_id: uuid.UUID, user_in: UserUpdate) -> User:
    """Change somebody; whoever is made inactive is out at once: `active=User.is_active`."""
    user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404, "There is no such user")
    return crud.update_user(session=session, db_user=user, user_in=user_in)
