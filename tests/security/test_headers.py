"""The headers of every answer of the server: each route, each file, each refusal and fault.

What they do in a browser: tests/browser/sites/test_hostile_pages.py and test_attacked_pages.py.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.routing import Route

from batonpass.auth_service import AuthService
from batonpass.server import web
from tests.support.servers import Server, a_server, log_in

if TYPE_CHECKING:
    from collections.abc import Iterable

HTTPS = "https://app.example"
LISTED = "https://spa.example"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "font-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
HSTS = "max-age=31536000; includeSubDomains"
SETTINGS: dict[str, dict[str, Any]] = {  # fields of Settings
    "development": {"cors_origins": LISTED, "metrics": True},
    "production": {"cors_origins": LISTED, "metrics": True, "environment": "production"},
}
JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}
PREFLIGHT = {"origin": LISTED, "access-control-request-method": "POST"}


def _write_web_app(folder: Path) -> None:
    """Write a file of each kind, to be served in place of the built web app."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Batonpass</title>")
    for suffix in (*web._TYPES, ".unknown"):
        for place in (folder, folder / "assets"):
            (place / f"file{suffix}").write_text("x")


@pytest.fixture(scope="module", params=SETTINGS)
async def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[httpx.Response]:
    """Ask for everything that there is, as nobody and as somebody, and in every wrong way."""
    folder = tmp_path_factory.mktemp("headers")
    _write_web_app(folder / "static")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "STATIC", folder / "static")
        async with a_server(f"sqlite:///{folder / 'a.db'}", **SETTINGS[request.param]) as server:
            return [*await _by_path(server), *await _by_mistake(server)]


async def _by_path(server: Server) -> list[httpx.Response]:
    client, nobody = server.somebody(HTTPS), server.somebody(HTTPS)
    login = await log_in(client)
    client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    answers = [login]
    paths: dict[str, Iterable[str]] = server.app.openapi()["paths"]
    pages = [route.path for route in server.app.routes if isinstance(route, Route)]
    assert {*web.PAGES, "/metrics"} <= set(pages)
    for path in (*paths, *pages, "/file.txt", "/assets/unknown", "/lab/api/copies"):
        methods = {"GET", "HEAD", "PATCH", *(["POST"] if "post" in paths.get(path, ()) else [])}
        asked = path.replace("{session_id}", login.json()["session_id"])
        for method in sorted(methods) if path != "/auth/logout" else ["GET"]:
            answers += [await one.request(method, asked) for one in (nobody, client)]
    for suffix in (*web._TYPES, ".unknown"):
        answers += [await nobody.get(f"{folder}/file{suffix}") for folder in ("", "/assets")]
    return answers


async def _by_mistake(server: Server) -> list[httpx.Response]:
    client, nobody = server.somebody(HTTPS), server.somebody(HTTPS)
    answers = [await log_in(client)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuthService, "rotate_refresh_token", None)
        answers.append(await client.post("/auth/refresh"))
    answers += [
        await client.post("/auth/refresh"),  # in the fast lane
        await client.post("/auth/refresh", headers={"origin": LISTED}),  # the ordinary way
        await client.post("/auth/refresh", headers={"cookie": "a=b"}),
        await client.post("/auth/refresh", headers={"sec-fetch-site": "cross-site"}),
        await client.post("/auth/refresh", content=b"x" * 65_537),
        await client.post("/auth/refresh", content=b"{}", headers=TEXT),
        await nobody.post("/auth/refresh", content=b"{", headers=JSON),
        await client.post("/auth/refresh", headers={"x": "x" * 17_000}),
        await client.options("/auth/refresh", headers=PREFLIGHT),
        await client.options("/auth/refresh", headers={**PREFLIGHT, "origin": "https://evil.test"}),
        await client.get("/no/such/place"),
        *[await log_in(nobody, password="wrong") for _ in range(11)],
        await client.post("/auth/logout"),
    ]
    (web.STATIC / "index.html").unlink()
    web._read_once.cache_clear()
    answers.append(await nobody.get("/login"))
    return answers


async def test_s_hdr_2_every_answer_says_what_may_be_done_with_it(
    answers: list[httpx.Response],
) -> None:
    assert {answer.status_code for answer in answers} >= {
        200, 204, 401, 403, 404, 405, 413, 415, 422, 429, 431, 500, 503,
    }  # fmt: skip
    for answer in answers:
        said, where = answer.headers, (answer.request.method, answer.request.url.path)
        assert said.get_list("x-content-type-options") == ["nosniff"], where
        assert said.get_list("cross-origin-resource-policy") == ["same-origin"], where
        assert said.get_list("referrer-policy") == ["same-origin"], where
        assert len(said.get_list("permissions-policy")) == 1, where
        assert all(one.endswith("=()") for one in said["permissions-policy"].split(", ")), where
        kind = said.get("content-type", "")
        is_page = kind.startswith("text/html")
        assert not is_page or said["cross-origin-opener-policy"] == "same-origin", where
        assert not kind.startswith("text/") or "charset=utf-8" in kind.lower(), where
        if answer.content:
            assert "/" in kind, where
    types = {answer.request.url.path: answer.headers.get("content-type", "") for answer in answers}
    for suffix, expected in web._TYPES.items():
        assert types[f"/assets/file{suffix}"].partition(";")[0] == expected


async def test_s_hdr_1_every_answer_has_its_policy(answers: list[httpx.Response]) -> None:
    pages = 0
    for answer in answers:
        [policy] = answer.headers.get_list("content-security-policy")
        if answer.request.url.path == "/docs" and answer.status_code == 200:
            assert "frame-ancestors 'none'" in policy  # its own: S-HDR-6
        elif answer.headers.get("content-type", "").startswith("text/html"):
            assert policy == PAGE_POLICY
            pages += 1
        else:
            assert policy == API_POLICY
    assert pages >= len(web.PAGES)


async def test_s_hdr_4_every_answer_over_https_demands_https(answers: list[httpx.Response]) -> None:
    for answer in answers:
        assert answer.headers.get_list("strict-transport-security") == [HSTS]
        assert "preload" not in answer.headers["strict-transport-security"]


async def test_s_hdr_5_no_answer_empties_a_browser(answers: list[httpx.Response]) -> None:
    assert not any("clear-site-data" in answer.headers for answer in answers)
