"""Rows: whether a bar is met, and the table of all."""

import pytest

from benchmarks.rows import Bar, Row, table


def a_row(
    what: str = "something", ratio: float | None = None, bar: float | None = None, **more: Bar
) -> Row:
    return Row(question="refresh", what=what, figure="1 ms", ratio=ratio, bar=bar, **more)


@pytest.mark.parametrize(("ratio", "side", "bar", "met"), [
    pytest.param(1.0,  Bar.AT_LEAST, 1.0,  True,  id="a bar itself is met from below"),
    pytest.param(0.99, Bar.AT_LEAST, 1.0,  False, id="less is not enough"),
    pytest.param(1.4,  Bar.AT_MOST,  1.4,  True,  id="a bar itself is met from above"),
    pytest.param(1.41, Bar.AT_MOST,  1.4,  False, id="more is too much"),
    pytest.param(1.0,  Bar.AT_MOST,  None, None,  id="without a bar nothing is said"),
    pytest.param(None, Bar.AT_MOST,  1.0,  None,  id="without a ratio neither"),
])  # fmt: skip
def test_whether_a_bar_is_met(
    ratio: float | None, side: Bar, bar: float | None, met: bool | None
) -> None:
    assert a_row(ratio=ratio, side=side, bar=bar).met is met


def test_a_table_has_a_line_for_each_row_and_straight_columns() -> None:
    lines = table([a_row("short"), a_row("rather longer", 0.5, 1.0)]).splitlines()

    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == [
        "refresh", "rather longer", "1 ms", "0.50", "≥ 1", "NOT met",
    ]  # fmt: skip
