"""Answers before FastAPI is asked: its layers cost more than a refresh itself.

So it does where a login is refused because too many are worked on: whoever sends thousands takes as
little time of others' refreshes as they can. What the middlewares add to every answer (an id,
security headers) stands on these, too. A page of another origin goes the ordinary way, through
CORS; both ways end in the same functions.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batonpass.http.answers import refusal
from batonpass.http.edge import Edge, header
from batonpass.http.gate import answer_refresh
from batonpass.server.admission import Admission
from batonpass.server.headers import HeaderRules
from batonpass.server.logging import identified

BOUNDED: Final = ("/token", "/register", "/confirm", "/password")  # as routes.py has them

Way = Callable[[Scope, Receive, str], Awaitable[Response | None]]


class FastLane:
    """Knows at first sight what it answers."""

    def __init__(
        self, edge: Edge, rules: HeaderRules, admission: Admission, *, answers_origins: bool
    ) -> None:
        """Take what an answer needs.

        Args:
            edge: How the app's requests are read.
            rules: What every answer carries.
            admission: Says when logins are refused.
            answers_origins: Whether pages of other origins are welcome: a request that names its
                origin goes the ordinary way then.
        """
        self._edge = edge
        self._refresh_path = edge.prefix + "/refresh"
        self._bounded = frozenset(edge.prefix + path for path in BOUNDED)
        self._rules = rules
        self._admission = admission
        self._answers_origins = answers_origins

    def way_of(self, scope: Scope) -> Way | None:
        """Return how to answer this one; None: it needs more than the gate and our headers."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path = self._edge.path(scope)
        if path == self._refresh_path:
            way: Way = self._refresh
        elif self._admission.is_full and path in self._bounded:
            way = self._refuse
        else:
            return None
        return None if self._answers_origins and header(scope, b"origin") is not None else way

    async def answer(self, way: Way, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it that way."""
        scope, line = identified(scope)
        origin = self._edge.origin_of(scope)
        response = await way(scope, receive, origin)
        if response is not None:
            response.raw_headers += [*self._rules.of_api(origin), line]
            await response(scope, receive, send)

    async def _refresh(self, scope: Scope, receive: Receive, origin: str) -> Response | None:
        return await answer_refresh(self._edge, scope, receive, origin)

    async def _refuse(self, _scope: Scope, _receive: Receive, _origin: str) -> Response:
        return refusal(self._admission.refusal())  # unread


class ServerApp(FastAPI):
    """The server's app: FastAPI, with the lane in front."""

    fast_lane: FastLane | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what the lane takes, and let everything else go the ordinary way."""
        lane = self.fast_lane
        way = None if lane is None else lane.way_of(scope)
        if lane is None or way is None:
            await super().__call__(scope, receive, send)
        else:
            await lane.answer(way, scope, receive, send)
