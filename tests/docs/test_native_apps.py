"""The Python of docs/how-to/native-apps.md runs as it stands, before a real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from batonpass.httpx_auth import BatonpassAuth
from tests.docs.pages import DOCS, code_blocks
from tests.support.live_server import LiveServer, running
from tests.support.servers import light_hashes

PAGE = DOCS / "how-to" / "native-apps.md"
SERVER = "http://localhost:8000"
EMAIL, PASSWORD = "ada@example.com", "a long walk at noon"  # the page's


@pytest.fixture
def server(sqlite_url: str) -> Iterator[LiveServer]:
    with light_hashes(), running(sqlite_url) as server:
        anyio.run(server.register, EMAIL, PASSWORD)
        yield server


def test_the_page_runs(server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    names: dict[str, Any] = {"asyncio": asyncio}
    for block in code_blocks(PAGE, "python"):
        exec(block.replace(SERVER, server.url), names)  # noqa: S102 - the page's own

    server.expire_access_tokens()
    before = server.refreshes
    asked = asyncio.run(names["ask"]())
    kept: dict[str, Any] = {}
    auth = BatonpassAuth(server.url, names["Keyring"](kept))
    auth.log_in(EMAIL, PASSWORD)
    with httpx.Client(base_url=server.url, auth=auth) as client:
        said = [names["whoami"](client)]
        auth.log_out()
        said.append(names["whoami"](client))

    assert names["me"]["email"] == EMAIL
    assert (tmp_path / ".config" / "acme" / "session.json").exists()
    assert asked == [EMAIL] * 50
    assert server.refreshes == before + 1
    assert said == [EMAIL, "Please log in again (logged_out)."]
    assert not kept
