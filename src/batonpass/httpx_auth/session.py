"""One session of a native client: the token it has, and the one renewal that all wait for.

A renewal runs in a thread of its own and is a `concurrent.futures.Future`, so threads and the tasks
of any number of event loops wait for the same one; whoever gives up waiting harms nobody else. It
has three outcomes, never two: being offline is no logout.

Source: docs/client.md, whose machine this is without tabs and without a page.
"""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from secrets import SystemRandom
from threading import Lock, Thread

from batonpass.clock import Clock
from batonpass.errors import RefreshTokenMissingError
from batonpass.httpx_auth.errors import LoginRefusedError, SessionUnavailableError
from batonpass.httpx_auth.routes import Answer, AuthRoutes
from batonpass.httpx_auth.stores import Tokens, TokenStore

logger = logging.getLogger(__name__)

NEARLY_SECONDS = 30.0  # nearly over: less than this is left, or than a quarter of the token's life
VINDICATED_FOR_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 30.0  # doubled from one failure to the next
LONGEST_PAUSE_SECONDS = 300.0  # no server's Retry-After keeps us away for longer
_LEAST_WAIT_SECONDS, _SPREAD_SECONDS = 0.05, 0.2  # before the second try


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, by a clock that never jumps. Its `repr` does not show it."""

    text: str = field(repr=False)
    received_at: float
    expires_at: float

    def is_over(self, now: float) -> bool:
        """Whether its life is over."""
        return now >= self.expires_at

    def is_nearly_over(self, now: float) -> bool:
        """Whether it may not outlive a request that cannot be sent twice."""
        life = self.expires_at - self.received_at
        return self.expires_at - now < min(NEARLY_SECONDS, life / 4)


@dataclass(frozen=True, slots=True)
class Renewed:
    """Here is a token."""

    token: Token


@dataclass(frozen=True, slots=True)
class Denied:
    """The server's own word, or the store's: it is over."""

    code: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, or none that says anything of the session."""

    retry_in_seconds: float


Outcome = Renewed | Denied | Unreachable

LOGGED_OUT = Denied("logged_out")
MISSING = Denied(RefreshTokenMissingError.code)


