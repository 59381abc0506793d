"""Runs commands one after the other, whatever becomes of each, and says how each ended."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from tools.steps import ROOT, environment


class Outcome(Enum):
    """How a run ended; the value is its sign in the summary."""

    PASSED = "✓"
    FAILED = "✗"
    SKIPPED = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one runner ended, and its own closing line."""

    name: str
    outcome: Outcome
    closing: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left: its exit status and everything that it said."""

    status: int
    output: str


def run(*command: str, quiet: bool = False) -> Ended:
    """Run a command in the project's folder, showing what it says as it comes unless `quiet`."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = bytearray()
    with process:
        assert process.stdout is not None
        while chunk := process.stdout.read1():  # type: ignore[attr-defined] # a BufferedReader
            said += chunk
            if not quiet:
                sys.stdout.buffer.write(chunk)
                sys.stdout.flush()
    return Ended(status=process.returncode, output=said.decode(errors="replace"))


CODES = re.compile(r"\x1b\[[0-9;]*m")
COUNTS = re.compile(r"\b\d+ (passed|failed|skipped|errors?)\b")


def closing_line(output: str) -> str:
    """Return the last line that counts tests, without colours and frame; else the last line."""
    lines = [CODES.sub("", line).strip(" =") for line in output.splitlines()]
    lines = [line for line in lines if line]
    counted = [line for line in lines if COUNTS.search(line)]
    return (counted or lines or ["it said nothing"])[-1]


def timed(name: str, do: Callable[[], tuple[Outcome, str]]) -> Result:
    """Do something that returns its outcome and closing line, and measure how long it took."""
    started = time.monotonic()
    outcome, closing = do()
    return Result(name=name, outcome=outcome, closing=closing, seconds=time.monotonic() - started)


def line(result: Result) -> str:
    """Return the one line that says how a runner ended."""
    return f"{result.outcome.value} {result.name:<12} {result.seconds:6.1f} s  {result.closing}"


def conclude(results: Sequence[Result]) -> int:
    """Return the exit status of them all: 1 where any failed."""
    return int(any(result.outcome is Outcome.FAILED for result in results))
