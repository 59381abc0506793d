"""Bad input: every malformed, foreign or oversized thing gets its code, and changes nothing."""

from collections.abc import AsyncIterator, Callable
from itertools import product

import httpx
import pytest

from tests.support.servers import PASSWORD, Server, a_server, log_in, refusal, set_cookies

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
LISTED = "https://spa.example"
FOREIGN = "https://evil.example"
CHANGING = [
    ("POST", "/auth/register"), ("POST", "/auth/register/finish"), ("POST", "/auth/token"),
    ("POST", "/auth/refresh"), ("POST", "/auth/logout"), ("POST", "/auth/confirm"),
    ("POST", "/auth/password"), ("DELETE", "/auth/sessions"), ("DELETE", "/auth/sessions/x"),
]  # fmt: skip


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Serve all of this file: what is refused here changes nothing, as each test holds."""
    database = tmp_path_factory.mktemp("gate") / "batonpass.db"
    async with a_server(f"sqlite:///{database}", cors_origins=LISTED) as server:
        yield server


def flipped(token: str) -> str:
    middle = len(token) // 2
    return token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


# --- the refresh cookie ------------------------------------------------------------------------


SPOILT: dict[str, Callable[[str], str]] = {
    "another text": lambda _: "rubbish",
    "empty": lambda _: "",
    "cut": lambda token: token[:-1],
    "longer": lambda token: token + "A",
    "quoted": lambda token: f'"{token}"',
    "a letter of its secret": flipped,
    "not ASCII": lambda token: "\xff" * len(token),
    "another alphabet": lambda token: "bpr_" + "/" * (len(token) - 4),
    "capitals": lambda token: token.upper(),
}


@pytest.mark.parametrize("how", SPOILT)
async def test_a04_a_spoilt_refresh_cookie_changes_nothing(server: Server, how: str) -> None:
    client = await server.signed_in()
    token = client.cookies["refresh_token"]
    before = server.rows()

    cookie = f"refresh_token={SPOILT[how](token)}".encode("latin-1")
    answer = await server.somebody().post("/auth/refresh", headers={b"cookie": cookie})

    assert refusal(answer) == (401, "refresh_invalid")
    assert server.rows() == before
    assert (await client.post("/auth/refresh")).status_code == 200


@pytest.mark.parametrize("own_first", [True, False])
async def test_a09_of_two_refresh_cookies_neither_is_rotated(
    server: Server, own_first: bool
) -> None:
    own = (await server.signed_in()).cookies["refresh_token"]
    planted = (await server.signed_in()).cookies["refresh_token"]
    before = server.rows()
    both = (own, planted) if own_first else (planted, own)

    cookie = "; ".join(f"refresh_token={value}" for value in both)
    answer = await server.somebody().post("/auth/refresh", headers={"cookie": cookie})

    assert refusal(answer) == (401, "refresh_invalid")
    assert server.rows() == before


async def test_s_cookie_4_the_prefixed_and_the_plain_name_are_never_both_read(
    server: Server,
) -> None:
    plain = (await server.signed_in()).cookies["refresh_token"]
    client = server.somebody("https://app.example")
    login = await log_in(client)
    prefixed = client.cookies["__Host-Http-refresh_token"]
    cookie = f"refresh_token={plain}; __Host-Http-refresh_token={prefixed}"

    answer = await server.somebody("https://app.example").post(
        "/auth/refresh", headers={"cookie": cookie}
    )

    assert answer.status_code == 200
    assert answer.json()["session_id"] == login.json()["session_id"]


async def test_a19_an_access_token_is_no_refresh_token_nor_the_other_way_round(
    server: Server,
) -> None:
    client = await server.signed_in()
    access_token = client.headers["authorization"][7:]
    token = client.cookies["refresh_token"]
    stranger = server.somebody()

    as_refresh = await stranger.post(
        "/auth/refresh", headers={"cookie": f"refresh_token={access_token}"}
    )
    as_access = await stranger.get("/auth/me", headers={"authorization": f"Bearer {token}"})

    assert refusal(as_refresh) == (401, "refresh_invalid")
    assert refusal(as_access) == (401, "token_invalid")


# --- body transport ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "cookie", "origin", "site"), list(product([False, True], repeat=4))
)
async def test_s_rt_10_a_token_is_in_the_body_only_for_who_shows_no_sign_of_a_browser(
    server: Server, asked: bool, cookie: bool, origin: bool, site: bool
) -> None:
    said = {
        "x-token-transport": ("body", asked),
        "cookie": ("theme=dark", cookie),
        "origin": ("http://app.example", origin),
        "sec-fetch-site": ("same-origin", site),
    }
    headers = {name: value for name, (value, is_sent) in said.items() if is_sent}

    answer = await log_in(server.somebody(), headers=headers)

    is_native = asked and not (cookie or origin or site)
    assert answer.status_code == 200
    assert ("refresh_token" in answer.json()) is is_native
    assert bool(set_cookies(answer)) is not is_native


async def test_s_rt_10_a_family_keeps_the_transport_of_its_login(server: Server) -> None:
    native = server.somebody()
    login = await log_in(native, headers={"x-token-transport": "body"})
    by_body = login.json()["refresh_token"]
    by_cookie = (await server.signed_in()).cookies["refresh_token"]
    stranger = server.somebody()

    renewed = await native.post("/auth/refresh", json={"refresh_token": by_body})
    in_body = await stranger.post("/auth/refresh", json={"refresh_token": by_cookie})
    in_cookie = await stranger.post(
        "/auth/refresh", headers={"cookie": f"refresh_token={renewed.json()['refresh_token']}"}
    )
    by_page = await stranger.post(
        "/auth/refresh",
        json={"refresh_token": renewed.json()["refresh_token"]},
        headers={"origin": "http://app.example"},
    )

    assert renewed.status_code == 200
    assert not set_cookies(renewed)
    for answer in (in_body, in_cookie, by_page):
        assert refusal(answer) == (401, "refresh_invalid")


@pytest.mark.parametrize(("body", "expected"), [
    ('{"refresh_token": 7}',            (401, "refresh_invalid")),
    ('{"refresh_token": null}',         (401, "refresh_invalid")),
    ('{"refresh_token": "\\ud800"}',    (401, "refresh_invalid")),
    ('{"refresh_token": "a\\u0000"}',   (401, "refresh_invalid")),
    ('{"other": 7}',                    (401, "refresh_missing")),
    ("[]",                              (401, "refresh_missing")),
    ("{",                               (422, "invalid_request")),
    ("[" * 60_000,                      (422, "invalid_request")),
    ('{"refresh_token": ' + "9" * 9_000 + "}", (422, "invalid_request")),
    (b"\xff\xfe\x00",                   (422, "invalid_request")),
])  # fmt: skip
async def test_what_a_refresh_body_may_not_be(
    server: Server, body: str | bytes, expected: tuple[int, str]
) -> None:
    before = server.rows()

    answer = await server.somebody().post("/auth/refresh", content=body, headers=JSON)

    assert refusal(answer) == expected
    assert server.rows() == before


# --- forms and JSON ----------------------------------------------------------------------------


def multipart(content: bytes, charset: str = "utf-8") -> tuple[dict[str, str], bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    body = head % b"username" + content + b"\r\n" + head % b"password" + b"x\r\n--x--\r\n"
    return {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}, body


@pytest.mark.parametrize(("headers", "body", "expected"), [
    (FORM, b"username=a&password=%00",             (401, "invalid_credentials")),
    (FORM, b"username=a%00&password=x",            (401, "invalid_credentials")),
    (FORM, b"username=%ff%zz&password=%ed%a0%80",  (401, "invalid_credentials")),
    (FORM, b"username=a&username=b&password=x&password=y", (401, "invalid_credentials")),
    (FORM, b"username=a&password=" + b"x" * 60_000, (401, "invalid_credentials")),
    (FORM, b"username=" + b"x" * 60_000 + b"&password=x", (401, "invalid_credentials")),
    (FORM, b"username=a",                          (422, "invalid_request")),
    (FORM, b"username=&password=",                 (422, "invalid_request")),
    (FORM, b"&&&=%&%zz=1;;",                       (422, "invalid_request")),
    (FORM, b"a&" * 3_000,                          (422, "invalid_request")),
    (FORM, b"username=a&password=x&remember=maybe", (422, "invalid_request")),
    (*multipart(b"+2AA-", "utf-7"),                (422, "invalid_request")),
    (*multipart(b"\\ud800", "unicode_escape"),     (422, "invalid_request")),
    (*multipart(b"a", "undefined"),                (422, "invalid_request")),
    (*multipart(b"a", "no-such-charset"),          (401, "invalid_credentials")),
    ({"content-type": "multipart/form-data"}, b"x", (422, "invalid_request")),
    ({"content-type": "multipart/form-data; boundary=x"}, b"rubbish", (422, "invalid_request")),
    (JSON, b'{"username": "a", "password": "x"}',  (415, "unsupported_media_type")),
    ({"content-type": "text/plain"}, b"username=a&password=x", (415, "unsupported_media_type")),
    ({}, b"username=a&password=x",                 (415, "unsupported_media_type")),
])  # fmt: skip
async def test_what_a_login_form_may_not_be(
    server: Server, headers: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    before = server.rows()

    answer = await server.somebody().post("/auth/token", content=body, headers=headers)

    assert refusal(answer) == expected
    assert server.rows() == before


@pytest.mark.parametrize("path", ["/auth/register", "/auth/confirm", "/auth/password"])
@pytest.mark.parametrize(("headers", "body", "expected"), [
    (JSON, b"[" * 60_000,               (422, "invalid_request")),
    (JSON, b'{"a":' * 9_000 + b"1" + b"}" * 9_000, (422, "invalid_request")),
    (JSON, b'{"email": ' + b"9" * 9_000 + b"}",    (422, "invalid_request")),
    (JSON, b"\xff\xfe{",                (422, "invalid_request")),
    (JSON, b"",                         (422, "invalid_request")),
    (JSON, b"null",                     (422, "invalid_request")),
    (JSON, b'{"email":"a\\ud800@b.c","password":"\\ud800","current_password":"\\ud800"}',
                                        (422, "invalid_request")),
    ({"content-type": "text/plain"}, b'{"email":"a@b.example","password":"x"}',
                                        (415, "unsupported_media_type")),
])  # fmt: skip
async def test_what_json_may_not_be(
    server: Server, path: str, headers: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    client = await server.signed_in()
    before = server.rows()

    answer = await client.post(path, content=body, headers=headers)

    assert refusal(answer) == expected
    assert server.rows() == before


# --- sizes, methods ----------------------------------------------------------------------------


async def _in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 1024):
        yield b"x" * 1024


@pytest.mark.parametrize("path", ["/auth/register", "/auth/token", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_64_kib_is_refused(server: Server, path: str, is_chunked: bool) -> None:
    content = _in_chunks(65 * 1024) if is_chunked else b"x" * (64 * 1024 + 1)

    answer = await server.somebody().post(path, content=content, headers=FORM)

    assert refusal(answer) == (413, "body_too_large")


async def test_a_head_over_16_kib_is_refused(server: Server) -> None:
    answer = await server.somebody().get("/auth/me", headers={"x": "y" * 16 * 1024})

    assert refusal(answer) == (431, "headers_too_large")


async def test_a_cookie_that_is_hidden_from_a_route_still_weighs(server: Server) -> None:
    cookie = {"cookie": "refresh_token=" + "y" * 16 * 1024}

    answer = await server.somebody().get("/auth/me", headers=cookie)

    assert refusal(answer) == (431, "headers_too_large")


@pytest.mark.parametrize("length", ["abc", "-1", "9" * 5000, "\xb2"])
async def test_a_length_that_is_no_number_is_no_fault(server: Server, length: str) -> None:
    headers = [(b"content-length", length.encode("latin-1"))]

    answer = await server.somebody().post("/auth/refresh", headers=headers)

    too_much = length.startswith("9")
    assert refusal(answer) == ((413, "body_too_large") if too_much else (401, "refresh_missing"))


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/auth/refresh"), ("GET", "/auth/logout"), ("GET", "/auth/token"),
    ("PUT", "/auth/me"), ("PATCH", "/auth/sessions"), ("POST", "/auth/sessions"),
    ("DELETE", "/auth/token"), ("OPTIONS", "/auth/me"),
])  # fmt: skip
async def test_s_csrf_6_a_route_knows_its_methods_only(
    server: Server, method: str, path: str
) -> None:
    answer = await server.somebody().request(method, path)

    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"]


# --- other sites -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize("said", [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://sibling.app.example"},
    {"origin": FOREIGN},
    {"origin": "null"},
])  # fmt: skip
async def test_a11_to_a13_another_sites_request_changes_nothing(
    server: Server, method: str, path: str, said: dict[str, str]
) -> None:
    client = await server.signed_in()
    before = server.rows()

    answer = await client.request(method, path, headers=said)

    assert refusal(answer) == (403, "csrf")
    assert server.rows() == before
    assert (await client.post("/auth/refresh")).status_code == 200


def cors_headers(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


async def _answers(server: Server, origin: str) -> list[httpx.Response]:
    headers = {"origin": origin}
    client = await server.signed_in()
    for _ in range(10):
        await client.post("/auth/confirm", json={"password": "wrong"})
    return [
        await client.get("/auth/me", headers=headers),
        await server.somebody().get("/auth/me", headers=headers),
        await client.post("/auth/confirm", json={"password": PASSWORD}, headers=headers),
    ]


async def test_s_cors_2_a_listed_origin_is_answered_on_errors_too(server: Server) -> None:
    answers = await _answers(server, LISTED)

    assert [answer.status_code for answer in answers] == [200, 401, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
        exposed = answer.headers["access-control-expose-headers"]
        assert "Retry-After" in exposed
        assert "WWW-Authenticate" in exposed


async def test_s_cors_2_an_unlisted_origin_hears_nothing(server: Server) -> None:
    answers = await _answers(server, FOREIGN)

    assert [answer.status_code for answer in answers] == [200, 401, 403]
    for answer in answers:
        assert not cors_headers(answer)
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(("origin", "expected"), [(LISTED, 200), (FOREIGN, 405)])
async def test_s_cors_2_a_preflight(server: Server, origin: str, expected: int) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}

    answer = await server.somebody().options("/auth/refresh", headers=headers)

    assert answer.status_code == expected
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert bool(cors_headers(answer)) is (origin == LISTED)


# --- a body, where one may come ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(
    "media_type", ["text/plain", FORM["content-type"], "", "application/jsonx"]
)
async def test_s_csrf_6_a_body_of_another_type_is_refused_and_spends_nothing(
    server: Server, path: str, media_type: str
) -> None:
    client = await server.signed_in()
    before = server.rows()

    answer = await client.post(path, content=b"{}", headers={"content-type": media_type})

    assert refusal(answer) == (415, "unsupported_media_type")
    assert server.rows() == before
    assert (await client.post("/auth/refresh")).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/auth/refresh", 200), ("/auth/logout", 204)])
@pytest.mark.parametrize(("headers", "body"), [
    pytest.param({}, b"", id="no body"),
    pytest.param(FORM, b"", id="the type that axios gives to no body"),
    pytest.param(JSON, b"{}", id="JSON that says nothing"),
    pytest.param({"content-type": "Application/JSON; charset=utf-8"}, b"{}", id="spelt otherwise"),
])  # fmt: skip
async def test_a_cookie_needs_no_body(
    server: Server, path: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    client = await server.signed_in()

    answer = await client.post(path, content=body, headers=headers)

    assert answer.status_code == status
