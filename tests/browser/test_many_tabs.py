"""Several tabs of one browser: one of them refreshes, and each hears what the others do.

How many refreshes there were is what the server counted.
"""

from collections.abc import AsyncIterator, Iterator
from http.client import OK, UNAUTHORIZED

import anyio
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support import live_server
from tests.support.browser import frozen
from tests.support.client_page import (
    client_logs_in,
    client_page_routes,
    client_starts,
    open_client_page,
)
from tests.support.live_server import EMAIL, PATIENCE_SECONDS, LiveServer
from tests.support.visits import (
    expect_sessions,
    expect_signed_in,
    fill_in_login,
    go_to,
    is_refresh,
    log_in,
)

TABS = 6
NEW_TABS = 4
EXPIRIES = 30  # each takes 96 requests, and the thirty a minute
EIGHT_REQUESTS = """async () => {
  const asked = Array.from({ length: 8 }, () => api.get("/auth/me"));
  return (await Promise.all(asked)).map(({ status }) => status);
}"""

SHORT_MS, LONG_MS = 1_500, 60_000
LOCK_MS = SHORT_MS + 2_000  # so long a tab with the short time-out waits for another's lock
MUCH_LATER_MS = 5_000  # a busy machine; with the usual time-out it would wait longer still

EVE = "eve@example.org"
LOCKS = "navigator.locks.query()"
LISTEN = """() => {
  window.heard = [];
  session.on("user-changed", (event) => heard.push({ ...event, at: Date.now() }));
}"""

# The app hides its cache of answers well: from the root of React's tree down to who provides it.
KEEP_THE_CACHE = """() => {
  const key = (element) => Object.keys(element).find((name) => name.startsWith("__reactContainer"));
  const root = [...document.querySelectorAll("*")].find(key);
  const look = (fiber) => fiber && (fiber.memoizedProps?.client?.getQueryCache
    ? fiber.memoizedProps.client : look(fiber.child) ?? look(fiber.sibling));
  window.kept = look(root[key(root)].stateNode.current).getQueryCache();
}"""
KEPT = "kept.getAll().map(({ queryKey }) => queryKey[0])"


@pytest.fixture
def strict_server(sqlite_url: str) -> Iterator[LiveServer]:
    """Serve the app with no grace at all: a token that comes twice ends the session."""
    with live_server.running(
        sqlite_url, extra_routes=client_page_routes(), refresh_grace_seconds=0
    ) as started:
        yield started


@pytest.fixture
async def strict_context(
    browser: Browser, strict_server: LiveServer
) -> AsyncIterator[BrowserContext]:
    """Give a browser profile on that server, on which EMAIL has an account."""
    await strict_server.register()
    opened = await browser.new_context(base_url=strict_server.url)
    yield opened
    await opened.close()


async def test_six_tabs_with_eight_requests_each_refresh_once_an_expiry(
    strict_context: BrowserContext, strict_server: LiveServer
) -> None:
    server = strict_server
    tabs = [await strict_context.new_page() for _ in range(TABS)]
    await open_client_page(tabs[0])
    await client_logs_in(tabs[0])
    for tab in tabs[1:]:
        await open_client_page(tab)
        assert await client_starts(tab) == "authenticated"
    before = server.refreshes
    statuses: list[int] = []

    async def ask(tab: Page) -> None:
        statuses.extend(await tab.evaluate(EIGHT_REQUESTS))

    for _ in range(EXPIRIES):
        server.expire_access_tokens()
        async with anyio.create_task_group() as all_at_once:
            for tab in tabs:
                all_at_once.start_soon(ask, tab)

    assert statuses == [OK] * TABS * 8 * EXPIRIES
    assert server.refreshes - before == EXPIRIES
    assert server.wire.count("POST", "/auth/refresh", OK) == EXPIRIES
    assert "refresh_token_reused" not in server.events()


@pytest.mark.usefixtures("account")
async def test_a_new_tab_gets_its_neighbours_token_without_a_refresh(
    context: BrowserContext, server: LiveServer
) -> None:
    await log_in(await context.new_page())
    before = server.refreshes

    for _ in range(NEW_TABS):
        tab = await context.new_page()
        await tab.goto("/sessions")
        await expect_sessions(tab)

    # On a busy machine a neighbour may answer too late; without neighbours each would refresh.
    assert server.refreshes - before < NEW_TABS - 1


