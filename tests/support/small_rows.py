"""The row of a family, small enough to walk every history with the real rules.

A `Row` says everything as "how far behind": generations behind the current one, ages in steps of
half a grace. `Rows.present` turns it into a real `Family`, lets the real rules act, and turns the
result back. Two things keep the number of rows finite, and neither hides anything from the rules:

- Ages stop one step after the last bound that the rules compare them with (`OLD`).
- Generations are renumbered (`renumbered`): the rules compare them with each other and ask whether
  one is directly behind the current one, nothing else, so only order and that gap are kept.

A token is its generation: no family ever issues one number twice. A row's nonce names the token
that it opens for, which is what the derivation amounts to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple, Protocol

from batonpass import family as rules
from batonpass.family import Ending, Family, Presented, Ruling, Verdict
from batonpass.policy import Policy
from batonpass.refresh_tokens import NONCE_BYTES
from tests.support.families import GRACE, POLICY, T0, a_family

GRACE_STEPS = 2
STEP = GRACE / GRACE_STEPS
OLD = 2 * GRACE_STEPS + 1  # later than twice the grace: as old as the rules can tell
WINDOW_IS_OVER = GRACE_STEPS + 1
_TOP = 100  # the current generation, whenever a row becomes a `Family`


class Row(NamedTuple):
    """What the server keeps of a family; generations as "how many behind the current one"."""

    recoverable_from: int = 0
    rights_changed: bool = False
    opener: int | None = None
    window: int | None = None
    window_age: int = WINDOW_IS_OVER
    age: int = 0  # since the current token was made

    def later(self) -> "Row":
        """Let one step pass."""
        return self._replace(
            age=min(self.age + 1, OLD), window_age=min(self.window_age + 1, WINDOW_IS_OVER)
        )

    def renamed(self, names: dict[int, int]) -> "Row":
        """Renumber the generations."""
        return self._replace(
            recoverable_from=names[self.recoverable_from],
            opener=None if self.opener is None else names[self.opener],
            window=None if self.window is None else names[self.window],
        )

    def generations(self) -> Iterable[int]:
        """Every generation that the row speaks of."""
        return (
            behind
            for behind in (self.recoverable_from, self.opener, self.window)
            if behind is not None
        )


def renumbered(generations: Iterable[int]) -> dict[int, int]:
    """Give each generation the least number that keeps their order and who is directly behind."""
    names = {0: 0}
    for behind in sorted(set(generations) - {0}):
        names[behind] = max(names.values()) + 1 if len(names) > 1 else min(behind, 2)
    return names


class Outcome(NamedTuple):
    """A verdict, why the family ended, the row afterwards and by how much generations moved on."""

    verdict: Verdict
    ends: Ending | None
    row: Row
    advance: int

    @property
    def yields(self) -> bool:
        """Whether a token was answered: always the one that is then current."""
        return self.verdict in {Verdict.ROTATE, Verdict.REPEAT, Verdict.RECOVER}


class Rotate(Protocol):
    """The form of `family.rotate`."""

    def __call__(
        self, family: Family, successor: bytes, nonce: bytes, policy: Policy, now: datetime
    ) -> Family: ...


class Recover(Protocol):
    """The form of `family.recover`."""

    def __call__(
        self,
        family: Family,
        presented: Presented,
        successor: bytes,
        nonce: bytes,
        policy: Policy,
        now: datetime,
    ) -> Family: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules under test: the real ones, or a set in which a mistake was planted."""

    judge: Callable[[Family | None, Presented, Policy, datetime], Ruling] = rules.judge
    rotate: Rotate = rules.rotate
    recover: Recover = rules.recover
    change_rights: Callable[[Family, bytes, Policy, datetime], Family] = rules.change_rights
    settle: Callable[[Family], Family] = rules.settle
    steps_to_settle: int = 2 * GRACE_STEPS
    opened_by: Callable[[Row], int | None] = lambda row: row.opener


class Rows:
    """Answers for a `Row` what the rules say; each question is put to them once."""

    def __init__(self, under_test: Rules) -> None:
        """Ask these rules."""
        self._rules = under_test
        self.present = cache(self._present)
        self.change_rights = cache(self._change_rights)

    def _present(self, row: Row, behind: int) -> Outcome:
        """Present the token that is `behind` the current one."""
        family = _family(row)
        opener = self._rules.opened_by(row)
        presented = Presented(
            _TOP - behind,
            bytes([_TOP - behind]),
            None if opener is None else (family.token if opener == behind else b"another"),
        )
        ruling = self._rules.judge(family, presented, POLICY, T0)
        after, advance = family, 1
        successor, nonce = bytes([_TOP + 1]), bytes([_TOP - behind]) * NONCE_BYTES
        match ruling.verdict:
            case Verdict.ROTATE:
                after = self._rules.rotate(family, successor, nonce, POLICY, T0)
            case Verdict.RECOVER:
                after = self._rules.recover(family, presented, successor, nonce, POLICY, T0)
            case _:
                return Outcome(ruling.verdict, ruling.ends, row, 0)
        return Outcome(ruling.verdict, ruling.ends, _row(after), advance)

    def _change_rights(self, row: Row) -> Row:
        """Change the rights; generations move on by one."""
        return _row(self._rules.change_rights(_family(row), bytes([_TOP + 1]), POLICY, T0))

    def can_settle(self, age: int) -> bool:
        """Whether an access token of this age, seen now, settles its generation."""
        return age > self._rules.steps_to_settle

    def settle(self, row: Row) -> Row:
        """Note that the current token has reached its user."""
        return _row(self._rules.settle(_family(row)))


def _family(row: Row) -> Family:
    return a_family(
        token=bytes([_TOP]),
        nonce=None if row.opener is None else bytes([_TOP - row.opener]) * NONCE_BYTES,
        generation=_TOP,
        recoverable_from=_TOP - row.recoverable_from,
        rights_changed=row.rights_changed,
        window_generation=0 if row.window is None else _TOP - row.window,
        window_started_at=None if row.window is None else T0 - row.window_age * STEP,
        rotated_at=T0 - row.age * STEP,
    )


def _row(family: Family) -> Row:
    started_at = family.window_started_at
    return Row(
        recoverable_from=family.generation - family.recoverable_from,
        rights_changed=family.rights_changed,
        opener=None if family.nonce is None else family.generation - family.nonce[0],
        window=None if started_at is None else family.generation - family.window_generation,
        window_age=WINDOW_IS_OVER if started_at is None else (T0 - started_at) // STEP,
        age=(T0 - family.rotated_at) // STEP,
    )
