"""The OpenAPI page: its Authorize button logs in, under a policy that lets nothing foreign in."""

from playwright.async_api import Browser, expect

from tests.support.live_server import EMAIL, PASSWORD, LiveServer


async def test_the_authorize_button_logs_in(browser: Browser, server: LiveServer) -> None:
    await server.register()
    context = await browser.new_context(base_url=server.url)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto("/docs")

    await page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".dialog-ux")
    await dialog.get_by_label("username:").fill(EMAIL)
    await dialog.get_by_label("password:").fill(PASSWORD)
    await dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()

    await expect(dialog.get_by_role("button", name="Remove authorization")).to_be_visible()
    assert complaints == []
    await context.close()
