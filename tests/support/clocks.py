"""A clock that tests move."""

from datetime import datetime, timedelta

from batonpass.clock import Clock as RealClock
from tests.support.families import T0


class Clock(RealClock):
    """Stands still until a test moves it; every process of a test shares one.

    It keeps the contract of the real one but for `follow`: the database beside it lives in another
    time, and a poll must not bring the test back to it.
    """

    def __init__(self, now: datetime = T0) -> None:
        """Stand at `now`."""
        super().__init__()
        self._now = now

    def advance(self, by: timedelta) -> datetime:
        """Let time pass, and return what it is then."""
        self._now += by
        return self._now

    def now(self) -> datetime:
        """Return the time to which the test has moved."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that move with `advance`."""
        return (self._now - T0).total_seconds()

    def follow(self, database_now: datetime) -> datetime:  # noqa: ARG002 - it is not followed
        """Stay where the test has moved to."""
        return self._now
