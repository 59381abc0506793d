"""The rule table of docs/security.md is what `judge` does: the same verdicts, in the same order.

Each row's condition is read here once more, from the row's own words and not from family.py. Over
every combination of what the rules look at, the first row that applies must name the verdict, and
the reason of the ending, that `judge` gives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from batonpass.errors import BatonpassError, RefreshTokenRevokedError
from batonpass.family import Ending, Family, Presented, Verdict, judge
from batonpass.policy import Policy
from batonpass.refusals import REFUSALS
from tests.docs.pages import DOCS, table_under
from tests.support.families import (
    BEGAN,
    GRACE,
    IDLE,
    POLICY,
    STRICT,
    T0,
    TICK,
    a_family,
    the_token,
    token_digest,
)

SECURITY = DOCS / "security.md"


@dataclass(frozen=True)
class Case:
    """A token as it is presented, and the row that it meets."""

    family: Family | None
    presented: Presented
    policy: Policy
    arrived: datetime

    def within_grace_of(self, moment: datetime | None) -> bool:
        grace = self.policy.grace
        return grace > timedelta(0) and moment is not None and self.arrived <= moment + grace

    @property
    def opens(self) -> bool:
        assert self.family is not None
        return self.presented.candidate_digest == self.family.token


# What each row says of the token, read from the row's own words. The first row is decided before
# there is a `Presented` at all (`refresh_tokens.decode`), so no case here meets it.
CONDITIONS: dict[str, Callable[[Case, Family], bool]] = {
    "its family has ended, or began before `not_before`": lambda case, family: (
        family.ended_at is not None
        or (case.policy.not_before is not None and case.policy.not_before > BEGAN)
    ),
    "the app says that its user is not active (`active=`)": lambda _, family: (
        not family.user_is_active
    ),
    "it arrived at the idle limit or later, or at the absolute limit or later": (
        lambda case, family: case.arrived >= min(family.rotated_at + IDLE, family.expires_at)
    ),
    "it is the current one": lambda case, family: case.presented.digest == family.token,
    "it is not the current one, yet its generation is the row's or higher": (
        lambda case, family: case.presented.generation >= family.generation
    ),
    "it opens the row, and arrived within grace of `rotated_at`": lambda case, family: (
        case.opens and case.within_grace_of(family.rotated_at)
    ),
    "it lies in the open window": lambda case, family: (
        case.presented.generation >= family.window_generation
        and case.within_grace_of(family.window_started_at)
    ),
    "a rights change marks the row": lambda _, family: family.rights_changed,
    "it opens the row, or its generation is `recoverable_from` or higher; and grace is not zero": (
        lambda case, family: (
            (case.opens or case.presented.generation >= family.recoverable_from)
            and case.policy.grace > timedelta(0)
        )
    ),
    "it is any other spent one": lambda *_: True,
}
MALFORMED = (
    "it is malformed, its MAC is wrong, or it came by the wrong transport: no database is asked"
)
UNKNOWN = "its family is unknown"


def rules() -> list[dict[str, str]]:
    """Read the table "The rules"."""
    return table_under(SECURITY, "The rules", first_column="#")


def verdict_of(case: Case) -> tuple[str, str]:
    """Look a case up in the page: the first row that applies, its verdict and its ending."""
    for row in rules():
        words = row["presented"]
        if words == MALFORMED:
            continue
        applies = (
            case.family is None
            if words == UNKNOWN
            else case.family is not None and CONDITIONS[words](case, case.family)
        )
        if applies:
            return row["verdict"].strip("`"), row["ends as"].strip("`")
    pytest.fail("no row applies")


def cases() -> Iterator[Case]:
    """Combine everything that the rules look at, at its bounds."""
    ended = a_family(ended_at=T0, ended_reason=Ending.LOGOUT)
    absolute = a_family(expires_at=T0 + GRACE)
    disabled = [replace(one, user_is_active=False) for one in (a_family(), ended, absolute)]
    families = [
        a_family(
            recoverable_from=recoverable_from,
            window_generation=window_generation,
            window_started_at=window_started_at,
            rights_changed=rights_changed,
        )
        for recoverable_from, window_generation, window_started_at, rights_changed in product(
            (4, 6, 7), (5, 7), (None, T0 - GRACE, T0), (False, True)
        )
    ]
    arrivals = (T0 - TICK, T0, T0 + GRACE, T0 + GRACE + TICK, T0 + IDLE - TICK, T0 + IDLE)
    policies = (
        POLICY,
        STRICT,
        replace(POLICY, not_before=BEGAN),
        replace(POLICY, not_before=BEGAN + timedelta(hours=1)),
    )
    for policy, arrived, generation in product(policies, arrivals, range(3, 9)):
        forged = Presented(generation, token_digest(99), None)
        for family in (*families, ended, absolute, *disabled):
            for opens in (None, 7, 99):
                yield Case(family, the_token(generation=generation, opens=opens), policy, arrived)
            yield Case(family, forged, policy, arrived)
        yield Case(None, the_token(generation=generation), policy, arrived)


def test_the_table_and_judge_agree_on_every_case() -> None:
    disagreements = []
    met = set()

    for case in cases():
        ruling = judge(case.family, case.presented, case.policy, case.arrived)
        decided = (ruling.verdict.value, "–" if ruling.ends is None else ruling.ends.value)
        met.add(decided)
        if verdict_of(case) != decided:
            disagreements.append((case, verdict_of(case), decided))

    assert not disagreements, disagreements[:3]
    written = {(row["verdict"].strip("`"), row["ends as"].strip("`")) for row in rules()}
    assert written - met == {("invalid", "–")}  # decided before there is a family


def test_the_table_names_every_verdict_and_reads_from_top_to_bottom() -> None:
    rows = rules()

    assert {row["verdict"].strip("`") for row in rows} == set(Verdict)
    assert [row["#"] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert [row["presented"] for row in rows] == [MALFORMED, UNKNOWN, *CONDITIONS]


def test_the_client_hears_the_status_and_code_that_the_page_says() -> None:
    heard = {}
    for row in table_under(SECURITY, "The rules", first_column="verdict"):
        for verdict in row["verdict"].split(", "):
            heard[verdict.strip("`")] = (row["status"], row["code"].split(",")[0].strip("`"))

    answered = {Verdict.ROTATE, Verdict.REPEAT, Verdict.RECOVER}
    refused: dict[Verdict, type[BatonpassError]] = {
        **REFUSALS,
        Verdict.REVOKED: RefreshTokenRevokedError,
    }
    assert heard == {
        **{verdict.value: ("200", "") for verdict in answered},
        **{verdict.value: (str(error.status), error.code) for verdict, error in refused.items()},
    }
