"""Pages that mean harm, in a real browser: of another site, of a sibling, of no origin."""

from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.live_server import EMAIL, PASSWORD, Exchange, until
from tests.support.servers import rows_of
from tests.support.sites import APP, EVE, PARENT, REFRESH, Sites
from tests.support.visits import (
    QUIET_PAGE,
    cookies,
    expect_activity,
    expect_sessions,
    expect_signed_in,
    go_to,
)

REFRESH_TOKEN, SESSION_STATE = "__Host-Http-refresh_token", "__Host-session_state"
FORGED = ("/auth/token", "/auth/refresh", "/auth/logout", "/auth/register")
# What forge.html asks of each path, and its answer.
FORGERIES = {"POST": (6, 403), "GET": (5, 405), "OPTIONS": (1, 405)}


def forgeries(sites: Sites) -> list[Exchange]:
    """Return what the app was asked that would change something."""
    return [one for one in sites.server.wire.exchanges if one.path in FORGED]


async def is_still_in(page: Page, sites: Sites) -> bool:
    """Whether the owner's next refresh is answered."""
    await page.goto(f"{sites.app}/blank")
    return bool(await page.evaluate(REFRESH))


# --- requests in the owner's name --------------------------------------------------------------


@pytest.mark.parametrize(("where", "name", "origin"), [
    pytest.param("stranger", "forge.html", None, id="another site"),
    pytest.param("sibling", "forge.html", None, id="a sibling"),
    pytest.param("stranger", "sandboxed.html", "null", id="a sandboxed frame"),
    pytest.param("sibling", "data.html", "null", id="an address that is the page"),
])  # fmt: skip
async def test_a11_to_a12_what_a_page_of_others_sends_changes_nothing(
    page: Page, sites: Sites, where: str, name: str, origin: str | None
) -> None:
    """Forms of each kind, fetch and beacons without CORS, JSON with it, images, links, frames."""
    others: str = getattr(sites, where)
    rows, jar = rows_of(sites.server.database_url), await cookies(page.context)

    async def all_are_answered() -> bool:
        return len(forgeries(sites)) >= len(FORGED) * sum(n for n, _ in FORGERIES.values())

    await page.goto(f"{others}/{name}#{sites.app}")
    await until(all_are_answered)

    answers = forgeries(sites)
    for path in FORGED:
        for method, (count, status) in FORGERIES.items():
            statuses = [one.status for one in answers if (one.path, one.method) == (path, method)]
            assert statuses == [status] * count, (path, method)
    posts = [one for one in answers if one.method == "POST"]
    assert {one.asked.get("origin") for one in posts} == {origin or others}
    if origin is None and where == "sibling":
        assert all(REFRESH_TOKEN in one.asked["cookie"] for one in posts)
    assert not any("set-cookie" in one.answered for one in answers)
    assert rows_of(sites.server.database_url) == rows
    assert await cookies(page.context) == jar
    assert await is_still_in(page, sites)


async def test_s_csrf_2_a_form_that_takes_the_window_is_refused_with_the_cookie_in_it(
    page: Page, sites: Sites
) -> None:
    rows, jar = rows_of(sites.server.database_url), await cookies(page.context)

    for path in FORGED:
        await page.goto(f"{sites.stranger}/window.html#{sites.app}{path}")
        await page.wait_for_url(f"{sites.app}{path}")
    await page.goto(f"{sites.app}/auth/logout")  # as a link does

    answers = forgeries(sites)
    assert [one.status for one in answers] == [403] * len(FORGED) + [405]
    assert all(REFRESH_TOKEN in one.asked["cookie"] for one in answers)
    assert not any("set-cookie" in one.answered for one in answers)
    assert rows_of(sites.server.database_url) == rows
    assert await cookies(page.context) == jar
    assert await is_still_in(page, sites)


# --- cookies that others set -------------------------------------------------------------------


