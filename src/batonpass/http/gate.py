"""The gate: a pure-ASGI middleware in front of an app's routes.

It answers POST /auth/refresh itself (an empty FastAPI route costs more than a rotation), holds what
is true of every request under the prefix (CSRF, sizes, no-store), and hides the refresh cookie from
every other path, so that no handler, debug page or error tracker ever sees it.
"""

import json
import logging
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonpass.errors import (
    BatonpassError,
    BodyTooLargeError,
    HeadersTooLargeError,
    InternalError,
    InvalidRequestError,
    RefreshTokenInvalidError,
    RefreshTokenMissingError,
)
from batonpass.http.answers import NO_STORE, refusal, token_answer
from batonpass.http.cookies import CookiePolicy
from batonpass.http.edge import TELL_REFUSAL, Edge, Head, require_json
from batonpass.http.refusal_log import tell_renewal
from batonpass.refresh_tokens import Transport, family_named_in

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_HEAD_BYTES = 16 * 1024
_CHANGES_SOMETHING = frozenset({"POST", "DELETE", "PUT", "PATCH"})
_LENGTH_DIGITS = 12  # a terabyte; Python takes quadratic time to read a number of any length
_COOKIE_READERS = ("/refresh", "/token", "/logout")
PASSED = "batonpass.passed"  # in the scope of a request that the gate has let through


class ClientGoneError(Exception):
    """The client left before its request was whole: there is nobody to answer."""


