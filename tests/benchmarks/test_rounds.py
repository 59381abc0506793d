"""Rounds that are compared, and the CPU that is counted."""

import os
import subprocess
import sys

import psutil
import pytest

from benchmarks.rounds import compare, cpu_seconds, typical
from tests.benchmarks.measurements import measured


def test_the_typical_round_is_the_median_which_one_disturbed_round_does_not_move() -> None:
    rounds = [measured(rate=100), measured(rate=3), measured(rate=102)]

    assert typical(rounds, lambda one: one.rate) == 100


def test_rounds_are_compared_in_pairs_so_a_machine_that_slows_down_does_not_decide() -> None:
    ours = [measured(rate=80), measured(rate=40), measured(rate=20)]
    theirs = [measured(rate=100), measured(rate=50), measured(rate=25)]

    assert compare(ours, theirs, lambda one: one.rate) == 0.8


def test_unequally_many_rounds_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="longer"):
        compare([measured()], [measured(), measured()], lambda one: one.rate)


def test_what_a_child_spent_is_still_counted_when_it_has_ended() -> None:
    before = cpu_seconds(psutil.Process(os.getpid()))

    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)

    assert cpu_seconds(psutil.Process(os.getpid())) - before > 0.02
