"""An app's users, by their class and by their table."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, ForeignKey, create_engine, event, insert, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from batonpass.app_users import AppUsers

ADA, GRACE, NOBODY = 7, 8, 9


class Base(DeclarativeBase):
    """The app's own."""


class Account(Base):
    """A user whose roles are read along with them."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    is_active: Mapped[bool] = mapped_column(server_default=true())
    roles: Mapped[list["Role"]] = relationship(lazy="joined", order_by="Role.name")


class Role(Base):
    """One of several that a user has."""

    __tablename__ = "roles"
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Ada, who has two roles, and Grace, who may not be here."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        Base.metadata.create_all(connection)
        people = [{"id": ADA, "is_active": True}, {"id": GRACE, "is_active": False}]
        connection.execute(insert(Account).values(people))
        roles = [{"account_id": ADA, "name": name} for name in ("admin", "editor")]
        connection.execute(insert(Role).values(roles))
        yield connection
    engine.dispose()


def test_a_user_comes_with_what_is_read_along(connection: Connection) -> None:
    users = AppUsers(Account, connection.dialect, Account.is_active)

    ada = users.load(connection, ADA)

    assert ada is not None
    assert [role.name for role in ada.roles] == ["admin", "editor"]


@pytest.mark.parametrize("whole", [Account, Account.__table__], ids=["class", "table"])
@pytest.mark.parametrize(("key", "is_loaded", "is_disabled", "asked"), [
    pytest.param(ADA, True, False, 1, id="one statement for who may be here"),
    pytest.param(GRACE, False, True, 2, id="another for who may not"),
    pytest.param(NOBODY, False, False, 2, id="or is nobody"),
])  # fmt: skip
def test_who_may_be_here(
    connection: Connection,
    whole: type[Account],
    key: int,
    is_loaded: bool,
    is_disabled: bool,
    asked: int,
) -> None:
    users = AppUsers(whole, connection.dialect, Account.is_active)
    said: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *call: said.append(call[2]))

    loaded = users.load(connection, key)
    found_disabled = loaded is None and users.is_disabled(connection, key)

    assert (loaded is not None, found_disabled, len(said)) == (is_loaded, is_disabled, asked)


def test_without_a_condition_everybody_may_be_here(connection: Connection) -> None:
    users = AppUsers(Account, connection.dialect)

    assert users.load(connection, GRACE) is not None
    assert not users.is_disabled(connection, NOBODY)
