"""`make bench-peers`: what we are measured beside, into .venv-peers, which nothing else uses."""

import platform
import shutil
import sys

from tools.steps import ROOT, command, explained, fingerprint, step

VENV = ROOT / ".venv-peers"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "peers.txt"


def main() -> None:
    """Install what requirements/peers.txt locks, unless that is done."""
    step(
        "peers",
        "What we are measured beside",
        inputs=fingerprint(LOCK, sys.base_prefix, platform.python_version()),
        outputs=[PYTHON, VENV / "bin" / "gunicorn"],
        do=_install,
    )


def _install() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    command(sys.executable, "-m", "venv", VENV, what="Creating .venv-peers")
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--retries=2")
    command(*pip, "--require-hashes", "-r", LOCK, what="Installing what we are measured beside")


if __name__ == "__main__":
    with explained():
        main()
