"""docs/client.md tells what machine.ts does: the same states, events, effects and moves."""

import pytest

from tests.docs.client_machine import PAGE, drawing, everywhere, machine, written
from tests.docs.pages import table_under, text_of


def test_the_diagram_is_what_the_machine_does_today() -> None:
    drawn = drawing(machine())

    assert written(text_of(PAGE)) == drawn, "run: .venv/bin/python -m tests.docs.client_machine"


@pytest.mark.parametrize(("heading", "column"), [
    pytest.param("States", "state", id="states"),
    pytest.param("Events", "event", id="events"),
    pytest.param("Effects", "effect", id="effects"),
])  # fmt: skip
def test_every_name_of_the_machine_is_explained(heading: str, column: str) -> None:
    found = machine()
    names = {"state": found.states, "event": found.events, "effect": found.effects}[column]

    explained = [
        name.strip(" `")
        for row in table_under(PAGE, heading, first_column=column)
        for name in row[column].split(",")
    ]

    assert sorted(explained) == sorted(names)


def test_the_walk_reaches_every_state_and_meets_every_effect() -> None:
    found = machine()

    assert {move.to for move in found.moves} == set(found.states)
    assert {effect for move in found.moves for effect in move.effects} == set(found.effects)
    assert everywhere(found)["logout"] == "logging-out"
