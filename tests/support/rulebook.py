"""The family rules once more, read from the page alone: what the product is held against.

Written without `batonpass.family`: numbers for secrets, seconds for times. It knows no limits, keys
or rows, and plays one request at a time.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple


class Page(NamedTuple):
    """A token: its generation and a number that stands for its secret."""

    generation: int
    secret: int


class Told(NamedTuple):
    """A verdict, and the token that is answered."""

    verdict: str
    page: Page | None = None


FIRST = Page(0, 0)


@dataclass
class Book:
    """One family."""

    grace: float
    current: Page = FIRST
    opener: int | None = None
    recoverable_from: int = 0
    rights_changed: bool = False
    window_generation: int = 0
    window_started_at: float = float("-inf")
    rotated_at: float = 0.0
    ended: str | None = None
    alarms: int = 0
    issued: int = 1

    def copy(self) -> "Book":
        """Return the family as it is now, to be played on separately."""
        return deepcopy(self)

    def present(self, page: Page, at: float) -> Told:
        """Judge a token, and do what follows."""
        verdict = self.judge(page, at)
        if verdict == "rotate":
            self._rotate(page, at)
        elif verdict == "recover":
            self._recover(page, at)
        elif verdict in ("reused", "forked", "rights_changed"):
            self.ended = verdict
            self.alarms += verdict == "reused"
        shown = verdict if verdict not in ("forked", "rights_changed") else "revoked"
        answered = verdict in ("rotate", "repeat", "recover")
        return Told(shown, self.current if answered else None)

    def judge(self, page: Page, at: float) -> str:
        """Say what a token means, row by row."""
        opens = self.opener is not None and page.secret == self.opener
        rows = [
            ("revoked", self.ended is not None),
            ("rotate", page.secret == self.current.secret),
            ("forked", page.generation >= self.current.generation),
            ("repeat", opens and at - self.rotated_at <= self.grace),
            (
                "superseded",
                page.generation >= self.window_generation
                and at - self.window_started_at <= self.grace,
            ),
            ("rights_changed", self.rights_changed),
            ("recover", opens or page.generation >= self.recoverable_from),
        ]
        return next((verdict for verdict, applies in rows if applies), "reused")

    def change_rights(self, at: float) -> Page:
        """The password was changed: nobody opens the new row."""
        if at - self.window_started_at > self.grace:
            self.window_generation = self.current.generation
        self.window_started_at = at
        self._advance(None, at)
        self.recoverable_from = self.current.generation
        self.rights_changed = True
        return self.current

    def settle(self, generation: int) -> None:
        """An access token of the generation was seen late enough."""
        if self.ended is None and generation == self.current.generation:
            self.recoverable_from = generation
            self.opener = None
            self.rights_changed = False

    def _rotate(self, page: Page, at: float) -> None:
        if at - self.rotated_at > 2 * self.grace:
            self.recoverable_from = page.generation
        if at - self.window_started_at > self.grace:
            self.recoverable_from = max(self.recoverable_from, self.window_generation)
            lower = self.recoverable_from < page.generation
            self.window_generation = page.generation - 1 if lower else page.generation
            self.window_started_at = at
        self._advance(page.secret, at)

    def _recover(self, page: Page, at: float) -> None:
        again = page.secret == self.opener and self.current.generation - page.generation >= 2
        self.window_generation = self.current.generation if again else page.generation
        self.window_started_at = at
        self._advance(page.secret, at)
        self.recoverable_from = self.current.generation

    def _advance(self, opener: int | None, at: float) -> None:
        self.current = Page(self.current.generation + 1, self.issued)
        self.issued += 1
        self.opener, self.rotated_at, self.rights_changed = opener, at, False
