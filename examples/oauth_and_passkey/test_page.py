"""The page in a real Chromium, with the browser's own virtual passkey device.

The provider stands on another site: its way back shows whether the cookies are of the right kind.

Source: Chrome DevTools Protocol, domain WebAuthn.
"""

from threading import Event

import httpx
import pytest
from anyio.to_thread import run_sync
from playwright.async_api import Page, async_playwright, expect
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.oauth_and_passkey.app import build_app
from examples.oauth_and_passkey.oauth import Provider
from examples.oauth_and_passkey.provider import build_provider
from examples.oauth_and_passkey.test_oauth_and_passkey import ADA, CHEAP, SECRET_KEY
from tests.browser.conftest import ARGUMENTS
from tests.support.browser import chromium_path
from tests.support.live_server import PATIENCE_SECONDS, listening

pytestmark = pytest.mark.browser

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Later:
    """An app that is made once its address is known."""

    def __init__(self) -> None:
        """Stand there already."""
        self._app: ASGIApp | None = None
        self._is_made = Event()

    def be(self, app: ASGIApp) -> None:
        """Answer by this one."""
        self._app = app
        self._is_made.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then pass on."""
        await run_sync(self._is_made.wait, PATIENCE_SECONDS)
        assert self._app is not None
        await self._app(scope, receive, send)


async def test_one_comes_by_the_provider_adds_a_passkey_and_comes_by_it(sqlite_url: str) -> None:
    engine = create_async_engine(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))
    app, provider = Later(), Later()
    with listening(provider) as provider_url, listening(app) as url:
        origin = url.replace("127.0.0.1", "localhost")  # a passkey is bound to a name
        there = Provider(
            name="example",
            url=provider_url,
            client_id="an-example",
            client_secret="told to nobody",
            redirect_uri=f"{origin}/login/provider/callback",
        )
        provider_app = build_provider(there.client_id, there.client_secret, there.redirect_uri)
        provider.be(provider_app)
        to_provider = httpx.AsyncClient(transport=httpx.ASGITransport(provider_app))
        app.be(build_app(engine, SECRET_KEY, there, to_provider, origin=origin, passwords=CHEAP))

        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium_path(), args=ARGUMENTS
            )
            page = await browser.new_page()
            devtools = await page.context.new_cdp_session(page)
            await devtools.send("WebAuthn.enable")
            await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
            try:
                await _tell_the_story(page, origin)
            finally:
                await browser.close()
    await engine.dispose()


async def _tell_the_story(page: Page, origin: str) -> None:
    said = page.locator("#who")
    await page.goto(origin)
    await expect(said).to_have_text("Nobody is signed in.")

    await page.get_by_role("link", name="Continue with the provider").click()
    await page.get_by_label("Who are you?").fill(ADA)
    await page.get_by_role("button", name="Continue").click()
    await expect(said).to_have_text(f"You are {ADA}.")

    await page.get_by_role("button", name="Add a passkey").click()
    await expect(said).to_have_text("The passkey is there.")

    await page.context.clear_cookies()
    await page.reload()
    await expect(said).to_have_text("Nobody is signed in.")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(said).to_have_text(f"You are {ADA}.")

    await page.reload()
    await expect(said).to_have_text(f"You are {ADA}.")
