"""Nobody is logged out without a reason: expiry, many requests, many tabs, lost answers.

How many refreshes there were is what the server counted.
"""

from http.client import OK, UNAUTHORIZED

import anyio
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.client_page import client_logs_in, open_client_page
from tests.support.live_server import Held, LiveServer, until
from tests.support.visits import (
    AN_OLDER_BROWSER,
    QUIET_PAGE,
    expect_activity,
    expect_sessions,
    expect_signed_in,
    expired_alert,
    go_to,
    is_refresh,
    log_in,
    refresh_cookie,
    waits_for_its_turn,
)

pytestmark = pytest.mark.usefixtures("account")

SECOND_TRY_MS = 250  # at most so long after the first one


async def test_an_expired_access_token_is_renewed_by_one_refresh(
    page: Page, server: LiveServer
) -> None:
    await log_in(page)
    server.expire_access_tokens()
    before = server.refreshes

    await go_to(page, "Sessions")

    await expect_sessions(page)
    assert server.wire.count("GET", "/auth/sessions", 401) == 1
    assert server.refreshes == before + 1
    assert server.wire.count("POST", "/auth/token") == 1


async def test_the_client_knows_by_itself_when_the_token_is_over(
    page: Page, server: LiveServer
) -> None:
    await page.clock.install()
    await log_in(page)
    server.expire_access_tokens()
    before = server.refreshes

    await page.clock.fast_forward("31:00")
    await go_to(page, "Sessions")

    await expect_sessions(page)
    assert server.wire.count("GET", "/auth/sessions", 401) == 0
    assert server.refreshes == before + 1


async def test_a_page_that_asks_for_several_things_at_once_refreshes_once(
    page: Page, server: LiveServer
) -> None:
    await log_in(page)
    server.expire_access_tokens()
    before, asked = server.refreshes, len(server.wire.exchanges)

    await go_to(page, "Overview")

    await expect(page.get_by_text("This device", exact=True)).to_be_visible()
    await expect(page.get_by_text("New login.")).to_be_visible()
    assert sum(one.status == UNAUTHORIZED for one in server.wire.exchanges[asked:]) > 1
    assert server.refreshes == before + 1


async def test_eight_requests_that_are_refused_at_once_share_one_refresh(
    page: Page, server: LiveServer
) -> None:
    await open_client_page(page)
    await client_logs_in(page)
    server.expire_access_tokens()
    before = server.refreshes

    statuses = await page.evaluate(
        """async () => {
          const asked = Array.from({ length: 8 }, () => api.get("/auth/me"));
          return (await Promise.all(asked)).map(({ status }) => status);
        }"""
    )

    assert statuses == [200] * 8
    assert server.wire.count("GET", "/auth/me", 401) == 8
    assert server.refreshes == before + 1


async def test_two_tabs_at_once_agree_on_who_refreshes(
    context: BrowserContext, server: LiveServer
) -> None:
    one, other = await context.new_page(), await context.new_page()
    await log_in(one)
    await other.goto(QUIET_PAGE)
    await expect_signed_in(other)
    server.expire_access_tokens()
    before = server.refreshes

    with server.wire.holding("/auth/refresh") as answer:
        await go_to(one, "Sessions")
        await answer.arrived()
        await go_to(other, "Activity")
        await until(lambda: waits_for_its_turn(other))
    await expect_sessions(one)
    await expect_activity(other)

    assert server.refreshes == before + 1


async def test_two_tabs_that_cannot_talk_are_both_answered(
    context: BrowserContext, server: LiveServer
) -> None:
    await context.add_init_script(AN_OLDER_BROWSER)
    one, other = await context.new_page(), await context.new_page()
    await log_in(one)
    await other.goto(QUIET_PAGE)
    await expect_signed_in(other)
    server.expire_access_tokens()
    before = server.refreshes

    # Their two refreshes carry one and the same token: both are there before either is answered.
    with server.wire.gathering("/auth/refresh", 2):
        async with anyio.create_task_group() as both:
            both.start_soon(go_to, one, "Sessions")
            both.start_soon(go_to, other, "Activity")
        await expect_sessions(one)
        await expect_activity(other)

    assert server.refreshes == before + 2
    await go_to(other, "Sessions")
    await expect(other.get_by_text("You are signed in here only.")).to_be_visible()
    assert "lost_answer_recovered" not in server.events()  # one successor, told twice
    assert "refresh_token_reused" not in server.events()


async def test_a_lost_answer_costs_nothing(page: Page, server: LiveServer) -> None:
    await log_in(page)
    server.expire_access_tokens()

    with server.wire.losing("/auth/refresh"):
        await go_to(page, "Sessions")
        await expect(page.get_by_text("Can't reach the server.")).to_be_visible()
    rotated = server.wire.count("POST", "/auth/refresh", OK)

    await expect_sessions(page)  # by itself, a moment later
    assert rotated > 0  # the server had done it: only its answer was lost
    assert server.wire.count("POST", "/auth/token") == 1
    assert "lost_answer_recovered" not in server.events()  # the same answer, again
    await expect(expired_alert(page)).to_have_count(0)


