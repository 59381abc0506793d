"""How long does a client wait that is alone, beside one bare `UPDATE … RETURNING`?

The bare statement goes through the driver that the server uses, asyncpg, prepared, on a row of the
same table, and is committed as durably.
"""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import asyncpg
import uvloop

from benchmarks.databases import Session
from benchmarks.driver import percentile
from benchmarks.rounds import run_round
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "one_client"
ROUNDS, SECONDS = 6, 1.5
BAR = 2.0  # issue 4: p50, of the bare statement's
# What a rotation changes, and nothing else.
_UPDATE = """
UPDATE refresh_tokens
   SET token = $2, nonce = $3, generation = generation + 1, rotated_at = $4
 WHERE id = $1
RETURNING user_id
"""


def run() -> list[Row]:
    """Measure, and hold against the bar."""
    refreshes: list[float] = []
    statements: list[float] = []
    with a_stage() as stage:
        running = stage.serve("HS256", keep=2)
        alone, other = running.sessions
        variant = stage.refreshes("alone", replace(running, sessions=[alone]), clients=1)
        run_round(stage.driver, variant, SECONDS)
        for _ in range(ROUNDS):
            statements.append(uvloop.run(_bare(running.url, other)))
            refreshes.append(run_round(stage.driver, variant, SECONDS).p50)
    return judge(refreshes, statements)


def judge(refreshes: list[float], statements: list[float]) -> list[Row]:
    """Turn the rounds' median latencies, in seconds, into a row."""
    refresh, statement = 1e3 * median(refreshes), 1e3 * median(statements)
    pairs = zip(refreshes, statements, strict=True)
    return [
        Row(
            question=QUESTION,
            what="latency p50 of a refresh, of a bare committed UPDATE's",
            figure=f"{refresh:.2f} ms; bare {statement:.2f} ms",
            ratio=median(ours / bare for ours, bare in pairs),
            side=Bar.AT_MOST,
            bar=BAR,
        )
    ]


async def _bare(url: str, session: Session) -> float:
    connection = await asyncpg.connect(url)
    try:
        statement = await connection.prepare(_UPDATE)
        latencies: list[float] = []
        end = perf_counter() + SECONDS
        while (begin := perf_counter()) < end:
            await statement.fetchrow(
                session.family_id,
                secrets.token_bytes(32),
                secrets.token_bytes(16),
                datetime.now(UTC),
            )
            latencies.append(perf_counter() - begin)
    finally:
        await connection.close()
    return percentile(sorted(latencies), 50)


if __name__ == "__main__":
    print(table(run()))
