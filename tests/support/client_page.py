"""A page with nothing but the built client in it, for what no page of the app does.

The server itself serves it, so that the client's requests go to its own origin; or another one
does, and the address says where the API is.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Page
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tests.support.live_server import EMAIL, PASSWORD
from tools.steps import ROOT

_PAGE = Path(__file__).parent.parent / "browser" / "client_page" / "index.html"
# Its own scripts are written into it, as the app's never are; its API may be anywhere.
_POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; connect-src *"


def client_page_routes() -> Sequence[BaseRoute]:
    """Serve the page, the packages' builds and axios as npm has them."""
    return [
        Route("/client-page", _page),
        Route("/client-page/axios.js", _axios),
        Mount("/client-page/client", StaticFiles(directory=ROOT / "packages/client/dist")),
    ]


async def open_client_page(page: Page, *, auth_url: str = "/auth", timeout_ms: int = 8_000) -> None:
    """Open it, and wait until its scripts have run; nobody is signed in by that."""
    options = urlencode({"auth_url": auth_url, "timeout_ms": timeout_ms})
    await page.goto(f"/client-page?{options}")
    await page.wait_for_function("() => Boolean(window.api)")


async def client_logs_in(page: Page, email: str = EMAIL) -> None:
    """Log in by the client's own hand."""
    await page.evaluate("login => session.login(login)", {"email": email, "password": PASSWORD})


async def client_starts(page: Page) -> str:
    """Let it find out who is signed in, and hear other tabs from here on; return its status."""
    await page.evaluate("() => void session.start()")
    return str(await page.evaluate("session.ready().then(({ status }) => status)"))


async def _page(_request: Request) -> Response:
    return FileResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


async def _axios(_request: Request) -> Response:
    return FileResponse(ROOT / "node_modules/axios/dist/esm/axios.js")
