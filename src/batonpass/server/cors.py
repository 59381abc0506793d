"""CORS as CORS_ORIGINS says it: a listed origin hears what it may, any other hears nothing.

Starlette's middleware tells every origin that credentials are welcome, and leaves out only whose;
here an answer to an unlisted one carries no `Access-Control-*` header at all.

Source: docs/security.md, S-CORS-2; Fetch standard §3.2 (CORS protocol).
"""

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.http.edge import header

OnRefused = Callable[[Scope], None]


class Cors(CORSMiddleware):
    """Answers preflights of listed origins, and opens other answers to them."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...], on_refused: OnRefused) -> None:
        """Wrap an app.

        Args:
            app: What stands behind.
            origins: CORS_ORIGINS.
            on_refused: Told of each preflight of an origin that is not among them (S-LOG-1).
        """
        super().__init__(
            app,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "X-Request-ID"),
            expose_headers=("Retry-After", "WWW-Authenticate", "X-Request-ID"),
        )
        self._origins = frozenset(origins)
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an unlisted origin's request pass as if there were no CORS."""
        origin = header(scope, b"origin") if scope["type"] == "http" else None
        if origin is None or origin in self._origins:
            await super().__call__(scope, receive, send)
            return
        if header(scope, b"access-control-request-method") is not None:
            self._on_refused(scope)

        async def send_varying(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).add_vary_header("Origin")  # a cache must not mix them
            await send(message)

        await self.app(scope, receive, send_varying)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a listed origin's preflight; like every answer it stays out of caches."""
        response = super().preflight_response(request_headers)
        response.headers["Cache-Control"] = "no-store"
        return response
