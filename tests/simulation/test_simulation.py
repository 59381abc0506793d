"""The bars of the table in docs/security.md, with fewer users than `python -m tests.simulation`."""

import pytest

from tests.simulation.rules import GraceOnly, Ours, ParentAccepted, Server, Strict
from tests.simulation.world import HOUR, Faults, hunt, logged_out

USERS = 120
FEW = Faults(lost=0.001, stalled=0.001)
MANY = Faults(lost=0.005, stalled=0.005)


@pytest.mark.parametrize("faults", [FEW, MANY])
def test_our_rules_log_nobody_out(faults: Faults) -> None:
    assert logged_out(Ours, faults, USERS, looks=True) == 0.0


@pytest.mark.parametrize(("rule", "faults", "at_least"), [
    pytest.param(Strict,         FEW,  0.50, id="strict"),
    pytest.param(Strict,         MANY, 0.95, id="strict, many faults"),
    pytest.param(GraceOnly,      FEW,  0.25, id="a grace"),
    pytest.param(GraceOnly,      MANY, 0.75, id="a grace, many faults"),
    pytest.param(ParentAccepted, MANY, 0.04, id="the parent accepted, many faults"),
])  # fmt: skip
def test_other_rules_log_users_out(rule: type[Server], faults: Faults, at_least: float) -> None:
    assert logged_out(rule, faults, USERS, looks=True) >= at_least


def test_a_client_that_never_looks_at_its_cookie_gives_the_guarantee_away() -> None:
    """A late answer puts the jar back; what an access token settled meanwhile then looks stolen."""
    assert logged_out(Ours, MANY, USERS // 4, looks=False) > 0.0


@pytest.mark.parametrize("rule", [Strict, GraceOnly, ParentAccepted, Ours])
def test_every_thief_who_copied_the_jar_once_is_found(rule: type[Server]) -> None:
    result = hunt(rule, USERS)

    assert len(result.found_after) == result.came
    assert result.came > 0.9 * USERS
    assert sorted(result.found_after)[USERS // 2] < HOUR


def test_the_same_world_is_drawn_each_time() -> None:
    assert logged_out(GraceOnly, FEW, 20, looks=True) == logged_out(GraceOnly, FEW, 20, looks=True)
    assert hunt(Ours, 5) == hunt(Ours, 5)
