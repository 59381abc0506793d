"""What is done with users."""

from app.core.security import NOBODY, get_password_hash, verify_password
from app.models import User, UserCreate, UserUpdate
from sqlmodel import Session, select


def create_user(*, session: Session, user_create: UserCreate) -> User:
    """Add somebody."""
    hashed = get_password_hash(user_create.password)
    user = User.model_validate(user_create, update={"hashed_password": hashed})
    session.add(user)
    session.commit()
    session.refresh(user)
    return user


def update_user(*, session: Session, db_user: User, user_in: UserUpdate) -> User:
    """Change what was given."""
    db_user.sqlmodel_update(user_in.model_dump(exclude_unset=True))
    session.add(db_user)
    session.commit()
    session.refresh(db_user)
    return db_user


def get_user_by_email(*, session: Session, email: str) -> User | None:
    """Find somebody."""
    return session.exec(select(User).where(User.email == email)).first()


def authenticate(*, session: Session, email: str, password: str) -> User | None:
    """Say who that is, if it is somebody who may come in."""
    user = get_user_by_email(session=session, email=email)
    right = verify_password(password, user.hashed_password if user else NOBODY)
    return user if user is not None and right and user.is_active else None
