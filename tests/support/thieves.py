"""The owner's tabs, and the thief: who holds which tokens."""

from collections.abc import Awaitable
from uuid import UUID

from batonpass.auth_service import AuthService, TokenAnswer, Visit
from batonpass.errors import BatonpassError
from batonpass.origins import Origin
from batonpass.refresh_tokens import Transport
from tests.support.services import House

AT_HOME = Visit(origin=Origin("192.0.2.1", "Firefox on Linux"), request_id="home")
ELSEWHERE = Visit(origin=Origin("203.0.113.66", "Chrome on Windows"), request_id="away")


class Tab:
    """A browser tab: it holds the newest token that it was answered."""

    def __init__(self, service: AuthService, answer: TokenAnswer, visit: Visit = AT_HOME) -> None:
        """Hold what a login answered."""
        self.service = service
        self.answer = answer
        self.visit = visit

    @property
    def refresh_token(self) -> str:
        """The refresh token it would present."""
        return self.answer.refresh_token

    @property
    def access_token(self) -> str:
        """The access token it would send."""
        return self.answer.access_token

    @property
    def family_id(self) -> UUID:
        """Its session."""
        return self.answer.session.family_id

    async def refresh(self) -> TokenAnswer:
        """Refresh, and keep the answer."""
        self.answer = await self.send(self.refresh_token)
        return self.answer

    async def refresh_but_lose_the_answer(self) -> TokenAnswer:
        """Refresh; the answer is lost on its way, only the test sees it."""
        return await self.send(self.refresh_token)

    async def send(self, token: str, *, service: AuthService | None = None) -> TokenAnswer:
        """Present any token, from here."""
        asked = service or self.service
        return await asked.rotate_refresh_token(token, Transport.COOKIE, self.visit)


class Thief(Tab):
    """Somebody elsewhere with a copy of what a tab held at a moment."""

    def __init__(self, tab: Tab) -> None:
        """Copy the tab's tokens."""
        super().__init__(tab.service, tab.answer, ELSEWHERE)


async def a_tab(house: House, user_id: UUID | None = None) -> Tab:
    """Log somebody in."""
    answer = await house.service.create_refresh_token(user_id or house.user_id, AT_HOME)
    return Tab(house.service, answer)


async def what_becomes_of(asked: Awaitable[object]) -> str:
    """Name the outcome as the outside sees it: "answered", or the error's code."""
    try:
        await asked
    except BatonpassError as error:
        return error.code if error.reason is None else f"{error.code} ({error.reason})"
    return "answered"
