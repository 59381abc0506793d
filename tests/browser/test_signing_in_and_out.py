"""Accounts, logins, logouts and the list of sessions, as a person uses them."""

import re

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support.client_page import client_logs_in, open_client_page
from tests.support.live_server import EMAIL, PASSWORD, LiveServer
from tests.support.visits import (
    AN_OLDER_BROWSER,
    FIREFOX,
    SAFARI,
    cookies,
    expect_no_cookies,
    expect_sessions,
    expect_signed_in,
    expired_alert,
    fill_in_login,
    go_to,
    log_in,
    log_out_button,
)

NEW_PASSWORD = "eleven purple kettles on a hill"

STORED = """async () => ({
  local: { ...localStorage },
  session: { ...sessionStorage },
  databases: (await indexedDB.databases()).map(({ name }) => name),
  caches: await caches.keys(),
  cookie: document.cookie,
  name: window.name,
  history: JSON.stringify(history.state),
})"""


# However old it is: what a browser wrote to the disk, its next user finds there.
IN_THE_CACHE = """async (paths) => {
  const look = (path) => fetch(path, { cache: "only-if-cached", mode: "same-origin" })
    .then(({ status }) => status === 200, () => false);
  const found = await Promise.all(paths.map(look));
  return paths.filter((_, at) => found[at]);
}"""


async def test_a_new_account_is_signed_in_at_once(page: Page, server: LiveServer) -> None:
    await page.goto("/register")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()

    await expect_signed_in(page)
    await page.reload()
    await expect_signed_in(page)


@pytest.mark.usefixtures("account")
async def test_s_cookie_6_no_script_can_read_a_token(page: Page, server: LiveServer) -> None:
    await log_in(page)
    await page.get_by_role("button", name="Account").click()
    await page.get_by_text("Dark", exact=True).click()
    server.expire_access_tokens()
    await go_to(page, "Sessions")
    await expect_sessions(page)

    stored = await page.evaluate(STORED)

    assert stored.pop("local") == {"theme": "dark"}
    assert re.fullmatch(r"session_state=[\w-]{8}\.1", stored.pop("cookie"))
    assert "eyJ" not in stored.pop("history")
    assert stored == {"session": {}, "databases": [], "caches": [], "name": ""}
    jar = await cookies(page.context)
    assert jar["refresh_token"]["httpOnly"]
    assert jar["refresh_token"]["sameSite"] == "Strict"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("remember", [True, False])
