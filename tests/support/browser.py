"""The browser that the tests drive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from playwright.async_api import Page

from tests.support.live_server import PATIENCE_SECONDS
from tools import chromium


def chromium_path() -> Path:
    """Return the Chromium that `make test` found or installed, for Playwright's `executable_path`.

    Raises:
        RuntimeError: There is none yet.
    """
    found = chromium.find()
    if found is None:
        message = "no Chromium on this machine: `make test` installs one"
        raise RuntimeError(message)
    return found


@asynccontextmanager
async def frozen(page: Page) -> AsyncIterator[None]:
    """Stop a tab, as a browser or the machine does in the background: nothing of it runs.

    Stopped by a debugger: what DevTools call freezing does nothing to a tab that is looked at, and
    to Playwright each is. What asks this tab for something waits for the end of the block.
    """
    devtools = await page.context.new_cdp_session(page)
    paused = anyio.Event()
    devtools.once("Debugger.paused", lambda _: paused.set())
    await devtools.send("Debugger.enable")
    await devtools.send("Runtime.evaluate", {"expression": "void setTimeout(() => { debugger; })"})
    with anyio.fail_after(PATIENCE_SECONDS):
        await paused.wait()
    try:
        yield
    finally:
        await devtools.send("Debugger.resume")
        await devtools.detach()
