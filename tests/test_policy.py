"""What the operator's numbers mean, at their bounds."""

from datetime import datetime, timedelta

import pytest

from batonpass.policy import Policy
from tests.support.families import GRACE, POLICY, STRICT, T0, TICK

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("policy", "since", "at", "in_grace"), [
    pytest.param(POLICY, T0,   T0,                True,  id="at once"),
    pytest.param(POLICY, T0,   T0 + GRACE,        True,  id="until grace ends, inclusive"),
    pytest.param(POLICY, T0,   T0 + GRACE + TICK, False, id="not a tick later"),
    pytest.param(POLICY, T0,   T0 - HOUR,         True,  id="earlier is in time"),
    pytest.param(POLICY, None, T0,                False, id="no window, no grace"),
    pytest.param(STRICT, T0,   T0,                False, id="grace zero: not even at once"),
    pytest.param(STRICT, T0,   T0 - HOUR,         False, id="grace zero: whatever the clock says"),
])  # fmt: skip
def test_in_grace(policy: Policy, since: datetime | None, at: datetime, in_grace: bool) -> None:
    assert policy.in_grace(since, at) is in_grace


@pytest.mark.parametrize(("policy", "at", "settled"), [
    pytest.param(POLICY, T0,                    False, id="not at once"),
    pytest.param(POLICY, T0 + 2 * GRACE,        False, id="not yet at twice the grace"),
    pytest.param(POLICY, T0 + 2 * GRACE + TICK, True,  id="a tick later"),
    pytest.param(POLICY, T0 - HOUR,             False, id="earlier proves nothing"),
])  # fmt: skip
def test_has_settled(policy: Policy, at: datetime, settled: bool) -> None:
    assert policy.has_settled(T0, at) is settled


def test_only_a_grace_recovers() -> None:
    assert POLICY.recovers
    assert Policy(grace=TICK).recovers
    assert not STRICT.recovers


def test_the_defaults_are_the_ones_that_are_documented() -> None:
    defaults = Policy()

    assert defaults == Policy(
        access_token_lifetime=timedelta(minutes=30),
        idle_limit=timedelta(days=7),
        absolute_limit=timedelta(days=30),
        grace=timedelta(seconds=30),
        sessions_per_user=100,
        history=timedelta(0),
        not_before=None,
    )
