"""Routes that stay open, as an app has them beside the server's own: events, and a WebSocket.

Each looks at the token once, when somebody connects; whether it is good the server says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from http.client import OK
from typing import NamedTuple

import httpx
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

UNAUTHORIZED = 3000  # the WebSocket's, as IANA registers it
SERVICE_RESTART = 1012


class Connection(NamedTuple):
    """Somebody who came, with what."""

    token: str
    last_event_id: str | None
    status: int


class Streams:
    """What the routes saw; to who may stay each tells how many it has let in."""

    def __init__(self) -> None:
        """Nobody has come."""
        self.connections: list[Connection] = []
        self._end: Callable[[], object] = lambda: None

    def routes(self) -> Sequence[BaseRoute]:
        """Serve both."""
        return [Route("/events", self._events), WebSocketRoute("/socket", self._socket)]

    def end(self) -> None:
        """End the connection that came last."""
        self._end()

    async def _events(self, request: Request) -> Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        answer = await self._look_at(request, token)
        if answer.status_code != OK:
            return Response(answer.content, answer.status_code, answer.headers)
        return StreamingResponse(self._tell(), media_type="text/event-stream")

    async def _tell(self) -> AsyncIterator[str]:
        number = self._welcomed()
        yield f"id: {number}\ndata: {number}\n\n"
        await self._until_its_end()

    async def _socket(self, socket: WebSocket) -> None:
        match socket.scope["subprotocols"]:
            case ["bearer", token]:
                await socket.accept("bearer")
            case _:
                await socket.accept()
                token = (await socket.receive_json())["token"]
        answer = await self._look_at(socket, token)
        if answer.status_code != OK:
            await socket.close(UNAUTHORIZED, answer.json()["code"])
            return
        await socket.send_text(str(self._welcomed()))
        await self._until_its_end()
        await socket.close(SERVICE_RESTART)

    async def _look_at(self, connection: HTTPConnection, token: str) -> httpx.Response:
        """Ask the server, over no wire."""
        inside = httpx.ASGITransport(app=connection.app)
        base_url = f"http://{connection.headers['Host']}"
        async with httpx.AsyncClient(transport=inside, base_url=base_url) as client:
            answer = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        last_event_id = connection.headers.get("Last-Event-ID")
        self.connections.append(Connection(token, last_event_id, answer.status_code))
        return answer

    def _welcomed(self) -> int:
        return sum(one.status == OK for one in self.connections)

    async def _until_its_end(self) -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end = lambda: loop.call_soon_threadsafe(ended.set)  # the test is another thread
        await ended.wait()
