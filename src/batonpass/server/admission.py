"""How many requests that have a password hashed are worked on at once: as many as may wait for it.

The next is refused before the database is asked anything. Else five hundred logins would all read
and count there first, and refreshes wait among them, to be refused at the hashes' queue (S-PW-5).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from batonpass.errors import BusyError
from batonpass.http.answers import refusal
from batonpass.http.edge import told
from batonpass.http.routes import GatedRoute
from batonpass.server.passwords import BUSY_RETRY_AFTER_SECONDS


class Admission:
    """The places of one process."""

    def __init__(self, places: int) -> None:
        """Start with all of them free.

        Args:
            places: `PasswordHasher.places`: a request has one password hashed at a time.
        """
        self._free = places

    @property
    def is_full(self) -> bool:
        """Whether the next one is refused."""
        return self._free <= 0

    def refusal(self) -> BusyError:
        """Return what the next one is told."""
        return BusyError(retry_after=BUSY_RETRY_AFTER_SECONDS)

    def enter(self) -> None:
        """Take a place.

        Raises:
            BusyError: There is none.
        """
        if self.is_full:
            raise self.refusal()
        self._free -= 1

    def leave(self) -> None:
        """Give it back."""
        self._free += 1


def bounded_by(admission: Admission) -> type[GatedRoute]:
    """Make the class of the routes that share these places.

    A request takes one once it is whole, so that nobody holds any by sending slowly.
    """

    class BoundedRoute(GatedRoute):
        """A route that works on no more requests than there are places."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Wrap the handler."""
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    admission.enter()
                except BusyError as error:
                    return refusal(told(request.scope, error))
                try:
                    return await handle(request)
                finally:
                    admission.leave()

            return answer

    return BoundedRoute