async def test_who_does_not_want_to_wait_for_the_next_try_need_not(
    page: Page, server: LiveServer
) -> None:
    await page.clock.install()
    await log_in(page)
    server.expire_access_tokens()
    await page.clock.pause_at(server.clock.now())  # so that nothing tries again by itself

    with server.wire.losing("/auth/refresh"):
        await go_to(page, "Sessions")

        async def says_so() -> bool:
            await page.clock.run_for(SECOND_TRY_MS)
            return await page.get_by_text("Can't reach the server.").is_visible()

        await until(says_so)
    await page.get_by_role("button", name="Try now").click()

    async def is_answered() -> bool:
        return server.wire.count("GET", "/auth/sessions", OK) == 1

    await until(is_answered)
    await page.clock.resume()
    await expect_sessions(page)


async def test_a_lost_answer_costs_nothing_an_hour_later_either(
    context: BrowserContext, server: LiveServer
) -> None:
    page = await context.new_page()
    await log_in(page)
    server.expire_access_tokens()
    with server.wire.losing("/auth/refresh"):
        await go_to(page, "Sessions")
        await expect(page.get_by_text("Can't reach the server.")).to_be_visible()
        await page.close()  # the laptop, too

    server.advance(minutes=60)
    page = await context.new_page()
    await page.goto("/sessions")

    await expect_sessions(page)
    assert server.wire.count("POST", "/auth/token") == 1
    assert "lost_answer_recovered" in server.events()
    assert "refresh_token_reused" not in server.events()


async def test_a_tab_that_closes_while_it_refreshes_keeps_its_cookie(
    context: BrowserContext, server: LiveServer
) -> None:
    page = await context.new_page()
    await log_in(page)
    before = await refresh_cookie(context)
    server.expire_access_tokens()

    beside = await context.new_page()
    await beside.goto("/healthz")  # no page of ours: it only sees the tab go

    with server.wire.holding("/auth/refresh") as answer:
        await go_to(page, "Sessions")
        await answer.arrived()
        assert await holds_the_lock(beside)
        await page.close()
        await until(lambda: nobody_holds_the_lock(beside))

    # The answer finds no page any more, and its cookie is stored all the same.
    async def is_stored() -> bool:
        return await refresh_cookie(context) != before

    await until(is_stored)
    page = await context.new_page()
    await page.goto("/sessions")
    await expect_sessions(page)
    assert "lost_answer_recovered" not in server.events()


async def test_a_late_refusal_does_not_end_a_newer_login(page: Page, server: LiveServer) -> None:
    await open_client_page(page)
    await client_logs_in(page)
    server.expire_access_tokens()

    with server.wire.holding("/auth/me") as refusal:
        await page.evaluate("() => void (window.late = api.get('/auth/me').catch(String))")
        await refusal.arrived()
        await page.evaluate("session.logout()")
        await client_logs_in(page)
    refreshes = server.refreshes
    await page.evaluate("late")

    assert server.wire.count("GET", "/auth/me", UNAUTHORIZED) == 1
    assert await page.evaluate("session.getSnapshot().status") == "authenticated"
    assert await page.evaluate("api.get('/auth/sessions').then(({ status }) => status)") == OK
    assert server.refreshes == refreshes


async def test_a_refresh_that_is_refused_late_does_not_end_a_newer_login(
    context: BrowserContext, server: LiveServer
) -> None:
    await context.add_init_script(AN_OLDER_BROWSER)  # a lock would let the login wait
    page = await context.new_page()
    await client_whose_session_was_ended(page, server)

    with server.wire.holding("/auth/refresh") as refusal:
        await page.evaluate("() => void api.get('/auth/me')")
        await refusal.arrived()
        await client_logs_in(page)
        await release_refusal(page, refusal)

    assert await page.evaluate("session.getSnapshot().status") == "authenticated"
    await page.goto("/sessions")  # the cookie is the newer login's, too
    await expect_sessions(page)


async def test_a_refresh_that_is_refused_late_is_not_taken_for_the_newer_logins_own(
    context: BrowserContext, server: LiveServer
) -> None:
    await context.add_init_script(AN_OLDER_BROWSER)
    page = await context.new_page()
    await client_whose_session_was_ended(page, server)

    with server.wire.holding("/auth/refresh") as refusal:
        await page.evaluate("() => void (window.late = api.get('/auth/me'))")
        await refusal.arrived()
        await client_logs_in(page)
        await page.evaluate("late")
        server.expire_access_tokens()
        with server.wire.holding("/auth/refresh") as renewal:
            await page.evaluate("() => void (window.newer = api.get('/auth/me').catch(String))")
            await renewal.arrived()
            await release_refusal(page, refusal)

    assert await page.evaluate("newer.then(({ status }) => status)") == OK
    assert await page.evaluate("session.getSnapshot().status") == "authenticated"


async def client_whose_session_was_ended(page: Page, server: LiveServer) -> None:
    """Log in by the client's own hand; end that session from another device."""
    await open_client_page(page)
    await client_logs_in(page)
    bearer = await server.log_in_elsewhere("curl/8.5.0")
    await server.delete("/auth/sessions", bearer)


async def release_refusal(page: Page, refusal: Held) -> None:
    """Let a refused refresh go on its way, and wait until the page has it."""
    async with page.expect_event("requestfinished", is_refresh) as arriving:
        refusal.release()
    answer = await (await arriving.value).response()
    assert answer is not None
    assert answer.status == UNAUTHORIZED


async def holds_the_lock(page: Page) -> bool:
    """Whether a tab of this browser refreshes just now."""
    locks = await page.evaluate("navigator.locks.query()")
    return len(locks["held"]) == 1


async def nobody_holds_the_lock(page: Page) -> bool:
    return not await holds_the_lock(page)