@pytest.mark.usefixtures("account")
async def test_a_tab_that_is_reloaded_ten_times_while_it_refreshes_stays_signed_in(
    page: Page, server: LiveServer
) -> None:
    await log_in(page)
    before, refused = server.refreshes, refused_refreshes(server)

    for _ in range(5):  # the one tab there is: what it had is gone, and it asks the server
        with server.wire.holding("/auth/refresh") as answer:
            async with page.expect_request(is_refresh):
                await page.reload(wait_until="commit")
            await answer.arrived()
            async with page.expect_request(is_refresh):  # with the same cookie once more
                await page.reload(wait_until="commit")

    await expect_signed_in(page)
    assert server.refreshes >= before + 5
    assert refused_refreshes(server) == refused
    assert "refresh_token_reused" not in server.events()
    server.expire_access_tokens()  # nor has it been left with a cookie from before
    await go_to(page, "Sessions")
    await expect_sessions(page)
    assert server.wire.count("POST", "/auth/token") == 1


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("answered", [True, False])
async def test_a_tab_that_is_frozen_with_the_lock_holds_its_neighbour_up_and_no_more(
    context: BrowserContext, server: LiveServer, answered: bool
) -> None:
    ours, frozen_one = await context.new_page(), await context.new_page()
    await open_client_page(frozen_one, timeout_ms=LONG_MS)
    await client_logs_in(frozen_one)
    await open_client_page(ours, timeout_ms=SHORT_MS)
    assert await client_starts(ours) == "authenticated"
    server.expire_access_tokens()
    before = server.refreshes

    with server.wire.holding("/auth/refresh") as answer:
        await frozen_one.evaluate(f"() => {{ window.late = ({EIGHT_REQUESTS})(); }}")
        await answer.arrived()
        with server.wire.holding("/auth/refresh") as later:
            later.release()  # what comes from here on is not held
            async with frozen(frozen_one):
                if answered:
                    answer.release()
                with anyio.fail_after(PATIENCE_SECONDS):
                    statuses, took = await ours.evaluate(
                        f"""async () => {{
                          const at = performance.now();
                          return [await ({EIGHT_REQUESTS})(), performance.now() - at];
                        }}"""
                    )
                assert len((await ours.evaluate(LOCKS))["held"]) == 1  # nobody has let go of it
    with anyio.fail_after(PATIENCE_SECONDS):
        late = await frozen_one.evaluate("late")

    assert statuses == late == [OK] * 8
    assert LOCK_MS <= took < LOCK_MS + MUCH_LATER_MS
    assert server.refreshes == before + 2
    assert server.wire.count("POST", "/auth/token") == 1
    assert "refresh_token_reused" not in server.events()
    for tab in (ours, frozen_one):
        assert await tab.evaluate("session.getSnapshot().status") == "authenticated"


@pytest.mark.usefixtures("account")
async def test_a_logout_is_heard_in_the_other_tab_before_the_server_has_answered(
    context: BrowserContext, server: LiveServer
) -> None:
    here, there = await context.new_page(), await context.new_page()
    await open_client_page(here)
    await client_logs_in(here)
    await open_client_page(there)
    assert await client_starts(there) == "authenticated"
    await there.evaluate(LISTEN)

    with server.wire.holding("/auth/logout") as answer:
        at = await here.evaluate("() => { void session.logout(); return Date.now(); }")
        await answer.arrived()
        await there.wait_for_function("() => heard.length > 0")

    [heard] = await there.evaluate("heard")
    assert heard["userId"] is None
    assert heard["at"] - at < 200  # ms, as a person's "at once"
    assert await there.evaluate("session.getSnapshot().status") == "anonymous"


@pytest.mark.usefixtures("account")
async def test_a_logout_in_one_tab_empties_what_the_other_had_read(
    context: BrowserContext,
) -> None:
    here, there = await context.new_page(), await context.new_page()
    await log_in(here)
    await there.goto("/sessions")
    await expect_sessions(there)
    await there.evaluate(KEEP_THE_CACHE)
    assert set(await there.evaluate(KEPT)) >= {"account", "sessions"}

    await here.get_by_role("button", name="Log out").click()
    await expect(there.get_by_role("heading", name="Log in")).to_be_visible()

    assert await there.evaluate(KEPT) == []
    await fill_in_login(there)  # the same page, not a new one: all of this was seen in it
    await expect_signed_in(there)
    assert await there.evaluate("Boolean(window.kept)")


@pytest.mark.usefixtures("account")
async def test_another_user_who_logs_in_is_heard_in_the_other_tab(
    context: BrowserContext, server: LiveServer
) -> None:
    await server.register(EVE)
    here, there = await context.new_page(), await context.new_page()
    await open_client_page(here)
    await client_logs_in(here)
    await open_client_page(there)
    assert await client_starts(there) == "authenticated"
    await there.evaluate(LISTEN)
    ada = await there.evaluate("session.getSnapshot().userId")

    await client_logs_in(here, EVE)
    await there.wait_for_function("() => heard.length > 0")

    eve = await here.evaluate("session.getSnapshot().userId")
    [heard] = await there.evaluate("heard")
    assert eve != ada
    assert (heard["userId"], heard["previousUserId"]) == (eve, ada)
    account = await there.evaluate("api.get('/auth/me').then(({ data }) => data)")
    assert account["email"] == EVE


@pytest.mark.usefixtures("account")
async def test_the_app_shows_nothing_of_the_user_before(
    context: BrowserContext, server: LiveServer
) -> None:
    await server.register(EVE)
    here, there = await context.new_page(), await context.new_page()
    await log_in(there, "/sessions")
    await expect_sessions(there)
    await there.evaluate(KEEP_THE_CACHE)
    await open_client_page(here)

    await client_logs_in(here, EVE)

    await expect(there.get_by_title(EVE)).to_be_attached()
    await expect_sessions(there)
    assert EMAIL not in await there.content()
    assert await there.evaluate(KEPT) == []


def refused_refreshes(server: LiveServer) -> int:
    return server.wire.count("POST", "/auth/refresh", UNAUTHORIZED)
