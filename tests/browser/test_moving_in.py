"""An app moves in while somebody has its page open: examples/existing_app, in a real browser."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.existing_app.test_existing_app import ADA, HERE, LIGHT, SECRETS, load
from tests.support.live_server import listening
from tools.steps import ROOT, environment

HALF_AN_HOUR = timedelta(minutes=30)


class Deployment:
    """What answers at the app's address: the old app first, then the new one."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def build(side: str, folder: Path) -> Path:
    """Copy one side of the example, its page built."""
    (folder / side).mkdir()
    shutil.copy(HERE / side / "main.py", folder / side)
    done = subprocess.run(
        [
            ROOT / "node_modules/.bin/vite",
            "build",
            HERE / side / "frontend",
            f"--outDir={folder / side / 'frontend' / 'dist'}",
            "--logLevel=warn",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return folder / side


async def test_whoever_is_logged_in_when_the_app_moves_stays_so(
    browser: Browser, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pwdlib.PasswordHash.recommended", lambda: LIGHT)
    for name, value in {**SECRETS, "DATABASE_URL": sqlite_url}.items():
        monkeypatch.setenv(name, value)
    before = load(build("before", tmp_path), monkeypatch)
    deployment = Deployment()
    deployment.app = before.app
    with listening(deployment) as url:
        context = await browser.new_context(base_url=url)
        page = await context.new_page()
        async with httpx.AsyncClient(base_url=url, timeout=20) as outside:
            account = {"email": ADA["username"], "password": ADA["password"]}
            await outside.post("/users", json=account)
        await page.goto("/login")
        await page.get_by_label("Email").fill(ADA["username"])
        await page.get_by_label("Password").fill(ADA["password"])
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_label("Note").fill("milk")
        await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_role("listitem")).to_have_text(["milk"])
        assert await page.evaluate("localStorage.length") == 1

        monkeypatch.setenv("MOVED_AT", datetime.now(UTC).isoformat())  # noqa: TID251 - the app's own
        after = load(build("after", tmp_path), monkeypatch)
        deployment.app = after.app
        await page.reload()
        await expect(page.get_by_role("listitem")).to_have_text(["milk"])
        assert await page.evaluate("localStorage.length") == 0

        clock = after.auth.clock
        clock.follow(clock.now() + HALF_AN_HOUR + timedelta(minutes=1))
        await page.get_by_label("Note").fill("bread")
        await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_role("listitem")).to_have_text(["milk", "bread"])
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Password")).to_be_visible()
        await context.close()
    await after.auth.database.aclose()
    for app in (before, after):
        app.engine.dispose()
