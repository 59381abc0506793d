"""How does a refresh grow with the number of live sessions: 1,000,000 against 10,000?

The rotations are scattered over the whole table.
"""

import random
from dataclasses import replace

from benchmarks.rounds import Rounds, compare, measure, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "growth"
FEW, MANY = 10_000, 1_000_000
USED = 50_000  # of the many: more than a run comes to
RATE_BAR, P99_BAR = 0.85, 1.5  # issue 4


def run(few: int = FEW, many: int = MANY) -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        variants = []
        for count in (few, many):
            running = stage.serve("HS256", sessions=count, keep=min(USED, count))
            # In the order of their ids all clients would walk from page to page together.
            shuffled = random.sample(running.sessions, len(running.sessions))
            variants.append(stage.refreshes(_name(count), replace(running, sessions=shuffled)))
        return judge(measure(stage.driver, variants), few, many)


def judge(rounds: Rounds, few: int = FEW, many: int = MANY) -> list[Row]:
    """Turn the rounds into rows."""
    small, large = rounds[_name(few)], rounds[_name(many)]
    rates = [typical(one, lambda round_: round_.rate) for one in (large, small)]
    cpu = [typical(one, lambda round_: round_.cpu_us) for one in (large, small)]
    p99 = [1e3 * typical(one, lambda round_: round_.p99) for one in (large, small)]
    return [
        Row(
            question=QUESTION,
            what=f"requests/s at {_name(many)}, of those at {few:,}",
            figure=f"{rates[0]:,.0f} / {rates[1]:,.0f} a second, {cpu[0]:.0f} / {cpu[1]:.0f} µs",
            ratio=compare(large, small, lambda one: one.rate),
            side=Bar.AT_LEAST,
            bar=RATE_BAR,
        ),
        Row(
            question=QUESTION,
            what=f"p99 at {_name(many)}, of that at {few:,}",
            figure=f"{p99[0]:.1f} / {p99[1]:.1f} ms",
            ratio=compare(large, small, lambda one: one.p99),
            side=Bar.AT_MOST,
            bar=P99_BAR,
        ),
    ]


def _name(count: int) -> str:
    return f"{count:,} live sessions"


if __name__ == "__main__":
    print(table(run()))