async def test_keep_me_signed_in_is_what_the_cookie_does(
    context: BrowserContext, page: Page, server: LiveServer, *, remember: bool
) -> None:
    await log_in(page, remember=remember)
    server.expire_access_tokens()
    await go_to(page, "Sessions")  # a rotation must not forget it
    await expect_sessions(page)

    jar = await cookies(context)

    assert jar["session_state"]["value"].endswith(".1")
    for name in ("refresh_token", "session_state"):
        until_the_browser_closes = jar[name]["expires"] == -1
        assert until_the_browser_closes is not remember


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("keeps_pages", [False, True], ids=["no page cache", "back/forward cache"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["in this tab", "in another tab"])
async def test_a23_after_a_logout_back_shows_nothing_private(
    browser: Browser,
    caching_browser: Browser,
    server: LiveServer,
    *,
    keeps_pages: bool,
    elsewhere: bool,
) -> None:
    context = await (caching_browser if keeps_pages else browser).new_context(base_url=server.url)
    page = await context.new_page()
    await log_in(page)
    await go_to(page, "Sessions")
    await expect_sessions(page)
    if elsewhere:
        await page.goto("/docs")  # the page before may be kept as it is
        other = await context.new_page()
        await other.goto("/activity")
        await log_out_button(other).click()
        await expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    else:
        await log_out_button(page).click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()

    for look_again in (page.go_back, page.reload):
        await look_again()

        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        text = await page.locator("body").inner_text()
        assert EMAIL not in text
        assert "This device" not in text
    await expect_no_cookies(context)
    await context.close()


@pytest.mark.usefixtures("account")
async def test_a23_a_page_that_the_browser_kept_forgets_who_was_signed_in(
    caching_browser: Browser, server: LiveServer
) -> None:
    context = await caching_browser.new_context(base_url=server.url)
    await context.add_init_script(AN_OLDER_BROWSER)  # the kept page hears nothing from other tabs
    page, other = await context.new_page(), await context.new_page()
    await open_client_page(page)
    await client_logs_in(page)
    await page.evaluate("() => void (window.kept = true)")
    await page.goto("/docs")
    await open_client_page(other)
    await other.evaluate("session.logout()")
    await expect_no_cookies(context)

    await page.go_back(wait_until="commit")

    await page.wait_for_function("() => session.getSnapshot().status === 'anonymous'")
    assert await page.evaluate("window.kept"), "it was loaded anew: this has shown nothing"
    await context.close()


@pytest.mark.usefixtures("account")
async def test_a_logout_in_one_tab_takes_the_page_away_in_the_other(
    context: BrowserContext, page: Page
) -> None:
    await log_in(page, "/sessions")
    await expect_sessions(page)
    other = await context.new_page()
    await other.goto("/activity")

    await log_out_button(other).click()

    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert EMAIL not in await page.locator("body").inner_text()


@pytest.mark.usefixtures("account")
async def test_the_browser_keeps_no_answer(page: Page, server: LiveServer) -> None:
    await log_in(page)
    await go_to(page, "Overview")
    await expect(page.get_by_text("New login.")).to_be_visible()
    asked = {one.path for one in server.wire.exchanges if one.path.startswith("/auth/")}
    assert {"/auth/me", "/auth/sessions"} < asked

    assert await page.evaluate(IN_THE_CACHE, sorted(asked)) == []


@pytest.mark.usefixtures("account")
async def test_one_session_can_be_ended_and_then_all_the_others(
    page: Page, server: LiveServer
) -> None:
    await server.log_in_elsewhere(FIREFOX)
    await server.log_in_elsewhere(SAFARI)
    await log_in(page, "/sessions")

    firefox = page.get_by_role("listitem").filter(has_text="Firefox on Linux")
    await firefox.get_by_role("button", name="Actions for Firefox on Linux").click()
    await firefox.get_by_role("button", name="End session").click()
    question = page.get_by_role("dialog", name="End the session on Firefox on Linux?")
    await question.get_by_role("button", name="End session").click()

    await expect(question).to_have_count(0)
    await expect(firefox).to_contain_text("Ended")
    await page.reload()  # what the page says at once, the server says too
    await expect(firefox).to_contain_text("Ended")
    safari = page.get_by_role("listitem").filter(has_text="Safari on iOS")
    await expect(firefox.get_by_role("button")).to_have_count(0)
    await expect(safari.get_by_role("button", name="Actions")).to_be_visible()

    await page.get_by_role("button", name="End all others").click()
    question = page.get_by_role("dialog", name="End 1 other session?")
    await question.get_by_role("button", name="End all others").click()

    await expect(safari).to_contain_text("Ended")
    await expect(page.get_by_role("button", name="End all others")).to_have_count(0)
    await page.reload()
    await expect_sessions(page)
    await expect(safari).to_contain_text("Ended")


@pytest.mark.usefixtures("account")
async def test_a_question_that_is_cancelled_gives_the_focus_back(
    page: Page, server: LiveServer
) -> None:
    await server.log_in_elsewhere(FIREFOX)
    await log_in(page, "/sessions")
    everything = page.get_by_role("button", name="End all others")
    actions = page.get_by_role("button", name="Actions for Firefox on Linux")

    await everything.press("Enter")
    await page.get_by_role("dialog").press("Escape")
    await expect(everything).to_be_focused()

    await actions.press("Enter")
    await page.get_by_role("button", name="End session").press("Enter")
    await page.get_by_role("dialog").press("Escape")
    await expect(actions).to_be_focused()


@pytest.mark.usefixtures("account")
async def test_a_changed_password_ends_the_session_in_the_other_browser(
    browser: Browser, page: Page, server: LiveServer
) -> None:
    context = await browser.new_context(base_url=server.url)
    other = await context.new_page()
    await log_in(other)
    await log_in(page)

    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Your password has been changed.")).to_be_visible()
    await go_to(other, "Sessions")

    await expect(expired_alert(other)).to_contain_text("Your password was changed")
    await page.reload()
    await expect_signed_in(page)
    await context.close()


@pytest.mark.usefixtures("account")
async def test_a_wrong_password_is_said_above_the_form(page: Page, server: LiveServer) -> None:
    await page.goto("/login")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Log in").click()

    await expect(page.get_by_role("alert")).to_contain_text("don't match an account")
    await expect(page.get_by_label("Password", exact=True)).to_be_focused()
    await fill_in_login(page)
    await expect_signed_in(page)
