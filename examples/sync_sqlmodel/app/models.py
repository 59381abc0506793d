"""The tables, and what the API shows of them."""

import uuid

from sqlmodel import Field, SQLModel


class UserBase(SQLModel):
    """What everybody may see of somebody."""

    email: str = Field(unique=True, index=True, max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    full_name: str | None = Field(default=None, max_length=255)


class UserCreate(UserBase):
    """What an administrator gives."""

    password: str = Field(min_length=8, max_length=128)


class UserRegister(SQLModel):
    """What signing up takes."""

    email: str = Field(max_length=255)
    password: str = Field(min_length=8, max_length=128)
    full_name: str | None = Field(default=None, max_length=255)


class UserUpdate(SQLModel):
    """What an administrator may change."""

    is_active: bool | None = None
    full_name: str | None = Field(default=None, max_length=255)


class UpdatePassword(SQLModel):
    """The old one and the new one."""

    current_password: str = Field(min_length=8, max_length=128)
    new_password: str = Field(min_length=8, max_length=128)


class User(UserBase, table=True):
    """Somebody with an account."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str


class UserPublic(UserBase):
    """What the API answers."""

    id: uuid.UUID
