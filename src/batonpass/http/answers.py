"""What we answer with: a token answer with its cookies, an error in the documented shape."""

import json

from starlette.responses import Response
from starlette.types import Scope

from batonpass.auth_service import TokenAnswer
from batonpass.errors import AccessTokenMissingError, BatonpassError, BearerError
from batonpass.http.edge import Edge
from batonpass.refresh_tokens import Transport

NO_STORE = (b"cache-control", b"no-store")
_NO_CONTENT = 204


class JsonResponse(Response):
    """JSON as short as it goes."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write the content as UTF-8 JSON."""
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def token_answer(edge: Edge, scope: Scope, answer: TokenAnswer) -> Response:
    """Render what a login, a refresh or a rights change hands out (RFC 6749 §5.1)."""
    stored = answer.family
    content: dict[str, object] = {
        "access_token": answer.access_token,
        "token_type": "bearer",
        "expires_in": answer.expires_in,
        "session_id": str(stored.family.id),
        "generation": stored.family.generation,
    }
    if stored.transport is Transport.BODY:
        content["refresh_token"] = answer.refresh_token
        return _plain(JsonResponse(content))
    response = _plain(JsonResponse(content))
    response.raw_headers.extend(
        edge.cookies(scope).issue(
            answer.refresh_token,
            stored.family.id,
            stored.family.generation,
            answer.max_age if stored.persistent else None,
        )
    )
    return response


def logged_out(edge: Edge, scope: Scope) -> Response:
    """Render the end of a session: the only answer that clears a cookie (S-COOKIE-5)."""
    response = _plain(Response(status_code=_NO_CONTENT))
    response.raw_headers.extend(edge.cookies(scope).clear())
    return response


def refusal(error: BatonpassError) -> Response:
    """Render an error: `detail`, `code`, and what its kind adds."""
    content = {"detail": error.detail, "code": error.code}
    if error.reason is not None:
        content["reason"] = error.reason
    response = _plain(JsonResponse(content, status_code=error.status))
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, BearerError):
        response.headers["WWW-Authenticate"] = _challenge(error)
    return response


def _challenge(error: BearerError) -> str:
    # RFC 6750 §3.1: no error code where no token came
    if isinstance(error, AccessTokenMissingError):
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{error.detail}"'


def _plain(response: Response) -> Response:
    response.raw_headers.append(NO_STORE)
    return response
