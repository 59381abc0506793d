"""What a browser test may ask for: a server, and browsers that visit it."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from tests.support import live_server
from tests.support.browser import chromium_path
from tests.support.client_page import client_page_routes
from tests.support.live_server import HOST, LiveServer

ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Sites that are not there, for tests in which pages of several meet (sites/).
    f"--host-resolver-rules=MAP *.example.test {HOST}, MAP attacker.test {HOST}",
    *(("--no-sandbox",) if os.geteuid() == 0 else ()),
)


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Start what drives the browsers."""
    async with async_playwright() as started:
        yield started


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Start Chromium, once for all tests: each has contexts of its own."""
    started = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
    yield started
    await started.close()


@pytest.fixture(scope="session")
async def caching_browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Start a Chromium with the back/forward cache, which Playwright otherwise turns off."""
    started = await playwright.chromium.launch(
        executable_path=chromium_path(),
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield started
    await started.close()


@pytest.fixture
def server(sqlite_url: str) -> Iterator[LiveServer]:
    """Serve the app on SQLite; nobody has an account."""
    with live_server.running(sqlite_url, extra_routes=client_page_routes()) as started:
        yield started


@pytest.fixture
async def account(server: LiveServer) -> None:
    """Create the account of EMAIL and PASSWORD."""
    await server.register()


@pytest.fixture
async def context(browser: Browser, server: LiveServer) -> AsyncIterator[BrowserContext]:
    """Give a browser profile: a cookie jar, and whatever tabs are opened in it."""
    opened = await browser.new_context(base_url=server.url)
    yield opened
    await opened.close()


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    """Open a tab."""
    return await context.new_page()
