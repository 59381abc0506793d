"""`Verifier`: another service checks our access tokens, by our public keys and without a database.

A key that was withdrawn is refused 60 s later at the latest. Of a session that has been ended it
learns nothing: its access token is believed until it is over (30 minutes, unless set otherwise).

Example:
    verifier = Verifier("https://accounts.example.com/.well-known/jwks.json")
    verifier.install(app)

    @app.get("/orders")
    def orders(claims: Annotated[Claims, Depends(verifier.claims)]) -> list[Order]: ...

Source: docs/security.md, S-JWT-1 to 10; RFC 7517 §5.
"""

import asyncio
import logging
import math
from datetime import datetime, timedelta
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Final

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from batonpass.access_tokens import AccessTokenReader, AccessTokenRefusedError, Claims
from batonpass.clock import Clock
from batonpass.errors import BatonpassError, ConfigurationError, StoreUnavailableError
from batonpass.http.answers import answer_refusal
from batonpass.http.dependencies import (
    BEARER_SCHEME,
    ClaimsDependency,
    VerifiedClaims,
    bearer_scheme_at,
)
from batonpass.jwks import JwksRefusedError, PublicKey, read_jwks
from batonpass.verified_tokens import VerifiedTokens

try:
    import httpx
except ModuleNotFoundError as error:
    message = "batonpass.verifier fetches keys with httpx: pip install 'batonpass[httpx]'"
    raise ModuleNotFoundError(message, name="httpx") from error

logger = logging.getLogger(__name__)

# docs/security.md, S-JWT-10
FRESH_FOR = timedelta(seconds=60)
STALE_FOR = timedelta(minutes=15)  # where the issuer cannot be reached; after that, closed
UNKNOWN_KID_EVERY = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=5)
FETCH_WITHIN = timedelta(seconds=2)
MAX_BODY_BYTES = 64 * 1024

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_KEYS: Final = (
    "the issuer publishes no key. With HS256 there is none to publish, for whoever verifies could "
    "sign as well: set the issuer's JWT_ALGORITHM to ES256 or EdDSA"
)


class KeysUnavailableError(StoreUnavailableError):
    """What outside is any 503: the issuer's keys cannot be had. `__cause__` says why."""


