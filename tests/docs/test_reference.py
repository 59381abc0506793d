"""docs/reference/ is what the generator writes, and the generator leaves nothing out."""

import pytest

from batonpass import errors
from batonpass.server.settings import PREFIX, Settings
from tests.docs.pages import ROOT, table_under
from tools import docs

REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_page_is_what_the_generator_writes_today(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")

    assert written == docs.PAGES[name](), "run: .venv/bin/python -m tools.docs"


def test_nothing_else_lies_in_the_folder() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(docs.PAGES)


def test_every_code_has_its_row() -> None:
    declared = {
        one.code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.BatonpassError)
    }
    listed = {
        line.split("`")[1]
        for line in docs.errors_page().partition("## Reasons")[0].splitlines()
        if line.startswith("| `")
    }

    assert listed == declared


def test_the_example_environment_file_names_only_settings_that_exist() -> None:
    names = {
        line.lstrip("# ").partition("=")[0].removeprefix(PREFIX)
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if line.lstrip("# ").startswith(PREFIX)
    }
    documented = {
        row["name"]
        for row in table_under(REFERENCE / "settings.md", "Settings", first_column="name")
    }

    assert len(documented) == len(Settings.model_fields)
    assert names
    assert names <= documented
