"""REGISTRATION=confirm as a person meets it: the form, the mail, the link, the login."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.support import live_server
from tests.support.live_server import EMAIL, PASSWORD, LiveServer
from tests.support.smtp import SmtpSite, a_mail_server


@pytest.fixture
async def mail() -> AsyncIterator[SmtpSite]:
    """Run the mail server that the app hands its letters to."""
    async with a_mail_server() as site:
        yield site


@pytest.fixture
async def confirming(sqlite_url: str, mail: SmtpSite) -> AsyncIterator[LiveServer]:
    """Serve the app where a mail decides who gets an account."""
    smtp_url = f"smtp://{mail.host}:{mail.port}"
    with live_server.running(sqlite_url, registration="confirm", smtp_url=smtp_url) as server:
        yield server


@pytest.fixture
async def browser_of_ada(browser: Browser, confirming: LiveServer) -> AsyncIterator[BrowserContext]:
    """Give a browser profile on that app."""
    context = await browser.new_context(base_url=confirming.url)
    yield context
    await context.close()


async def test_an_account_begins_with_the_link_in_the_mail(
    confirming: LiveServer, browser_of_ada: BrowserContext, mail: SmtpSite
) -> None:
    page = await browser_of_ada.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(str(request.url) + str(request.headers)))
    await page.goto("/register")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("status")).to_contain_text(EMAIL)
    found = re.search(r"http\S+#token=(\S+)", (await mail.next_mail()).text)
    assert found is not None

    await page.goto(found[0])
    await expect(page).to_have_url(f"{confirming.url}/register/finish")
    assert confirming.wire.count("POST", "/auth/register/finish") == 0
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("status")).to_contain_text("Your account is ready")
    await page.get_by_role("main").get_by_role("link", name="Log in").first.click()
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()

    assert confirming.wire.count("POST", "/auth/register/finish", 201) == 1
    elsewhere = [one for one in asked if found[1] in one and "#token=" not in one]
    assert elsewhere == [], "the token stands in no request's head"


async def test_a_link_that_was_used_leads_on(
    confirming: LiveServer, browser_of_ada: BrowserContext, mail: SmtpSite
) -> None:
    await confirming.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
    found = re.search(r"http\S+#token=(\S+)", (await mail.next_mail()).text)
    assert found is not None
    await confirming.post("/auth/register/finish", json={"token": found[1]})
    page = await browser_of_ada.new_page()

    await page.goto(found[0])
    await page.get_by_role("button", name="Create account").click()

    await expect(page.get_by_role("alert")).to_contain_text("expired, or was used already")
    await page.get_by_role("link", name="Create account").click()
    await expect(page).to_have_url(f"{confirming.url}/register")
