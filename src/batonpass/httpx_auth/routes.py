"""The server's auth routes, asked as a native client does: tokens in the body, and never further.

No cookie is sent, no redirect followed: a token goes to the route that it is for, or nowhere.

Source: docs/reference/errors.md; RFC 6749 §4.3, §6; RFC 7009.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from batonpass.clock import Clock
from batonpass.errors import RefreshRefusedError, RefreshTokenSupersededError
from batonpass.httpx_auth.stores import Tokens

logger = logging.getLogger(__name__)

# Only these end a session; any other refusal may be a proxy's, a hotel's, or a mistake.
_ENDS = {RefreshRefusedError.code, *(kind.code for kind in RefreshRefusedError.__subclasses__())}
_A_BROWSERS = ("Cookie", "Origin", "Sec-Fetch-Site")  # with any of them the body counts for nothing
_UNEXPECTED = "The server gave an unexpected answer. Please try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said. Its `repr` shows no token.

    Attributes:
        status: The HTTP status.
        content: The JSON object; empty where it is none.
        retry_after_seconds: From Retry-After in seconds. (A date would have to be held against a
            clock that may be wrong.)
        asked_at: When it was asked, monotonic seconds: what it hands out is no younger.
        asked_on: The same by this device's clock.
    """

    status: int
    content: Mapping[str, Any] = field(repr=False)  # JSON, as it came
    retry_after_seconds: float | None
    asked_at: float
    asked_on: datetime

    @property
    def code(self) -> str:
        """The server's stable code."""
        return str(self.content.get("code", "unexpected"))

    @property
    def detail(self) -> str:
        """The server's sentence."""
        return str(self.content.get("detail", _UNEXPECTED))

    @property
    def reason(self) -> str | None:
        """Why a session was revoked."""
        reason = self.content.get("reason")
        return reason if isinstance(reason, str) else None

    @property
    def is_success(self) -> bool:
        """Whether the server did what it was asked for."""
        return httpx.codes.is_success(self.status)

    @property
    def is_our_mistake(self) -> bool:
        """Whether it was asked in a way that it does not take (path, proxy); not: too often."""
        is_too_often = self.status == httpx.codes.TOO_MANY_REQUESTS
        return httpx.codes.is_client_error(self.status) and not is_too_often

    @property
    def ends_session(self) -> bool:
        """Whether the session is over, by the server's own word."""
        return self.status == httpx.codes.UNAUTHORIZED and self.code in _ENDS

    @property
    def is_superseded(self) -> bool:
        """Whether another process was quicker, and has a newer token."""
        expected = RefreshTokenSupersededError
        return self.status == expected.status and self.code == expected.code

    def tokens(self, server: str) -> Tokens | None:
        """Read a token answer; None: it is none."""
        access_token, refresh_token, expires_in = (
            self.content.get(name) for name in ("access_token", "refresh_token", "expires_in")
        )
        if (
            self.status != httpx.codes.OK
            or not isinstance(access_token, str)
            or not isinstance(refresh_token, str)
            or not isinstance(expires_in, int | float)
        ):
            return None
        return Tokens(
            server=server,
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=expires_in,
            received_at=self.asked_on,
        )


class AuthRoutes:
    """Asks one server. None in place of an answer: there was none, whatever the server did."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        client: httpx.Client | None,
        user_agent: str | None,
        timeout: float,
        clock: Clock,
    ) -> None:
        """Ask by `client`, or where there is none by a new one each time."""
        self.url = str(url)
        self._client = client
        self._headers = {} if user_agent is None else {"User-Agent": user_agent}
        self._timeout = timeout
        self._clock = clock

    def log_in(self, username: str, password: str) -> Answer | None:
        """Ask for a session whose tokens travel in the body."""
        return self._post(
            "/token",
            data={"username": username, "password": password},
            headers={"X-Token-Transport": "body"},
        )

    def refresh(self, refresh_token: str) -> Answer | None:
        """Spend a refresh token."""
        return self._post("/refresh", json={"refresh_token": refresh_token})

    def log_out(self, refresh_token: str) -> Answer | None:
        """End the token's session."""
        return self._post("/logout", json={"refresh_token": refresh_token})

    def _post(
        self,
        route: str,
        *,
        data: Mapping[str, str] | None = None,
        json: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        asked_at, asked_on = self._clock.monotonic(), self._clock.now()
        with self._connected() as client:
            request = client.build_request(
                "POST",
                self.url + route,
                data=data,
                json=json,
                headers={**self._headers, **(headers or {})},
            )
            for name in ("Authorization", *_A_BROWSERS):
                request.headers.pop(name, None)
            try:
                response = client.send(request, auth=None, follow_redirects=False)
            except httpx.RequestError as error:
                # Its name alone: the error holds the request, and that the token.
                logger.info("no_answer", extra={"route": route, "why": type(error).__name__})
                return None
        return Answer(
            status=response.status_code,
            content=_json_object(response),
            retry_after_seconds=_seconds(response.headers.get("Retry-After")),
            asked_at=asked_at,
            asked_on=asked_on,
        )

    @contextmanager
    def _connected(self) -> Iterator[httpx.Client]:
        if self._client is not None:
            yield self._client
            return
        with httpx.Client(timeout=self._timeout) as client:
            yield client


def _json_object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