class Session:
    """Holds the token and renews it; every method may be called from any thread."""

    def __init__(self, routes: AuthRoutes, store: TokenStore, clock: Clock) -> None:
        """Hold nothing yet: the store is read when a token is first asked for."""
        self._routes = routes
        self._store = store
        self._clock = clock
        # Two locks: `_state` guards what follows and is never held while anything is waited for;
        # `_turn` is whose turn it is in this process to speak with the store and the server.
        self._state = Lock()
        self._turn = Lock()
        self._token: Token | None = None
        self._is_doubted = False  # it was refused: nobody gets it any more
        self._vindicated = False
        self._renewal: Future[Outcome] | None = None
        self._ending = MISSING
        self._dead: str | None = None  # the refresh token that was denied: it is not asked again
        self._failures = 0
        self._retry_at = float("-inf")

    # --- for requests --------------------------------------------------------------------------

    def ask(
        self, *, refused: str | None = None, revoked: bool = False, min_life: bool = False
    ) -> "Future[Outcome]":
        """Return the token to send; where there is none that will do, once it has been renewed.

        Args:
            refused: The token that was answered with 401: it is not handed out again, unless it
                was not the token's fault.
            revoked: That 401 said that the session has ended: the refresh says why.
            min_life: A token that is nearly over will not do.
        """
        now = self._clock.monotonic()
        with self._state:
            token = self._token
            if token is not None and token.text == refused:
                self._is_doubted = revoked or not self._is_trusted(now)
            is_too_short = token is not None and min_life and token.is_nearly_over(now)
            if token is not None and self._is_usable(now) and not is_too_short:
                return _at_once(Renewed(token))
            if self._renewal is not None:
                return self._renewal
            if now < self._retry_at:
                return _at_once(Unreachable(self._retry_at - now))
            renewal: Future[Outcome] = Future()
            renewal.set_running_or_notify_cancel()  # from here on nobody's cancel cancels it
            Thread(target=self._renew, args=(renewal,), name=__name__, daemon=True).start()
            self._renewal = renewal
            return renewal

    def usable(self) -> Token | None:
        """Return the token that is held, unless it is over or was refused."""
        with self._state:
            return self._token if self._is_usable(self._clock.monotonic()) else None

    def vindicate(self, text: str) -> None:
        """Note that a request failed twice, the second time with this new token.

        So it is not the token's fault, and an endpoint that always answers 401 costs one refresh,
        not one a request. Nor for ever: keys change.
        """
        with self._state:
            if self._token is not None and self._token.text == text:
                self._vindicated = True

    def _is_usable(self, now: float) -> bool:
        return self._token is not None and not self._is_doubted and not self._token.is_over(now)

    def _is_trusted(self, now: float) -> bool:
        since = now - (self._token.received_at if self._token else now)
        return self._vindicated and since < VINDICATED_FOR_SECONDS

    # --- logging in and out --------------------------------------------------------------------

    def log_in(self, username: str, password: str) -> None:
        """Begin a session in place of the one that the store holds, if any.

        Raises:
            LoginRefusedError: Not with these.
            SessionUnavailableError: No answer came.
        """
        with self._turn, self._store.locked():
            answer = self._routes.log_in(username, password)
            if answer is None:
                raise SessionUnavailableError("The server cannot be reached. Please try again.")
            tokens = answer.tokens(self._routes.url)
            if tokens is None:
                raise LoginRefusedError(
                    answer.status, answer.code, answer.detail, answer.retry_after_seconds
                )
            before = self._load()
            self._store.save(tokens)
            self._note(Renewed(_token(tokens, answer.asked_at)))
            if before is not None:
                self._routes.log_out(before.refresh_token)  # S-SES-1; if it fails, it runs out

    def log_out(self) -> None:
        """Forget the session here, and end it at the server. Without one there is nothing to do.

        Raises:
            SessionUnavailableError: It is forgotten here, but the server could not be told.
        """
        with self._turn, self._store.locked():
            stored = self._load()
            self._note(LOGGED_OUT)
            if stored is None:
                return
            self._store.save(None)
            answer = self._routes.log_out(stored.refresh_token)
        if answer is None or not answer.is_success:
            raise SessionUnavailableError(
                "The tokens are gone from here, but the server could not be told: to it the "
                "session lasts until its idle limit."
            )

    # --- the renewal ---------------------------------------------------------------------------

    def _renew(self, renewal: "Future[Outcome]") -> None:
        """Bring a renewal to its end, whatever happens: others wait for it."""
        try:
            with self._turn, self._store.locked():
                outcome = self._next_token()
                self._note(outcome)
        except Exception as error:  # noqa: BLE001 - the store's own: whoever waits shall see it
            self._over()
            renewal.set_exception(error)
        else:
            self._over()
            renewal.set_result(outcome)

    def _over(self) -> None:
        with self._state:
            self._renewal = None

    def _note(self, outcome: Outcome) -> None:
        with self._state:
            match outcome:
                case Renewed(token):
                    self._token, self._is_doubted, self._vindicated = token, False, False
                    self._dead = None
                case Denied():
                    self._token, self._ending = None, outcome
                case Unreachable(seconds):
                    self._failures += 1
                    self._retry_at = self._clock.monotonic() + seconds
                    return
            self._failures, self._retry_at = 0, float("-inf")

    def _next_token(self) -> Outcome:
        stored = self._load()
        if stored is None:
            return self._ending if self._token is None else LOGGED_OUT
        if stored.refresh_token == self._dead:
            return self._ending
        held = self._token
        if held is None or held.text != stored.access_token:  # another run's, or process'
            token = self._token_of(stored)
            if not token.is_nearly_over(self._clock.monotonic()):
                return Renewed(token)
        return self._rotate(stored)

    def _rotate(self, stored: Tokens) -> Outcome:
        """Spend the stored token; where the answer was lost, or another was quicker, once more."""
        answer = self._routes.refresh(stored.refresh_token)
        if answer is None or answer.is_superseded:
            threading.Event().wait(_LEAST_WAIT_SECONDS + SystemRandom().random() * _SPREAD_SECONDS)
            newer = self._load()
            if newer is None:
                return LOGGED_OUT
            stored = newer
            answer = self._routes.refresh(stored.refresh_token)
        if answer is None:
            return self._unreachable(None)
        tokens = answer.tokens(self._routes.url)
        if tokens is not None:
            return self._take(tokens, answer, stored)
        if answer.ends_session:
            # The store keeps it, as a browser keeps its cookie: logging out alone clears.
            self._dead = stored.refresh_token
            return Denied(answer.code, answer.reason)
        if answer.is_our_mistake:  # of the set-up: nothing else would show it
            fields = {"status": answer.status, "code": answer.code}
            logger.warning("refresh_not_understood", extra=fields)
        return self._unreachable(answer.retry_after_seconds)

    def _take(self, tokens: Tokens, answer: Answer, spent: Tokens) -> Outcome:
        """Store the successor, and only then hand the access token out."""
        found = self._load()
        if found is None or found.refresh_token != spent.refresh_token:
            # Somebody went on without the lock: a logout, a login, or the same refresh. It stands.
            return LOGGED_OUT if found is None else Renewed(self._token_of(found))
        self._store.save(tokens)
        return Renewed(_token(tokens, answer.asked_at))

    def _unreachable(self, retry_after_seconds: float | None) -> Unreachable:
        pause = min(FIRST_PAUSE_SECONDS * 2**self._failures, LAST_PAUSE_SECONDS)
        return Unreachable(min(max(pause, retry_after_seconds or 0.0), LONGEST_PAUSE_SECONDS))

    def _load(self) -> Tokens | None:
        """Read the store; another server's tokens are none of ours."""
        stored = self._store.load()
        return stored if stored is not None and stored.server == self._routes.url else None

    def _token_of(self, stored: Tokens) -> Token:
        """Tell how old a token from the store is: by this device's clock alone, never by `exp`.

        Where that clock went back meanwhile, the token counts as over: that costs a refresh.
        """
        now = self._clock.monotonic()
        age = (self._clock.now() - stored.received_at).total_seconds()
        return _token(stored, now - (age if age >= 0 else stored.expires_in))


def _token(tokens: Tokens, received_at: float) -> Token:
    return Token(tokens.access_token, received_at, received_at + tokens.expires_in)


def _at_once(outcome: Outcome) -> "Future[Outcome]":
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
