"""What a server may answer to a spent token: three rules in use, and ours. Tokens are numbers.

Ours is the product: `batonpass.family` judges and `batonpass.refresh_tokens` derives, as storage
lets them. The others keep the tokens themselves, or could: they answer what is current.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from batonpass.family import Verdict
from batonpass.policy import Policy
from tests.support.logins import Login

GRACE = 30.0  # seconds, as all that follow count
REUSE_INTERVAL = 10.0  # Supabase Auth, GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


class Server(Protocol):
    """One session on a server.

    Attributes:
        ended: Whether the session is over; `present` then answers nothing any more.
    """

    ended: bool

    def present(self, token: int, now: float) -> int | None:
        """Refresh: the token to go on with; None: not now, or never again."""

    def see(self, token: int, issued_at: float, now: float) -> None:
        """Take note of an access token, and of the refresh token that it came with."""


class Strict:
    """Every spent token is theft."""

    def __init__(self) -> None:
        """Log in: token 0 is current."""
        self.ended = False
        self.current = 0
        self.spent_at: dict[int, float] = {}

    def present(self, token: int, now: float) -> int | None:
        """Rotate the current one; look at a spent one."""
        if self.ended:
            return None
        if token == self.current:
            self.spent_at[token] = now
            self.current += 1
        elif not self.accepts(token, now):
            self.ended = True
            return None
        return self.current

    def accepts(self, token: int, now: float) -> bool:  # noqa: ARG002 - others ask when
        """Whether a spent token is answered."""
        return False

    def see(self, token: int, issued_at: float, now: float) -> None:
        """Look away: these rules know refreshes only."""


class GraceOnly(Strict):
    """Every token that was spent at most 30 s ago gets what is current; any other is theft."""

    def accepts(self, token: int, now: float) -> bool:
        """Whether it was spent a moment ago."""
        return now - self.spent_at[token] <= GRACE


class ParentAccepted(Strict):
    """The parent of the current one always gets the current one; others within 10 s."""

    def accepts(self, token: int, now: float) -> bool:
        """Whether it is the parent, or was spent a moment ago."""
        return token == self.current - 1 or now - self.spent_at[token] <= REUSE_INTERVAL


class Ours:
    """The rules of family.py, with the default policy."""

    def __init__(self) -> None:
        """Log in."""
        policy = Policy(idle_limit=timedelta(days=30))  # limits of life are not what is measured
        self.login = Login(policy, MONDAY)
        self.tokens = [self.login.first_token]
        self.ended = False

    def present(self, token: int, now: float) -> int | None:
        """Refresh as storage would."""
        answer = self.login.present(self.tokens[token], MONDAY + timedelta(seconds=now))
        self.ended = self.login.family.ended_at is not None
        if answer.token is None:
            return None
        if answer.verdict is not Verdict.REPEAT:
            self.tokens.append(answer.token)
        assert self.tokens[answer.token.generation] == answer.token
        return answer.token.generation

    def see(self, token: int, issued_at: float, now: float) -> None:
        """Note it at once: the soonest that a process could."""
        second = timedelta(seconds=1)
        self.login.note_seen(token, MONDAY + issued_at * second, MONDAY + now * second)
