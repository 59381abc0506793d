"""The pages, as tests read them: headings, tables, code blocks, links."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^(?P<marks>#+) (?P<text>.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """Return every page: those at the root, and all of docs/."""
    return sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md"))


@cache
def text_of(page: Path) -> str:
    """Read a page."""
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Read a page without its code blocks."""
    return _FENCE.sub("", text_of(page))


def headings(page: Path) -> list[str]:
    """Return a page's headings, of every level."""
    return [found["text"].strip() for found in _HEADING.finditer(prose_of(page))]


def anchors(page: Path) -> set[str]:
    """Return the fragments that a page's headings can be linked by, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings(page)}


def links(page: Path) -> list[str]:
    """Return what a page links to or shows."""
    return [found["target"] for found in _LINK.finditer(prose_of(page))]


def code_blocks(page: Path, language: str) -> list[str]:
    """Return a page's code blocks of one language."""
    return [
        found["code"] for found in _FENCE.finditer(text_of(page)) if found["language"] == language
    ]


def files_of(page: Path, *languages: str) -> dict[str, str]:
    """Return the files that a page has its reader write: each block names its file in line one.

    Several blocks of one name are one file, in their order.
    """
    files: dict[str, str] = {}
    for language in languages:
        for block in code_blocks(page, language):
            named = re.match(r"(?:#|//) (?P<name>[\w./-]+\.\w+)\n", block)
            if named is not None:
                files[named["name"]] = files.get(named["name"], "") + block
    return files


def languages_of(page: Path) -> set[str]:
    """Return the languages of a page's code blocks."""
    return {found["language"] for found in _FENCE.finditer(text_of(page))}


@cache
def table_under(page: Path, heading: str, first_column: str) -> list[dict[str, str]]:
    """Read a table: the first one under a heading that begins with this column.

    Raises:
        LookupError: There is none.
    """
    lines = iter(_section(page, heading).splitlines())
    for line in lines:
        columns = _cells(line)
        if columns and columns[0] == first_column:
            next(lines)  # the ruler
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append(dict(zip(columns, _cells(row), strict=True)))
            return rows
    message = f"{page.name}: no table of {first_column!r} under {heading!r}"
    raise LookupError(message)


def _section(page: Path, heading: str) -> str:
    text = prose_of(page)
    for found in _HEADING.finditer(text):
        if found["text"].strip() == heading:
            level = len(found["marks"])
            rest = text[found.end() :]
            following = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
            return rest[: following.start()] if following else rest
    message = f"{page.name}: no heading {heading!r}"
    raise LookupError(message)


def _cells(line: str) -> list[str]:
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
