"""Answers a refresh before FastAPI is asked: its layers cost more than the refresh itself.

What the middlewares add to every answer (an id, security headers) stands on this one too. A page of
another origin goes the ordinary way, through CORS; both ways end in the gate's one function.
"""

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from batonpass.http.edge import Edge, header
from batonpass.http.gate import answer_refresh
from batonpass.server.headers import HeaderRules
from batonpass.server.logging import identified


class FastLane:
    """Knows a refresh when it sees one, and answers it."""

    def __init__(self, edge: Edge, rules: HeaderRules, *, answers_origins: bool) -> None:
        """Take what a refresh needs.

        Args:
            edge: How the app's requests are read.
            rules: What every answer carries.
            answers_origins: Whether pages of other origins are welcome: a request that names its
                origin goes the ordinary way then.
        """
        self._edge = edge
        self._path = edge.prefix + "/refresh"
        self._rules = rules
        self._answers_origins = answers_origins

    def takes(self, scope: Scope) -> bool:
        """Whether this is a refresh that needs no more than the gate and our headers."""
        return (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and self._edge.path(scope) == self._path
            and not (self._answers_origins and header(scope, b"origin") is not None)
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it."""
        scope, line = identified(scope)
        origin = self._edge.origin_of(scope)
        response = await answer_refresh(self._edge, scope, receive, origin)
        if response is not None:
            response.raw_headers += [*self._rules.of_api(origin), line]
            await response(scope, receive, send)


class ServerApp(FastAPI):
    """The server's app: FastAPI, with the lane in front."""

    fast_lane: FastLane | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a refresh pass by, and everything else go the ordinary way."""
        lane = self.fast_lane
        if lane is not None and lane.takes(scope):
            await lane.answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
