"""`BatonpassAuth`: what a native client sees.

Each request goes out with the session's token; after a 401 there is one refresh, which all requests
share, and each is sent once more. What cannot be sent twice (a stream, a file) has the token
renewed beforehand where it is nearly over.

Source: RFC 6750 §2.1; docs/client.md.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from concurrent.futures import Future

import httpx

from batonpass.clock import Clock
from batonpass.errors import InvalidCredentialsError, LoginRequiredAgainError, SessionRevokedError
from batonpass.httpx_auth.errors import SessionExpiredError, SessionUnavailableError
from batonpass.httpx_auth.routes import AuthRoutes
from batonpass.httpx_auth.session import Denied, Outcome, Renewed, Session, Unreachable
from batonpass.httpx_auth.stores import MemoryStore, TokenStore

# A 401 that speaks of the request's own content, not of the token.
_NOT_THE_TOKEN = {InvalidCredentialsError.code, LoginRequiredAgainError.code}
# They speak for themselves: no token goes there.
_OWN_ROUTES = ("/refresh", "/token", "/logout", "/register", "/register/finish")

Place = tuple[bytes, bytes, int | None]


class BatonpassAuth(httpx.Auth):
    """Keeps a session going for `httpx.Client` and `httpx.AsyncClient` (asyncio), for many at once.

    The token goes to the server's origin and the other `origins`, nowhere else.
    """

    def __init__(  # noqa: PLR0913 - a client's choices, each by its name and with a default
        self,
        base_url: str | httpx.URL,
        store: TokenStore | None = None,
        *,
        prefix: str = "/auth",
        origins: Iterable[str] = (),
        client: httpx.Client | None = None,
        user_agent: str | None = None,
        timeout: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        """Ask nobody anything yet.

        Args:
            base_url: Where the app is, without `prefix`.
            store: Where tokens are kept; None: in memory.
            prefix: Under which the app has its auth routes.
            origins: Other places that the access token may go to: "https://files.example.com".
            client: By which the auth routes are asked, where they need a proxy or certificates of
                their own; it stays the caller's to close. None: a plain one.
            user_agent: What the session list shows as the device: "acme-cli/1.4".
            timeout: Seconds that a request waits at most for a new token; the refresh goes on.
            clock: What asks for the time.

        Raises:
            ValueError: `base_url` or one of `origins` is no http(s) URL, or has a password in it.
        """
        clock = clock or Clock()
        url = _checked(base_url)
        path = url.raw_path.partition(b"?")[0].rstrip(b"/") + prefix.encode()
        auth_url = url.copy_with(raw_path=path, fragment=None)
        routes = AuthRoutes(
            auth_url, client=client, user_agent=user_agent, timeout=timeout, clock=clock
        )
        self._url = url
        self._places = {_place(url), *(_place(_checked(origin)) for origin in origins)}
        self._own_routes = {auth_url.path + route for route in _OWN_ROUTES}
        self._timeout = timeout
        self._session = Session(routes, store or MemoryStore(), clock)

    def __repr__(self) -> str:
        """Say whose."""
        return f"BatonpassAuth({str(self._url)!r})"

    # --- logging in and out --------------------------------------------------------------------

    def log_in(self, username: str, password: str) -> None:
        """Begin a session; one that the store held is ended.

        Raises:
            LoginRefusedError: Not with these.
            SessionUnavailableError: No answer came.
        """
        self._session.log_in(username, password)

    def log_out(self) -> None:
        """Forget the session here, then end it at the server.

        Raises:
            SessionUnavailableError: It is forgotten here, but the server could not be told.
        """
        self._session.log_out()

    async def alog_in(self, username: str, password: str) -> None:
        """Do as `log_in`, without holding an event loop up."""
        await asyncio.to_thread(self.log_in, username, password)

    async def alog_out(self) -> None:
        """Do as `log_out`, without holding an event loop up."""
        await asyncio.to_thread(self.log_out)

    # --- httpx's own ---------------------------------------------------------------------------

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request of `httpx.Client`.

        Raises:
            SessionExpiredError: There is no session, or not any more.
            SessionUnavailableError: A new token is needed and cannot be had just now.
        """
        if not self._covers(request):
            yield request
            return
        is_sent_once = _is_sent_once(request)
        token = self._token(self._wait(self._session.ask(min_life=is_sent_once)))
        response = yield _signed(request, token)
        if not _is_refusal(response, token):
            return
        if _has_code(response):
            response.read()
        renewal = self._after_refusal(response, token)
        if renewal is None or is_sent_once:  # the refresh goes on for the requests to come
            return
        newer = self._token(self._wait(renewal), refused=token)
        if newer == token:
            return
        response = yield _signed(request, newer)
        if _is_refusal(response, newer):
            self._session.vindicate(newer)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request of `httpx.AsyncClient`; step by step as `sync_auth_flow`."""
        if not self._covers(request):
            yield request
            return
        is_sent_once = _is_sent_once(request)
        token = self._token(await self._await(self._session.ask(min_life=is_sent_once)))
        response = yield _signed(request, token)
        if not _is_refusal(response, token):
            return
        if _has_code(response):
            await response.aread()
        renewal = self._after_refusal(response, token)
        if renewal is None or is_sent_once:
            return
        newer = self._token(await self._await(renewal), refused=token)
        if newer == token:
            return
        response = yield _signed(request, newer)
        if _is_refusal(response, newer):
            self._session.vindicate(newer)

    def _wait(self, asked: Future[Outcome]) -> Outcome:
        try:
            return asked.result(self._timeout)
        except TimeoutError as error:
            raise SessionUnavailableError from error

    async def _await(self, asked: Future[Outcome]) -> Outcome:
        if asked.done():
            return asked.result()
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(asked)
        except TimeoutError as error:
            raise SessionUnavailableError from error

    def _token(self, outcome: Outcome, refused: str | None = None) -> str:
        match outcome:
            case Renewed(token):
                return token.text
            case Denied(code, reason):
                raise SessionExpiredError(code, reason)
            case Unreachable(seconds):
                held = self._session.usable()
                if held is None or held.text == refused:
                    raise SessionUnavailableError(retry_in_seconds=seconds)
                return held.text  # only more of its life was wanted

    def _after_refusal(self, response: httpx.Response, token: str) -> Future[Outcome] | None:
        """Ask for another token, unless it is not the token's fault."""
        code = _code(response) if _has_code(response) else None
        if code in _NOT_THE_TOKEN:
            return None
        return self._session.ask(refused=token, revoked=code == SessionRevokedError.code)

    def _covers(self, request: httpx.Request) -> bool:
        """Whether the token may go where a request goes, and belongs there."""
        url = request.url
        return (
            _place(url) in self._places
            and "Authorization" not in request.headers
            and not (_place(url) == _place(self._url) and url.path in self._own_routes)
        )


def _checked(url: str | httpx.URL) -> httpx.URL:
    found = httpx.URL(url)
    if found.scheme not in {"http", "https"} or not found.host or found.userinfo:
        message = f"{found.scheme}://{found.host} is no place such as https://api.example.com."
        raise ValueError(message)
    return found


def _place(url: httpx.URL) -> Place:
    """Return the origin: httpx writes hosts in small letters, and leaves default ports out."""
    return url.raw_scheme, url.raw_host, url.port


def _signed(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _is_sent_once(request: httpx.Request) -> bool:
    """Whether what has been read of the body cannot be sent a second time: a stream, a file."""
    return not isinstance(request.stream, httpx.ByteStream)


def _is_refusal(response: httpx.Response, token: str) -> bool:
    """Whether a 401 speaks of this token: after a redirect elsewhere nobody there has seen it."""
    return (
        response.status_code == httpx.codes.UNAUTHORIZED
        and response.request.headers.get("Authorization") == f"Bearer {token}"
    )


def _has_code(response: httpx.Response) -> bool:
    """Whether there may be a code in the answer: an endless stream is never read."""
    return "json" in response.headers.get("Content-Type", "")


def _code(response: httpx.Response) -> object:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return None
    return content.get("code") if isinstance(content, dict) else None
