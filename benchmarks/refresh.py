"""What does a durable refresh cost, beside an empty FastAPI route?

64 clients that chain their newest token, one worker, all variants by turns in one run.
"""

from benchmarks.rounds import Rounds, compare, measure, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "refresh"
EMPTY = "empty FastAPI route"
HS256, ES256, SQLITE = "HS256", "ES256", "HS256 on SQLite"

# issue 4: requests/s at least, CPU at most, of the empty route's
RATE_BARS = {HS256: 1.0, ES256: 0.7, SQLITE: 0.7}
CPU_BARS = {HS256: 1.0, ES256: 1.4}


def run() -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        running = {
            HS256: stage.serve("HS256"),
            ES256: stage.serve("ES256"),
            SQLITE: stage.serve("HS256", on_sqlite=True),
        }
        empty = stage.serve_alone("empty")
        variants = [
            stage.empties(EMPTY, empty, running[HS256]),
            *(stage.refreshes(name, one) for name, one in running.items()),
        ]
        return judge(measure(stage.driver, variants))


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into rows."""
    empty = rounds[EMPTY]
    rows = [
        Row(
            question=QUESTION,
            what=EMPTY,
            figure=f"{typical(empty, lambda one: one.rate):,.0f}/s, "
            f"{typical(empty, lambda one: one.cpu_us):.0f} µs CPU, "
            f"driver {typical(empty, lambda one: one.driver_us):.0f} µs",
        )
    ]
    for name, bar in RATE_BARS.items():
        found = rounds[name]
        rate = typical(found, lambda one: one.rate)
        p50 = 1e3 * typical(found, lambda one: one.p50)
        p99 = 1e3 * typical(found, lambda one: one.p99)
        rows.append(
            Row(
                question=QUESTION,
                what=f"{name}: requests/s, of the empty route's",
                figure=f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                ratio=compare(found, empty, lambda one: one.rate),
                side=Bar.AT_LEAST,
                bar=bar,
            )
        )
    for name in RATE_BARS:
        found = rounds[name]
        server = typical(found, lambda one: one.server_us)
        database = typical(found, lambda one: one.database_us)
        rows.append(
            Row(
                question=QUESTION,
                what=f"{name}: CPU, of the empty route's",
                figure=f"{server:.0f} + {database:.0f} µs (server + PostgreSQL)",
                ratio=compare(found, empty, lambda one: one.cpu_us),
                side=Bar.AT_MOST,
                bar=CPU_BARS.get(name),
            )
        )
    return rows


if __name__ == "__main__":
    print(table(run()))
