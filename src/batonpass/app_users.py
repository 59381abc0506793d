"""The app's own users: their table and its key, who of them may be here, how one is loaded."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Dialect, Row, Table, select
from sqlalchemy import inspect as inspect_mapping
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import InstanceState, Mapper, Session

from batonpass.errors import AccessTokenInvalidError, ConfigurationError
from batonpass.storage.store import IsActive
from batonpass.user_keys import reader_of

UserT = TypeVar("UserT")
T = TypeVar("T")


class AppUsers(Generic[UserT]):
    """The users of one app, as it has them: a mapped class or a table.

    Attributes:
        key: The column of their primary key.
    """

    def __init__(
        self, user: type[UserT] | Table, dialect: Dialect, active: IsActive | None = None
    ) -> None:
        """Take the class or the table; nothing is asked of the database.

        Args:
            user: The mapped class, or the table.
            dialect: The database's.
            active: What of a user's row says that they may be here; None: everybody may.

        Raises:
            ConfigurationError: It is neither, or has no single key.
        """
        self.key = _single_key(user)
        self._active = active
        self._user = user
        self._read_key = reader_of(self.key.type, dialect)

    def key_named(self, subject: str) -> object:
        """Turn a token's subject into the table's key.

        Raises:
            AccessTokenInvalidError: It is none.
        """
        try:
            return self._read_key(subject)
        except (ValueError, TypeError, AttributeError) as error:
            raise AccessTokenInvalidError from error

    def key_of(self, user: Any) -> object:  # the app's own class
        """Return a user's key.

        Raises:
            TypeError: It is no user.
        """
        if isinstance(self._user, Table):
            if not hasattr(user, self.key.key):
                raise TypeError(_no_user(user, f"a row of {self._user.name!r}"))
            return getattr(user, self.key.key)
        if not isinstance(user, self._user):
            raise TypeError(_no_user(user, self._user.__name__))
        state = cast("InstanceState[UserT]", inspect_mapping(user))
        if state.identity is not None:  # known also after a commit, when reading is a query
            return state.identity[0]
        mapper = cast("Mapper[UserT]", inspect_mapping(self._user))
        return mapper.primary_key_from_instance(user)[0]

    def key_of_either(self, user: UserT | object) -> object:
        """Take a user, or what is their key already."""
        is_user = not isinstance(self._user, Table) and isinstance(user, self._user)
        return self.key_of(user) if is_user or isinstance(user, Row) else user

    def load(self, connection: Connection, key: object) -> UserT | None:
        """Load a user who may be here, with that condition in the same statement; or None."""
        conditions = () if self._active is None else (self._active,)
        return self._with_user(connection, key, lambda user: user, *conditions)

    def is_disabled(self, connection: Connection, key: object) -> bool:
        """Whether somebody whom `load` did not find is there, and may not be here."""
        if self._active is None:
            return False
        return connection.execute(select(self.key).where(self.key == key)).first() is not None

    def use(
        self, connection: Connection, key: object, use: Callable[[UserT], T | None]
    ) -> T | None:
        """Load a user, and use them while what they refer to can be loaded; None: there is none."""
        return self._with_user(connection, key, use)

    def _with_user(
        self,
        connection: Connection,
        key: object,
        use: Callable[[UserT], T | None],
        *conditions: IsActive,
    ) -> T | None:
        statement = select(self._user).where(self.key == key, *conditions)
        if isinstance(self._user, Table):
            row = connection.execute(statement).first()
            return None if row is None else use(cast("UserT", row))
        with Session(bind=connection, expire_on_commit=False) as session:
            user = session.scalars(statement).unique().first()  # it may be joined with many rows
            return None if user is None else use(user)


def _no_user(found: object, wanted: str) -> str:
    return f"auth.authenticate returns {wanted} or None, not {type(found).__name__}."


def _single_key(user: type[Any] | Table) -> Any:  # a column of the app's key type
    try:
        table = (
            user if isinstance(user, Table) else cast("Table", inspect_mapping(user).local_table)
        )
    except NoInspectionAvailable as error:
        message = f"user: {user!r} is neither a mapped class nor a table."
        raise ConfigurationError(message) from error
    keys = list(table.primary_key.columns)
    if len(keys) != 1:
        message = f"The user table {table.name!r} needs one primary key column, not {len(keys)}."
        raise ConfigurationError(message)
    return keys[0]
