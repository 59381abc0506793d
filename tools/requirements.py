"""`python -m tools.requirements`: writes into docs/security.md where each id is met, and tested.

A source file meets a requirement where it names its id, in a comment or a docstring beside the
lines that do it. A test proves one where it is named by the id: `test_s_rt_2_…`, `test_a07_…`,
`test_a11_to_a13_…`, and in TypeScript `it("A25: …")`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tools.steps import ROOT, explained

PAGE = ROOT / "docs" / "security.md"
NOWHERE = "–"

_ROW = re.compile(r"^\| (?P<id>S-[A-Z]+-\d+|A\d\d) \|.*\|$")
_NAMED = re.compile(r"\bS-[A-Z]+-\d+\b")
_PYTHON_TEST = re.compile(
    r"^ *(?:async )?def test_(?P<first>s_[a-z]+_\d+|a\d\d)(?:_to_(?P<last>a\d\d))?_", re.MULTILINE
)
_TYPESCRIPT_TEST = re.compile(r"\b(?:it|test)\(\s*[\"'`](?P<first>S-[A-Z]+-\d+|A\d\d): ")

# Where code lies, and the folder that the page's names of files begin under.
_SOURCES = (
    ("src/batonpass/**/*.py", "src/batonpass"),
    ("packages/*/src/**/*.ts*", "packages"),
    ("web/src/**/*.ts*", "."),
    ("tools/*.py", "."),
    ("examples/*/*.py", "."),
)
_TESTS = (
    ("tests/**/test_*.py", "tests"),
    ("examples/*/test_*.py", "."),
    ("packages/*/tests/**/*.test.ts*", "packages"),
    ("web/src/**/*.test.ts*", "."),
)


def written(page: str) -> str:
    """Return the page with its tables' last columns as the code has them now."""
    places = {"S": (sources(), tests()), "A": (tests(),)}
    lines = []
    for line in page.split("\n"):
        found = _ROW.match(line)
        if found is None:
            lines.append(line)
            continue
        columns = places[found["id"][0]]
        kept = line.strip("|").split("|")[: -len(columns)]
        cells = [f" {_listed(column.get(found['id'], []))} " for column in columns]
        lines.append("|" + "|".join((*kept, *cells)) + "|")
    return "\n".join(lines)


def ids(page: str) -> set[str]:
    """Return the ids that have a row in the page."""
    return {found["id"] for line in page.split("\n") if (found := _ROW.match(line))}


def sources() -> dict[str, list[str]]:
    """Return the source files that name each id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path, name in _files(_SOURCES):
        if ".test." not in path.name and not path.name.startswith("test_"):
            for named in _NAMED.findall(path.read_text(encoding="utf-8")):
                found[named].add(name)
    return {named: sorted(names) for named, names in found.items()}


def tests() -> dict[str, list[str]]:
    """Return the files that have a test of each id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path, name in _files(_TESTS):
        for tested in _tested(path.read_text(encoding="utf-8")):
            found[tested].add(name)
    return {tested: sorted(names) for tested, names in found.items()}


def _tested(text: str) -> Iterator[str]:
    for found in _PYTHON_TEST.finditer(text):
        first, last = found["first"], found["last"] or found["first"]
        if first.startswith("s"):
            yield first.upper().replace("_", "-")
        else:
            yield from (f"A{number:02}" for number in range(int(first[1:]), int(last[1:]) + 1))
    for found in _TYPESCRIPT_TEST.finditer(text):
        yield found["first"]


def _files(patterns: tuple[tuple[str, str], ...]) -> Iterator[tuple[Path, str]]:
    for pattern, below in patterns:
        for path in ROOT.glob(pattern):
            yield path, str(path.relative_to(ROOT / below))


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or NOWHERE


if __name__ == "__main__":
    with explained():
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
