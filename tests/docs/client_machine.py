"""Draws the client's session as `machine.ts` has it: `python -m tests.docs.client_machine` writes.

Node.js runs the file itself (`walk_machine.mjs`), through every state and every event; here its
steps become the diagram and the tables of docs/client.md.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import DOCS
from tools.runners import run

PAGE = DOCS / "client.md"
BEGIN = "<!-- Drawn by `python -m tests.docs.client_machine`; changes here are lost. -->"
END = "<!-- Drawn until here. -->"
WALK = Path(__file__).parent / "walk_machine.mjs"


class Move(NamedTuple):
    """What one event does in one state: where it leads, and what is to be done."""

    state: str
    event: str
    to: str
    effects: tuple[str, ...]


class Machine(NamedTuple):
    """The names that machine.ts declares, and every move that does something."""

    initial: str
    states: list[str]
    events: list[str]
    effects: list[str]
    moves: list[Move]


@cache
def machine() -> Machine:
    """Walk through machine.ts."""
    walked = run("node", str(WALK), quiet=True)
    assert walked.status == 0, walked.output
    told = json.loads(walked.output.splitlines()[-1])
    moves = [
        Move(state, event, to, tuple(told["steps"][state][event][to]))
        for state in told["names"]
        for event in told["events"]
        for to in told["steps"][state][event]
        if to != state or told["steps"][state][event][to]
    ]
    return Machine(told["initial"], told["names"], told["events"], told["effects"], moves)


def everywhere(found: Machine) -> dict[str, str]:
    """Return the events that lead to one and the same state from all others, or all but one."""
    leads = {event: [move for move in found.moves if move.event == event] for event in found.events}
    return {
        event: moves[0].to
        for event, moves in leads.items()
        if len({move.to for move in moves}) == 1 and len(moves) >= len(found.states) - 1
    }


def drawing(found: Machine) -> str:
    """Draw the diagram, and write what it leaves out under it."""
    common = everywhere(found)
    local = [move for move in found.moves if move.event not in common]
    return "\n".join(
        [
            "```mermaid",
            *_diagram(found, local),
            "```",
            "",
            *_common(found, common),
            "",
            *_table(local),
        ]
    )


def written(page: str) -> str:
    """Return what a page has between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def _diagram(found: Machine, moves: list[Move]) -> Iterator[str]:
    yield "stateDiagram-v2"
    for state in found.states:
        yield f'  state "{state}" as {_id(state)}'
    yield f"  [*] --> {_id(found.initial)}"
    arrows: dict[tuple[str, str], list[str]] = {}
    for move in moves:
        arrows.setdefault((move.state, move.to), []).append(move.event)
    for (state, to), events in arrows.items():
        yield f"  {_id(state)} --> {_id(to)}: {', '.join(events)}"


def _common(found: Machine, common: dict[str, str]) -> Iterator[str]:
    yield "| from everywhere | to | but from |"
    yield "| --- | --- | --- |"
    for event, to in common.items():
        moved = {move.state for move in found.moves if move.event == event}
        kept = [f"`{state}`" for state in found.states if state not in moved]
        yield f"| `{event}` | `{to}` | {', '.join(kept) or '–'} |"


def _table(moves: list[Move]) -> Iterator[str]:
    yield "| in | event | to | effects |"
    yield "| --- | --- | --- | --- |"
    for move in moves:
        effects = ", ".join(f"`{effect}`" for effect in move.effects)
        yield f"| `{move.state}` | `{move.event}` | `{move.to}` | {effects} |"


def _id(state: str) -> str:
    return state.replace("-", "_")


def write() -> None:
    """Draw it anew in the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page = f"{before}{begin}\n\n{drawing(machine())}\n\n{END}{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write()
