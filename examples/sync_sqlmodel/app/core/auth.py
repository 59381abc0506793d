"""Sessions: what `create_access_token` was."""

from app.core.config import settings
from app.core.db import engine
from app.models import User
from sqlmodel import SQLModel

from batonpass import Batonpass

auth = Batonpass(
    engine,
    SQLModel.metadata,
    user=User,
    active=User.is_active,
    secret=settings.SECRET_KEY,
    prefix=f"{settings.API_V1_STR}/auth",
    table_prefix="auth_",
)
