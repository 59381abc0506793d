"""How much memory does one worker take under load?"""

from dataclasses import dataclass

import psutil

from benchmarks.rounds import run_round
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import SESSIONS, a_stage

QUESTION = "memory"
SECONDS = 6.0
BAR_MIB = 120.0  # issue 4
PLACES = {"PostgreSQL": False, "SQLite": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a worker takes, in MiB.

    Attributes:
        rss: Resident, shared libraries in it.
        uss: What would be free if it ended.
    """

    rss: float
    uss: float


def run() -> list[Row]:
    """Measure, and hold against the bar."""
    found: dict[str, Memory] = {}
    with a_stage() as stage:
        for name, on_sqlite in PLACES.items():
            running = stage.serve("ES256", on_sqlite=on_sqlite, keep=SESSIONS)
            run_round(stage.driver, stage.refreshes(name, running), SECONDS)
            found[name] = _memory_of(running.server.process)
    return judge(found)


def judge(found: dict[str, Memory]) -> list[Row]:
    """Turn what was found into rows."""
    return [
        Row(
            question=QUESTION,
            what=f"MiB of one worker under 64 clients, ES256 on {name}",
            figure=f"{one.rss:.0f} MiB resident, {one.uss:.0f} its own",
            ratio=one.rss,
            side=Bar.AT_MOST,
            bar=BAR_MIB,
        )
        for name, one in found.items()
    ]


def _memory_of(process: psutil.Process) -> Memory:
    full = [one.memory_full_info() for one in [process, *process.children(recursive=True)]]
    return Memory(
        rss=sum(one.rss for one in full) / 2**20, uss=sum(one.uss for one in full) / 2**20
    )


if __name__ == "__main__":
    print(table(run()))
