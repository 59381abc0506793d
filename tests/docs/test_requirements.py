"""docs/security.md says of each requirement and attack where it is met, and which test shows it."""

from collections.abc import Callable

import pytest

from tools import requirements

PAGE = requirements.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_what_the_code_says_today() -> None:
    assert requirements.written(PAGE) == PAGE, "run: .venv/bin/python -m tools.requirements"


def test_every_id_has_a_test_of_its_name() -> None:
    assert not requirements.ids(PAGE) - set(requirements.tests())


def test_every_requirement_is_named_where_it_is_met() -> None:
    wanted = {one for one in requirements.ids(PAGE) if one.startswith("S-")}

    assert wanted
    assert not wanted - set(requirements.sources())


@pytest.mark.parametrize("found", [requirements.sources, requirements.tests])
def test_no_code_names_an_id_that_the_page_does_not_have(
    found: Callable[[], dict[str, list[str]]],
) -> None:
    assert not set(found()) - requirements.ids(PAGE)
