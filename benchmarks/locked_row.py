"""Who notices that one family's row is locked by somebody else for 10 s?

A `SELECT … FOR UPDATE` that is not ours holds the row; its user asks for a refresh, and asks again
a second after each 503. All others go on at a steady pace.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg

from batonpass.http.cookies import SECURE_REFRESH_TOKEN
from benchmarks.databases import Session
from benchmarks.driver import HOST
from benchmarks.rounds import Rounds, compare, run_round, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import REFRESH, Running, a_stage

QUESTION = "locked_row"
FREE, LOCKED = "no row locked", "a row locked"
LOCKED_SECONDS = 10.0
ROUNDS = 2
CLIENTS, PER_SECOND = 32, 500.0
BAR = 1.2  # issue 4: p99 of everybody else
_AGAIN_AFTER_SECONDS = 1.0


def run() -> list[Row]:
    """Measure, and hold against the bar."""
    rounds: Rounds = {FREE: [], LOCKED: []}
    with a_stage() as stage:
        running = stage.serve("HS256", keep=CLIENTS + 1)
        *others, victim = running.sessions
        crowd = replace(running, sessions=others)
        variant = stage.refreshes("others", crowd, clients=CLIENTS, rate=PER_SECOND)
        run_round(stage.driver, variant, 1.0)
        for _ in range(ROUNDS):
            rounds[FREE].append(run_round(stage.driver, variant, LOCKED_SECONDS))
            with _held(running.url, victim), _asking(running, victim):
                rounds[LOCKED].append(run_round(stage.driver, variant, LOCKED_SECONDS))
    return judge(rounds)


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into a row."""
    locked, free = rounds[LOCKED], rounds[FREE]
    p99 = [1e3 * typical(one, lambda round_: round_.p99) for one in (locked, free)]
    return [
        Row(
            question=QUESTION,
            what="p99 of everybody else, of that with no row locked",
            figure=f"{p99[0]:.1f} ms; without {p99[1]:.1f} ms",
            ratio=compare(locked, free, lambda one: one.p99),
            side=Bar.AT_MOST,
            bar=BAR,
        )
    ]


@contextmanager
def _held(url: str, victim: Session) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT id FROM refresh_tokens WHERE id = %s FOR UPDATE", [victim.family_id]
        )
        yield


@contextmanager
def _asking(running: Running, victim: Session) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection(HOST, running.server.port, timeout=60)
            connection.request(
                "POST", REFRESH, headers={"Cookie": f"{SECURE_REFRESH_TOKEN}={victim.cookie}"}
            )
            connection.getresponse().read()
            connection.close()
            over.wait(_AGAIN_AFTER_SECONDS)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    print(table(run()))
