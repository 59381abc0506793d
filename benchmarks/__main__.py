"""`make bench`: every question, or those that are named; a table, and what is kept of it."""

import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    ceilings,
    disk,
    growth,
    in_an_app,
    locked_row,
    logins,
    memory,
    one_client,
    protected,
    refresh,
    replays,
    scaling,
    settling,
)
from benchmarks.chart import draw
from benchmarks.machine import Machine, describe
from benchmarks.rows import Row, table

QUESTIONS: dict[str, Callable[[], list[Row]]] = {
    one.QUESTION: one.run
    for one in (
        ceilings,
        refresh,
        in_an_app,
        disk,
        one_client,
        protected,
        settling,
        growth,
        scaling,
        replays,
        locked_row,
        logins,
        memory,
    )
}
RESULTS = Path(__file__).resolve().parent / "results"
CHART = RESULTS.parent.parent / "docs" / "images" / "performance.svg"


def main(names: Sequence[str]) -> int:
    """Ask the named questions, or all of them; only all of them draw the chart anew.

    One that gets no answer takes none from the others: it is named at the end, and the status is 1.
    """
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        print(f"There is no {unknown[0]}; there are {', '.join(QUESTIONS)}.", file=sys.stderr)
        return 2
    machine, now = describe(), datetime.now(UTC)
    rows: list[Row] = []
    unanswered: list[str] = []
    for name in names or QUESTIONS:
        begin = time.monotonic()
        print(f"  … {name}", end="", file=sys.stderr, flush=True)
        try:
            rows += QUESTIONS[name]()
        except Exception:  # noqa: BLE001 - whatever it is, hours of others' figures are kept
            unanswered.append(name)
            traceback.print_exc()
        print(f": {time.monotonic() - begin:.0f} s", file=sys.stderr)
    print(table(rows))
    print(summary(rows))
    print(machine.sentence())
    stem = "-".join([now.date().isoformat(), machine.slug, *names])
    _write(RESULTS / stem, rows, machine, now)
    if unanswered:
        print(f"Without an answer: {', '.join(unanswered)}.", file=sys.stderr)
        return 1
    if not names:
        CHART.write_text(draw(rows, f"{machine.cpu}, {machine.cores} cores; {now.date()}"))
    return 0


def summary(rows: Sequence[Row]) -> str:
    """Say how many bars are met, and name those that are not."""
    held = [row for row in rows if row.met is not None]
    missed = [f"{row.question} ({row.what})" for row in held if not row.met]
    said = f"{len(held) - len(missed)} of {len(held)} bars are met"
    return f"{said}." if not missed else f"{said}; not: {'; '.join(missed)}."


def _write(path: Path, rows: Sequence[Row], machine: Machine, now: datetime) -> None:
    path.parent.mkdir(exist_ok=True)
    found = {
        "at": now.isoformat(timespec="seconds"),
        "machine": asdict(machine),
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    content = json.dumps(found, indent=2, ensure_ascii=False)
    path.with_name(f"{path.name}.json").write_text(content + "\n")
    text = f"# {now.date()}\n\n{machine.sentence()}\n\n{table(rows)}\n\n{summary(rows)}\n"
    path.with_name(f"{path.name}.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
