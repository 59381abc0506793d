"""The only place that asks for the time.

Everything else takes `now` as a parameter, so a test moves time instead of waiting for it. All
times are timezone-aware UTC.
"""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time: this machine's, or the database's once `follow` has heard it.

    Several processes share one database, so its clock is the one by which grace is judged: a node
    whose own clock is an hour off then still decides as its neighbours do.
    """

    def __init__(self) -> None:
        """Start on this machine's clock."""
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        """Return seconds that never jump: for measuring how long something took, nothing else."""
        return time.monotonic()

    def follow(self, database_now: datetime) -> datetime:
        """Take over the database's time, as read a moment ago, and return what `now` says by it."""
        self._offset = database_now - datetime.now(UTC)
        return self.now()
