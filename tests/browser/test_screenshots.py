"""Every page, looked at: pictures in test-artefacts/, nothing on the console, nothing cut off.

The pictures are for people; the tests hold what a machine can see.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.support.another_device import begin, renew
from tests.support.live_server import EMAIL, LiveServer
from tests.support.visits import (
    FIREFOX,
    SAFARI,
    cookies,
    expect_activity,
    expect_sessions,
    expired_alert,
    fill_in_login,
    go_to,
    log_in,
    log_out_button,
)
from tools.steps import ROOT

PICTURES = ROOT / "test-artefacts" / "pages"

WINDOWS: dict[str, dict[str, Any]] = {  # options of `new_context`
    "wide": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
}
# Each page is looked at in both: the file's name ends so.
LOOKS: dict[str, list[tuple[Literal["light", "dark"], str]]] = {
    "wide": [("light", "light"), ("dark", "dark")],
    "phone": [("light", "phone"), ("dark", "phone-dark")],
}

VIOLATIONS = """addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  console.error(`policy: ${violatedDirective} ${blockedURI}`))"""

# What sticks out to the right of the window, outermost first.
STICKS_OUT = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 0.5
    && !one.closest("[class*=sr-only]"))
  .map((one) => one.outerHTML.slice(0, 120))
  .slice(0, 3)"""

# What a finger would miss: lower than 40 px. A link may reach over all of its row; one that
# stands in the middle of a sentence is as high as its line (WCAG 2.5.8, "Inline").
TOO_SMALL = """() => [...document.querySelectorAll("a, button, label:has(input)")]
  .filter((one) => one.checkVisibility() && !one.closest("[class*=sr-only]"))
  .flatMap((one) => {
    const reaches = getComputedStyle(one, "::after").position === "absolute";
    if (reaches) return one.closest(".relative");
    return getComputedStyle(one).display === "inline" ? [] : one;
  })
  .filter((one) => one.getBoundingClientRect().height < 39.5)
  .map((one) => one.outerHTML.slice(0, 120))
  .slice(0, 3)"""


class Viewer(NamedTuple):
    """Somebody with a camera."""

    page: Page
    server: LiveServer
    window: str
    complaints: list[str]

    async def picture(self, name: str) -> None:
        """Take pictures of the page as it stands, and hold it against what every page keeps."""
        page = self.page
        await page.evaluate("document.fonts.ready")
        for scheme, look in LOOKS[self.window]:
            await page.emulate_media(color_scheme=scheme)
            await page.screenshot(
                path=PICTURES / f"{name}-{look}.png", full_page=True, animations="disabled"
            )
        assert await page.title()
        assert await page.evaluate(STICKS_OUT) == []
        width = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
        assert await page.evaluate(width) == 0
        if self.window == "phone":
            assert await page.evaluate(TOO_SMALL) == []
        assert self.complaints == []


@asynccontextmanager
async def viewing(browser: Browser, server: LiveServer, window: str) -> AsyncIterator[Viewer]:
    """Open a tab in such a window, and note what its console complains of."""
    context = await browser.new_context(
        base_url=server.url, reduced_motion="reduce", **WINDOWS[window]
    )
    await context.add_init_script(VIOLATIONS)
    complaints: list[str] = []
    page = await context.new_page()

    def note(message: ConsoleMessage) -> None:
        # That an answer was a 401 is written there by the browser, whatever the page does about it.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield Viewer(page, server, window, complaints)
    await context.close()


@pytest.fixture(params=WINDOWS)
async def viewer(
    request: pytest.FixtureRequest, browser: Browser, server: LiveServer
) -> AsyncIterator[Viewer]:
    """Look at the app in each window."""
    await server.register()
    async with viewing(browser, server, request.param) as opened:
        yield opened


async def test_the_pages_outside(viewer: Viewer) -> None:
    page = viewer.page
    await page.goto("/register")
    await expect(page.get_by_role("heading", name="Create account")).to_be_visible()
    await viewer.picture("register")

    await page.get_by_role("link", name="Log in").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await viewer.picture("login")

    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill("not the one")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await viewer.picture("login-refused")


