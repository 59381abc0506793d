"""What a person without a mouse, or without sight, gets: axe on every page, and the one alert.

Source: WCAG 2.2 A and AA, as axe-core checks them; WAI-ARIA 1.2, role alert.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.support import live_server
from tests.support.client_page import client_logs_in
from tests.support.live_server import PASSWORD, LiveServer
from tests.support.react_page import ADDRESS, build_react_page, react_page_routes
from tests.support.visits import (
    FIREFOX,
    SAFARI,
    expect_activity,
    expect_sessions,
    expect_signed_in,
    expired_alert,
    fill_in_login,
    go_to,
    log_in,
)
from tools.steps import ROOT

AXE = ROOT / "node_modules/axe-core/axe.min.js"
FOUND = """async (runOnly) => (await axe.run({ runOnly })).violations
  .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))"""

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {
    "light": {"type": "tag", "values": WCAG},
    "dark": {"type": "rule", "values": ["color-contrast"]},  # only the colours are others
}

WHY = "It was ended from another device of yours."
WHERE = """() => {
  const { activeElement } = document;
  if (activeElement === document.body) return "the browser's own bar";
  return activeElement.closest("dialog") ? activeElement.textContent : "the page beneath";
}"""


@pytest.fixture(params=["light", "dark"])
async def look(request: pytest.FixtureRequest) -> Literal["light", "dark"]:
    """Look at it in both."""
    chosen: Literal["light", "dark"] = request.param
    return chosen


@pytest.fixture
async def seen(
    browser: Browser, server: LiveServer, look: Literal["light", "dark"]
) -> AsyncIterator[BrowserContext]:
    """Give a browser profile that has axe in each of its pages."""
    opened = await browser.new_context(
        base_url=server.url, color_scheme=look, reduced_motion="reduce"
    )
    await opened.add_init_script(path=AXE)
    yield opened
    await opened.close()


@pytest.mark.usefixtures("account")
async def test_axe_finds_nothing_on_any_page(
    seen: BrowserContext, server: LiveServer, look: Literal["light", "dark"]
) -> None:
    page = await seen.new_page()
    await server.log_in_elsewhere(FIREFOX)
    await server.log_in_elsewhere(SAFARI)
    found: dict[str, list[str]] = {}

    async def check(name: str) -> None:
        found[name] = await page.evaluate(FOUND, RULES[look])

    await page.goto("/register")
    await expect(page.get_by_role("heading", name="Create account")).to_be_visible()
    await check("register")
    await page.goto("/login")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await check("login")
    await fill_in_login(page)
    await expect(page.get_by_text("Nothing unusual")).to_be_visible()
    await check("overview")
    await go_to(page, "Sessions")
    await expect_sessions(page)
    await check("sessions")
    await page.get_by_role("button", name="Actions for").first.click()
    await check("a session's actions")
    await page.get_by_role("button", name="End session").click()
    await check("the question before it is ended")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("link", name="Safari on iOS").click()
    await expect(page.get_by_role("cell", name="Logged in").first).to_be_visible()
    await check("a session")
    await go_to(page, "Activity")
    await expect_activity(page)
    await check("activity")
    await go_to(page, "Lab")
    for step in ("Let the token expire", "Fire 20 requests at once"):
        await page.get_by_role("button", name=step).click()
    await expect(page.get_by_text("Answered.")).to_be_visible()
    await check("lab")
    await page.get_by_role("button", name="Account").click()
    await check("account menu")
    await page.get_by_role("link", name="Change password").click()
    await expect(page.get_by_label("Current password")).to_be_visible()
    await check("change password")
    await end_the_session(page, server)
    await check("expired")

    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.usefixtures("account")
async def test_the_expired_dialog_keeps_the_focus_and_its_link_leads_on_by_keyboard(
    page: Page, server: LiveServer
) -> None:
    await log_in(page)
    await end_the_session(page, server)
    stops = [await page.evaluate(WHERE)]

    for key in ["Tab"] * 4 + ["Shift+Tab"] * 4 + ["Escape"]:
        await page.keyboard.press(key)
        stops.append(await page.evaluate(WHERE))

    assert "the page beneath" not in stops
    assert stops[0] == "Log in"
    await expired_alert(page).get_by_role("link", name="Log in").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await fill_in_login(page)
    await expect_signed_in(page)


@pytest.mark.usefixtures("account")
async def test_a_screen_reader_hears_that_the_session_has_expired_and_why(
    page: Page, server: LiveServer
) -> None:
    await log_in(page)
    devtools = await page.context.new_cdp_session(page)
    assert await spoken(devtools, "alert") == []
    assert await spoken(devtools, "link") != []

    await end_the_session(page, server)

    [alert] = await spoken(devtools, "alert")
    assert "Your session has expired" in alert
    assert WHY in alert
    assert await spoken(devtools, "link") == ["Log in"]  # the page beneath is out of reach


@pytest.fixture(scope="module")
def react_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the page that has the React package's own dialog."""
    folder = tmp_path_factory.mktemp("react-page")
    build_react_page(folder)
    return folder


