"""A second reading of the rules, for `family.py` to be held against. It shares no code with it.

Written from the page in docs/security.md, sentence by sentence, and slow to be plain: it remembers
who opened what as a name, where the product derives and compares hashes. Where the two differ, the
page decides which one is wrong.

Source: docs/security.md, "The rules".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONG_AGO = timedelta(days=36500)


@dataclass(frozen=True, slots=True)
class Said:
    """The verdict's word, why the family ended, and the token that is answered, by name."""

    verdict: str
    ends: str | None = None
    token: str | None = None


class ReferenceFamily:
    """One family; tokens are names like "3:17", generation and a count."""

    def __init__(
        self,
        *,
        at: datetime,
        grace: timedelta,
        idle: timedelta,
        absolute: timedelta,
        not_before: datetime | None,
    ) -> None:
        """Log in at `at`."""
        self.grace, self.idle, self.not_before = grace, idle, not_before
        self.began = at.replace(microsecond=at.microsecond // 1000 * 1000)  # its id's precision
        self.absolute_end = at + absolute
        self.names = 0
        self.generation = 0
        self.current = self.name()
        self.opened_by: str | None = None
        self.recoverable_from = 0
        self.marked = False
        self.window_generation = 0
        self.window_started_at = at - LONG_AGO  # no window
        self.rotated_at = at
        self.shown_at = at
        self.ended: str | None = None

    def name(self) -> str:
        self.names += 1
        return f"{self.generation}:{self.names}"

    def open_window(self, at: datetime) -> bool:
        return at - self.window_started_at <= self.grace

    def means(self, token: str, arrived: datetime) -> Said:
        """Read the table from the top; the first row that applies."""
        number = int(token.partition(":")[0])
        strict = self.grace == timedelta(0)
        opens_the_row = token == self.opened_by
        over = arrived >= self.rotated_at + self.idle or arrived >= self.absolute_end
        before = self.not_before is not None and self.began < self.not_before
        table = [
            (self.ended is not None or before, Said("revoked")),
            (over, Said("expired", "expired")),
            (token == self.current, Said("rotate")),
            (number >= self.generation, Said("revoked", "forked")),
            (
                opens_the_row and not strict and arrived - self.rotated_at <= self.grace,
                Said("repeat", None, self.current),
            ),
            (
                number >= self.window_generation and not strict and self.open_window(arrived),
                Said("superseded"),
            ),
            (self.marked, Said("revoked", "rights_changed")),
            (
                not strict and (opens_the_row or number >= self.recoverable_from),
                Said("recover"),
            ),
            (True, Said("reused", "reused")),
        ]
        return next(said for applies, said in table if applies)

    def present(self, token: str, arrived: datetime, now: datetime) -> Said:
        said = self.means(token, arrived)
        if said.ends:
            self.ended = said.ends
        if said.verdict == "rotate":
            self.rotate(now)
        if said.verdict == "recover":
            self.recover(token, now)
        if said.verdict in ("rotate", "recover"):
            return Said(said.verdict, None, self.current)
        return said

    def rotate(self, now: datetime) -> None:
        presented, number = self.current, self.generation
        # "A rotation later than 2 x grace after rotated_at settles the generation that it
        # presents, before anything else."
        if now > self.rotated_at + 2 * self.grace:
            self.recoverable_from = number
        # "A rotation that finds the window over first raises recoverable_from to at least the
        # old window_generation, then opens one at the presented generation, one lower where
        # recoverable_from is now still below the presented generation."
        if not self.open_window(now):
            self.recoverable_from = max(self.recoverable_from, self.window_generation)
            self.window_generation = number
            if self.recoverable_from < number:
                self.window_generation -= 1
            self.window_started_at = now
        self.move_on(presented, now)

    def recover(self, token: str, now: datetime) -> None:
        number = int(token.partition(":")[0])
        # "A recover opens one at the presented generation; if the same token recovers again (it
        # opens the row and is >= 2 behind), at the withdrawn one."
        again = token == self.opened_by and number <= self.generation - 2
        self.window_generation = self.generation if again else number
        self.window_started_at = now
        self.move_on(token, now)
        # Every recover withdraws what came after: only its own token counts from now on.
        self.recoverable_from = self.generation

    def change_rights(self, now: datetime) -> str:
        # "the window restarts, at an open window's generation, else at the one left behind"
        if not self.open_window(now):
            self.window_generation = self.generation
        self.window_started_at = now
        self.move_on(None, now)
        self.recoverable_from = self.generation
        self.marked = True
        return self.current

    def seen(self, number: int, issued_at: datetime, at: datetime) -> None:
        # "Settled: an access token of it was seen later than 2 x grace after its own iat"; "only
        # where the generation is still the one seen"
        if self.ended is None and number == self.generation and at > issued_at + 2 * self.grace:
            self.recoverable_from = number
            self.opened_by = None
            self.marked = False

    def move_on(self, opened_by: str | None, now: datetime) -> None:
        # Shown is the last rotation that was older than grace when the next one came.
        if self.grace == timedelta(0) or now - self.rotated_at > self.grace:
            self.shown_at = self.rotated_at
        self.generation += 1
        self.current = self.name()
        self.opened_by = opened_by
        self.rotated_at = now
        self.marked = False
