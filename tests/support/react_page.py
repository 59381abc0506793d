"""A page with nothing but the built React package in it, bundled as an app's own is."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from tools.steps import ROOT, environment

ADDRESS = "/react-page/"
_SOURCE = Path(__file__).parent.parent / "browser" / "react_page"


def build_react_page(folder: Path) -> None:
    """Bundle it, React and the packages' builds into a folder."""
    done = subprocess.run(
        [
            ROOT / "node_modules/.bin/vite",
            "build",
            _SOURCE,
            f"--outDir={folder}",
            f"--base={ADDRESS}",
            "--emptyOutDir",
            "--logLevel=warn",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def react_page_routes(folder: Path) -> Sequence[BaseRoute]:
    """Serve what was built there."""
    return [Mount(ADDRESS, StaticFiles(directory=folder, html=True))]
