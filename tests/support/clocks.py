"""A clock that tests move, counted from T0 as everything here is."""

from datetime import datetime, timedelta

from batonpass.testing import MovableClock
from tests.support.families import T0


class Clock(MovableClock):
    """Stands at T0 until a test moves it; every process of a test shares one."""

    def __init__(self, now: datetime = T0) -> None:
        """Stand at `now`."""
        super().__init__(now)

    def jump(self, by: timedelta) -> datetime:
        """Be set wrong, or right again: no time passes, and `monotonic` knows nothing of it."""
        self._began += by
        return self.advance(by)
