"""What does somebody reach who replays one spent token thousands of times?

The family is 300 generations long. Replayed after its window, the first replay ends it and the
others find it ended; replayed within the window, each is told that another tab was faster.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from benchmarks.databases import Session, seed, spent_cookie
from benchmarks.driver import Load
from benchmarks.rounds import Rounds, compare, measure, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import REFRESH, Running, a_stage

QUESTION = "replays"
GENERATIONS = 300
REPLAYED = 5  # the generation
PER_SECOND, SECONDS, ROUNDS = 1_000.0, 2.5, 4  # 10,000 replays beside the others
OTHERS, OTHERS_PER_SECOND = 32, 500.0
REFRESHES, AFTER, WITHIN = "refreshes", "after the window (401)", "within the window (409)"
QUIET, REPLAYS = "others alone", "others beside replays"
AS_MANY = "others beside as many refreshes"
CPU_BAR, P99_BAR = 2.0, 1.2  # issue 4


def run() -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        running = stage.serve("HS256", keep=256)
        after, within = _long_families(running.url)
        costs = [
            stage.refreshes(REFRESHES, _part(running, 0, 64)),
            stage.crowd(running, _replays(AFTER, running, after, 401)),
            stage.crowd(running, _replays(WITHIN, running, within, 409)),
        ]
        rounds = measure(stage.driver, costs, rounds=4, seconds=1.5)
        stage.driver.add(
            replace(_replays("replay", running, after, 401), clients=16, rate=PER_SECOND)
        )
        stage.refreshes("as many", _part(running, 64, 80), clients=16, rate=PER_SECOND)
        besides = {QUIET: (), REPLAYS: ("replay",), AS_MANY: ("as many",)}
        others = [
            replace(
                stage.refreshes(
                    name,
                    _part(running, 80 + OTHERS * number, 80 + OTHERS * (number + 1)),
                    clients=OTHERS,
                    rate=OTHERS_PER_SECOND,
                ),
                beside=beside,
            )
            for number, (name, beside) in enumerate(besides.items())
        ]
        return judge(rounds | measure(stage.driver, others, rounds=ROUNDS, seconds=SECONDS))


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into rows."""
    refresh = typical(rounds[REFRESHES], lambda one: one.cpu_us)
    rows = [
        Row(
            question=QUESTION,
            what=f"a replay {name}: CPU, of a refresh's",
            figure=f"{typical(rounds[name], lambda one: one.cpu_us):.0f} µs; "
            f"refresh {refresh:.0f} µs",
            ratio=compare(rounds[name], rounds[REFRESHES], lambda one: one.cpu_us),
            side=Bar.AT_MOST,
            bar=CPU_BAR,
        )
        for name in (AFTER, WITHIN)
    ]
    quiet = 1e3 * typical(rounds[QUIET], lambda one: one.p99)
    for name, bar in ((REPLAYS, P99_BAR), (AS_MANY, None)):
        p99 = 1e3 * typical(rounds[name], lambda one: one.p99)
        rows.append(
            Row(
                question=QUESTION,
                what=f"p99 of {name}, of that alone",
                figure=f"{p99:.1f} ms; alone {quiet:.1f} ms",
                ratio=compare(rounds[name], rounds[QUIET], lambda one: one.p99),
                side=Bar.AT_MOST,
                bar=bar,
            )
        )
    return rows


def _part(running: Running, start: int, end: int) -> Running:
    return replace(running, sessions=running.sessions[start:end])


def _long_families(url: str) -> tuple[Session, Session]:
    now = datetime.now(UTC)
    last = GENERATIONS - 1
    long = {"generation": GENERATIONS, "rotated_at": now, "nonce": b"n" * 16}
    settled = {"recoverable_from": last, "window_generation": last}
    [after] = seed(url, 1, columns=long | settled)
    # A window that stays open for the whole run.
    [within] = seed(url, 1, columns=long | {"window_started_at": now + timedelta(hours=1)})
    return after, within


def _replays(name: str, running: Running, session: Session, status: int) -> Load:
    return Load(
        name=name,
        port=running.server.port,
        path=REFRESH,
        cookies=[spent_cookie(session, REPLAYED)],
        status=status,
    )


if __name__ == "__main__":
    print(table(run()))
