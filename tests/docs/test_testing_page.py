"""docs/how-to/testing.md: its app, its fixtures and its tests, as a reader would save them."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS, code_blocks
from tools.steps import environment

PAGE = DOCS / "how-to" / "testing.md"
HTTPX = "ignore:Using `httpx` with `starlette.testclient`"  # an app may have either


def test_the_tests_that_the_page_shows_pass(tmp_path: Path) -> None:
    for block in code_blocks(PAGE, "python"):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-W", HTTPX],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "6 passed" in done.stdout, done.stdout + done.stderr
