"""A page with nothing but the built React package in it, bundled as an app's own is."""

import json
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from batonpass.errors import LoginRequiredAgainError
from batonpass.http.answers import refusal
from tools.steps import ROOT, environment

ADDRESS = "/react-page/"
DANGEROUS = "/react-page-dangerous"
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
    """Serve what was built there, and a route that wants the password of just now."""
    return [
        Route(DANGEROUS, _dangerous, methods=["POST"]),
        Mount(ADDRESS, StaticFiles(directory=folder, html=True)),
    ]


async def _dangerous(request: Request) -> Response:
    """Take what only a confirmation gives here: a token of a generation after the login's."""
    payload = request.headers["Authorization"].split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return Response() if claims["gen"] > 0 else refusal(LoginRequiredAgainError())
