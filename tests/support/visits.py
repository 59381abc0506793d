"""What a person does in the web app, in the words that stand on the buttons."""

from playwright.async_api import BrowserContext, Cookie, Locator, Page, Request, expect

from tests.support.live_server import EMAIL, PASSWORD, until

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)
AN_OLDER_BROWSER = "delete Navigator.prototype.locks; delete window.BroadcastChannel"
QUIET_PAGE = "/settings/password"  # asks for nothing but the account: what comes next is fetched


async def log_in(page: Page, to: str = QUIET_PAGE, *, remember: bool = True) -> None:
    """Open a page, be sent to the login, log in, and be back at the page."""
    await page.goto(to)
    await fill_in_login(page, remember=remember)
    await expect_signed_in(page)


async def fill_in_login(page: Page, *, remember: bool = True) -> None:
    """Fill in the form that is there, and send it."""
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Keep me signed in").set_checked(remember)
    await page.get_by_role("button", name="Log in").click()


async def go_to(page: Page, name: str) -> None:
    """Click one of the pages in the bar."""
    await page.get_by_role("navigation").get_by_role("link", name=name).click()


async def expect_signed_in(page: Page) -> None:
    """Expect the bar of a signed-in user; whose account it is has been fetched."""
    await expect(log_out_button(page)).to_be_visible()
    await expect(page.get_by_title(EMAIL)).to_be_attached()


def log_out_button(page: Page) -> Locator:
    """Find what only a signed-in user sees."""
    return page.get_by_role("button", name="Log out")


def expired_alert(page: Page) -> Locator:
    """Find the alert that a session is over for good."""
    return page.get_by_role("alert").filter(has_text="Your session has expired")


async def expect_sessions(page: Page) -> None:
    """Expect the list of sessions, fetched."""
    await expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    await expect(page.get_by_text("This device", exact=True)).to_be_visible()


async def expect_activity(page: Page) -> None:
    """Expect the list of events, fetched."""
    await expect(page.get_by_role("heading", name="Activity", exact=True)).to_be_visible()
    await expect(page.get_by_text("New login.").first).to_be_visible()


async def cookies(context: BrowserContext) -> dict[str, Cookie]:
    """Read the profile's cookie jar, as somebody with access to the disk does."""
    return {one["name"]: one for one in await context.cookies()}


async def refresh_cookie(context: BrowserContext) -> str:
    """Read the refresh token out of the jar."""
    return (await cookies(context))["refresh_token"]["value"]


async def expect_no_cookies(context: BrowserContext) -> None:
    """Expect an empty jar: a page does not wait for the answer to its logout."""

    async def is_empty() -> bool:
        return await cookies(context) == {}

    await until(is_empty)


def is_refresh(request: Request) -> bool:
    """Whether a page asks for a new access token."""
    return request.url.endswith("/auth/refresh")


async def waits_for_its_turn(page: Page) -> bool:
    """Whether a tab of this browser waits for the lock that another one holds."""
    locks = await page.evaluate("navigator.locks.query()")
    return len(locks["held"]) == len(locks["pending"]) == 1
