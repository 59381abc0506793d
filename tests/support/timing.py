"""Whether two pieces of work can be told apart by the CPU time they take.

Source: Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?" (2017): Welch's t between
two classes that are measured in random order, without the slowest measurements.
"""

import math
import random
from collections.abc import Sequence
from statistics import fmean, variance

TELLS_APART = 4.5  # |t| from here on happens once in 150,000 times between equal ones
_KEPT = 0.9  # of each class: what is slower met an interrupt


def in_random_order(*rounds_of: int) -> list[int]:
    """Return the numbers of classes, each as often as asked, in an order that repeats itself."""
    order = [number for number, rounds in enumerate(rounds_of) for _ in range(rounds)]
    random.Random(7).shuffle(order)  # noqa: S311 - an order, no secret
    return order


def welch_t(first: Sequence[float], second: Sequence[float]) -> float:
    """Compute Welch's t of two classes, less what is slower than nine tenths of both together."""
    limit = sorted([*first, *second])[int(_KEPT * (len(first) + len(second)))]
    one, other = ([took for took in times if took <= limit] for times in (first, second))
    spread = variance(one) / len(one) + variance(other) / len(other)
    return (fmean(one) - fmean(other)) / math.sqrt(spread)
