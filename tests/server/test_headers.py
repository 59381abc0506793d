"""Which headers every answer carries."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from batonpass.server.headers import HeaderRules, SecurityHeaders


async def _page(_request: Request) -> Response:
    return HTMLResponse("<p>")


async def _api(_request: Request) -> Response:
    return JSONResponse({})


async def _docs(_request: Request) -> Response:
    return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})


APP = Starlette(routes=[Route("/", _page), Route("/api", _api), Route("/docs", _docs)])


async def headers_of(
    url: str,
    *,
    https: bool = False,
    own_origin: str | None = None,
    script_hashes: tuple[str, ...] = (),
) -> httpx.Headers:
    app = SecurityHeaders(
        APP, HeaderRules(https=https, own_origin=own_origin, script_hashes=script_hashes)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return (await client.get(url)).headers


async def test_s_hdr_1_a_page_may_load_its_own_and_nothing_else() -> None:
    headers = await headers_of("http://app.test/")

    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "font-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'"
    )
    assert headers["cross-origin-opener-policy"] == "same-origin"


async def test_s_hdr_1_an_inline_script_is_allowed_by_its_hash() -> None:
    headers = await headers_of("http://app.test/", script_hashes=("sha256-abc=",))

    assert "script-src 'self' 'sha256-abc=';" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/api", "/unknown"])
async def test_s_hdr_1_an_api_answer_may_load_nothing(path: str) -> None:
    headers = await headers_of(f"http://app.test{path}")

    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "cross-origin-opener-policy" not in headers


@pytest.mark.parametrize("path", ["/", "/api", "/docs", "/unknown"])
async def test_s_hdr_2_every_answer_carries_these(path: str) -> None:
    headers = await headers_of(f"http://app.test{path}")

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert all(one.endswith("=()") for one in headers["permissions-policy"].split(", "))
    assert "clear-site-data" not in headers
    assert all(len(headers.get_list(name)) == 1 for name in headers)


async def test_what_an_answer_says_itself_stands() -> None:
    headers = await headers_of("http://app.test/docs")

    assert headers.get_list("content-security-policy") == ["default-src 'self'"]


HSTS = [
    pytest.param("https://app.test/", False, True, id="https"),
    pytest.param("http://app.test/", False, False, id="http"),
    pytest.param("http://app.test/", True, True, id="https ends in front of us"),
    pytest.param("https://localhost:8443/", True, False, id="this machine"),
    pytest.param("https://app.localhost/", True, False, id="one of its names"),
    pytest.param("https://127.0.0.1/", True, False, id="its address"),
    pytest.param("https://[::1]:8000/", True, False, id="its newer address"),
]


@pytest.mark.parametrize(("url", "https", "expected"), HSTS)
async def test_https_is_demanded_from_where_it_is_spoken(
    url: str, https: bool, expected: bool
) -> None:
    headers = await headers_of(url, https=https)

    wanted = "max-age=31536000; includeSubDomains" if expected else None
    assert headers.get("strict-transport-security") == wanted


@pytest.mark.parametrize(("own_origin", "expected"), [
    pytest.param("https://app.test", True, id="a proxy asks for this machine's own name"),
    pytest.param("http://app.test", False, id="users come over http"),
    pytest.param("https://localhost:8443", False, id="users are on this machine"),
])  # fmt: skip
async def test_where_users_see_us_decides_not_what_a_proxy_asks_for(
    own_origin: str, expected: bool
) -> None:
    headers = await headers_of("http://127.0.0.1:8000/", own_origin=own_origin)

    assert ("strict-transport-security" in headers) is expected


async def test_a_broken_host_header_is_no_error() -> None:
    app = SecurityHeaders(APP, HeaderRules())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.get("http://app.test/api", headers={"Host": "[broken"})

    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers
