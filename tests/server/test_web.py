"""How the web app's files are served."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest

from batonpass.server import web
from batonpass.server.app import build_app
from batonpass.server.settings import Settings

SECRET = "8f3a1c5be07d92446b1fd0c3a97e58226cb4f1d03e9a75c81b60fd24937ae85c"
PAGE = "<!doctype html><title>Batonpass</title>"
PAGES = ["/", "/login", "/register", "/sessions", "/sessions/0193e6f0", "/activity"]
FILES = {
    "index.html": PAGE,
    "favicon.svg": "<svg/>",
    ".hidden": "secret",
    "assets/app-1a2b.js": "let a",
    "assets/app-1a2b.css": "a{}",
    "assets/packed-1a2b.js": "let b",
    "assets/inter-1a2b.woff2": "font",
    "assets/app-1a2b.js.map": "{}",
    "assets/unknown-1a2b.xyz": "?",
}


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built web app, served in place of the real one."""
    folder = tmp_path / "static"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "assets" / "packed-1a2b.js.gz").write_bytes(gzip.compress(b"let b"))
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "assets" / "folder").mkdir()
    monkeypatch.setattr(web, "STATIC", folder)
    return folder


@asynccontextmanager
async def a_server(
    tmp_path: Path, environment: Literal["development", "production"]
) -> AsyncIterator[httpx.AsyncClient]:
    """The whole server; what these tests ask for needs no database."""
    settings = Settings(
        environment=environment,
        database_url=f"sqlite:///{tmp_path}/unused.db",
        BATONPASS_SECRET_KEY=SECRET,
    )
    transport = httpx.ASGITransport(build_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with a_server(tmp_path, "development") as client:
        yield client


@pytest.fixture
async def in_production(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with a_server(tmp_path, "production") as client:
        yield client


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize("path", [*PAGES, "/lab"])
async def test_each_path_of_the_app_is_its_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.text == PAGE
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("static")
async def test_production_has_no_lab(in_production: httpx.AsyncClient) -> None:
    assert (await in_production.get("/lab")).status_code == 404
    assert (await in_production.get("/login")).status_code == 200


FOR_EVER = "public, max-age=31536000, immutable"
SERVED = [
    ("/assets/app-1a2b.js", "text/javascript; charset=utf-8", FOR_EVER),
    ("/assets/app-1a2b.css", "text/css; charset=utf-8", FOR_EVER),
    ("/assets/inter-1a2b.woff2", "font/woff2", FOR_EVER),
    ("/assets/app-1a2b.js.map", "application/json", FOR_EVER),
    ("/assets/unknown-1a2b.xyz", "application/octet-stream", FOR_EVER),
    ("/favicon.svg", "image/svg+xml", "no-cache"),
]


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize(("path", "content_type", "cache_control"), SERVED)
async def test_a_file_has_its_exact_type_and_its_time(
    client: httpx.AsyncClient, path: str, content_type: str, cache_control: str
) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.text == FILES[path.removeprefix("/")]
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == cache_control


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize(
    ("offered", "is_packed"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.8, *;q=0.1", True),
        ("x-gzip", True),
        ("gzip; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("br, zstd", False),
        ("identity", False),
        ("notgzip", False),
        ("", False),
    ],
)
async def test_a_file_that_was_packed_goes_out_packed_to_whoever_takes_it(
    client: httpx.AsyncClient, offered: str, *, is_packed: bool
) -> None:
    answer = await client.get("/assets/packed-1a2b.js", headers={"Accept-Encoding": offered})

    assert answer.text == "let b"
    assert answer.headers.get("content-encoding") == ("gzip" if is_packed else None)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == (25 if is_packed else 5)


@pytest.mark.usefixtures("static")
async def test_a_file_that_was_not_packed_is_the_same_for_everybody(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.usefixtures("static")
async def test_the_types_are_ours_whatever_the_machine_thinks(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mimetypes.guess_type", lambda *_, **__: ("text/plain", None))

    answer = await client.get("/assets/app-1a2b.js")

    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


NOTHING = [
    "/unknown",
    "/index.html",
    "/.hidden",
    "/assets/unknown.js",
    "/assets/folder",
    "/assets/%2e%2e",
    "/assets/..%2f..%2foutside.txt",
    "/..%2foutside.txt",
    "/%2e%2e%2foutside.txt",
    "/assets/%2e%2e/index.html",
    "/assets/app-1a2b.js%00",
    "/assets/" + "a" * 5_000,
]


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize("path", NOTHING)
async def test_there_is_nothing_else(client: httpx.AsyncClient, path: str) -> None:
    request = client.build_request("GET", "http://app.test/")
    request.url = httpx.URL("http://app.test", raw_path=path.encode())

    answer = await client.send(request)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.usefixtures("static")
async def test_a_head_is_answered_and_a_post_is_not(client: httpx.AsyncClient) -> None:
    head = await client.head("/login")
    post = await client.post("/login")

    assert (head.status_code, head.content) == (200, b"")
    assert post.status_code == 405


async def test_an_app_that_was_not_built_says_so(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "STATIC", tmp_path / "nothing")

    answer = await client.get("/")

    assert answer.status_code == 503
    assert "make setup" in answer.text


async def test_an_app_that_is_built_while_we_run_is_found(
    client: httpx.AsyncClient, static: Path
) -> None:
    (static / "index.html").unlink()
    assert (await client.get("/")).status_code == 503

    (static / "index.html").write_text(PAGE)

    assert (await client.get("/")).text == PAGE
