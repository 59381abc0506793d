"""Every page is reached, every link leads somewhere, and so does what the code says of a page."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, anchors, headings, links, pages, prose_of, text_of

# Of the running app: taken anew for a release, so it may be missing between two.
SCREENSHOT = DOCS / "images" / "sessions.png"
SOURCES = [
    path
    for folder in ("src", "tests", "tools", "packages", "web/src")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".ts", ".tsx"}
    and not {"node_modules", "dist"} & set(path.relative_to(ROOT).parts)
]
SECURITY = DOCS / "security.md"
MAX_DECISION_LINES = 40

_NAMED_SECTION = re.compile(r"docs/security\.md,\s+\"(?P<name>[^\"]+)\"")
_REQUIREMENT = re.compile(r"\bS-[A-Z]+-\d+\b")
_ATTACK = re.compile(r"docs/security\.md, (?P<id>A\d{2})\b")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def said_in_code() -> dict[Path, str]:
    """Return the sources' text with comments and docstrings unwrapped."""
    return {
        path: re.sub(r"\s*\n[\s#*]*", " ", path.read_text(encoding="utf-8")) for path in SOURCES
    }


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        if re.match(r"https?:", target):
            continue
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page

        if there != SCREENSHOT:
            assert there.exists(), target
        if fragment:
            assert fragment in anchors(there), target


def test_every_page_can_be_reached_from_the_first_ones() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md", DOCS / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in links(page):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.is_dir():
                ahead += there.glob("*.md")
            elif there.suffix == ".md" and there.exists():
                ahead.append(there)

    assert set(DOCS.rglob("*.md")) <= reached


def test_every_section_and_term_that_code_refers_to_exists() -> None:
    terms = set(re.findall(r"\*([^*|`]+)\*", prose_of(SECURITY)))  # a term is set in *italics*
    referred = {
        (found["name"], path.name)
        for path, text in said_in_code().items()
        for found in _NAMED_SECTION.finditer(text)
    }

    assert referred
    assert not {one for one in referred if one[0] not in {*headings(SECURITY), *terms}}


def test_every_requirement_and_attack_that_code_refers_to_stands_in_the_page() -> None:
    text = text_of(SECURITY)
    listed = set(re.findall(r"^\| (S-[A-Z]+-\d+|A\d{2}) \|", text, re.MULTILINE))
    referred = {
        (found, path.name)
        for path, source in said_in_code().items()
        for found in [*_REQUIREMENT.findall(source), *_ATTACK.findall(source)]
    }

    assert referred
    assert not {one for one in referred if one[0] not in listed}


def test_every_page_that_code_refers_to_exists() -> None:
    referred = {
        (found, path.name)
        for path, text in said_in_code().items()
        for found in re.findall(r"\bdocs/[\w/-]+\.md\b", text)
    }

    assert referred
    assert not {one for one in referred if not (ROOT / one[0]).exists()}


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=name)
def test_a_decision_is_numbered_short_and_quotable(page: Path) -> None:
    text = text_of(page)
    number = page.name.partition("-")[0]

    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
    assert text.startswith(f"# {int(number)}. ")
    assert text.count("\n**Decided:** ") == 1
    assert "\n## Rejected\n" in text
    assert len(text.splitlines()) <= MAX_DECISION_LINES


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))
