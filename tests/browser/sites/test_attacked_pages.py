"""Our own pages in a real browser, with something smuggled in, and what they leave behind."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Route, expect

from tests.support.live_server import EMAIL, PASSWORD, Exchange
from tests.support.sites import Sites
from tests.support.visits import (
    QUIET_PAGE,
    cookies,
    expect_activity,
    expect_no_cookies,
    expect_sessions,
    go_to,
    log_out_button,
)

REFRESH_TOKEN = "__Host-Http-refresh_token"
BEL = "bel@example.org"
NEW_PASSWORD = "eleven purple kettles on a hill"

VIOLATIONS = """addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  (window.violations ??= []).push(`${violatedDirective} ${blockedURI}`))"""

STORED = """async () => JSON.stringify([
  { ...localStorage }, { ...sessionStorage }, await indexedDB.databases(), await caches.keys(),
  document.cookie, window.name, history.state, document.documentElement.outerHTML,
])"""


# --- a whole visit -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """What somebody saw and left who registered, looked at every page and logged out."""

    exchanges: Sequence[Exchange]
    urls: Sequence[str]
    stored: Sequence[str]
    complaints: Sequence[str]


@pytest.fixture(scope="module")
async def visit(browser: Browser, sites: Sites) -> Visit:
    """Visit the app as it is in production."""
    sites.server.wire.exchanges.clear()
    context = await browser.new_context(base_url=sites.app, ignore_https_errors=True)
    await context.add_init_script(VIOLATIONS)
    page = await context.new_page()
    urls: list[str] = []
    stored: list[str] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    async def look() -> None:
        stored.append(await page.evaluate(STORED))
        complaints.extend(await page.evaluate("window.violations ?? []"))

    page.on("console", note)
    page.on("request", lambda request: urls.append(request.url))
    await page.goto("/register")
    await page.get_by_label("Email").fill(BEL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(log_out_button(page)).to_be_visible()
    sites.server.expire_access_tokens()
    await go_to(page, "Sessions")
    await expect_sessions(page)
    await look()
    await go_to(page, "Activity")
    await expect_activity(page)
    await page.goto(QUIET_PAGE)
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Your password has been changed.")).to_be_visible()
    await look()
    await log_out_button(page).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await expect_no_cookies(context)
    await look()
    await context.close()
    return Visit([*sites.server.wire.exchanges], urls, stored, complaints)


async def test_s_hdr_1_a_whole_visit_asks_for_nothing_that_the_policy_forbids(visit: Visit) -> None:
    pages = [one for one in visit.exchanges if "text/html" in one.answered.get("content-type", "")]

    assert visit.complaints == []
    assert pages
    assert all("require-trusted-types-for 'script'" in one.answered["content-security-policy"]
               for one in pages)  # fmt: skip


async def test_s_cookie_6_no_token_is_where_it_does_not_belong(visit: Visit) -> None:
    issued = [one for one in visit.exchanges if "set-cookie" in one.answered]
    lines = [line for one in issued for line in one.answered.getlist("set-cookie")]
    refresh_tokens = {line.partition("=")[2].partition(";")[0] for line in lines
                      if line.startswith(f"{REFRESH_TOKEN}=bpr_")}  # fmt: skip
    bodies = [one.body.decode("utf-8", "replace") for one in visit.exchanges]
    access_tokens = {body.split('"')[3] for body in bodies if '"access_token":"' in body}

    assert len(refresh_tokens) >= 3  # registration, refresh, new password
    assert len(access_tokens) >= 3
    for token in refresh_tokens:
        assert not any(token in text for text in (*visit.urls, *visit.stored, *bodies))
    sent = [one.asked for one in visit.exchanges]
    carried = [headers.get("cookie", "") for headers in sent]
    for token in access_tokens:
        assert not any(token in text for text in (*visit.urls, *visit.stored, *lines, *carried))
    assert not any("bpr_" in headers.get(name, "") for headers in sent
                   for name in headers if name != "cookie")  # fmt: skip


async def test_s_hdr_2_every_answer_of_a_visit_is_protected(visit: Visit) -> None:
    assert any(one.path.startswith("/assets/") for one in visit.exchanges)
    for one in visit.exchanges:
        said = one.answered
        assert said["x-content-type-options"] == "nosniff", one.path
        assert said["cross-origin-resource-policy"] == "same-origin", one.path
        assert said["referrer-policy"] == "same-origin", one.path
        assert "camera=()" in said["permissions-policy"], one.path
        assert "frame-ancestors 'none'" in said["content-security-policy"], one.path
        assert "strict-transport-security" in said, one.path
        assert "clear-site-data" not in said, one.path


# --- something smuggled in ---------------------------------------------------------------------

# What a hole in a template would let a stranger write at the top of a page; each sets `hit`.
INJECTED = """
<base href="{stranger}/">
<script>window.hit = "an inline script"</script>
<script src="{stranger}/worker.js"></script>
<link rel="stylesheet" href="{stranger}/worker.js">
<style>body {{ display: none }}</style>
<img src="/nothing" onerror="window.hit = 'a handler'">
<iframe srcdoc="<script>parent.hit = 'a frame'</script>"></iframe>
<object data="{stranger}/framed.html"></object>
<form id="smuggled" action="{stranger}/framed.html"></form>
<a id="link" href="javascript:window.hit = 'a link'">a link</a>
"""
BLOCKED = (
    "base-uri", "script-src-elem inline", "script-src-elem {stranger}", "style-src-elem inline",
    "style-src-elem {stranger}", "script-src-attr inline", "object-src", "form-action",
)  # fmt: skip

# What turns text into script or markup; the policy makes each throw.
SINKS = (
    "document.body.innerHTML = text", "document.body.outerHTML = text",
    "document.body.insertAdjacentHTML('beforeend', text)", "document.write(text)",
    "document.createRange().createContextualFragment(text)",
    "new DOMParser().parseFromString(text, 'text/html')",
    "document.createElement('script').text = text", "document.createElement('script').src = text",
    "document.createElement('iframe').srcdoc = text",
    "document.body.setAttribute('onclick', text)", "window.setTimeout(text)",
)  # fmt: skip


# A form's refusal is told after the call that sends it.
SUBMITTED = """() => new Promise((refused) => {
  addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
    if (effectiveDirective === "form-action") refused();
  });
  document.getElementById("smuggled").submit();
})"""


async def test_a29_what_is_smuggled_into_a_page_does_nothing(page: Page, sites: Sites) -> None:
    async def tamper(route: Route) -> None:
        # Not by the driver's own hand: it finds no such host.
        answer = await sites.server.get("/register")
        body = answer.text.replace("<head>", "<head>" + INJECTED.format(stranger=sites.stranger))
        await route.fulfill(status=200, headers=dict(answer.headers), body=body)

    await page.add_init_script(VIOLATIONS)
    await page.route("**/register/finish", tamper)

    await page.goto("/register/finish")
    await expect(page.get_by_role("heading").first).to_be_visible()
    await page.evaluate("document.getElementById('link').click()")
    await page.evaluate(SUBMITTED)

    seen = await page.evaluate("window.violations")
    for one in BLOCKED:
        wanted = one.format(stranger=sites.stranger)
        assert any(violation.startswith(wanted) for violation in seen), (wanted, seen)
    assert await page.evaluate("window.hit") is None
    assert page.url == f"{sites.app}/register/finish"
    assert await page.evaluate("document.baseURI") == page.url


async def test_a29_no_text_becomes_markup(page: Page) -> None:
    for sink in SINKS:
        tried = f"(text) => {{ try {{ {sink} }} catch (error) {{ return error.name }} }}"
        assert await page.evaluate(tried, "<img src=/ onerror=hit()>") == "TypeError", sink


async def test_a15_no_script_of_the_page_gets_a_refresh_token(page: Page, sites: Sites) -> None:
    asks = """async ([path, fields]) => (await fetch(path, {
      method: "POST", headers: { "X-Token-Transport": "body" }, credentials: "CREDENTIALS",
      body: fields && new URLSearchParams(fields),
    })).text()"""
    login = {"username": EMAIL, "password": PASSWORD}

    for credentials in ("same-origin", "omit"):
        ask = asks.replace("CREDENTIALS", credentials)
        for path, fields in (("/auth/refresh", None), ("/auth/token", login)):
            answer = await page.evaluate(ask, [path, fields])
            assert "bpr_" not in answer
            assert '"refresh_token"' not in answer

    statuses = [one.status for one in sites.server.wire.exchanges]
    assert statuses == [200, 200, 401, 200]


async def test_s_hdr_3_a_form_of_our_own_says_where_it_comes_from(page: Page, sites: Sites) -> None:
    await page.evaluate(
        """(fields) => {
          const form = document.createElement("form");
          Object.assign(form, { method: "post", action: "/auth/token" });
          for (const [name, value] of Object.entries(fields)) {
            form.append(Object.assign(document.createElement("input"), { name, value }));
          }
          document.body.append(form);
          form.submit();
        }""",
        {"username": EMAIL, "password": PASSWORD},
    )
    await page.wait_for_url("**/auth/token")

    login = sites.server.wire.exchanges[0]
    assert (login.status, login.asked["origin"]) == (200, sites.app)
    assert login.asked["referer"] == f"{sites.app}/blank"


# --- what stays behind -------------------------------------------------------------------------


async def test_s_hdr_5_a_logout_is_quick_and_takes_nothing_of_a_siblings(
    page: Page, sites: Sites
) -> None:
    """At its end nobody is signed in to the app in this profile any more."""
    sibling = await page.context.new_page()
    await sibling.goto(f"{sites.sibling}/toss?flavour=oat")
    await sibling.evaluate("localStorage.setItem('draft', 'a letter')")
    await page.evaluate("localStorage.setItem('theme', 'dark')")

    times = await page.evaluate(
        """async (login) => {
          const timed = async (what) => {
            const begun = performance.now();
            await what();
            return performance.now() - begun;
          };
          const times = { refresh: [], logout: [] };
          for (let turn = 0; turn < 3; turn++) {
            times.refresh.push(await timed(() => fetch("/auth/refresh", { method: "POST" })));
            times.logout.push(await timed(() => fetch("/auth/logout", { method: "POST" })));
            const body = new URLSearchParams(login);
            await fetch("/auth/token", { method: "POST", body });
          }
          await fetch("/auth/logout", { method: "POST" });
          return times;
        }""",
        {"username": EMAIL, "password": PASSWORD},
    )

    # Clear-Site-Data: "cache" would take thousands of times as long.
    assert min(times["logout"]) < 20 * min(times["refresh"])
    assert set(await cookies(page.context)) == {"flavour"}
    assert await sibling.evaluate("localStorage.getItem('draft')") == "a letter"
    assert await page.evaluate("localStorage.getItem('theme')") == "dark"
    assert not any("clear-site-data" in one.answered for one in sites.server.wire.exchanges)


async def test_s_ses_8_every_private_page_has_a_log_out_that_works_offline(
    browser: Browser, sites: Sites
) -> None:
    async with sites.signed_in(browser) as context:
        page = await context.new_page()
        await page.goto("/sessions")
        await expect(log_out_button(page)).to_be_visible()
        await page.get_by_role("heading", level=2).get_by_role("link").first.click()
        await page.wait_for_url("**/sessions/*")
        await expect(log_out_button(page)).to_be_visible()
        for name in ("Activity", "Overview"):
            await go_to(page, name)
            await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
            await expect(log_out_button(page)).to_be_visible()
        await page.goto(QUIET_PAGE)
        await expect(log_out_button(page)).to_be_visible()
        await page.set_viewport_size({"width": 360, "height": 740})
        await expect(log_out_button(page)).to_be_visible()
        sites.server.wire.exchanges.clear()

        await context.set_offline(True)
        await log_out_button(page).click()

        await expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()
        assert EMAIL not in await page.locator("body").inner_text()
        assert sites.server.wire.count("POST", "/auth/logout") == 0
        await context.set_offline(False)
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await expect_no_cookies(context)
        assert sites.server.wire.count("POST", "/auth/logout", 204) == 1
        await page.goto("/sessions")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
