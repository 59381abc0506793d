"""How does a refresh grow with how many ask at once, and with a second worker?

Whoever waits shares the next commit, so what grows with the clients is the batch: sessions for each
transaction, by PostgreSQL's own count.
"""

from dataclasses import dataclass, replace
from itertools import islice

from benchmarks.rounds import Measurement, Rounds, compare, measure, run_round, typical
from benchmarks.rows import Row, table
from benchmarks.stage import CLIENTS, Running, Stage, a_stage

QUESTION = "scaling"
CROWDS = (1, 4, 16, 64, 256)
ROUNDS, SECONDS = 3, 2.0
ONE, TWO = "one worker", "two workers"
# The next transaction's number: only those that wrote something have taken one.
_TRANSACTIONS = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One crowd: its rounds, and how many sessions each transaction rotated."""

    rounds: list[Measurement]
    batch: float


def run() -> list[Row]:
    """Measure; there are no bars."""
    with a_stage() as stage:
        one = stage.serve(keep=sum(CROWDS) + CLIENTS)
        unused = iter(one.sessions)  # whoever refreshes a session leaves nothing to others
        crowds = {
            clients: _crowd(stage, replace(one, sessions=list(islice(unused, clients))), clients)
            for clients in CROWDS
        }
        one = replace(one, sessions=list(unused))
        two = stage.serve(workers=2)
        workers = measure(
            stage.driver,
            [stage.refreshes(ONE, one), stage.refreshes(TWO, two)],
            rounds=ROUNDS,
            seconds=SECONDS,
        )
    return judge(crowds, workers)


def judge(crowds: dict[int, Found], workers: Rounds) -> list[Row]:
    """Turn what was found into rows."""
    rows = [
        Row(
            question=QUESTION,
            what=f"{clients} at once",
            figure=f"{_speed(found.rounds)}, {found.batch:.0f} sessions a transaction",
        )
        for clients, found in crowds.items()
    ]
    rows.append(
        Row(
            question=QUESTION,
            what=f"{TWO}, {CLIENTS} at once: requests/s, of one's",
            figure=f"{_speed(workers[TWO])}; one: {_speed(workers[ONE])}",
            ratio=compare(workers[TWO], workers[ONE], lambda one: one.rate),
        )
    )
    return rows


def _crowd(stage: Stage, running: Running, clients: int) -> Found:
    variant = stage.refreshes(f"{clients} at once", running, clients=clients)
    run_round(stage.driver, variant, SECONDS / 2)
    before = int(stage.postgres.ask(_TRANSACTIONS, running.url))
    rounds = [run_round(stage.driver, variant, SECONDS) for _ in range(ROUNDS)]
    transactions = int(stage.postgres.ask(_TRANSACTIONS, running.url)) - before
    return Found(rounds=rounds, batch=sum(one.requests for one in rounds) / transactions)


def _speed(rounds: list[Measurement]) -> str:
    rate, cpu = typical(rounds, lambda one: one.rate), typical(rounds, lambda one: one.cpu_us)
    p50 = 1e3 * typical(rounds, lambda one: one.p50)
    return f"{rate:,.0f}/s, {cpu:.0f} µs, p50 {p50:.1f} ms"


if __name__ == "__main__":
    print(table(run()))
