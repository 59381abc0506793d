"""What an app is given by `auth.install`: routes, gate, error answers and heartbeat."""

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from batonpass.errors import BatonpassError, ConfigurationError
from batonpass.heartbeat import Heartbeat
from batonpass.http.answers import answer_refusal
from batonpass.http.edge import Edge
from batonpass.http.gate import Gate
from batonpass.http.routes import build_well_known
from batonpass.instances import join


def require_unserved(app: FastAPI) -> None:
    """Take an app that can still be added to.

    Raises:
        ConfigurationError: It serves by now.
    """
    if app.middleware_stack is not None:
        message = (
            "auth.install adds a middleware, and to the lifespan: call it where the app is "
            "made, before it serves its first request or its lifespan begins."
        )
        raise ConfigurationError(message)


def install_into(
    app: FastAPI, edge: Edge, router: APIRouter, heartbeat: Heartbeat, *, fast: bool
) -> None:
    """Add to an app what one Batonpass needs.

    Args:
        app: The app.
        edge: How its requests are read.
        router: Our routes.
        heartbeat: Goes inside of the app's own lifespan.
        fast: Answer refreshes in the gate.

    Raises:
        ConfigurationError: Another Batonpass of the app has the same routes, cookies or audience.
    """
    edges = join(app, edge)
    app.include_router(router)
    if len(edges) == 1:  # one address for the keys of all
        app.include_router(build_well_known(edges))
    app.exception_handlers.setdefault(BatonpassError, answer_refusal)
    # Innermost: the app's CORS, request ids and tracing see a refresh as any other request.
    app.user_middleware.append(
        Middleware(Gate, edge=edge, fast=fast, is_tended=lambda: heartbeat.is_running)
    )
    app.router.lifespan_context = heartbeat.around(app.router.lifespan_context)
