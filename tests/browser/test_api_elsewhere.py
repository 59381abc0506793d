"""The API on another origin than the page: CORS, and the cookie goes along all the same."""

from collections.abc import AsyncIterator, Iterator
from http.client import OK, UNAUTHORIZED

import pytest
from playwright.async_api import Browser, Page
from starlette.applications import Starlette

from tests.support import live_server
from tests.support.client_page import (
    client_logs_in,
    client_page_routes,
    client_starts,
    open_client_page,
)
from tests.support.live_server import EMAIL, LiveServer
from tests.support.visits import cookies, expect_no_cookies

ACCOUNT = "url => api.get(url).then(({ data }) => data.email)"


@pytest.fixture
def page_url() -> Iterator[str]:
    """Serve the page alone, on an origin of its own."""
    with live_server.listening(Starlette(routes=client_page_routes())) as url:
        yield url


@pytest.fixture
def api(sqlite_url: str, page_url: str) -> Iterator[LiveServer]:
    """Serve the app, to which that page may talk."""
    with live_server.running(sqlite_url, cors_origins=page_url) as started:
        yield started


@pytest.fixture
async def page(browser: Browser, page_url: str) -> AsyncIterator[Page]:
    """Open a tab on the page's origin."""
    context = await browser.new_context(base_url=page_url)
    yield await context.new_page()
    await context.close()


async def test_a_page_on_another_origin_signs_in_refreshes_and_logs_out(
    page: Page, api: LiveServer
) -> None:
    await api.register()
    auth_url = f"{api.url}/auth"
    await open_client_page(page, auth_url=auth_url)

    await client_logs_in(page)
    assert await page.evaluate(ACCOUNT, f"{auth_url}/me") == EMAIL

    api.expire_access_tokens()
    assert await page.evaluate(ACCOUNT, f"{auth_url}/me") == EMAIL
    assert api.wire.count("GET", "/auth/me", UNAUTHORIZED) == 1
    assert api.wire.count("POST", "/auth/refresh", OK) == 1

    await open_client_page(page, auth_url=auth_url)  # all it had is gone, but for the cookie
    assert await client_starts(page) == "authenticated"
    assert api.wire.count("POST", "/auth/refresh", OK) == 2
    assert "refresh_token" in await cookies(page.context)

    await page.evaluate("session.logout()")
    await expect_no_cookies(page.context)
    await open_client_page(page, auth_url=auth_url)
    assert await client_starts(page) == "anonymous"
    assert api.wire.count("POST", "/auth/token") == 1