async def test_the_pages_inside(viewer: Viewer) -> None:
    page = viewer.page
    await log_in_beside_others(viewer)
    await viewer.picture("sessions")

    await page.get_by_role("button", name="Actions for").first.click()
    await expect(page.get_by_role("link", name="Details")).to_be_visible()
    await viewer.picture("sessions-actions")
    await page.get_by_role("button", name="End session").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await viewer.picture("sessions-end-one")
    await page.get_by_role("button", name="Cancel").click()

    await page.get_by_role("link", name="Safari on iOS").click()
    await expect(page.get_by_role("heading", name="Safari on iOS")).to_be_visible()
    await expect(page.get_by_role("cell", name="Logged in").first).to_be_visible()
    await viewer.picture("session")

    await go_to(page, "Overview")
    await expect(page.get_by_text("New login.").first).to_be_visible()
    await expect(page.get_by_text("Nothing unusual")).to_be_visible()
    await viewer.picture("overview")

    await go_to(page, "Activity")
    await expect_activity(page)
    await viewer.picture("activity")

    await page.get_by_role("button", name="Account").click()
    await expect(page.get_by_text("Signed in as")).to_be_visible()
    await viewer.picture("account-menu")

    await page.get_by_role("link", name="Change password").click()
    await expect(page.get_by_label("Current password")).to_be_visible()
    await viewer.picture("change-password")

    await page.goto("/sessions/nobody-knows-it")
    await expect(page.get_by_role("heading", name="No such session")).to_be_visible()
    await viewer.picture("no-such-session")

    await page.context.set_offline(True)
    await log_out_button(page).click()
    await expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()
    await viewer.picture("logged-out-offline")


async def test_the_lab(viewer: Viewer) -> None:
    page = viewer.page
    await log_in(page, "/lab")
    await expect(page.get_by_text("Begin with the first step.")).to_be_visible()
    await viewer.picture("lab")

    steps = ["Let the token expire", "Fire 20", "Steal the token", "Come back as the thief"]
    for step in steps:
        await page.get_by_role("button", name=step).click()
    await expect(expired_alert(page)).to_be_visible()
    await viewer.picture("lab-after-a-theft")


async def test_the_pages_in_trouble(viewer: Viewer) -> None:
    page, server = viewer.page, viewer.server
    stolen_session = await log_in_beside_others(viewer)
    stolen = (await cookies(page.context))["refresh_token"]["value"]
    server.expire_access_tokens()
    with server.wire.losing("/auth/refresh"):
        await go_to(page, "Activity")
        await expect(page.get_by_text("Can't reach the server.")).to_be_visible()
        await viewer.picture("unreachable")
    await expect_activity(page)  # by itself, a moment later

    server.expire_access_tokens()  # from here on what was stolen has been left behind
    await page.reload()
    await expect_activity(page)
    thief = {"Cookie": f"refresh_token={stolen}", "User-Agent": "curl/8.5.0"}
    answer = await server.post("/auth/refresh", headers=thief)
    assert answer.json()["code"] == "refresh_reused"
    await page.goto(f"/sessions/{stolen_session}")
    await expect(expired_alert(page)).to_be_visible()
    await viewer.picture("expired")

    await expired_alert(page).get_by_role("link", name="Log in").click()
    await fill_in_login(page)
    await expect(page.get_by_text("An old copy of this session was used.")).to_be_visible()
    await expect(page.get_by_role("img", name="old copy used · curl, ended")).to_be_visible()
    await viewer.picture("session-stolen")

    await go_to(page, "Activity")
    await expect_activity(page)
    await viewer.picture("activity-after-a-theft")

    await page.get_by_role("button", name="Was this you?").first.click()
    await expect(page.get_by_role("dialog", name="If that was not you")).to_be_visible()
    await viewer.picture("not-you")


async def test_the_life_of_a_session(viewer: Viewer) -> None:
    page, server = viewer.page, viewer.server
    server.advance(minutes=-48 * 60)
    session, token = await begin(server)
    for minutes in (40, 40, 40, 9 * 60, 40, 40):
        server.advance(minutes=minutes)
        token = await renew(server, token)
    server.advance(minutes=5 * 60)
    await renew(server, token)  # its answer is lost
    server.advance(minutes=5)
    token = await renew(server, token)
    for minutes in (60, 12 * 60, 40, 40):
        server.advance(minutes=minutes)
        token = await renew(server, token)
    server.advance(minutes=9 * 60)
    await renew(server, token)
    await renew(server, token, "curl/8.5.0")
    server.advance(minutes=48 * 60 - 2445)
    await log_in(page, f"/sessions/{session}")

    for kind in ("renewed 13 times", "lost answer recovered", "answered elsewhere"):
        await expect(page.get_by_role("img", name=kind)).to_be_visible()
    await viewer.picture("session-life")

    for _ in range(3):
        await page.get_by_role("button", name="Zoom in").click()
    await expect(page.get_by_text("3 of 15 steps, from ")).to_be_visible()
    await viewer.picture("session-life-closer")


async def log_in_beside_others(viewer: Viewer) -> str:
    """Log in, in an account that is in use on two other devices; return the session's id."""
    page, server = viewer.page, viewer.server
    server.advance(minutes=-53 * 60)
    await server.log_in_elsewhere(FIREFOX)
    server.advance(minutes=52 * 60 + 13)
    await server.log_in_elsewhere(SAFARI)
    server.advance(minutes=47)
    await log_in(page, "/sessions")
    await expect_sessions(page)
    link = page.get_by_role("heading", level=2).get_by_role("link").first
    return str(await link.get_attribute("href")).rpartition("/")[2]
