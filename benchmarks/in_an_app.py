"""What does a refresh cost inside an app, beside an empty route of that very app?

CORS middleware, 40 routes, the app's own SQLAlchemy engine, `auth.install(app)`.
"""

from benchmarks.rounds import Rounds, compare, measure, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "in_an_app"
ALGORITHMS = ("HS256", "ES256")
BAR = 2.0  # issue 4: CPU, of the empty route's


def run() -> list[Row]:
    """Measure, and hold against the bar."""
    rounds: Rounds = {}
    with a_stage() as stage:
        for algorithm in ALGORITHMS:
            running = stage.serve_app(algorithm)
            variants = [
                stage.empties(_empty(algorithm), running.server, running),
                stage.refreshes(algorithm, running),
            ]
            rounds |= measure(stage.driver, variants, rounds=4)
    return judge(rounds)


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into rows."""
    rows: list[Row] = []
    for algorithm in ALGORITHMS:
        empty, found = rounds[_empty(algorithm)], rounds[algorithm]
        server = typical(found, lambda one: one.server_us)
        database = typical(found, lambda one: one.database_us)
        nothing = typical(empty, lambda one: one.server_us)
        rows.append(
            Row(
                question=QUESTION,
                what=f"{algorithm}: CPU, of the app's empty route's",
                figure=f"{server:.0f} + {database:.0f} µs; empty {nothing:.0f} µs",
                ratio=compare(found, empty, lambda one: one.cpu_us),
                side=Bar.AT_MOST,
                bar=BAR,
            )
        )
    return rows


def _empty(algorithm: str) -> str:
    return f"empty beside {algorithm}"


if __name__ == "__main__":
    print(table(run()))
