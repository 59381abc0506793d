"""Whom a former token names: the user, as the app has them now, if they may still be here.

Source: docs/security.md, S-JWT-12.
"""

from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, select

from batonpass.app_users import AppUsers
from batonpass.clock import Clock
from batonpass.errors import AccessTokenInvalidError
from batonpass.former_tokens import FormerClaims, FormerTokens
from batonpass.storage.engine import Database

UserT = TypeVar("UserT")


class FormerUsers(Generic[UserT]):
    """The users of an app by the tokens that it gave out before it moved in."""

    def __init__(
        self, tokens: FormerTokens, users: AppUsers[UserT], database: Database, clock: Clock
    ) -> None:
        """Put the parts together."""
        self._tokens = tokens
        self._users = users
        self._database = database
        self._clock = clock

    async def find(self, token: str) -> tuple[FormerClaims, UserT]:
        """Return what a former token says, and whom it says it of.

        Raises:
            AccessTokenInvalidError: It is none, or over; or names nobody who may be here.
            StoreUnavailableError: The database is away.
        """
        found = self._tokens.verify(token, self._clock.now())

        def work(connection: Connection) -> UserT | None:
            key = self._key_named(connection, found.subject)
            return None if key is None else self._users.load(connection, key)

        user = await self._database.read(work)
        if user is None:
            raise AccessTokenInvalidError
        return found, user

    def _key_named(self, connection: Connection, subject: str) -> object | None:
        """Find the key of the one user whom the token's claim names; None: none, or several."""
        column: Any = self._tokens.named_by  # of the app's
        if column is None:
            return self._users.key_named(subject)
        statement = select(self._users.key).where(column == subject)
        keys = connection.execute(statement).scalars().all()
        return keys[0] if len(keys) == 1 else None
