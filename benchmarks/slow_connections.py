"""What do others feel of 10,000 connections that send a byte a second, as in A30?

`python -m benchmarks.slow_connections`; with a number, of so many. They are opened in a process of
its own, which goes on sending on each until it is hung up on. Meanwhile a crowd refreshes by the
clock, as it did before.
"""

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from batonpass.server.connections import Limits, allow_many_files, room_for_files
from benchmarks.driver import HOST
from benchmarks.rounds import Variant, compare, run_round, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import Running, a_stage

QUESTION = "slow_connections"
CONNECTIONS = 10_000
CLIENTS, PER_SECOND = 32, 200.0
SECONDS, ROUNDS = 8.0, 3
OPENED_PER_SECOND = 2_000
P99_BAR = 5.0  # docs/security.md, A30
GRACE_SECONDS = 5.0  # beside the limit, for a process that is busy
OPENING_SECONDS = 6.0
PATIENCE_SECONDS = 120.0
_HEAD = b"POST /auth/refresh HTTP/1.1\r\nHost: a\r\nX: "
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """What became of them.

    Attributes:
        opened: How many there were.
        closed: How many were hung up on.
        longest: How long one was open, in seconds.
    """

    opened: int
    closed: int
    longest: float


def run(connections: int = CONNECTIONS) -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        running = stage.serve("HS256", keep=64)
        others = stage.refreshes(_OTHERS, running, clients=CLIENTS, rate=PER_SECOND)
        quiet, beside, found = [], [], []
        run_round(stage.driver, others, 1.0)
        memory = _memory(others, running, connections)
        for _ in range(ROUNDS):
            quiet.append(run_round(stage.driver, others, SECONDS))
            with _slow(running, connections) as slow:
                beside.append(run_round(stage.driver, others, SECONDS))
                found.append(slow())
    before, after = (1e3 * typical(rounds, lambda one: one.p99) for rounds in (quiet, beside))
    return [
        Row(
            question=QUESTION,
            what=f"p99 of others beside {min(one.opened for one in found)}, of that alone",
            figure=f"{after:.1f} ms; alone {before:.1f} ms",
            ratio=compare(beside, quiet, lambda one: one.p99),
            side=Bar.AT_MOST,
            bar=P99_BAR,
        ),
        Row(
            question=QUESTION,
            what="of them closed by the server",
            figure=f"{sum(one.closed for one in found)} of {sum(one.opened for one in found)}",
            ratio=min(one.closed / one.opened for one in found),
            bar=1.0,
        ),
        Row(
            question=QUESTION,
            what="the longest that one was open, of the limit",
            figure=f"{max(one.longest for one in found):.1f} s; limit {Limits().head_seconds} s",
            ratio=max(one.longest for one in found) / (Limits().head_seconds + GRACE_SECONDS),
            side=Bar.AT_MOST,
            bar=1.0,
        ),
        Row(
            question=QUESTION,
            what=f"memory beside {connections}",
            figure=f"{memory / 2**20:.0f} MiB more",
        ),
    ]


def _memory(others: Variant, running: Running, connections: int) -> int:
    before: int = others.server.memory_info().rss
    with _slow(running, connections) as wait:
        time.sleep(OPENING_SECONDS)
        during: int = others.server.memory_info().rss
        wait()
    return during - before


@contextmanager
def _slow(running: Running, connections: int) -> Iterator[Callable[[], Slow]]:
    """Run them beside; what is given waits until all are closed and says what became of them."""
    command = (sys.executable, "-m", f"benchmarks.{QUESTION}", "crowd")
    with subprocess.Popen(
        [*command, str(running.server.port), str(connections)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as crowd:
        assert crowd.stdout is not None
        crowd.stdout.readline()

        def wait() -> Slow:
            opened, closed, longest = crowd.communicate(timeout=PATIENCE_SECONDS)[0].split()
            return Slow(opened=int(opened), closed=int(closed), longest=float(longest))

        yield wait


def _be_a_crowd(port: int, connections: int) -> None:
    """Open them, send a byte a second on each, and count who hangs up."""
    allow_many_files()
    wanted = int(min(connections, room_for_files()))
    open_: dict[socket.socket, float] = {}
    longest, closed = 0.0, 0
    selector = selectors.DefaultSelector()
    opened = 0
    begun = last_byte = time.monotonic()
    give_up = time.monotonic() + PATIENCE_SECONDS
    print("begun", flush=True)
    while (opened < wanted or open_) and time.monotonic() < give_up:
        due = min(wanted, int((time.monotonic() - begun) * OPENED_PER_SECOND))
        for _ in range(due - opened):
            one = socket.create_connection((HOST, port))
            one.sendall(_HEAD)
            one.setblocking(False)  # noqa: FBT003 - the name of the method says it
            selector.register(one, selectors.EVENT_READ)
            open_[one] = time.monotonic()
            opened += 1
        for key, _ in selector.select(0.02):
            one = key.fileobj  # type: ignore[assignment]
            with suppress(BlockingIOError, ConnectionError):
                one.recv(4096)
            longest = max(longest, time.monotonic() - open_.pop(one))
            closed += 1
            selector.unregister(one)
            one.close()
        if time.monotonic() - last_byte >= 1:
            last_byte += 1
            for one in open_:
                with suppress(BlockingIOError, ConnectionError):
                    one.send(b"a")
    print(opened, closed, longest, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["crowd", port, connections]:
            _be_a_crowd(int(port), int(connections))
        case [connections]:
            print(table(run(int(connections))))
        case _:
            print(table(run()))
