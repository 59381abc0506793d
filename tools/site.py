"""`python -m tools.site`: builds the documentation site into build/site; a warning is a failure.

Pages are written for whoever reads the repository, so their links lead to files of it: to other
pages, folders, sources. Here each page is copied to its place on the site, and what it links to
gets one as well. `--serve` shows it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.runners import CODES, Ended, run
from tools.steps import ROOT, VENV, environment, explained

BUILD = ROOT / "build"
DOCS = ROOT / "docs"
SETTINGS = ROOT / "tools" / "site.toml"
STYLES = ROOT / "tools" / "site.css"
CONFIG = "zensical.toml"
ADDRESS = "localhost:8002"
ZENSICAL = VENV / "bin" / "zensical"

# Pages that lie elsewhere in the repository, and where they stand on the site.
ELSEWHERE = {
    "docs/README.md": "index.md",
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changes.md",
    "SECURITY.md": "project/reporting.md",
    "packages/client/README.md": "reference/client.md",
    "packages/react/README.md": "reference/react.md",
}

# Sections and their pages, in the order of reading; a pattern adds what was not named before it.
NAVIGATION = {
    "Start": ["index.md", "tutorial.md", "coming-from.md", "project/readme.md"],
    "How to": [
        "how-to/existing-app.md",
        "how-to/former-tokens.md",
        "how-to/sqlmodel.md",
        "how-to/fastapi-users.md",
        "how-to/roles-and-claims.md",
        "how-to/impersonation.md",
        "how-to/native-apps.md",
        "how-to/several-services.md",
        "how-to/behind-nginx.md",
        "how-to/another-origin.md",
        "how-to/testing.md",
        "how-to/watching.md",
        "how-to/*.md",
    ],
    "Why": [
        "why-rotation.md",
        "successor.md",
        "security.md",
        "honest-users.md",
        "performance.md",
        "reliability.md",
        "client.md",
        "*.md",
    ],
    "Reference": [
        "reference/python.md",
        "reference/client.md",
        "reference/react.md",
        "reference/http.md",
        "reference/errors.md",
        "reference/settings.md",
        "reference/cli.md",
        "reference/*.md",
    ],
    "Decisions": ["decisions/index.md", "decisions/*.md"],
    "Project": ["project/contributing.md", "project/changes.md", "project/*.md"],
}

# A page's heading is its question; these are shorter. The others are called by their headings.
TITLES = {
    "index.md": "Overview",
    "tutorial.md": "Tutorial",
    "project/readme.md": "In one page",
    "how-to/existing-app.md": "An app that exists",
    "how-to/former-tokens.md": "Tokens from before",
    "how-to/sqlmodel.md": "SQLModel",
    "how-to/fastapi-users.md": "fastapi-users",
    "how-to/native-apps.md": "Native apps",
    "how-to/several-services.md": "Several services",
    "how-to/behind-nginx.md": "Behind nginx",
    "how-to/another-origin.md": "On another origin",
    "how-to/testing.md": "Testing",
    "how-to/watching.md": "Watching",
    "how-to/roles-and-claims.md": "Roles and claims",
    "how-to/impersonation.md": "Impersonation",
    "why-rotation.md": "Rotation",
    "successor.md": "The successor",
    "honest-users.md": "Honest users",
    "performance.md": "Performance",
    "reliability.md": "Reliability",
    "client.md": "The client",
    "decisions/index.md": "All of them",
}

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")
_ELSEWHERE_ON_THE_WEB = re.compile(r"[a-z]+:|#")
_LANGUAGES = {".py": "python", ".ts": "ts", ".tsx": "tsx", ".toml": "toml", ".mjs": "js"}
_WARNED = re.compile(r"^\W*(warning|error)\b", re.MULTILINE | re.IGNORECASE)


def main(arguments: list[str]) -> int:
    """Build the site, or serve it; return the exit status."""
    stage()
    if "--serve" not in arguments:
        ended = build()
        print(ended.output)
        return ended.status
    config = str(BUILD / CONFIG)
    command = [str(ZENSICAL), "serve", "--dev-addr", ADDRESS, "--config-file", config]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def build(folder: Path = BUILD) -> Ended:
    """Build what `stage` has laid out; whatever is warned of counts as a failure."""
    how = ("build", "--strict", "--clean", "--config-file", str(folder / CONFIG))
    ended = run(str(ZENSICAL), *how, quiet=True)
    if ended.status == 0 and _WARNED.search(CODES.sub("", ended.output)):
        return Ended(status=1, output=ended.output)
    return ended


def stage(folder: Path = BUILD) -> None:
    """Lay out every page in its place, what pages link to, and the settings."""
    pages = folder / "pages"
    for old in (pages, folder / "site"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.md"))
    shutil.copy(STYLES, pages)
    ahead = list(written())
    placed: set[Path] = set()
    while ahead:
        path = ahead.pop()
        if path in placed:
            continue
        placed.add(path)
        place = pages / place_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        text, linked = _with_links_of_the_site(path, _text_of(path))
        place.write_text(text, encoding="utf-8")
        ahead += linked
    sections = (
        f"  {{ {json.dumps(title)} = [{', '.join(map(_entry, names))}] }},\n"
        for title, names in navigation_of(pages).items()
    )
    settings = SETTINGS.read_text(encoding="utf-8")
    navigation = f"[project]\nnav = [\n{''.join(sections)}]\n"
    (folder / CONFIG).write_text(settings.replace("[project]\n", navigation, 1), encoding="utf-8")


def written() -> Iterator[Path]:
    """Yield every page that somebody wrote for a reader."""
    yield from sorted(DOCS.rglob("*.md"))
    yield from (ROOT / name for name in ELSEWHERE if (ROOT / name).exists())
    yield DOCS / "decisions"


def navigation_of(pages: Path) -> dict[str, list[str]]:
    """Return the sections with the pages that there are, each page once."""
    named = {name for names in NAVIGATION.values() for name in names}
    sections = {}
    for title, patterns in NAVIGATION.items():
        found: list[str] = []
        for pattern in patterns:
            names = sorted(str(path.relative_to(pages)) for path in pages.glob(pattern))
            found += [name for name in names if name == pattern or name not in {*named, *found}]
        sections[title] = found
    return {title: found for title, found in sections.items() if found}


def _entry(name: str) -> str:
    title = TITLES.get(name)
    return f"{{ {json.dumps(title)} = {json.dumps(name)} }}" if title else json.dumps(name)


def place_of(path: Path) -> Path:
    """Return where a page, a folder or a source stands on the site."""
    name = str(path.relative_to(ROOT))
    if name in ELSEWHERE:
        return Path(ELSEWHERE[name])
    if path.is_dir():
        inside = path.relative_to(DOCS) if path.is_relative_to(DOCS) else Path("source", name)
        return inside / "index.md"
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS)
    return Path("source", f"{name.lstrip('.')}.md")  # what begins with a dot is not built


def _text_of(path: Path) -> str:
    if path.is_dir():
        return _listing(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    name = path.relative_to(ROOT)
    fence = "`" * 5
    language = _LANGUAGES.get(path.suffix, "text")
    # The search is for what is said to readers.
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n{fence}{language}\n{text}{fence}\n"


def _listing(folder: Path) -> str:
    title = folder.name.replace("-", " ").capitalize()
    return "\n".join(
        [
            f"# {title}\n",
            *(
                f"- [{_heading(path)}]({path.name})"
                for path in sorted(folder.iterdir())
                if path.is_file() and not path.name.startswith(".")
            ),
            "",
        ]
    )


def _heading(path: Path) -> str:
    if path.suffix != ".md":
        return path.name
    found = re.search(r"^# (?P<title>.+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found["title"] if found else path.name


def _with_links_of_the_site(path: Path, text: str) -> tuple[str, list[Path]]:
    """Turn links to files into links to their places; return those that are not pages, too."""
    here = place_of(path).parent
    base = path if path.is_dir() else path.parent
    linked: list[Path] = []

    def turned(found: re.Match[str]) -> str:
        target, hash_, fragment = found["target"].partition("#")
        there = (base / target).resolve()
        if _ELSEWHERE_ON_THE_WEB.match(found["target"]) or not there.exists():
            return found[0]
        if there.is_relative_to(DOCS) and there.suffix not in {".md", ""}:  # an image
            place = there.relative_to(DOCS)
        else:
            linked.append(there)
            place = place_of(there)
        return f"{found['text']}({os.path.relpath(place, here)}{hash_}{fragment})"

    if path.suffix not in {".md", ""}:
        return text, linked
    return "".join(
        part if part.startswith("```") else _LINK.sub(turned, part) for part in _FENCE.split(text)
    ), linked


if __name__ == "__main__":
    with explained():
        sys.exit(main(sys.argv[1:]))
