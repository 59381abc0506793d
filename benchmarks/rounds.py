"""Short rounds, one variant after the other, again and again: what disturbs one disturbs all alike.

What is compared is the median over the rounds of the quotient within a round, so a machine that
grows slower meanwhile does not decide.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.driver import Driver

SECONDS = 2.5
ROUNDS = 5
WARM_UP_SECONDS = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Something that is measured beside others.

    Attributes:
        name: Its crowd's name as well.
        server: Its process.
        database: PostgreSQL's postmaster, where it uses one.
        beside: Crowds that ask at the same time and are not measured.
    """

    name: str
    server: psutil.Process
    database: psutil.Process | None = None
    beside: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One round of one variant. Microseconds of CPU are those of one request.

    Attributes:
        requests: How many were answered.
        rate: Requests a second.
        p50: Median latency, in seconds.
        p99: What 99 of 100 requests stayed below, in seconds.
        server_us: CPU of the server's processes.
        database_us: CPU of all of PostgreSQL's processes.
        driver_us: CPU of the load driver.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    server_us: float
    database_us: float
    driver_us: float

    @property
    def cpu_us(self) -> float:
        """What one request costs: server and database."""
        return self.server_us + self.database_us


Rounds = dict[str, list[Measurement]]


def measure(
    driver: Driver,
    variants: Sequence[Variant],
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> Rounds:
    """Run rounds of each variant by turns, after a short one that does not count."""
    found: Rounds = {variant.name: [] for variant in variants}
    for variant in variants:
        run_round(driver, variant, WARM_UP_SECONDS)
    for number in range(rounds):
        turn = number % len(variants)  # nobody always comes after the same one
        for variant in [*variants[turn:], *variants[:turn]]:
            found[variant.name].append(run_round(driver, variant, seconds))
    return found


def run_round(
    driver: Driver,
    variant: Variant,
    seconds: float,
    *,
    at_end: Callable[[int], None] = lambda _requests: None,
) -> Measurement:
    """Run one round.

    `at_end` is told how many requests were answered, before the CPU is read.
    """
    return run_together(driver, variant, variant.beside, seconds, at_end=at_end)[variant.name]


def run_together(
    driver: Driver,
    variant: Variant,
    beside: Sequence[str],
    seconds: float,
    *,
    at_end: Callable[[int], None] = lambda _requests: None,
) -> dict[str, Measurement]:
    """Run one round of several crowds at once; the CPU is that of the average request of all."""
    before = [0.0, 0.0]

    def at_start() -> None:
        before[:] = _cpu(variant)

    answers = driver.run([variant.name, *beside], seconds, at_start=at_start)
    requests = sum(one.requests for one in answers.values())
    at_end(requests)
    after = _cpu(variant)
    server, database = (1e6 * (b - a) / requests for a, b in zip(before, after, strict=True))
    return {
        name: Measurement(
            requests=one.requests,
            rate=one.requests / one.seconds,
            p50=one.p50,
            p99=one.p99,
            server_us=server,
            database_us=database,
            driver_us=1e6 * one.driver_seconds / requests,
        )
        for name, one in answers.items()
    }


def typical(rounds: Sequence[Measurement], of: Callable[[Measurement], float]) -> float:
    """Return the median over the rounds."""
    return median(of(one) for one in rounds)


def compare(
    rounds: Sequence[Measurement],
    others: Sequence[Measurement],
    of: Callable[[Measurement], float],
) -> float:
    """Return how many times the others' something is: the median of the rounds' quotients."""
    return median(of(one) / of(other) for one, other in zip(rounds, others, strict=True))


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and of all its descendants, those that ended as well."""
    found = 0.0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            found += times.user + times.system + times.children_user + times.children_system
    return found


def _cpu(variant: Variant) -> list[float]:
    database = variant.database
    return [cpu_seconds(variant.server), 0.0 if database is None else cpu_seconds(database)]
