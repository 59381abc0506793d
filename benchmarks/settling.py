"""What does settling add to a protected request?

Each request brings the token of another session, at a steady pace. Half of them were issued longer
than twice the grace ago, so each is noted and its row is written; the others prove nothing yet.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from benchmarks.databases import access_tokens
from benchmarks.driver import Load
from benchmarks.rounds import Measurement, compare, run_round, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "settling"
ROUNDS = 4
SECONDS = 3.0
PER_SECOND = 1_000.0
SESSIONS = 30_000
OLD, YOUNG, REFRESH = "token that settles", "token too young to settle", "refresh"
_HEARTBEAT_SECONDS = 1.2  # a little more than it
_PATIENCE = 15  # heartbeats, on a busy machine
_SETTLED = "SELECT count(*) FROM refresh_tokens WHERE recoverable_from = 1"
CPU_BAR = 0.3  # issue 4: of a refresh's CPU
LATENCY_BAR = 1.1  # "no latency": p50 as without, but for what two equal rounds differ by


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured, and how many rows had settled for how many requests."""

    old: list[Measurement]
    young: list[Measurement]
    refresh: list[Measurement]
    settled: int


def run() -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        running = stage.serve_app(
            "ES256",
            sessions=SESSIONS,
            keep=None,
            columns={"generation": 1, "nonce": secrets.token_bytes(16)},
        )
        # Every second one: neither kind has the warmer half of the table.
        kinds = {
            OLD: access_tokens(running.sessions[::2], "ES256", age=timedelta(minutes=5)),
            YOUNG: access_tokens(running.sessions[1::2], "ES256"),
        }
        variants = {
            name: stage.crowd(
                running,
                Load(
                    name=name,
                    port=running.server.port,
                    path="/protected",
                    method="GET",
                    bearers=bearers,
                    rate=PER_SECOND,
                ),
            )
            for name, bearers in kinds.items()
        }
        refresher = stage.serve_app("ES256")
        variants[REFRESH] = stage.refreshes(REFRESH, refresher)
        rounds: dict[str, list[Measurement]] = {name: [] for name in variants}
        seen = 0

        def let_it_write(requests: int) -> None:
            expected = seen + (requests if name == OLD else 0)
            for _ in range(_PATIENCE):
                time.sleep(_HEARTBEAT_SECONDS)
                if stage.postgres.ask(_SETTLED, running.url) >= expected:
                    break

        for _ in range(ROUNDS):
            for name, variant in variants.items():
                found = run_round(stage.driver, variant, SECONDS, at_end=let_it_write)
                rounds[name].append(found)
                seen += found.requests if name == OLD else 0
        settled = stage.postgres.ask(_SETTLED, running.url)
    return judge(
        Found(old=rounds[OLD], young=rounds[YOUNG], refresh=rounds[REFRESH], settled=int(settled))
    )


def judge(found: Found) -> list[Row]:
    """Turn the rounds into rows.

    Raises:
        ValueError: Not every note was written: then less was measured than is said.
    """
    requests = sum(one.requests for one in found.old)
    if found.settled < 0.99 * requests:
        message = f"{requests} tokens were seen, and only {found.settled} families have settled"
        raise ValueError(message)
    added = [old.cpu_us - young.cpu_us for old, young in zip(found.old, found.young, strict=True)]
    refresh = typical(found.refresh, lambda one: one.cpu_us)
    p50 = [1e3 * typical(one, lambda round_: round_.p50) for one in (found.old, found.young)]
    p99 = [1e3 * typical(one, lambda round_: round_.p99) for one in (found.old, found.young)]
    return [
        Row(
            question=QUESTION,
            what="CPU that a note and its writing add, of a refresh's",
            figure=f"{median(added):.0f} µs; refresh {refresh:.0f} µs",
            ratio=median(added) / refresh,
            side=Bar.AT_MOST,
            bar=CPU_BAR,
        ),
        Row(
            question=QUESTION,
            what="latency p50, of a request's without a note",
            figure=f"p50 {p50[0]:.2f} / {p50[1]:.2f} ms, p99 {p99[0]:.2f} / {p99[1]:.2f} ms",
            ratio=compare(found.old, found.young, lambda one: one.p50),
            side=Bar.AT_MOST,
            bar=LATENCY_BAR,
        ),
    ]


if __name__ == "__main__":
    print(table(run()))
