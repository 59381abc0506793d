"""The site holds every page, each link of it leads to a page of it, and a mistake fails its build.

`make check` builds the whole site; here it is laid out, and a small one is built.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, links
from tools import site
from tools.runners import CODES

SOURCES = "source"  # the folder of files that pages link to


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything laid out as for a build."""
    folder = tmp_path_factory.mktemp("build")
    site.stage(folder)
    return folder


def test_every_page_has_its_place_in_the_navigation_once(staged: Path) -> None:
    settings = tomllib.loads((staged / site.CONFIG).read_text())
    entries = [entry for section in settings["project"]["nav"] for entry in section.values()]
    named = [
        name
        for pages in entries
        for page in pages
        for name in (page.values() if isinstance(page, dict) else [page])
    ]
    pages = {
        str(path.relative_to(staged / "pages"))
        for path in (staged / "pages").rglob("*.md")
        if SOURCES not in path.relative_to(staged / "pages").parts
    }

    assert len(named) == len(set(named))
    assert set(named) == pages
    assert {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"README.md"} <= pages


def test_no_link_leads_out_of_the_site(staged: Path) -> None:
    pages = staged / "pages"
    led = 0
    for page in pages.rglob("*.md"):
        if SOURCES in page.relative_to(pages).parts:
            continue
        for target in links(page):
            if re.match(r"https?:|#", target):
                continue
            there = Path(os.path.normpath(page.parent / target.partition("#")[0]))
            assert there.is_file(), f"{page.relative_to(pages)}: {target}"
            assert there.is_relative_to(pages), target
            led += 1

    assert led


def test_a_source_that_a_page_links_to_can_be_read_there(staged: Path) -> None:
    shown = (staged / "pages" / SOURCES / "src" / "batonpass" / "family.py.md").read_text()

    assert (ROOT / "src" / "batonpass" / "family.py").read_text() in shown


@pytest.mark.parametrize(("text", "said"), [
    pytest.param("[no page](missing.md), [no heading](#missing)",
                 ("page does not exist", "anchor does not exist"), id="links to nothing"),
    pytest.param("::: batonpass.Missing", ("batonpass.Missing",), id="a name that is none"),
    pytest.param("::: batonpass.Policy", (), id="no mistake"),
])  # fmt: skip
def test_a_mistake_fails_the_build(tmp_path: Path, text: str, said: tuple[str, ...]) -> None:
    settings = site.SETTINGS.read_text().replace('"../src"', f'"{ROOT / "src"}"')
    (tmp_path / site.CONFIG).write_text(settings)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "site.css").write_text("")
    (tmp_path / "pages" / "index.md").write_text(f"# A page\n\n{text}\n")

    ended = site.build(tmp_path)

    assert (ended.status != 0) is bool(said), ended.output
    told = CODES.sub("", ended.output)
    assert not [one for one in said if one not in told], told
