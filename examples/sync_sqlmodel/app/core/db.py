"""The engine, and the first user."""

from app import crud
from app.core.config import settings
from app.models import User, UserCreate
from sqlmodel import Session, create_engine, select

engine = create_engine(settings.DATABASE_URL)


def init_db(session: Session) -> None:
    """Create the first superuser, once. The tables are Alembic's."""
    if session.exec(select(User).where(User.email == settings.FIRST_SUPERUSER)).first() is None:
        first = UserCreate(
            email=settings.FIRST_SUPERUSER,
            password=settings.FIRST_SUPERUSER_PASSWORD,
            is_superuser=True,
        )
        crud.create_user(session=session, user_create=first)
