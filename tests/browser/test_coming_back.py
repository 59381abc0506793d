"""Who was away comes back signed in: offline, asleep, or with a browser that was killed.

The page's clock and the server's are moved; nothing here waits.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Playwright, expect

from tests.browser.conftest import ARGUMENTS
from tests.support.browser import chromium_path
from tests.support.live_server import PASSWORD, LiveServer, until
from tests.support.visits import (
    expect_sessions,
    expect_signed_in,
    log_in,
    refresh_cookie,
)

pytestmark = pytest.mark.usefixtures("account")

# What the page says it is, after each change of it: React shows nothing that this does not see.
RECORD = """() => {
  window.shown = new Set();
  const look = () => {
    const heading = document.querySelector("h1")?.textContent ?? "nothing";
    shown.add(`${location.pathname} ${heading}`);
    for (const one of document.querySelectorAll("dialog")) shown.add(one.textContent);
  };
  look();
  new MutationObserver(look).observe(document, {
    childList: true, subtree: true, characterData: true,
  });
}"""
SHOWN = "[...shown]"
ONLINE = "() => void dispatchEvent(new Event('online'))"

# What a browser tells a page that is looked at again, and upon which TanStack Query asks again.
WAKE = """document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))"""


async def half_fill_a_form(page: Page) -> None:
    """Log in, type a half of what the form asks for, and note what is shown from here on."""
    await page.clock.install()
    await log_in(page)
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.evaluate(RECORD)


async def expect_nothing_happened(page: Page) -> None:
    """Expect the page as it was left, and that it was nothing else meanwhile."""
    await expect(page.get_by_label("Current password")).to_have_value(PASSWORD)
    await expect_signed_in(page)
    assert await page.evaluate(SHOWN) == ["/settings/password Change password"]


async def test_ten_minutes_offline_cost_one_refresh(
    context: BrowserContext, page: Page, server: LiveServer
) -> None:
    await half_fill_a_form(page)
    before, asked = server.refreshes, server.wire.count("GET", "/auth/me")

    await context.set_offline(True)
    server.expire_access_tokens()
    await page.clock.fast_forward("31:00")
    await page.evaluate(WAKE)
    await expect(page.get_by_text("Can't reach the server.")).to_be_visible()
    for _ in range(10):  # each time it has tried again
        server.advance(minutes=1)
        await page.clock.fast_forward("01:00")
    assert server.refreshes == before
    await context.set_offline(False)

    async def is_back() -> bool:
        await page.evaluate(ONLINE)  # a try that began offline may end only after the browser's own
        return await page.get_by_text("Can't reach the server.").count() == 0

    await until(is_back)

    async def is_answered() -> bool:
        return server.wire.count("GET", "/auth/me") > asked

    await until(is_answered)
    await expect_nothing_happened(page)
    assert server.refreshes == before + 1


async def test_eight_hours_asleep_cost_one_refresh(page: Page, server: LiveServer) -> None:
    await half_fill_a_form(page)
    before, asked = server.refreshes, server.wire.count("GET", "/auth/me")

    server.advance(minutes=8 * 60)
    await page.clock.fast_forward("08:00:00")
    await page.evaluate(WAKE)

    async def is_answered() -> bool:
        return server.wire.count("GET", "/auth/me") > asked

    await until(is_answered)
    await expect_nothing_happened(page)
    assert server.refreshes == before + 1


async def test_a_browser_that_was_killed_after_a_refresh_is_still_signed_in(
    playwright: Playwright, server: LiveServer, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    async with browser_on(playwright, server, profile) as context:
        await log_in(context.pages[0])
    async with browser_on(playwright, server, profile) as context:
        at_login = await refresh_cookie(context)
        server.advance(minutes=60)
        await context.pages[0].goto("/sessions")
        await expect_sessions(context.pages[0])
        assert await refresh_cookie(context) != at_login
        server.advance(minutes=5 / 60)
        await kill(profile, context)
    server.advance(minutes=1)  # later than a repetition is answered

    async with browser_on(playwright, server, profile) as context:
        # Chromium writes its cookies to the disk when it likes: this refresh's may be lost, or not.
        await context.pages[0].goto("/sessions")
        await expect_sessions(context.pages[0])

    assert server.wire.count("POST", "/auth/token") == 1
    assert "refresh_token_reused" not in server.events()


@asynccontextmanager
async def browser_on(
    playwright: Playwright, server: LiveServer, profile: Path
) -> AsyncIterator[BrowserContext]:
    """Start a browser of its own on a profile that lies on the disk; close it as its user does."""
    context = await playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium_path(), args=ARGUMENTS, base_url=server.url
    )
    yield context
    await context.close()


async def kill(profile: Path, context: BrowserContext) -> None:
    """End the browser as a power cut does: it writes nothing more."""
    process_id = int((profile / "SingletonLock").readlink().name.rpartition("-")[2])
    async with context.expect_event("close"):
        os.kill(process_id, signal.SIGKILL)
