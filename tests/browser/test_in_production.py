"""As in production: PostgreSQL, https, and the cookies that only https allows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.support import live_server
from tests.support.certificates import write_certificate
from tests.support.live_server import HOST, LiveServer
from tests.support.visits import (
    cookies,
    expect_no_cookies,
    expect_sessions,
    go_to,
    log_in,
    log_out_button,
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for the server's address, signed by nobody else."""
    return write_certificate(tmp_path / "server.pem", HOST)


@pytest.fixture
def server(postgresql_url: str, certificate: Path) -> Iterator[LiveServer]:
    """Serve over https, on PostgreSQL, with the settings of production."""
    with live_server.running(
        postgresql_url, certificate=certificate, environment="production"
    ) as started:
        yield started


async def test_the_whole_path_over_https_on_postgresql(
    browser: Browser, server: LiveServer
) -> None:
    await server.register()
    context = await browser.new_context(base_url=server.url, ignore_https_errors=True)
    page = await context.new_page()
    await log_in(page)
    server.expire_access_tokens()

    await go_to(page, "Sessions")
    await expect_sessions(page)

    await expect(page.get_by_role("link", name="Lab")).to_have_count(0)
    jar = await cookies(context)
    assert set(jar) == {"__Host-Http-refresh_token", "__Host-session_state"}
    assert all(one["secure"] and one["path"] == "/" for one in jar.values())
    assert jar["__Host-session_state"]["value"].endswith(".1")
    assert server.wire.count("POST", "/auth/token") == 1

    await log_out_button(page).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await expect_no_cookies(context)
    await context.close()