@pytest.fixture
def react_server(sqlite_url: str, react_page: Path) -> Iterator[LiveServer]:
    """Serve that page beside the app."""
    with live_server.running(sqlite_url, extra_routes=react_page_routes(react_page)) as started:
        yield started


@pytest.fixture
async def bare_page(browser: Browser, react_server: LiveServer) -> AsyncIterator[Page]:
    """Open that page, with axe in it, and log in."""
    await react_server.register()
    context = await browser.new_context(base_url=react_server.url)
    await context.add_init_script(path=AXE)
    page = await context.new_page()
    await page.goto(ADDRESS)
    await expect(page.get_by_text("Nobody is signed in.")).to_be_visible()
    await client_logs_in(page)
    yield page
    await context.close()


async def test_the_react_packages_own_dialog_is_heard_keeps_the_focus_and_leads_on_by_keyboard(
    bare_page: Page, react_server: LiveServer
) -> None:
    page = bare_page
    devtools = await page.context.new_cdp_session(page)
    assert await spoken(devtools, "alert") == []
    assert await spoken(devtools, "link") == ["Elsewhere"]

    await end_every_session(react_server)
    await page.get_by_role("button", name="Load").press("Enter")
    dialog = page.get_by_role("dialog", name="Your session has expired")
    await expect(dialog).to_be_visible()
    stops = [await page.evaluate(WHERE)]
    for key in ["Tab"] * 4 + ["Shift+Tab"] * 4 + ["Escape"]:
        await page.keyboard.press(key)
        stops.append(await page.evaluate(WHERE))

    assert await page.evaluate(FOUND, RULES["light"]) == []
    assert await spoken(devtools, "alert") == ["Your session has expired Log in"]
    assert await spoken(devtools, "link") == ["Log in"]  # the page beneath is out of reach
    assert "the page beneath" not in stops
    assert stops[0] == "Log in"
    await dialog.get_by_role("link", name="Log in").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/login?return_to=%2Freact-page%2F")


async def test_the_react_packages_question_for_the_password_is_heard_and_led_by_keyboard(
    bare_page: Page,
) -> None:
    page = bare_page

    await page.get_by_role("button", name="Erase all").press("Enter")
    dialog = page.get_by_role("dialog", name="Please confirm that it is you")
    await expect(dialog.get_by_label("Password")).to_be_focused()
    violations = await page.evaluate(FOUND, RULES["light"])
    stops = []
    for key in ["Tab"] * 5 + ["Shift+Tab"] * 5:
        await page.keyboard.press(key)
        stops.append(await page.evaluate(WHERE))
    await dialog.get_by_label("Password").fill("not hers")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_have_text("The password is wrong.")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")

    await expect(page.get_by_text("All is erased.")).to_be_visible()
    await expect(dialog).to_be_hidden()
    assert violations == []
    assert "the page beneath" not in stops


async def end_every_session(server: LiveServer) -> None:
    """End them from another device."""
    bearer = await server.log_in_elsewhere("curl/8.5.0")
    await server.delete("/auth/sessions", bearer)


async def end_the_session(page: Page, server: LiveServer) -> None:
    """End it from another device; the form that is sent then is refused."""
    await end_every_session(server)
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password").fill("eleven purple kettles on a hill")
    await page.keyboard.press("Enter")
    await expect(expired_alert(page)).to_be_visible()


async def spoken(devtools: CDPSession, role: str) -> list[str]:
    """Read what the accessibility tree holds of a role, each with the texts in it."""
    await devtools.send("Accessibility.enable")
    nodes = (await devtools.send("Accessibility.getFullAXTree"))["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}

    def text(node: dict[str, Any]) -> str:
        if node.get("role", {}).get("value") == "StaticText":
            return str(node["name"]["value"])
        return " ".join(text(by_id[child]) for child in node["childIds"] if child in by_id)

    return [
        text(node)
        for node in nodes
        if not node["ignored"] and node.get("role", {}).get("value") == role
    ]
