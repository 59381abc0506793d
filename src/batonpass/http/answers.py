"""What we answer with: a token answer with its cookies, an error in the documented shape."""

import json

from starlette.requests import HTTPConnection
from starlette.responses import Response

from batonpass.errors import AccessTokenMissingError, BatonpassError, BearerError
from batonpass.http.cookies import CookiePolicy, Header
from batonpass.http.edge import told
from batonpass.refresh_tokens import Transport
from batonpass.token_answers import TokenAnswer

NO_STORE = (b"cache-control", b"no-store")  # on every answer of ours, errors too (S-SES-10)
_TOKEN_HEADERS = ((b"content-type", b"application/json"), NO_STORE)
_NO_CONTENT = 204


class JsonResponse(Response):
    """JSON as short as it goes."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write the content as UTF-8 JSON."""
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


class _Written(Response):
    """An answer that is written out already, headers and all."""

    def __init__(self, body: bytes, headers: list[Header]) -> None:
        """Take it as it is: Response would work its headers out for each answer."""
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *headers]


def token_answer(cookies: CookiePolicy, answer: TokenAnswer) -> Response:
    """Render what a login, a refresh or a rights change hands out (RFC 6749 §5.1)."""
    session = answer.session
    # Written out, as the access token is: nothing in it needs escaping.
    content = (
        f'{{"access_token":"{answer.access_token}","token_type":"bearer",'
        f'"expires_in":{answer.expires_in},"session_id":"{session.family_id}",'
        f'"generation":{session.generation}'
    )
    if session.transport is Transport.BODY:
        return _Written(
            f'{content},"refresh_token":"{answer.refresh_token}"}}'.encode(), [*_TOKEN_HEADERS]
        )
    # S-COOKIE-6: the refresh token goes into the cookie alone, and lasts there as long as it does
    # here (S-COOKIE-2).
    max_age = answer.max_age if session.persistent else None
    issued = cookies.issue(answer.refresh_token, session.family_id, session.generation, max_age)
    return _Written(f"{content}}}".encode(), [*_TOKEN_HEADERS, *issued])


def logged_out(cookies: CookiePolicy) -> Response:
    """Render the end of a session: the only answer that clears a cookie (S-COOKIE-5)."""
    response = _plain(Response(status_code=_NO_CONTENT))
    response.raw_headers.extend(cookies.clear())
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


async def answer_refusal(request: HTTPConnection, error: Exception) -> Response:
    """Render an error that a handler of the app's let out: what an app registers for ours."""
    if not isinstance(error, BatonpassError):  # Starlette hands over what was registered
        raise error
    return refusal(told(request.scope, error))


def _challenge(error: BearerError) -> str:
    # RFC 6750 §3.1: no error code where no token came (S-JWT-8)
    if isinstance(error, AccessTokenMissingError):
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{error.detail}"'


def _plain(response: Response) -> Response:
    response.raw_headers.append(NO_STORE)
    return response
