"""The Lab, walked through as a visitor does: what it claims to show is what happens."""

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.live_server import LiveServer
from tests.support.visits import expired_alert, fill_in_login, go_to, log_in

LANE = 100  # px: less than from one lane to the next, on a page as wide as a browser is by default

pytestmark = pytest.mark.usefixtures("account")


def rows(page: Page) -> Locator:
    return page.get_by_role("log", name="Timeline").get_by_role("listitem")


async def left_of(row: Locator) -> float:
    """Where a row's words begin, in px."""
    box = await row.get_by_role("paragraph").first.bounding_box()
    assert box is not None
    return box["x"]


async def press(page: Page, step: str) -> None:
    await page.get_by_role("button", name=step).click()


async def open_lab(page: Page) -> None:
    await log_in(page)
    await go_to(page, "Lab")
    await expect(page.get_by_role("heading", name="Lab")).to_be_visible()


async def test_the_whole_story(context: BrowserContext, page: Page, server: LiveServer) -> None:
    await open_lab(page)
    before = server.refreshes

    await press(page, "Let the token expire")
    await press(page, "Fire 20 requests at once")
    await expect(rows(page).filter(has_text="token_invalid")).to_contain_text("× 20")
    await expect(rows(page).filter(has_text="Answered.")).to_contain_text("× 20")
    assert server.refreshes == before + 1

    await press(page, "Lose the next answer")
    await expect(rows(page).filter(has_text="the answer is lost on its way")).to_be_visible()
    await expect(rows(page).filter(has_text="repeat")).to_contain_text("token 2")

    await press(page, "Lose one, and come back late")
    recovered = rows(page).filter(has_text="What followed token 2 never arrived")
    await expect(recovered).to_contain_text("token 4 takes over")
    assert server.events().count("lost_answer_recovered") == 1
    await expect(recovered).to_contain_text("recover · rule 10")

    refreshes = server.refreshes
    async with context.expect_page() as opening:
        await page.get_by_role("link", name="Open a second tab").click()
    second = await opening.value
    arrival = rows(page).filter(has_text="needed no refresh")
    await expect(arrival).to_contain_text("another tab")
    assert await left_of(arrival) - await left_of(recovered) > LANE
    await press(second, "Fire 20 requests at once")
    await expect(rows(page).filter(has_text="another tab").last).to_contain_text("× 20")
    assert server.refreshes == refreshes
    await second.close()

    await press(page, "Steal the token")
    await expect(rows(page).filter(has_text="token 6 takes over")).to_be_visible()
    await press(page, "Come back as the thief")
    await expect(rows(page).filter(has_text="stolen refresh token")).to_contain_text("reused")
    await expect(expired_alert(page)).to_contain_text("An old copy of this session was used.")
    assert server.events().count("refresh_token_reused") == 1

    await expired_alert(page).get_by_role("link", name="Log in").click()
    await fill_in_login(page)
    await expect(page.get_by_role("heading", name="Lab")).to_be_visible()
    await expect(rows(page)).to_have_count(0)


async def test_without_a_stolen_token_there_is_no_thief(page: Page) -> None:
    await open_lab(page)

    await expect(page.get_by_role("button", name="Come back as the thief")).to_be_disabled()
    await page.get_by_role("button", name="Steal the token").focus()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("button", name="Come back as the thief")).to_be_enabled()


async def test_the_page_can_be_left_and_takes_its_hands_off_the_wire(page: Page) -> None:
    before = await page.evaluate("fetch.toString()")
    await open_lab(page)
    within = await page.evaluate("fetch.toString()")
    await go_to(page, "Sessions")
    await expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()

    assert within != before
    assert await page.evaluate("fetch.toString()") == before
