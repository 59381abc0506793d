"""The browser that the tests drive."""

from pathlib import Path

from tools import chromium


def chromium_path() -> Path:
    """Return the Chromium that `make test` found or installed, for Playwright's `executable_path`.

    Raises:
        RuntimeError: There is none yet.
    """
    found = chromium.find()
    if found is None:
        message = "no Chromium on this machine: `make test` installs one"
        raise RuntimeError(message)
    return found
