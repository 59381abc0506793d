"""Rounds as they could have been measured."""

from typing import Any

from benchmarks.rounds import Measurement

_ORDINARY: dict[str, Any] = {
    "requests": 10_000,
    "rate": 5_000.0,
    "p50": 0.010,
    "p99": 0.020,
    "server_us": 80.0,
    "database_us": 20.0,
    "driver_us": 10.0,
}


def measured(**differs: float) -> Measurement:
    """Make a round that is ordinary but for what is given."""
    return Measurement(**(_ORDINARY | differs))