class Gate:
    """Stands innermost among an app's middlewares: CORS, request ids and tracing still apply."""

    def __init__(
        self,
        app: ASGIApp,
        edge: Edge,
        *,
        fast: bool = True,
        is_tended: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wrap an app.

        Args:
            app: What stands behind.
            edge: How its requests are read.
            fast: Answer refreshes here; False: they go through the ordinary route.
            is_tended: Whether the heartbeat runs, without which much is left undone.
        """
        self.app = app
        self.edge = edge
        self._is_tended = is_tended
        self._refresh_path = edge.prefix + "/refresh" if fast else None
        self._ours = edge.prefix + "/"
        self._cookie_readers = frozenset(edge.prefix + path for path in _COOKIE_READERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if not self._is_tended():
            self._warn_once()
        path = self.edge.path(scope)
        if path == self._refresh_path and scope["type"] == "http" and scope["method"] == "POST":
            response = await answer_refresh(self.edge, scope, receive, self.edge.origin_of(scope))
            if response is not None:
                await response(scope, receive, send)
            return
        is_ours = scope["type"] == "http" and path.startswith(self._ours)
        head = Head(scope) if is_ours else None  # as it came: what is hidden says "a browser"
        if path not in self._cookie_readers:
            # In place, for the router writes the route that it found into this dictionary, and the
            # app's middlewares read it there.
            self.edge.hide_cookie(scope)
        scope[TELL_REFUSAL] = self.edge.tell_refusal
        if head is None:
            await self.app(scope, receive, send)
            return
        try:
            body = await _admit(self.edge, scope, head, receive, self.edge.origin_of(scope))
        except ClientGoneError:
            return
        except BatonpassError as error:
            self.edge.tell_refusal(scope, error)
            await refusal(error)(scope, receive, send)
            return
        scope[PASSED] = True
        await self.app(scope, _Replay(body, receive), _no_store(send))

    def _warn_once(self) -> None:
        self._is_tended = lambda: True
        why = (
            "this app's lifespan did not run (is it mounted?): put `async with auth.running():` "
            "into the lifespan of the app around it, or old rows are never purged"
        )
        logger.warning("served_without_heartbeat", extra={"why": why})


async def answer_refresh(
    edge: Edge, scope: Scope, receive: Receive, origin: str
) -> Response | None:
    """Answer POST /auth/refresh, from its first byte on.

    Args:
        edge: How requests are read.
        scope: The request.
        receive: Brings its body.
        origin: Where it was sent.

    Returns:
        The answer; None: nobody is there any more.
    """
    head = Head(scope)
    try:
        body = await _admit(edge, scope, head, receive, origin)
        return await refresh(edge, scope, head, body, origin)
    except ClientGoneError:
        return None
    except BatonpassError as error:
        edge.tell_refusal(scope, error)
        return refusal(error)


async def refresh(edge: Edge, scope: Scope, head: Head, body: bytes, origin: str) -> Response:
    """Answer a refresh that was admitted: the successor, or a refusal that touches no cookie.

    Args:
        edge: How requests are read.
        scope: The request.
        head: Its headers.
        body: Its body.
        origin: Where it was sent.
    """
    arrived = edge.service.clock.now()
    cookies = edge.cookies_at(origin)
    text = None
    try:
        visit = edge.visit(scope)
        require_json(scope, body)
        text, transport = _presented(edge, head, body, cookies)
        answer = await edge.service.rotate_refresh_token(text, transport, visit, arrived)
    except BatonpassError as error:
        is_ours = not isinstance(error, RefreshTokenInvalidError)  # its MAC was right
        family_id = family_named_in(text) if text is not None and is_ours else None
        edge.tell_refusal(scope, error, family_id=family_id)
        return refusal(error)
    except Exception:
        request_id = scope.get("state", {}).get("request_id")
        logger.exception("refresh_failed", extra={"request_id": request_id})
        return refusal(InternalError.of_request(request_id))
    session = answer.session
    tell_renewal(visit, session.user_id, session.family_id, session.generation)
    return token_answer(cookies, answer)


async def _admit(edge: Edge, scope: Scope, head: Head, receive: Receive, origin: str) -> bytes:
    """Hold a request to what is true of all of ours, and return its body.

    Where it comes from is asked first: of what another site sent, neither token nor form is read
    (S-CSRF-1), be it a refresh, a login, a registration or a logout (S-CSRF-2).

    Raises:
        BatonpassError: It is refused; nothing of it counts.
        ClientGoneError: It never became whole.
    """
    if head.size > MAX_HEAD_BYTES:
        raise HeadersTooLargeError
    if scope["method"] in _CHANGES_SOMETHING:
        edge.check_csrf(scope["method"], head, origin)
    if any(_announces_too_much(value) for value in head.values(b"content-length")):
        raise BodyTooLargeError
    return await _read_body(receive)


def _presented(edge: Edge, head: Head, body: bytes, cookies: CookiePolicy) -> tuple[str, Transport]:
    """Find the refresh token: in the cookie, or in a body that shows no sign of a browser."""
    text = cookies.read_refresh_token(head.values(b"cookie"))
    if text is not None:
        return text, Transport.COOKIE
    text = _in_body(body)
    if text is None:
        raise RefreshTokenMissingError
    if not edge.may_use_body(head):
        raise RefreshTokenInvalidError
    return text, Transport.BODY


def _in_body(body: bytes) -> str | None:
    if not body.strip():
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError from error
    if not isinstance(content, dict) or "refresh_token" not in content:
        return None
    text = content["refresh_token"]
    if not isinstance(text, str):
        raise RefreshTokenInvalidError
    return text


async def _read_body(receive: Receive) -> bytes:
    """Read the whole body, which is small, before anything is decided."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _announces_too_much(length: bytes) -> bool:
    if not length.isdigit():  # the HTTP server has refused it; what comes is counted anyway
        return False
    return len(length) > _LENGTH_DIGITS or int(length) > MAX_BODY_BYTES


class _Replay:
    """Gives a body that was read already to the app, then what the connection has to say."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _no_store(send: Send) -> Send:
    async def send_uncached(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message["headers"] if pair[0].lower() != NO_STORE[0]]
            message = {**message, "headers": [*headers, NO_STORE]}
        await send(message)

    return send_uncached
