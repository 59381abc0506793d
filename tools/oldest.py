"""What the runner `oldest` tests with, into .venv-oldest: see requirements/oldest.in.

SQLModel and fastapi-users stand there as well: both want SQLAlchemy 2.0, and .venv has the newest.
"""

import platform
import shutil
import sys
from pathlib import Path

from tools.steps import ROOT, command, fingerprint, step

VENV = ROOT / ".venv-oldest"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "oldest.txt"
SOURCES = ROOT / "src"


def install() -> None:
    """Install what requirements/oldest.txt locks, unless that is done; and this project beside."""
    step(
        "oldest",
        "The oldest FastAPI and SQLAlchemy",
        inputs=fingerprint(LOCK, sys.base_prefix, platform.python_version()),
        outputs=[PYTHON, VENV / "bin" / "pytest"],
        do=_install,
    )


def _install() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    command(sys.executable, "-m", "venv", VENV, what="Creating .venv-oldest")
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--retries=2", "--no-compile")
    # Whole as it is: where hashes are wanted pip takes `sqlalchemy[asyncio]` for another package.
    how = ("--no-deps", "--require-hashes", "-r", LOCK)
    command(*pip, *how, what="Installing the oldest that we work with")
    _packages().joinpath("batonpass.pth").write_text(f"{SOURCES}\n")  # it needs no build for that


def _packages() -> Path:
    return next((VENV / "lib").glob("python3.*")) / "site-packages"
