"""The Lab's other half: what a page cannot do to itself. In development only.

A page never sees its refresh token, so a thief has to be played by the server: it copies the cookie
of whoever asks, keeps the copy in memory and hands out a name for it; under that name the copy can
be presented as from another device. It also loses an answer after the decision was made, and moves
one session's times back, so that nobody has to wait for an hour.

None of this touches a rule: what is presented goes to the same gate as any refresh, and no token
is in any answer. Still it reads a cookie that is hidden from everything else, and lets a session
look older than it is. So `app.py` adds it in development alone, and in production its paths are
404 (docs/security.md, S-HDR-7). The copies are one process's: with several workers a copy may not
be found again.
"""

import json
from collections import OrderedDict
from datetime import timedelta
from functools import partial
from secrets import token_urlsafe
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Connection, select, update
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.access_tokens import Claims
from batonpass.errors import BatonpassError, NotFoundError, RefreshTokenMissingError
from batonpass.http.answers import NO_STORE, JsonResponse, refusal
from batonpass.http.edge import Edge, Head
from batonpass.plugin import Batonpass
from batonpass.server.models import metadata
from batonpass.server.users import User

PREFIX = "/lab/api"
HOUR = timedelta(hours=1)
THIEF_ADDRESS = "203.0.113.66"  # RFC 5737: nobody has it
THIEF_AGENT = "curl/8.5.0"
MAX_COPIES = 100
_COPIES = PREFIX + "/copies"
_LOST = PREFIX + "/lost"
_NAME_BYTES = 16
_CREATED = 201
_NO_CONTENT = 204

_refresh_tokens = metadata.tables["refresh_tokens"]
_TIMES = [
    _refresh_tokens.c[name]
    for name in (
        "created_at",
        "expires_at",
        "rotated_at",
        "shown_at",
        "auth_time",
        "window_started_at",
    )
]


class Lab:
    """A middleware around the gate: only there the cookie is still to be seen."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        """Wrap `app`, which answers refreshes."""
        self.app = app
        self._edge = edge
        self._copies: OrderedDict[str, str] = OrderedDict()  # name → refresh token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is the Lab's, pass the rest on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        path = self._edge.path(scope) if is_post else ""
        try:
            if path == _LOST:
                response: Response = await self._lose_answer(scope)
            elif path == _COPIES:
                response = self._copy(scope)
            elif path.startswith(_COPIES + "/"):
                response = await self._present_copy(scope, path.rpartition("/")[2])
            else:
                await self.app(scope, receive, send)
                return
        except BatonpassError as error:
            response = refusal(error)
        await response(scope, receive, send)

    async def _lose_answer(self, scope: Scope) -> Response:
        """Refresh as asked, and answer only what was decided: no token, no cookie."""
        return _decision(await self._refresh(scope, scope["headers"]))

    def _copy(self, scope: Scope) -> Response:
        edge, head = self._edge, Head(scope)
        edge.check_csrf("POST", head, edge.origin_of(scope))
        token = edge.cookies(scope).read_refresh_token(head.values(b"cookie"))
        if token is None:
            raise RefreshTokenMissingError
        name = token_urlsafe(_NAME_BYTES)
        self._copies[name] = token
        if len(self._copies) > MAX_COPIES:
            self._copies.popitem(last=False)
        return _answer({"name": name}, _CREATED)

    async def _present_copy(self, scope: Scope, name: str) -> Response:
        edge, head = self._edge, Head(scope)
        edge.check_csrf("POST", head, edge.origin_of(scope))
        token = self._copies.get(name)
        if token is None:
            raise NotFoundError
        cookie = f"{edge.cookies(scope).refresh_token_name}={token}"
        thief = {
            "host": head.get(b"host") or "",
            "user-agent": THIEF_AGENT,
            "cookie": cookie,
            "sec-fetch-site": "same-origin",  # whoever is no browser writes what he likes
        }
        headers = [(key.encode(), value.encode("latin-1")) for key, value in thief.items()]
        return _decision(await self._refresh({**scope, "client": (THIEF_ADDRESS, 0)}, headers))

    async def _refresh(
        self, scope: Scope, headers: list[tuple[bytes, bytes]]
    ) -> tuple[int, dict[str, Any]]:
        """Ask the gate, as any client does; return the status and the JSON of its answer."""
        path = scope.get("root_path", "") + self._edge.prefix + "/refresh"
        inner = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        heard: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            heard.append(message)

        await self.app(inner, receive, send)
        body = b"".join(message.get("body", b"") for message in heard)
        return heard[0]["status"], json.loads(body)


def lab_router(auth: Batonpass[User]) -> APIRouter:
    """Make the route that ages the session of whoever asks."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    Signed = Annotated[Claims, Depends(auth.claims)]  # noqa: N806 - a type

    @router.post("/hours", status_code=_NO_CONTENT)
    async def let_an_hour_pass(claims: Signed) -> None:
        await auth.database.write(partial(_age, family_id=claims.family_id))

    return router


def _age(connection: Connection, family_id: UUID) -> None:
    """Move all times of one family back: to the rules an hour has passed since."""
    its_row = _refresh_tokens.c.id == family_id
    statement = select(*_TIMES).where(its_row).with_for_update()
    times = connection.execute(statement).mappings().one_or_none()
    if times is None:
        raise NotFoundError
    earlier = {name: at - HOUR for name, at in times.items() if at is not None}
    connection.execute(update(_refresh_tokens).where(its_row).values(earlier))


def _decision(answer: tuple[int, dict[str, Any]]) -> Response:
    status, content = answer
    return _answer(
        {"status": status, "code": content.get("code"), "generation": content.get("generation")}
    )


def _answer(content: dict[str, object], status: int = 200) -> Response:
    response = JsonResponse(content, status_code=status)
    response.raw_headers.append(NO_STORE)
    return response
