"""What docs/honest-users.md and the README say of honest users is what the simulation gives.

What is quick is done with all 400 users; our own rules, ten times as slow, with fewer: there the
bar is nobody, and `python -m tests.simulation` is the whole.
"""

import pytest

from tests.docs.pages import DOCS, ROOT, table_under
from tests.simulation.rules import GraceOnly, Ours, ParentAccepted, Server, Strict
from tests.simulation.table import CLIENTS, RATES, RULES, USERS, share
from tests.simulation.world import HOUR, Faults, Looks, hunt, logged_out

FEWER = 60
FEW, MANY = (Faults(lost=rate, stalled=rate) for rate in RATES)
PAGE = DOCS / "honest-users.md"
FIRST_COLUMNS = {"The table": "a spent token", "What a client must do": "what a page does"}
OTHERS = [name for name, rule in RULES.items() if rule is not Ours]


def told(heading: str) -> dict[str, list[str]]:
    """Read a table of the page: its rows by name, the two shares of each."""
    name = FIRST_COLUMNS[heading]
    rows = table_under(PAGE, heading, first_column=name)
    return {row[name]: [row["0.1 %"], row["0.5 %"]] for row in rows}


@pytest.mark.parametrize("faults", [FEW, MANY], ids=["0.1 %", "0.5 %"])
def test_our_rules_log_nobody_out(faults: Faults) -> None:
    assert logged_out(Ours, faults, FEWER) == 0.0


@pytest.mark.parametrize("name", OTHERS)
def test_the_page_says_how_many_other_rules_log_out(name: str) -> None:
    assert told("The table")[name] == [share(name, rate, USERS) for rate in RATES]


def test_the_pages_tables_have_the_rows_of_the_command() -> None:
    rules, clients = told("The table"), told("What a client must do")

    assert (list(rules), list(clients)) == (list(RULES), list(CLIENTS))
    assert rules["Batonpass"] == clients["it refreshes, and its request waits"] == ["0.0 %"] * 2


def test_the_readme_quotes_the_page() -> None:
    rows = table_under(ROOT / "README.md", "How it compares", first_column="a spent token")

    quoted = {row["a spent token"]: [row["logged out"]] for row in rows}

    assert quoted == {name: shares[:1] for name, shares in told("The table").items()}


@pytest.mark.parametrize("looks", [Looks.BESIDE, Looks.NEVER])
def test_a_client_that_does_not_wait_or_look_gives_the_guarantee_away(looks: Looks) -> None:
    """A late answer puts the jar back; what an access token settled meanwhile then looks stolen."""
    assert logged_out(Ours, MANY, FEWER, looks) > 0.0


@pytest.mark.parametrize("rule", [Strict, GraceOnly, ParentAccepted, Ours])
def test_every_thief_who_copied_the_jar_once_is_found(rule: type[Server]) -> None:
    result = hunt(rule, FEWER)

    assert len(result.found_after) == result.came
    assert result.came > 0.9 * FEWER
    assert sorted(result.found_after)[FEWER // 2] < HOUR


def test_the_same_world_is_drawn_each_time() -> None:
    assert logged_out(GraceOnly, FEW, 20) == logged_out(GraceOnly, FEW, 20)
    assert hunt(Ours, 5) == hunt(Ours, 5)