class PublishedKeys:
    """What this process knows of an issuer's keys: all that its JWK set said when last read."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Know nothing; the first `be_current` fetches.

        Raises:
            ConfigurationError: The URL is neither https nor on this machine.
        """
        self.declarations = 0
        self._url = _checked(url)
        self._clock = clock
        # Once, and for https alone: reading every root certificate takes 30 ms.
        is_https = self._url.scheme == "https"
        self._tls = httpx.create_ssl_context() if is_https else SSLContext(PROTOCOL_TLS_CLIENT)
        self._body: bytes | None = None
        self._keys: dict[str, PublicKey] = {}
        self._read_at = -math.inf
        self._try_at = -math.inf
        self._looked_at = -math.inf
        self._problem: Exception | None = None
        self._flight: asyncio.Task[None] | None = None

    def find(
        self,
        kid: str,
        now: datetime,  # noqa: ARG002 - what is over is in the set no longer
        *,
        ended_by: timedelta = timedelta(0),  # noqa: ARG002 - likewise
    ) -> PublicKey | None:
        """Look a key up by its id, in memory alone."""
        return self._keys.get(kid)

    async def be_current(self) -> None:
        """Have keys that may be believed: fresh ones wherever they can be had.

        All that ask at once wait for one fetch. Once an issuer is known to be away nobody waits for
        it any more, as long as what was read last may be believed.

        Raises:
            KeysUnavailableError: There are none.
        """
        if self._may_believe(FRESH_FOR):
            return
        if self._clock.monotonic() >= self._try_at:
            is_known_to_be_away = self._problem is not None and self._may_believe(STALE_FOR)
            flight = self._running() or self._begin()
            if not is_known_to_be_away:
                await asyncio.shield(flight)
        if not self._may_believe(STALE_FOR):
            raise self._unavailable() from self._problem

    async def look_again(self) -> bool:
        """Fetch because of an id that is not known: once in 30 s, however many such ids there are.

        Returns:
            Whether there may be other keys now.

        Raises:
            KeysUnavailableError: The issuer cannot be reached: it may have published that key.
        """
        flight = self._running()
        if flight is None and not self._is_within(self._looked_at, UNKNOWN_KID_EVERY):
            self._looked_at = self._clock.monotonic()
            flight = self._begin()
        if flight is not None and self._problem is None:
            await asyncio.shield(flight)
        if self._problem is not None:
            raise self._unavailable() from self._problem
        return flight is not None

    def _may_believe(self, limit: timedelta) -> bool:
        return bool(self._keys) and self._is_within(self._read_at, limit)

    def _is_within(self, since: float, limit: timedelta) -> bool:
        return self._clock.monotonic() - since < limit.total_seconds()

    def _unavailable(self) -> KeysUnavailableError:
        wait = self._try_at - self._clock.monotonic()
        return KeysUnavailableError(retry_after=max(1, math.ceil(wait)))

    def _running(self) -> asyncio.Task[None] | None:
        """Return the fetch under way: who joins it and stops waiting does not stop it."""
        flight = self._flight
        if flight is None or flight.done():
            return None
        # A task belongs to its event loop, and an app under test may have one for each request.
        return flight if flight.get_loop() is asyncio.get_running_loop() else None

    def _begin(self) -> asyncio.Task[None]:
        self._flight = asyncio.create_task(self._fetch())
        return self._flight

    async def _fetch(self) -> None:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(FETCH_WITHIN.total_seconds()):
                body = await self._download()
            if body != self._body:
                self._take_over(body)
        except Exception as error:  # noqa: BLE001 - whatever it was, the keys could not be had
            self._problem = error
            self._try_at = self._clock.monotonic() + RETRY_AFTER.total_seconds()
            logger.warning("jwks_unavailable", extra={"url": str(self._url), "why": repr(error)})
        else:
            self._read_at = began
            self._problem = None if self._keys else JwksRefusedError(_NO_KEYS)
            self._try_at = began + (FRESH_FOR if self._keys else RETRY_AFTER).total_seconds()

    async def _download(self) -> bytes:
        # No proxy may answer for this machine. Unpacked, 64 KiB can be 64 MiB: nothing packed then.
        async with (
            httpx.AsyncClient(
                verify=self._tls,
                trust_env=self._url.scheme == "https",
                follow_redirects=False,
                timeout=None,  # noqa: S113 - the whole of it has one
            ) as client,
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                problem = f"it was answered with {answer.status_code}; a redirect is not followed"
                raise JwksRefusedError(problem)
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                problem = "it was answered packed, though asked not to be"
                raise JwksRefusedError(problem)
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    problem = f"it is longer than {MAX_BODY_BYTES} bytes"
                    raise JwksRefusedError(problem)
            return bytes(body)

    def _take_over(self, body: bytes) -> None:
        self._keys = read_jwks(body)
        self._body = body
        self.declarations += 1
        if self._keys:
            logger.info("jwks_read", extra={"url": str(self._url), "kids": sorted(self._keys)})
        else:
            logger.error("jwks_empty", extra={"url": str(self._url), "why": _NO_KEYS})


class Verifier:
    """Believes the access tokens of one Batonpass, in a program that shares nothing with it.

    Attributes:
        claims: Dependency: the verified claims of the request's access token, as `auth.claims`.
    """

    def __init__(
        self,
        jwks_url: str,
        *,
        issuer: str = "batonpass",
        audience: str = "batonpass",
        token_url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Do no I/O yet: the keys are fetched when the first token comes.

        Args:
            jwks_url: Where the issuer publishes its keys: https, or http on this machine.
            issuer: `iss` of its tokens: what `Batonpass(issuer=…)` was given.
            audience: `aud` of its tokens, likewise.
            token_url: Where the API page's Authorize button logs in; None: /auth/token beside
                the keys' /.well-known.
            clock: What asks for the time.

        Raises:
            ConfigurationError: `jwks_url` is neither https nor on this machine.
        """
        self.clock = clock or Clock()
        self._keys = PublishedKeys(jwks_url, self.clock)
        self._tokens = VerifiedTokens(AccessTokenReader(self._keys, issuer, audience))
        log_in_at = token_url or str(httpx.URL(jwks_url).join("../auth/token"))
        scheme = bearer_scheme_at(log_in_at, name=BEARER_SCHEME)
        self.claims: ClaimsDependency = _InstalledClaims(self.verify, scheme)

    async def verify(self, token: str) -> Claims:
        """Check everything about an access token but whether its session still lives.

        Tokens that were verified are remembered, so each is verified once.

        Raises:
            AccessTokenRefusedError: Anything is wrong with it; `problem` says what.
            KeysUnavailableError: The issuer's keys cannot be had; `__cause__` says why.
        """
        await self._keys.be_current()
        try:
            return self._tokens.verify(token, self.clock.now())
        except AccessTokenRefusedError as refused:
            if refused.problem != "unknown_kid" or not await self._keys.look_again():
                raise
        return self._tokens.verify(token, self.clock.now())

    def install(self, app: FastAPI) -> None:
        """Let an app answer as the issuer's does: 401 with a challenge, 503 with Retry-After.

        Raises:
            ConfigurationError: The app serves by now.
        """
        if app.middleware_stack is not None:
            problem = "verifier.install comes before the app serves its first request."
            raise ConfigurationError(problem)
        app.add_exception_handler(BatonpassError, answer_refusal)


class _InstalledClaims(VerifiedClaims):
    """The dependency; it says at the first request, not at the first bad token, what is missing."""

    async def __call__(self, request: HTTPConnection) -> Claims:
        if BatonpassError not in request.app.exception_handlers:
            problem = "This app cannot answer a bad token yet: call verifier.install(app)."
            raise ConfigurationError(problem)
        return await super().__call__(request)


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        problem = f"jwks_url: {url!r} is no URL."
        raise ConfigurationError(problem) from error
    if parsed.userinfo:
        problem = "jwks_url: it carries a password, and would show it in each log."
        raise ConfigurationError(problem)
    is_here = parsed.scheme == "http" and parsed.host in _THIS_MACHINE
    if not is_here and not (parsed.scheme == "https" and parsed.host):
        problem = (
            f"jwks_url: {url!r} is neither https nor on localhost: whoever answers for it decides "
            "which tokens are believed."
        )
        raise ConfigurationError(problem)
    return parsed
