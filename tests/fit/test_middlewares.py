"""An app's own middlewares see a refresh as any other request, in any order."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.apps import House, an_app, bearer, log_in, serving

LISTED = "https://spa.example"
Seen = list[tuple[str, str, int]]


class RequestIds:
    """Gives each answer an id, and each log line: written as ASGI, without a framework."""

    def __init__(self, app: ASGIApp, ids: list[str]) -> None:
        """Wrap `app`."""
        self.app = app
        self.ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"request-{len(self.ids)}"
        self.ids.append(request_id)
        scope.setdefault("state", {})["request_id"] = request_id

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await self.app(scope, receive, named)


class Tracing(BaseHTTPMiddleware):
    """Notes the route and how it ended: it reads the scope afterwards, as tracing does."""

    def __init__(self, app: ASGIApp, seen: Seen) -> None:
        """Wrap `app`."""
        super().__init__(app)
        self.seen = seen

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Note the request."""
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "no route")
        self.seen.append((request.url.path, route, response.status_code))
        return response


Add = Callable[[FastAPI], None]
OTHERS = [("cors", "ids", "tracing"), ("tracing", "ids", "cors")]
# Before all of them, between any two, after all.
ORDERS = [(*some[:at], "install", *some[at:]) for at in range(4) for some in OTHERS]


@pytest.mark.parametrize(("fast", "order"), [
    pytest.param(fast, order, id=f"{', '.join(order)}: {'gate' if fast else 'route'}")
    for order, fast in zip(ORDERS, itertools.cycle([True, False, False, True]), strict=False)
])  # fmt: skip
async def test_every_middleware_sees_a_refresh(
    plain_house: House, fast: bool, order: tuple[str, ...]
) -> None:
    auth = plain_house.plug(cors_origins=[LISTED])
    app = an_app(auth)
    seen: Seen = []
    ids: list[str] = []
    adding: dict[str, Add] = {
        "cors": lambda app: app.add_middleware(
            CORSMiddleware, allow_origins=[LISTED], allow_credentials=True
        ),
        "ids": lambda app: app.add_middleware(RequestIds, ids=ids),
        "tracing": lambda app: app.add_middleware(Tracing, seen=seen),
        "install": lambda app: auth.install(app, fast=fast),
    }
    for name in order:
        adding[name](app)

    async with serving(app) as client:
        client.headers["Origin"] = LISTED
        login = await log_in(client)
        answers = [
            await client.post("/auth/refresh"),
            await client.post("/auth/refresh", headers={"Sec-Fetch-Site": "cross-site"}),
            await client.post("/auth/refresh", headers={"Cookie": "refresh_token=rubbish"}),
            await client.get("/me", headers=bearer(login)),
            await client.get("/me"),
        ]

    assert [one.status_code for one in answers] == [200, 200, 401, 200, 401]
    assert [one.headers["x-request-id"] for one in [login, *answers]] == ids
    assert {one.headers["access-control-allow-origin"] for one in answers} == {LISTED}
    assert [(path, status) for path, _, status in seen[1:]] == [
        (one.request.url.path, one.status_code) for one in answers
    ]
    # A route's own name, by which traces are grouped, comes out of the gate.
    assert [route for path, route, _ in seen if path == "/me"] == ["/me", "/me"]


async def test_a_middleware_outside_learns_no_cookie_from_the_app(plain_house: House) -> None:
    """What the gate hides stays hidden: also from who looks once the app has answered."""
    auth = plain_house.plug()
    app = an_app(auth)
    auth.install(app)
    told: dict[str, Any] = {}

    @app.middleware("http")
    async def look(request: Request, call_next: RequestResponseEndpoint) -> Response:
        told["before"] = repr(request.scope["headers"])
        response = await call_next(request)
        told["after"] = repr(request.scope["headers"])
        return response

    async with serving(app) as client:
        await log_in(client)
        client.cookies.set("theme", "dark")
        spied = await client.get("/spy")

    assert "bpr_" in told["before"]
    assert "bpr_" not in told["after"] + spied.text
    assert "theme=dark" in spied.text
