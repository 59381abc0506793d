"""Three sites that a browser can visit: the app's, a sibling of it, and a stranger's.

All are this machine, over https; the browsers of tests/browser find them by name. The app lets its
cookies go along from everywhere (COOKIE_SAMESITE=none), so that the outermost wall is gone: what is
refused here is refused by what stands behind it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, BrowserContext
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.support import live_server
from tests.support.certificates import write_certificate
from tests.support.live_server import EMAIL, HOST, PASSWORD, LiveServer

APP, SIBLING, STRANGER, PARENT = (
    "app.example.test", "evil.example.test", "attacker.test", "example.test"
)  # fmt: skip
EVE = "eve@example.org"
_PAGES = Path(__file__).parent.parent / "browser" / "hostile_pages"

# On a page of the app's: what its client does, without the client.
LOG_IN = """async ([username, password]) => {
  const body = new URLSearchParams({ username, password });
  return (await fetch("/auth/token", { method: "POST", body })).ok;
}"""
REFRESH = "async () => (await fetch('/auth/refresh', { method: 'POST' })).ok"


@dataclass(frozen=True)
class Sites:
    """Where they are.

    Attributes:
        server: The app's.
        app: Its origin.
        sibling: The origin of another name under the same registrable domain.
        stranger: The origin of another site.
    """

    server: LiveServer
    app: str
    sibling: str
    stranger: str

    @asynccontextmanager
    async def signed_in(self, browser: Browser) -> AsyncIterator[BrowserContext]:
        """Open a browser profile that has logged in to the app."""
        context = await browser.new_context(base_url=self.app, ignore_https_errors=True)
        page = await context.new_page()
        await page.goto("/blank")
        assert await page.evaluate(LOG_IN, [EMAIL, PASSWORD])
        await page.close()
        yield context
        await context.close()


@contextmanager
def several_sites(folder: Path) -> Iterator[Sites]:
    """Serve them; nobody has an account.

    Args:
        folder: Where the database and the certificate may lie.
    """
    certificate = write_certificate(folder / "server.pem", HOST)
    strangers = Starlette(routes=[Route("/toss", _toss), Mount("/", StaticFiles(directory=_PAGES))])
    with (
        live_server.running(
            f"sqlite:///{folder / 'batonpass.db'}",
            certificate=certificate,
            environment="production",
            cookie_samesite="none",
            cors_origins="https://spa.example.test",
            extra_routes=[Route("/blank", _blank)],
        ) as server,
        live_server.listening(strangers, certificate=certificate) as other,
    ):
        port, other_port = (url.rpartition(":")[2] for url in (server.url, other))
        yield Sites(
            server,
            app=f"https://{APP}:{port}",
            sibling=f"https://{SIBLING}:{other_port}",
            stranger=f"https://{STRANGER}:{other_port}",
        )


async def _toss(request: Request) -> Response:
    """Set cookies for the whole domain, as any site in it may: each name, on each path."""
    answer = PlainTextResponse("tossed")
    for name, value in request.query_params.items():
        for path in ("/", "/auth", "/auth/refresh"):
            for attribute in ("", "; HttpOnly"):
                answer.headers.append(
                    "Set-Cookie", f"{name}={value}; Domain={PARENT}; Path={path}; Secure{attribute}"
                )
    return answer


async def _blank(_request: Request) -> Response:
    return HTMLResponse("<!doctype html><title>A page of the app's</title><p>")
