"""Which Chromium the browser tests drive: this machine's own, or one installed for them."""

import os
import shutil
import subprocess
from pathlib import Path

from tools.steps import PYTHON, VENV, StepError, command

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
DOWNLOADS = VENV / "browsers"
# Where Playwright unpacks it, on Linux and on macOS.
DOWNLOADED = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")


def find() -> Path | None:
    """Return the first Chromium that starts, or None. BATONPASS_TEST_CHROMIUM names another."""
    named = os.environ.get("BATONPASS_TEST_CHROMIUM")
    if named:
        return Path(named)
    candidates = [found for name in NAMES if (found := shutil.which(name))]
    candidates += [path for path in MAC if Path(path).exists()]
    candidates += [str(path) for pattern in DOWNLOADED for path in DOWNLOADS.glob(pattern)]
    return next((Path(candidate) for candidate in candidates if _starts(candidate)), None)


def _starts(candidate: str) -> bool:
    # Ubuntu's `chromium-browser` outside a desktop is a note that one should install a snap.
    try:
        asked = subprocess.run(
            [candidate, "--version"], check=False, capture_output=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def ensure() -> Path:
    """Return a Chromium, installing one where there is none: Debian's as root, else Playwright's.

    Raises:
        StepError: Neither could be had.
    """
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("  … Chromium, by apt-get", flush=True)
        try:
            _install_debian()
        except StepError as error:
            print(f"  … {error}", flush=True)
        found = find()
    if found is None:
        print("  … Chromium, by Playwright", flush=True)
        command(
            PYTHON,
            "-m",
            "playwright",
            "install",
            "chromium",
            what="Downloading Chromium",
            extra={"PLAYWRIGHT_BROWSERS_PATH": str(DOWNLOADS)},
        )
        found = find()
    if found is None:
        message = (
            "No Chromium starts on this machine: install chromium or google-chrome, or name one in "
            "BATONPASS_TEST_CHROMIUM."
        )
        raise StepError(message)
    return found


def _install_debian() -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command("apt-get", "update", what="apt-get update", extra=quiet)
    command(
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "chromium",
        what="Installing Chromium by apt-get",
        extra=quiet,
    )
