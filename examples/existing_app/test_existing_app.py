"""What the README promises: who was logged in before the change stays so, and the diff is all."""

import difflib
import importlib.util
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import make_url

HERE = Path(__file__).parent
CHANGED = ("main.py", "frontend/api.ts", "frontend/main.tsx")
ADA = {"username": "ada@example.com", "password": "a long walk at noon"}
HALF_AN_HOUR = timedelta(minutes=30)
SECRETS = {
    "SECRET_KEY": "what the app has signed its tokens with, so far",
    "BATONPASS_SECRET_KEY": "e81b3c7fa2d94e06b5178cd30f62a94d7be15c08f3a2694dbc70e5f18a6d2937",
}


LIGHT = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1),))


class Move(NamedTuple):
    """The app before and after, on one database; Ada logged in before, and wrote something."""

    before: ModuleType
    after: ModuleType
    token: str


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an app's main.py anew: with the environment as it is now."""
    name = f"existing_app_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def client_of(app: ModuleType) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app.app), base_url="http://notes.test")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def moved(
    url: str, monkeypatch: pytest.MonkeyPatch, moved_at: datetime | None = None
) -> Move:
    """Let the app live for a while, and move it."""
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[make_url(url).drivername]
    address = make_url(url).set(drivername=driver).render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", address)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(PasswordHash, "recommended", lambda: LIGHT)
    before = load(HERE / "before", monkeypatch)
    async with client_of(before) as client:
        await client.post("/users", json={"email": ADA["username"], "password": ADA["password"]})
        token = (await client.post("/token", data=ADA)).json()["access_token"]
        await client.post("/notes?text=milk", headers=bearer(token))
    monkeypatch.setenv("MOVED_AT", (moved_at or datetime.now(UTC)).isoformat())
    return Move(before, load(HERE / "after", monkeypatch), token)


async def let_go(move: Move) -> None:
    await move.after.auth.database.aclose()
    for app in (move.before, move.after):
        app.engine.dispose()


async def test_whoever_was_logged_in_before_stays_logged_in(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = await moved(database_url, monkeypatch)
    async with client_of(move.after) as client:
        by_old_token = await client.get("/notes", headers=bearer(move.token))
        upgraded = await client.post("/auth/upgrade", headers=bearer(move.token))
        renewed = await client.post("/auth/refresh")
        by_new_token = await client.get("/notes", headers=bearer(renewed.json()["access_token"]))

    assert by_old_token.json() == by_new_token.json() == ["milk"]
    assert (upgraded.json()["generation"], renewed.json()["generation"]) == (0, 1)
    await let_go(move)


async def test_an_old_token_ends_when_it_would_have_and_its_session_goes_on(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = await moved(sqlite_url, monkeypatch)
    clock = move.after.auth.clock
    async with client_of(move.after) as client:
        await client.post("/auth/upgrade", headers=bearer(move.token))
        clock.follow(clock.now() + HALF_AN_HOUR)
        by_old_token = await client.get("/notes", headers=bearer(move.token))
        again = await client.post("/auth/upgrade", headers=bearer(move.token))
        renewed = await client.post("/auth/refresh")
        by_new_token = await client.get("/notes", headers=bearer(renewed.json()["access_token"]))

    assert (by_old_token.status_code, again.status_code) == (401, 401)
    assert by_new_token.json() == ["milk"]
    await let_go(move)


async def test_a_token_that_is_made_after_the_move_is_none(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows the old secret has no use of it any more."""
    move = await moved(sqlite_url, monkeypatch, datetime.now(UTC) - timedelta(minutes=1))
    async with client_of(move.after) as client:
        refused = await client.get("/notes", headers=bearer(move.token))

    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    await let_go(move)


async def test_a_password_of_before_logs_in(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = await moved(sqlite_url, monkeypatch)
    async with client_of(move.after) as client:
        wrong = await client.post("/auth/token", data={**ADA, "password": "wrong"})
        right = await client.post("/auth/token", data=ADA)
        notes = await client.get("/notes", headers=bearer(right.json()["access_token"]))

    assert wrong.json()["code"] == "invalid_credentials"
    assert notes.json() == ["milk"]
    await let_go(move)


def test_the_readme_shows_the_whole_change() -> None:
    page = (HERE / "README.md").read_text()
    shown = re.findall(r"^```diff\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    assert shown == [change_of(name) for name in CHANGED]
    other = [path for path in (HERE / "before").rglob("*.*") if _is_written(path)]
    for path in other:
        name = str(path.relative_to(HERE / "before"))
        assert name in CHANGED or (HERE / "after" / name).read_text() == path.read_text(), name


def change_of(name: str) -> str:
    """Compare a file before and after."""
    old, new = [(HERE / side / name).read_text().splitlines() for side in ("before", "after")]
    lines = difflib.unified_diff(old, new, f"before/{name}", f"after/{name}", n=1, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _is_written(path: Path) -> bool:
    return path.suffix in {".py", ".ts", ".tsx", ".html"} and "dist" not in path.parts
