"""How many logins a second, beside bare Argon2id, and what do refreshes feel of them?"""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlencode

from pwdlib.hashers.argon2 import Argon2Hasher

from batonpass.server.passwords import (
    ARGON2_ITERATIONS,
    ARGON2_LANES,
    ARGON2_MEMORY_KIB,
    PasswordHasher,
)
from benchmarks.databases import seed
from benchmarks.driver import Load
from benchmarks.rounds import Measurement, compare, run_round, run_together, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "logins"
USERS = 64
CLIENTS = 4 * (os.cpu_count() or 1)
REFRESHERS, REFRESHES_PER_SECOND = 16, 100.0
ROUNDS, SECONDS = 4, 4.0
PASSWORD = "seven green bicycles in the rain"  # noqa: S105 - it protects nothing
LOGINS, REFRESHES = "logins", "refreshes"
RATE_BAR, P99_BAR = 0.9, 5.0  # issue 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured, round by round.

    Attributes:
        hashes: Bare Argon2id a second, on all cores.
        logins: Beside refreshes.
        refreshes: Beside logins.
        idle: Refreshes alone.
    """

    hashes: list[float] = field(default_factory=list)
    logins: list[Measurement] = field(default_factory=list)
    refreshes: list[Measurement] = field(default_factory=list)
    idle: list[Measurement] = field(default_factory=list)


def run() -> list[Row]:
    """Measure, and hold against the bars."""
    hashed = asyncio.run(_hash())
    found = Found()
    with a_stage() as stage:
        running = stage.serve("HS256", keep=REFRESHERS)
        users = seed(running.url, USERS, user={"password_hash": hashed})
        forms = [
            urlencode({"username": f"{one.user_id.hex}@example.com", "password": PASSWORD})
            for one in users
        ]
        refreshes = stage.refreshes(
            REFRESHES, running, clients=REFRESHERS, rate=REFRESHES_PER_SECOND
        )
        logins = stage.crowd(
            running,
            Load(
                name=LOGINS,
                port=running.server.port,
                path="/auth/token",
                bodies=forms,
                clients=CLIENTS,
            ),
        )
        run_round(stage.driver, logins, 1.0)
        for _ in range(ROUNDS):
            found.idle.append(run_round(stage.driver, refreshes, SECONDS))
            found.hashes.append(_hashes_a_second(hashed, SECONDS))
            both = run_together(stage.driver, logins, [REFRESHES], SECONDS)
            found.logins.append(both[LOGINS])
            found.refreshes.append(both[REFRESHES])
    return judge(found)


def judge(found: Found) -> list[Row]:
    """Turn the rounds into rows."""
    rate = typical(found.logins, lambda one: one.rate)
    p99 = [1e3 * typical(one, lambda round_: round_.p99) for one in (found.refreshes, found.idle)]
    pairs = zip(found.logins, found.hashes, strict=True)
    return [
        Row(
            question=QUESTION,
            what="logins/s, of bare Argon2id hashes/s",
            figure=f"{rate:.0f}/s; bare {median(found.hashes):.0f}/s",
            ratio=median(login.rate / hashes for login, hashes in pairs),
            side=Bar.AT_LEAST,
            bar=RATE_BAR,
        ),
        Row(
            question=QUESTION,
            what="p99 of refreshes meanwhile, of their idle one",
            figure=f"{p99[0]:.1f} ms; idle {p99[1]:.1f} ms",
            ratio=compare(found.refreshes, found.idle, lambda one: one.p99),
            side=Bar.AT_MOST,
            bar=P99_BAR,
        ),
    ]


async def _hash() -> str:
    hasher = PasswordHasher()
    try:
        return await hasher.hash(PASSWORD)
    finally:
        hasher.close()


def _hashes_a_second(hashed: str, seconds: float) -> float:
    """Verify on every core at once, as fast as it goes."""
    cores = os.cpu_count() or 1
    hasher = Argon2Hasher(
        time_cost=ARGON2_ITERATIONS, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
    )
    begin = time.perf_counter()

    def verify() -> int:
        done = 0
        while time.perf_counter() - begin < seconds:
            assert hasher.verify(PASSWORD, hashed)
            done += 1
        return done

    with ThreadPoolExecutor(cores) as threads:
        total = sum(one.result() for one in [threads.submit(verify) for _ in range(cores)])
    return total / (time.perf_counter() - begin)


if __name__ == "__main__":
    print(table(run()))
