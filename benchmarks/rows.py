"""What a benchmark finds: a row for each figure, with its bar where it has one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Bar(StrEnum):
    """On which side of its bar a ratio must be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Attributes:
        question: Whose answer it is part of.
        what: What was measured.
        figure: The figure as people read it.
        ratio: What is held to the bar; None: worth knowing, no more.
        side: Where the ratio must be.
        bar: What it is held to; None: there is none.
    """

    question: str
    what: str
    figure: str
    ratio: float | None = None
    side: Bar = Bar.AT_LEAST
    bar: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None: there is none."""
        if self.ratio is None or self.bar is None:
            return None
        return self.ratio >= self.bar if self.side is Bar.AT_LEAST else self.ratio <= self.bar


HEAD = ("question", "what", "figure", "ratio", "bar", "")


def table(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table whose columns are also straight in a terminal."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    bar = "" if row.bar is None else f"{row.side} {row.bar:g}"
    verdict = {True: "met", False: "NOT met", None: ""}[row.met]
    return (row.question, row.what, row.figure, ratio, bar, verdict)
