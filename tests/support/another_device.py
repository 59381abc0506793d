"""Another device of the same account: a session of its own, and nobody in front of it."""

from tests.support.live_server import EMAIL, PASSWORD, LiveServer
from tests.support.visits import FIREFOX


async def begin(server: LiveServer) -> tuple[str, str]:
    """Log in from it; return the session's id and its refresh token."""
    form = {"username": EMAIL, "password": PASSWORD}
    answer = await server.post("/auth/token", data=form, headers={"User-Agent": FIREFOX})
    return answer.json()["session_id"], answer.cookies["refresh_token"]


async def renew(server: LiveServer, token: str, agent: str = FIREFOX) -> str:
    """Refresh with a token, and return the one that is answered."""
    headers = {"Cookie": f"refresh_token={token}", "User-Agent": agent}
    answer = await server.post("/auth/refresh", headers=headers)
    return answer.cookies["refresh_token"]
