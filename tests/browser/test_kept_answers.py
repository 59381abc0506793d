"""An app's service worker that keeps and serves whatever it can; for proxies, tests/security."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tests.support import live_server
from tests.support.live_server import LiveServer
from tests.support.visits import expect_no_cookies, expect_sessions, log_in, log_out_button

WORKER = Path(__file__).with_name("hostile_pages") / "worker.js"
TOKENS = ("eyJ", "bpr_")  # how every one of ours begins

# The policy takes no bare text for a script's address: such an app has said that it means it.
REGISTER = """async () => {
  const policy = trustedTypes.createPolicy("hasty", { createScriptURL: (url) => url });
  await navigator.serviceWorker.register(policy.createScriptURL("/worker.js"));
}"""
KEPT = """async () => {
  const cache = await caches.open("everything");
  const answers = await Promise.all((await cache.keys()).map((key) => cache.match(key)));
  return Promise.all(answers.map(async (answer) => [answer.url, await answer.text()]));
}"""


async def _worker(_request: Request) -> Response:
    # Ours for what is no page would forbid it every request.
    return FileResponse(WORKER, headers={"Content-Security-Policy": "default-src 'self'"})


@pytest.fixture
def server(sqlite_url: str) -> Iterator[LiveServer]:
    """Serve the app, and the worker; over plain http, for no browser takes one over bad TLS."""
    with live_server.running(sqlite_url, extra_routes=[Route("/worker.js", _worker)]) as started:
        yield started


@pytest.mark.usefixtures("account")
async def test_a24_a_service_worker_that_keeps_everything_has_no_token_to_serve(
    page: Page, server: LiveServer
) -> None:
    await page.goto("/login")
    await page.evaluate(REGISTER)
    await page.wait_for_function("() => navigator.serviceWorker.controller")
    await log_in(page, "/sessions")
    await expect_sessions(page)

    for _ in range(2):  # each is a refresh of its own: what was kept has no token for a new page
        await page.reload()
        await expect_sessions(page)
    kept = await page.evaluate(KEPT)
    await log_out_button(page).click()
    await expect_no_cookies(page.context)
    await page.reload()

    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert {"/sessions", "/auth/me"} <= {url.removeprefix(server.url) for url, _ in kept}
    assert not [url for url, text in kept if any(token in text for token in TOKENS)]
    assert server.wire.count("POST", "/auth/token") == 1
    assert server.wire.count("POST", "/auth/refresh", 200) == 2
