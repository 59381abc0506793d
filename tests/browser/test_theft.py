"""A thief with a copied cookie: both lose the session, and its owner is told."""

from http.client import UNAUTHORIZED

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.live_server import LiveServer
from tests.support.visits import (
    cookies,
    expect_activity,
    expect_sessions,
    expect_signed_in,
    expired_alert,
    fill_in_login,
    go_to,
    log_in,
)

pytestmark = pytest.mark.usefixtures("account")


async def test_a_stolen_token_that_is_replayed_ends_the_session_and_the_page_says_so(
    context: BrowserContext, page: Page, server: LiveServer
) -> None:
    await log_in(page)
    stolen = (await cookies(context))["refresh_token"]["value"]
    await use_it_until_the_next_token_has_settled(page, server)

    answer = await server.post("/auth/refresh", headers={"Cookie": f"refresh_token={stolen}"})
    await page.reload()

    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_reused")
    await expect(expired_alert(page)).to_be_visible()
    await expect(expired_alert(page)).to_contain_text("An old copy of this session was used.")


async def test_after_the_alert_the_login_leads_back_to_the_page(
    context: BrowserContext, page: Page, server: LiveServer
) -> None:
    await log_in(page)
    stolen = (await cookies(context))["refresh_token"]["value"]
    await use_it_until_the_next_token_has_settled(page, server)
    await server.post("/auth/refresh", headers={"Cookie": f"refresh_token={stolen}"})

    # No reload this time: the next click is refused at once, though its access token is young.
    await go_to(page, "Activity")
    await expired_alert(page).get_by_role("link", name="Log in").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await fill_in_login(page)

    await expect_activity(page)
    await expect(page.get_by_text("An old copy of a session was used")).to_be_visible()
    assert server.events().count("refresh_token_reused") == 1


async def test_who_is_about_to_log_in_is_not_told_again(
    context: BrowserContext, page: Page, server: LiveServer
) -> None:
    await log_in(page)
    stolen = (await cookies(context))["refresh_token"]["value"]
    await use_it_until_the_next_token_has_settled(page, server)
    await server.post("/auth/refresh", headers={"Cookie": f"refresh_token={stolen}"})

    for name, path in {"Create account": "/register", "Log in": "/login"}.items():
        await page.goto(path)
        await expect(page.get_by_role("heading", name=name)).to_be_visible()
        await expect(expired_alert(page)).to_have_count(0)

    await fill_in_login(page)
    await expect_signed_in(page)
    await page.reload()
    await expect_signed_in(page)
    await expect(expired_alert(page)).to_have_count(0)


async def test_who_never_had_a_session_is_not_told_that_it_has_expired(
    context: BrowserContext, page: Page, server: LiveServer
) -> None:
    await context.add_cookies(  # another app's, on the same host
        [{"name": "refresh_token", "value": "of-another-port", "url": server.url}]
    )

    await page.goto("/sessions")

    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert server.wire.count("POST", "/auth/refresh", UNAUTHORIZED) == 1
    await fill_in_login(page)
    await expect_sessions(page)


async def use_it_until_the_next_token_has_settled(page: Page, server: LiveServer) -> None:
    """Refresh twice, an access token's life apart; the page called Activity stays unseen."""
    server.expire_access_tokens()
    await go_to(page, "Sessions")
    await expect_sessions(page)
    server.expire_access_tokens()
    await go_to(page, "Overview")
    await expect(page.get_by_text("New login.")).to_be_visible()
