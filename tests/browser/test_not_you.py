"""Beside an event that may have been somebody else: "Was this you?", and what helps if not."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.live_server import LiveServer
from tests.support.visits import FIREFOX, expect_activity, expect_sessions, go_to, log_in

pytestmark = pytest.mark.usefixtures("account")


async def test_it_opens_over_the_page_and_gives_the_focus_back(
    page: Page, server: LiveServer
) -> None:
    dialog = await ask(page, server)

    assert await has_focus_within(dialog)
    for _ in range(5):  # more often than it has buttons: the page beneath is out of reach
        await page.keyboard.press("Tab")
        assert not await opener(page).evaluate("(one) => one === document.activeElement")
    await page.keyboard.press("Escape")

    await expect(dialog).to_be_hidden()
    await expect(opener(page)).to_be_focused()


async def test_it_ends_all_other_sessions_also_where_the_first_answer_is_lost(
    page: Page, server: LiveServer
) -> None:
    dialog = await ask(page, server)
    end = dialog.get_by_role("button", name="End all others")
    with server.wire.losing("/auth/sessions"):
        await end.click()
        await expect(dialog.get_by_role("status")).to_contain_text("did not get through")

    await end.click()

    await expect(dialog.get_by_role("status")).to_have_text("Done. You are signed in here only.")
    await expect(end).to_be_disabled()
    await dialog.get_by_role("button", name="Close").click()
    await go_to(page, "Sessions")
    await expect_sessions(page)
    await expect(page.get_by_text("Ended from another session")).to_have_count(1)


async def test_it_leads_to_a_new_password(page: Page, server: LiveServer) -> None:
    dialog = await ask(page, server)

    await dialog.get_by_role("link", name="Change password").click()

    await expect(page.get_by_role("heading", name="Change password")).to_be_visible()
    await expect(dialog).to_be_hidden()


async def test_nobody_is_asked_about_this_very_login(page: Page) -> None:
    await log_in(page, "/activity")
    await expect_activity(page)
    await expect(page.get_by_text("this session")).to_be_visible()

    await expect(opener(page)).to_have_count(0)


async def ask(page: Page, server: LiveServer) -> Locator:
    """Log in after somebody on another device did, and answer "Was this you?"."""
    await server.log_in_elsewhere(FIREFOX)
    await log_in(page, "/activity")
    await expect_activity(page)
    await opener(page).click()
    dialog = page.get_by_role("dialog", name="If that was not you")
    await expect(dialog).to_be_visible()
    return dialog


def opener(page: Page) -> Locator:
    """Find the question; only one event of these tests has it."""
    return page.get_by_role("button", name="Was this you?")


async def has_focus_within(dialog: Locator) -> bool:
    """Whether the keyboard is at something in it."""
    return bool(await dialog.evaluate("(one) => one.contains(document.activeElement)"))
