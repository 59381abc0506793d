"""What nobody foresaw: one answer in the documented shape, whose id leads to the log (S-LOG-4).

Around the gate and within CORS, so that a fault of the gate's own is answered too, and the
headers of CORS and security stand on a 500 as well.
"""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.errors import (
    BatonpassError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
)
from batonpass.http.answers import refusal

logger = logging.getLogger(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_BY_STATUS: dict[int, type[BatonpassError]] = {404: NotFoundError, 405: MethodNotAllowedError}


class Faults:
    """Turns an unforeseen exception into a 500, unless an answer has begun already."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer what is raised."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if scope["type"] != "http" or begun:
                raise
            request_id = scope.get("state", {}).get("request_id")
            logger.exception("request_failed", extra={"request_id": request_id})
            await refusal(InternalError.of_request(request_id))(scope, receive, send)


def add_error_answers(app: FastAPI) -> None:
    """Have routing's own errors answered in the documented shape."""
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # Starlette hands over what was registered
        raise error
    kind = _BY_STATUS.get(error.status_code, InvalidRequestError)
    response = refusal(kind())
    response.headers.update(error.headers or {})
    if kind is MethodNotAllowedError:
        response.headers["Allow"] = ", ".join(_methods_of(request))
    return response


def _methods_of(request: Request) -> list[str]:
    """List what a path takes: Starlette names the methods of its first route only."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _answer_invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # Starlette hands over what was registered
        raise error
    return refusal(InvalidRequestError())
