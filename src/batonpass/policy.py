"""The numbers an operator may choose, and what they mean. Nothing is asked for or read here."""

from dataclasses import dataclass
from datetime import datetime, timedelta

ACCESS_TOKEN_EXPIRE_MINUTES = 30
REFRESH_TOKEN_EXPIRE_DAYS = 7  # idle limit: each rotation renews it
SESSION_MAX_DAYS = 30  # NIST SP 800-63B-4 §2.1.3 (AAL1): log in again at least every 30 days
REFRESH_GRACE_SECONDS = 30  # Chromium writes its cookie jar every ~30 s
SESSIONS_PER_USER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long things last.

    Attributes:
        access_token_lifetime: An access token's `exp` minus `iat`.
        idle_limit: A family that nobody refreshed for this long is over.
        absolute_limit: A family is over this long after its login, rotations or not.
        grace: How long the token spent last is still answered with the same successor. Zero is
            strict: every spent token ends its family.
        sessions_per_user: Live families a user may have; the oldest ends.
        history: How long each single rotation is kept for the lineage picture; zero: not at all.
        not_before: Families begun before this moment are over, everybody's (a restored backup).
    """

    access_token_lifetime: timedelta = timedelta(minutes=ACCESS_TOKEN_EXPIRE_MINUTES)
    idle_limit: timedelta = timedelta(days=REFRESH_TOKEN_EXPIRE_DAYS)
    absolute_limit: timedelta = timedelta(days=SESSION_MAX_DAYS)
    grace: timedelta = timedelta(seconds=REFRESH_GRACE_SECONDS)
    sessions_per_user: int = SESSIONS_PER_USER
    history: timedelta = timedelta(0)
    not_before: datetime | None = None

    @property
    def recovers(self) -> bool:
        """Whether a spent token may ever be answered: not where grace is zero (strict)."""
        return self.grace > timedelta(0)

    def in_grace(self, since: datetime | None, at: datetime) -> bool:
        """Whether `at` is at most one grace after `since`; earlier than `since` is in time."""
        return self.recovers and since is not None and at - since <= self.grace

    def has_settled(self, since: datetime, at: datetime) -> bool:
        """Whether what was answered at `since` has reached the user's disk by `at`.

        Twice the grace: one for the browser's jar, one for an answer that was on its way.
        """
        return at - since > 2 * self.grace