async def test_a08_what_a_sibling_tosses_leaves_the_owner_signed_in(
    browser: Browser, sites: Sites
) -> None:
    login = await sites.server.post("/auth/token", data={"username": EVE, "password": PASSWORD})
    planted = login.cookies[REFRESH_TOKEN]
    tossed = [
        *(f"{name}={planted}" for name in (REFRESH_TOKEN, "refresh_token")),
        *(f"{name}=logged-out" for name in (SESSION_STATE, "session_state")),
    ]
    async with sites.signed_in(browser) as context:
        own = {name: one["value"] for name, one in (await cookies(context)).items()}
        page = await context.new_page()
        sites.server.wire.exchanges.clear()

        await page.goto(f"{sites.sibling}/toss?{'&'.join(tossed)}")
        jar = await context.cookies()
        await page.goto(f"{sites.app}/sessions")
        await expect_sessions(page)
        sites.server.expire_access_tokens()
        await page.reload()

        await expect_sessions(page)
        await expect(page.get_by_title(EMAIL)).to_be_attached()

    taken = {one["name"] for one in jar if one["domain"] == f".{PARENT}"}
    assert taken == {"refresh_token", "session_state"}, "a browser heeds what `__Host-` says"
    assert {one["name"]: one["value"] for one in jar if one["domain"] == APP} == own
    refreshes = [one for one in forgeries(sites) if one.path == "/auth/refresh"]
    assert refreshes
    assert {one.status for one in refreshes} == {200}
    assert all(planted in one.asked["cookie"] for one in refreshes)


# Less than a browser keeps, more than a head may have: 80 KB beside our own.
FILL = """() => Array.from({ length: 40 }, (_, at) => {
  document.cookie = `f${at}=${"x".repeat(2000)}; Domain=example.test; Path=/auth; Secure`;
}) && undefined"""


async def test_a08_a_sibling_that_fills_the_jar_keeps_requests_out_and_logs_nobody_out(
    browser: Browser, sites: Sites
) -> None:
    async with sites.signed_in(browser) as context:
        page = await context.new_page()
        await page.goto(f"{sites.sibling}/toss?flavour=oat")
        await page.evaluate(FILL)

        await page.goto(f"{sites.app}/sessions")
        await expect(page.get_by_text("Can't reach the server.")).to_be_visible()
        assert REFRESH_TOKEN in await cookies(context)
        await context.clear_cookies(domain=f".{PARENT}")
        await page.reload()

        await expect_sessions(page)


async def test_s_cookie_7_a_forged_hint_costs_one_refresh_at_most(page: Page, sites: Sites) -> None:
    await page.goto(f"{sites.app}{QUIET_PAGE}")
    await expect_signed_in(page)
    own = (await cookies(page.context))[SESSION_STATE]["value"].partition(".")[0]

    for forged in ("0000aaaa.9", f"{own}.999", f"{own}.0", "rubbish", ""):
        before = sites.server.refreshes
        await page.evaluate(f"document.cookie = '{SESSION_STATE}={forged}; Path=/; Secure'")
        await go_to(page, "Sessions")
        await expect_sessions(page)
        await go_to(page, "Activity")
        await expect_activity(page)

        assert sites.server.refreshes <= before + 1
        await expect_signed_in(page)


# --- our page in another's ---------------------------------------------------------------------


@pytest.mark.parametrize("where", ["stranger", "sibling"])
async def test_a29_no_page_of_others_shows_ours(page: Page, sites: Sites, where: str) -> None:
    async def only_errors_are_shown() -> bool:  # a frame that was refused takes its time to go
        return {frame.url for frame in page.frames[1:]} == {"chrome-error://chromewebdata/"}

    await page.goto(f"{getattr(sites, where)}/framed.html#{sites.app}")

    assert sites.server.wire.count("GET", "/login", 200) == 3
    await until(only_errors_are_shown)


# --- where a login leads -----------------------------------------------------------------------


async def test_a25_a_return_path_leads_to_no_other_site(page: Page, sites: Sites) -> None:
    """In the address bar; every spelling of it is in the client's return-to.test.ts."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{sites.app}/login?return_to=/sessions")
    await page.wait_for_url(f"{sites.app}/sessions")

    for place in (
        "//attacker.test/",
        "/\\attacker.test/",
        "/\t/attacker.test/",
        "/%2Fattacker.test",
    ):
        await page.goto(f"{sites.app}/login?return_to={quote(place, safe='')}")
        await page.wait_for_url(f"{sites.app}/")

    assert all(url.startswith(f"{sites.app}/") for url in asked), asked
