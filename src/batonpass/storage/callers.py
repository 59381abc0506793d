"""A transaction that is the caller's: what we write in it stands or falls with what they write.

For `sign_in(..., session=db)`: a user who signs up gets their row and their session in one commit.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

T = TypeVar("T")

_UNTOLD = "batonpass.untold"  # in Session.info: what to tell once it has committed


class CallersTransaction:
    """Runs our statements on the connection of a caller's SQLAlchemy session; commits nothing."""

    def __init__(self, session: Session | AsyncSession) -> None:
        """Take the session; its transaction may have begun or not."""
        self._session = session

    async def flush(self) -> None:
        """Have the session write what is new in it: a user who signs up has a key then."""
        if isinstance(self._session, AsyncSession):
            await self._session.flush()
        else:
            await asyncio.to_thread(self._session.flush)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the transaction.

        A sync session's statements run in a thread, as FastAPI runs sync dependencies.
        """
        if isinstance(self._session, AsyncSession):
            return await self._session.run_sync(lambda session: work(session.connection()))
        session = self._session
        return await asyncio.to_thread(lambda: work(session.connection()))

    def after_commit(self, tell: Callable[[], None]) -> None:
        """Call `tell` in this event loop once the caller has committed; not after a rollback."""
        session = self._session
        sync = session.sync_session if isinstance(session, AsyncSession) else session
        untold: list[Callable[[], None]] | None = sync.info.get(_UNTOLD)
        if untold is None:
            untold = sync.info[_UNTOLD] = []
            _listen(sync, untold)
        loop = asyncio.get_running_loop()
        untold.append(lambda: _tell_in(loop, tell))


def _listen(session: Session, untold: list[Callable[[], None]]) -> None:
    @event.listens_for(session, "after_commit")
    def tell(committed: Session) -> None:
        if committed.in_nested_transaction():  # a savepoint: the rest may be rolled back yet
            return
        waiting = list(untold)
        untold.clear()
        for one in waiting:
            one()

    @event.listens_for(session, "after_soft_rollback")
    def forget(_session: Session, _transaction: Any) -> None:
        untold.clear()


def _tell_in(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    """Tell where the handlers live: a sync session may commit in any thread."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)
