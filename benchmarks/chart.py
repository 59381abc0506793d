"""The chart of the documentation, written by hand: a bar for each ratio to the empty route.

Its colours follow the reader's light or dark setting; what a bar stands for is written beside it.
"""

from collections.abc import Sequence
from html import escape

from benchmarks import refresh
from benchmarks.rows import Row

_WIDTH, _LEFT, _BAR, _ROW, _TOP = 760, 250, 400, 34, 64
_TITLE = "A durable refresh, beside an empty FastAPI route"
_STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .head { font-size: 17px; font-weight: 600 }
  .title { font-weight: 600 }
  .quiet { font-size: 11px; fill: #59636e }
  .bar { fill: #1a7f6b }
  .one { stroke: #59636e; stroke-dasharray: 4 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .bar { fill: #3fb8a0 }
    .one { stroke: #9198a1 }
  }
"""
_KINDS = {"requests/s": "Requests per second", "CPU": "CPU per request"}


def draw(rows: Sequence[Row], machine: str) -> str:
    """Draw what a refresh costs, the empty route being 1.

    Raises:
        ValueError: There are no such rows.
    """
    groups = [
        (title, [(row, row.ratio) for row in rows if _is_of(row, kind) and row.ratio is not None])
        for kind, title in _KINDS.items()
    ]
    longest = max((ratio for _, bars in groups for _, ratio in bars), default=0.0)
    if not longest:
        message = "there is nothing to draw: run `refresh`"
        raise ValueError(message)
    scale = _BAR / max(longest, 1.0)
    y, parts = _TOP, []
    for title, bars in groups:
        said = f"{title}, an empty FastAPI route = 1"
        parts.append(f'<text class="title" x="16" y="{y}">{said}</text>')
        top = y + 8
        for row, ratio in bars:
            y += _ROW
            name, end = escape(row.what.partition(":")[0]), _LEFT + round(scale * ratio)
            parts += [
                f'<text x="{_LEFT - 12}" y="{y}" text-anchor="end">Refresh, {name}</text>',
                f'<path class="bar" d="M{_LEFT} {y - 16}H{end}V{y + 6}H{_LEFT}"/>',
                f'<text x="{_LEFT + _BAR + 12}" y="{y}">{ratio:.2f} ×</text>',
            ]
        parts.append(f'<path class="one" d="M{_LEFT + round(scale)} {top}V{y + 12}"/>')
        y += 2 * _ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">',
        f"<title>{_TITLE}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="head" x="16" y="30">{_TITLE}</text>',
        *parts,
        f'<text class="quiet" x="16" y="{y - 16}">{escape(machine)}</text>',
        "</svg>\n",
    ]
    return "\n".join(lines)


def _is_of(row: Row, kind: str) -> bool:
    return row.question == refresh.QUESTION and f": {kind}" in row.what
