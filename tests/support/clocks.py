"""A clock that tests move, counted from T0 as everything here is."""

from datetime import datetime

from batonpass.testing import MovableClock
from tests.support.families import T0


class Clock(MovableClock):
    """Stands at T0 until a test moves it; every process of a test shares one."""

    def __init__(self, now: datetime = T0) -> None:
        """Stand at `now`."""
        super().__init__(now)
