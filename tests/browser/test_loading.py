"""What a first visit costs: the scripts that a page loads, as they come over the wire."""

import pytest
from playwright.async_api import Page, expect

from tests.support.visits import log_in

MOST_SCRIPT_BYTES = 150_000  # packed; a second on a slow phone's network (1.6 Mbit/s)

SCRIPTS = """async () => {
  const loaded = performance.getEntriesByType("resource")
    .filter(({ name }) => /\\.js$/.test(name))
    .map(({ name, encodedBodySize, decodedBodySize }) => [name, encodedBodySize, decodedBodySize]);
  return Object.fromEntries(loaded.map(([name, packed, plain]) => [name, [packed, plain]]));
}"""


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("path", ["/", "/sessions", "/activity"])
async def test_a_page_comes_with_few_scripts_all_of_them_packed(page: Page, path: str) -> None:
    await log_in(page)

    await page.goto(path, wait_until="networkidle")

    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    scripts = await page.evaluate(SCRIPTS)
    assert [name for name, (packed, plain) in scripts.items() if packed >= plain > 1_000] == []
    assert 0 < sum(packed for packed, _ in scripts.values()) <= MOST_SCRIPT_BYTES
