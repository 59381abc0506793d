"""Each checker catches what it is there for: a violation is planted into a copy of the sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the sources with their configuration, to plant something into."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "static")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(copy: Path, **modules: str) -> None:
    """Append to modules, made where they do not exist; `__` in a name stands for a dot."""
    for module, text in modules.items():
        path = copy / "src" / "batonpass" / f"{module.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        if path.parent.name != "batonpass":
            (path.parent / "__init__.py").touch()
        with path.open("a") as file:
            file.write(f"\n{text}\n")


def check(copy: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a checker on the copy, which comes before the installed package."""
    return subprocess.run(
        [BIN / program, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sources_as_they_are_keep_the_layers(copy: Path) -> None:
    found = check(copy, "lint-imports", "--no-cache", "--no-logo")

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("planted", "said"), [
    pytest.param({"ids": "from batonpass import family"},
                 "batonpass.ids is not allowed to import batonpass.family",
                 id="an arrow points up"),
    pytest.param({"refresh_tokens": "from batonpass import family"},
                 "batonpass.refresh_tokens is not allowed to import batonpass.family",
                 id="strangers meet"),
    pytest.param({"spare": "SPARE = 1"},
                 "batonpass.spare",
                 id="a new file has no place"),
    pytest.param({"storage__spare": "SPARE = 1"},
                 "batonpass.storage.spare",
                 id="a new file of storage has no place"),
    pytest.param({"family": "import sqlite3"},
                 "batonpass.family -> sqlite3",
                 id="the rules know a driver"),
    pytest.param({"policy": "import asyncio"},
                 "batonpass.policy -> asyncio",
                 id="the rules know an event loop"),
    pytest.param({"family": "from batonpass import clock"},
                 "batonpass.family -> batonpass.clock",
                 id="the rules ask for the time"),
    pytest.param({"storage__store": "from batonpass.storage import batching"},
                 "batonpass.storage.store is not allowed to import batonpass.storage.batching",
                 id="a store knows who batches"),
])  # fmt: skip
def test_a_forbidden_import_is_found(copy: Path, planted: dict[str, str], said: str) -> None:
    plant(copy, **planted)

    found = check(copy, "lint-imports", "--no-cache", "--no-logo")

    assert found.returncode == 1
    assert said in found.stdout


@pytest.mark.parametrize(("text", "rule"), [
    pytest.param("import datetime\nNOW = datetime.datetime.now(datetime.UTC)", "TID251",
                 id="it asks for the time"),
    pytest.param("import time\ntime.sleep(1)", "TID251", id="it sleeps"),
    pytest.param("from unittest import mock", "TID251", id="it mocks"),
    pytest.param("from . import ids", "TID252", id="a relative import"),
    pytest.param("def public() -> None:\n    pass", "D103", id="a public name says nothing"),
    pytest.param("X = 'x' * 20 + '" + "x" * 100 + "'", "E501", id="a line over 100"),
    pytest.param("SQL = f\"SELECT {__name__} FROM users\"", "S608", id="SQL is interpolated"),
])  # fmt: skip
def test_a_forbidden_form_is_found(copy: Path, text: str, rule: str) -> None:
    plant(copy, planted=f'"""Planted."""\n\n{text}')

    found = check(copy, "ruff", "check", "--no-cache", "src/batonpass/planted.py")

    assert found.returncode == 1
    assert rule in found.stdout


UNCOVERED = """
from batonpass.family import Verdict


def judge(verdict: Verdict) -> int:
    match verdict:
        case Verdict.ROTATE:
            return 1
    return 2
"""


def test_a_verdict_that_nobody_handles_is_found(copy: Path) -> None:
    plant(copy, planted=UNCOVERED)

    # Nothing else is read: all that an app needs of FastAPI and SQLAlchemy takes 20 s.
    files = ("src/batonpass/family.py", "src/batonpass/planted.py")
    found = check(copy, "mypy", "--follow-imports=skip", *files)

    assert found.returncode == 1
    assert "[exhaustive-match]" in found.stdout
