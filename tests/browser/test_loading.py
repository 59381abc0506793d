"""What a visit costs: the scripts that a page loads, and whether anything jumps while it comes."""

import re
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.live_server import EMAIL, LiveServer
from tests.support.visits import FIREFOX, SAFARI, expect_sessions, log_in

MOST_SCRIPT_BYTES = 150_000  # packed; a second on a slow phone's network (1.6 Mbit/s)
MOST_SHIFT = 0.01  # a tenth of what web.dev/cls still calls good

SCRIPTS = """async () => {
  const loaded = performance.getEntriesByType("resource")
    .filter(({ name }) => /\\.js$/.test(name))
    .map(({ name, encodedBodySize, decodedBodySize }) => [name, encodedBodySize, decodedBodySize]);
  return Object.fromEntries(loaded.map(([name, packed, plain]) => [name, [packed, plain]]));
}"""

# Whatever moves counts, and with it what it was: [how much, of what].
SHIFTS = """async () => {
  const shifts = [];
  const note = (entries) => {
    for (const { value, sources } of entries)
      shifts.push([value, ...sources.map(({ node }) => (node?.outerHTML ?? "").slice(0, 120))]);
  };
  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  await document.fonts.ready;
  const frame = () => new Promise(requestAnimationFrame);
  for (let drawn = 0; drawn < 3; drawn++) await frame();
  await new Promise((resolve) => setTimeout(resolve));
  note(observer.takeRecords());
  return shifts;
}"""

HAVE_APPEARED = "() => Promise.all(document.getAnimations().map(({ finished }) => finished))"

A_SESSION = "/sessions/…"  # this one's details: its id is known after the login
WINDOWS: dict[str, dict[str, Any]] = {  # options of `new_context`
    "wide": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}
INSIDE = ("/", "/sessions", A_SESSION, "/activity", "/settings/password")

pytestmark = pytest.mark.usefixtures("account")


async def test_a_page_comes_with_few_scripts_all_of_them_packed(page: Page) -> None:
    scripts = {"/login": await scripts_of(page, "/login")}
    details = await log_in_and_find_this_session(page)
    for path in INSIDE:
        scripts[path] = await scripts_of(page, details if path == A_SESSION else path)

    for loaded in scripts.values():
        assert [name for name, (packed, plain) in loaded.items() if packed >= plain > 1_000] == []
    bytes_of = {
        path: sum(packed for packed, _ in loaded.values()) for path, loaded in scripts.items()
    }
    assert min(bytes_of.values()) > 0
    assert max(bytes_of.values()) <= MOST_SCRIPT_BYTES, bytes_of


@pytest.mark.parametrize(
    ("window", "agents"),
    [
        pytest.param("wide", [FIREFOX, SAFARI], id="wide, beside others"),
        pytest.param("phone", [], id="on a phone, alone"),
    ],
)
async def test_nothing_moves_while_a_page_comes(
    browser: Browser, server: LiveServer, agents: list[str], window: str
) -> None:
    context = await browser.new_context(base_url=server.url, **WINDOWS[window])
    page = await context.new_page()
    for agent in agents:
        await server.log_in_elsewhere(agent)
    await page.goto("/login")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    shifts = {"/login": await page.evaluate(SHIFTS)}

    details = await log_in_and_find_this_session(page)
    for path in INSIDE:
        shifts[path] = await shifts_on_a_slow_network(
            page, server, details if path == A_SESSION else path
        )

    await context.close()
    moved = {path: sum(value for value, *_ in found) for path, found in shifts.items()}
    assert max(moved.values()) <= MOST_SHIFT, shifts


async def scripts_of(page: Page, path: str) -> dict[str, list[int]]:
    """Open a page until nothing more comes; name its scripts, each [packed, plain] in bytes."""
    await page.goto(path, wait_until="networkidle")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    return dict(await page.evaluate(SCRIPTS))


async def shifts_on_a_slow_network(page: Page, server: LiveServer, path: str) -> list[list[object]]:
    """Open a page whose contents come after it, all at once: it is seen as a skeleton first."""
    with ExitStack() as late:
        for asked in ("/auth/sessions", "/auth/events", f"/auth{path}"):
            late.enter_context(server.wire.holding(asked))
        account = late.enter_context(server.wire.holding("/auth/me"))  # every page asks for it
        await page.goto(path)
        await account.arrived()
        await page.evaluate(HAVE_APPEARED)
    await expect(page.get_by_title(EMAIL)).to_be_attached()
    await expect(page.get_by_text(re.compile("^Loading"))).to_have_count(0)
    return list(await page.evaluate(SHIFTS))


async def log_in_and_find_this_session(page: Page) -> str:
    """Log in, and return where the session's details are."""
    await log_in(page, "/sessions")
    await expect_sessions(page)
    link = page.get_by_role("heading", level=2).get_by_role("link").first
    return str(await link.get_attribute("href"))
