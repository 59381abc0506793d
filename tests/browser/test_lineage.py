"""A session's life: whatever part of it the picture shows, the table shows too."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.another_device import begin, renew
from tests.support.live_server import LiveServer
from tests.support.visits import log_in

pytestmark = pytest.mark.usefixtures("account")


def steps(page: Page) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("cell"))


def picture(page: Page, says: str) -> Locator:
    return page.get_by_role("img", name=says)


async def see_a_life(page: Page, server: LiveServer) -> None:
    """Open a session of 100 minutes that was renewed after 10, 48 and 90 of them."""
    server.advance(minutes=-100)
    session, token = await begin(server)
    for minutes in (10, 38, 42):
        server.advance(minutes=minutes)
        token = await renew(server, token)
    server.advance(minutes=10)
    await log_in(page, f"/sessions/{session}")
    await expect(picture(page, "Logged in, renewed 3 times, still signed in.")).to_be_visible()


async def test_dragging_over_a_part_shows_that_part_in_the_picture_and_in_the_table(
    page: Page, server: LiveServer
) -> None:
    await see_a_life(page, server)
    await expect(steps(page)).to_have_count(4)
    await expect(steps(page).first.get_by_role("cell").last).to_have_text(re.compile(r"^\d\d:\d\d"))

    await drag(page, 0.3, 0.5)

    await expect(picture(page, ": renewed 1 time.")).to_be_visible()
    await expect(steps(page)).to_have_count(1)
    await expect(steps(page).get_by_role("cell").first).to_have_text("2")
    await expect(page.get_by_text("1 of 4 steps, from ")).to_be_visible()

    await drag(page, 0.2, 0.4)
    await expect(page.get_by_text("Nothing happened in this part of it.")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(steps(page)).to_have_count(4)


async def test_the_keyboard_gets_everywhere_that_dragging_does(
    page: Page, server: LiveServer
) -> None:
    await see_a_life(page, server)
    await expect(page.get_by_role("button", name="Later")).to_be_disabled()

    await press(page, "Zoom in")
    await expect(picture(page, ": renewed 1 time.")).to_be_visible()
    await press(page, "Later")
    await press(page, "Later")
    await expect(picture(page, ": renewed 1 time, still signed in.")).to_be_visible()
    await press(page, "Earlier")
    await press(page, "Earlier")
    await expect(picture(page, ": logged in, renewed 2 times.")).to_be_visible()
    await press(page, "Zoom out")
    await expect(steps(page)).to_have_count(4)


async def drag(page: Page, start: float, end: float) -> None:
    """Drag the mouse over a part of the picture's width."""
    box = await page.get_by_role("img", name="The table below").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + start * box["width"], middle)
    await page.mouse.down()
    await page.mouse.move(box["x"] + end * box["width"], middle, steps=3)
    await page.mouse.up()


async def press(page: Page, button: str) -> None:
    """Reach a button by keyboard, and press it."""
    await page.get_by_role("button", name=button).focus()
    await page.keyboard.press("Enter")
