"""The app's site beside a sibling and a stranger, and a browser that is signed in to the app."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.sites import EVE, Sites, several_sites


@pytest.fixture(scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    """Serve the app and its neighbours; EMAIL and EVE have accounts."""
    with several_sites(tmp_path_factory.mktemp("sites")) as sites:
        await sites.server.register()
        await sites.server.register(EVE)
        yield sites


@pytest.fixture(scope="module")
async def context(browser: Browser, sites: Sites) -> AsyncIterator[BrowserContext]:
    """Give a browser profile that is signed in to the app; no attack may end that."""
    async with sites.signed_in(browser) as context:
        yield context


@pytest.fixture
async def page(context: BrowserContext, sites: Sites) -> AsyncIterator[Page]:
    """Open a tab on a page of the app's without any script; nothing else has been asked."""
    page = await context.new_page()
    await page.goto("/blank")
    sites.server.wire.exchanges.clear()
    yield page
    await page.close()
