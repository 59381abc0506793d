"""Bytes on the wire, at a real server: paths, methods, lengths and heads that are meant to deceive.

Nothing goes between here: what httpx would put right is written by hand.
A14, A31, A32, S-CSRF-6, S-OPS-3.
"""

import asyncio
import http.client
import json
import os
import socket
from collections.abc import Iterator

import anyio
import httpx
import psutil
import pytest

from batonpass.server.connections import MAX_HEAD_BYTES
from tests.support.processes import HOST, PASSWORD, ServerProcess

EMAIL = "ada@example.com"
MIB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that all tests here share; each has a session of its own."""
    folder = tmp_path_factory.mktemp("wire")
    url = f"sqlite:///{folder / 'wire.db'}"
    settings = {"SESSIONS_PER_USER": "1000", "RATE_LIMIT_LOGIN": "off"}
    server = ServerProcess(url, folder, workers=1, **settings)
    try:
        anyio.run(server.start)
        form = {"email": EMAIL, "password": PASSWORD}
        answer = httpx.post(f"{server.url}/auth/register", json=form)
        assert answer.status_code == 201, answer.text
        yield server
    finally:
        server.kill()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """Give somebody who has just logged in."""
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/auth/token", data={"username": EMAIL, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield client


def exchange(server: ServerProcess, *parts: bytes) -> list[tuple[int, bytes]]:
    """Send bytes as they are, and read the answers until the server has no more to say."""
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        said = b""
        while piece := connection.recv(65536):
            said += piece
    answers = []
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        answers.append((int(head.split()[1]), head))
        said = said[lengths[0] if lengths and b"HEAD" not in parts[0][:4] else 0 :]
    return answers


def request(
    client: httpx.Client, line: str, *more: str, body: str = "", host: str = "app.example"
) -> bytes:
    """Write a request by hand; it closes the connection, and carries the client's cookie."""
    cookie = f"Cookie: refresh_token={client.cookies['refresh_token']}"
    lines = [f"{line} HTTP/1.1", f"Host: {host}", cookie, *more]
    return ("\r\n".join([*lines, "", ""]) + body).encode("latin-1")


CLOSE = ("Connection: close", "Content-Length: 0")


# --- where is it sent --------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "//auth/refresh", "/auth/refresh/", "/auth//refresh", "/auth/./refresh", "/./auth/refresh",
    "/auth/%2e/refresh", "/auth/x/../refresh", "/auth/x/%2e%2e/refresh", "/AUTH/REFRESH",
    "/auth/refresh%00", "/auth/refresh%20", "/auth/refresh;x", "/auth/refresh%3Fx",
    "/auth/refresh\\", "/auth\\refresh", "/%2Fauth/refresh", "/auth/%252Frefresh",
    "/auth/refresh%0d%0ax:1", "*",
])  # fmt: skip
def test_no_other_path_leads_to_a_refresh(
    server: ServerProcess, client: httpx.Client, path: str
) -> None:
    [(status, head)] = exchange(server, request(client, f"POST {path}", *CLOSE))

    assert status in {400, 404, 405}
    assert b"set-cookie" not in head.lower()
    assert b"\r\nlocation:" not in head.lower(), (
        "a redirect would lead to where the Host header says"
    )
    assert client.post("/auth/refresh").json()["generation"] == 1, "nothing was rotated"


@pytest.mark.parametrize("path", ["/sessions/", "/login/", "//evil.example/", "/auth/token/"])
def test_no_path_leads_to_another_host(
    server: ServerProcess, client: httpx.Client, path: str
) -> None:
    [(status, head)] = exchange(server, request(client, f"GET {path}", *CLOSE, host="evil.example"))

    assert status == 404
    assert b"evil.example" not in head


@pytest.mark.parametrize("path", [
    "/auth/refresh?x=1", "/auth/%72efresh", "/auth%2Frefresh", "http://evil.example/auth/refresh",
])  # fmt: skip
@pytest.mark.parametrize("site", ["same-origin", "cross-site"])
def test_another_spelling_of_the_path_is_checked_as_the_path(
    server: ServerProcess, client: httpx.Client, path: str, site: str
) -> None:
    said = f"Sec-Fetch-Site: {site}"

    [(status, head)] = exchange(server, request(client, f"POST {path}", said, *CLOSE))

    assert status == (200 if site == "same-origin" else 403)
    assert (b"set-cookie" in head.lower()) is (status == 200)
    assert b"cache-control: no-store" in head.lower()


@pytest.mark.parametrize("method", [
    "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "QUERY",
    "post", "POSTX", "PO\tST",
])  # fmt: skip
def test_no_other_method_refreshes(
    server: ServerProcess, client: httpx.Client, method: str
) -> None:
    others = {"X-HTTP-Method-Override: POST", "X-HTTP-Method: POST"}

    [(status, head)] = exchange(server, request(client, f"{method} /auth/refresh", *others, *CLOSE))

    assert status in {400, 405}
    assert b"set-cookie" not in head.lower()
    assert client.post("/auth/refresh").json()["generation"] == 1


# --- where does it end -------------------------------------------------------------------------


SMUGGLED = "GET /auth/me HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"
DECEIVING = {
    "a length and chunks": (("Content-Length: 4", "Transfer-Encoding: chunked"), "0\r\n\r\n"),
    "chunks and a length": (("Transfer-Encoding: chunked", "Content-Length: 4"), "0\r\n\r\n"),
    "two lengths": (("Content-Length: 0", "Content-Length: 5"), ""),
    "a negative length": (("Content-Length: -1",), ""),
    "a signed length": (("Content-Length: +0",), ""),
    "a list of lengths": (("Content-Length: 0, 5",), ""),
    "a length in hexadecimal": (("Content-Length: 0x0",), ""),
    "unknown chunks": (("Transfer-Encoding: xchunked",), "0\r\n\r\n"),
    "chunks of chunks": (("Transfer-Encoding: chunked, identity",), "0\r\n\r\n"),
    "a blank before the colon": (("Transfer-Encoding : chunked",), "0\r\n\r\n"),
    "a folded header": (("X: a", " Transfer-Encoding: chunked", "Content-Length: 0"), ""),
    "a chunk of no size": (("Transfer-Encoding: chunked",), "\r\n\r\n"),
    "a chunk of negative size": (("Transfer-Encoding: chunked",), "-1\r\n\r\n"),
    "a NUL": (("X: a\0b", "Content-Length: 0"), ""),
    "a bare CR": (("X: a\rTransfer-Encoding: chunked", "Content-Length: 0"), ""),
}


@pytest.mark.parametrize("how", DECEIVING)
def test_a_request_of_which_two_read_differently_is_read_by_nobody(
    server: ServerProcess, client: httpx.Client, how: str
) -> None:
    headers, body = DECEIVING[how]

    answers = exchange(
        server, request(client, "POST /auth/refresh", *headers, body=body + SMUGGLED)
    )

    assert [status for status, _ in answers] == [400]
    assert client.post("/auth/refresh").json()["generation"] == 1


def test_a_pipeline_is_answered_one_after_the_other(
    server: ServerProcess, client: httpx.Client
) -> None:
    refresh = request(client, "POST /auth/refresh", "Content-Length: 0")

    answers = exchange(server, refresh * 10 + SMUGGLED.encode())

    assert [status for status, _ in answers] == [200] * 10 + [401]
    cookies = {line for _, head in answers for line in head.split(b"\r\n") if b"bpr_" in line}
    assert len({line.partition(b";")[0] for line in cookies}) == 1, "the same successor for all"


def test_a_body_where_none_is_expected_is_not_the_next_request(
    server: ServerProcess, client: httpx.Client
) -> None:
    hidden = request(client, "POST /auth/refresh", *CLOSE).decode("latin-1")
    length = f"Content-Length: {len(hidden)}"

    answers = exchange(
        server, request(client, "GET /healthz", "Connection: close", length, body=hidden)
    )

    assert [status for status, _ in answers] == [200]
    assert client.post("/auth/refresh").json()["generation"] == 1


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunks_of_any_size_are_one_body(server: ServerProcess, size: int) -> None:
    native = httpx.post(
        f"{server.url}/auth/token",
        data={"username": EMAIL, "password": PASSWORD},
        headers={"x-token-transport": "body"},
    ).json()["refresh_token"]
    body = json.dumps({"refresh_token": native}) + " " * 20_000
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunked = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in pieces) + "0\r\n\r\n"
    head = (
        "POST /auth/refresh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    [(status, _)] = exchange(server, f"{head}{chunked}".encode())

    assert status == 200


# --- how much is kept of it --------------------------------------------------------------------


ENDLESS = {
    "one header": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", b"a"),
    "short headers": (b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"a: b\r\n"),
    "a path": (b"GET /", b"a"),
    "cookies": (b"POST /auth/refresh HTTP/1.1\r\nHost: a\r\n", b"Cookie: a=b\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a14_what_never_ends_is_not_kept(server: ServerProcess, what: str) -> None:
    assert server._process is not None
    process = psutil.Process(server._process.pid)
    start, again = ENDLESS[what]
    before = process.memory_info().rss

    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        try:
            connection.sendall(start)
            for _ in range(20):
                connection.sendall(again * (MIB // 2 // len(again)))
            said = connection.recv(65536)
        except ConnectionError:
            pass  # it hung up while we were still talking
        else:
            assert said.split()[1] == b"431"
        assert process.memory_info().rss - before < 16 * MIB

    assert httpx.get(f"{server.url}/healthz").status_code == 200


REFUSED_BELOW_THE_APP = {
    "a cookie without an end": (b"POST /auth/refresh HTTP/1.1\r\nCookie: a=" + b"b" * 100_000, 431),
    "a control byte in a cookie": (b"POST /auth/refresh HTTP/1.1\r\nCookie: a=\0\r\n\r\n", 400),
    "a method of nobody's": (b"FOO /auth/token HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no HTTP at all": (b"\x16\x03\x01\r\n\r\n", 400),
}
CODES = {400: "malformed_request", 431: "headers_too_large"}


@pytest.mark.parametrize("what", REFUSED_BELOW_THE_APP)
def test_what_no_route_has_seen_is_refused_in_the_documented_shape(
    server: ServerProcess, what: str
) -> None:
    sent, status = REFUSED_BELOW_THE_APP[what]

    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        content = json.loads(answer.read())

    assert (answer.status, content["code"]) == (status, CODES[status])
    assert set(content) == {"detail", "code"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"] == "close"


def test_a_long_head_before_the_end_is_read(server: ServerProcess) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"a" * MAX_HEAD_BYTES
    head = head[: MAX_HEAD_BYTES - 4] + b"\r\n\r\n"

    [(status, _)] = exchange(server, head[:1000], head[1000:])

    assert status == 200


@pytest.mark.parametrize("header", [
    "Cookie: " + "; ".join(f"c{number}={'x' * 20}" for number in range(200)),
    "Cookie: refresh_token", "Cookie: =", "Cookie: ;;;=;=;", 'Cookie: refresh_token="',
    "Cookie: \x80\xff", "Cookie: refresh_token=\t",
    "Authorization: Bearer \xff", "Authorization: Bearer", "Authorization: ",
    "Host: ", "Host: [", "Host: a b", "Host: " + "a" * 5000, "Origin: \xff", "User-Agent: \xff\x80",
    "X-Forwarded-For: " + ", ".join(["::"] * 1000), "X-Forwarded-Proto: \xff", "Content-Type: \xff",
])  # fmt: skip
@pytest.mark.parametrize(
    "line", ["POST /auth/refresh", "POST /auth/token", "GET /auth/me", "GET /x"]
)
def test_a14_no_head_is_a_fault_of_ours(server: ServerProcess, line: str, header: str) -> None:
    head = f"{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{header}\r\n\r\n"

    [(status, _)] = exchange(server, head.encode("latin-1"))

    assert 400 <= status < 500


# --- five hundred at once ----------------------------------------------------------------------

LOGINS = 500


async def test_a31_five_hundred_logins_at_once_take_a_few_hashes_memory_and_starve_nobody(
    server: ServerProcess, client: httpx.Client
) -> None:
    """The throttle is off: what holds is the queue in front of the hashes."""
    assert server._process is not None
    process = psutil.Process(server._process.pid)
    cores = os.cpu_count() or 1
    answers: list[tuple[int, bytes]] = []
    refreshed_meanwhile = 0
    peak = before = process.memory_info().rss

    async with httpx.AsyncClient(base_url=server.url, cookies=client.cookies) as owner:
        logins = [asyncio.create_task(wrong_login(server)) for _ in range(LOGINS)]
        while not all(login.done() for login in logins):
            answer = await owner.post("/auth/refresh")
            assert answer.status_code == 200, answer.text
            refreshed_meanwhile += not all(login.done() for login in logins)
            peak = max(peak, process.memory_info().rss)
        answers = await asyncio.gather(*logins)

    assert peak - before < cores * 19 * MIB + 64 * MIB
    assert {status for status, _ in answers} == {401, 429}
    assert sum(status == 401 for status, _ in answers) >= cores
    busy = [said.lower() for status, said in answers if status == 429]
    assert all(b'"busy"' in said and b"\r\nretry-after: 1\r\n" in said for said in busy)
    assert refreshed_meanwhile >= 10


async def wrong_login(server: ServerProcess) -> tuple[int, bytes]:
    """Log in by hand: a client for each would be dearer than what is measured."""
    body = b"username=ada%40example.com&password=wrong+password"
    head = (
        f"POST /auth/token HTTP/1.1\r\nHost: app\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(head.encode() + body)
    said = await reader.read()
    writer.close()
    return int(said.split()[1]), said


# --- from where --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a32_an_address_that_nobody_may_claim_is_not_believed(
    client: httpx.Client, count: int
) -> None:
    """The connection comes from 127.0.0.1, which uvicorn itself would trust."""
    claimed = ", ".join(f"203.0.113.{number}" for number in range(count))
    client.cookies.clear()
    client.headers.update({
        "x-forwarded-for": claimed, "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https", "x-real-ip": "203.0.113.1",
        "forwarded": "for=203.0.113.1;host=evil.example;proto=https",
    })  # fmt: skip

    login = client.post("/auth/token", data={"username": EMAIL, "password": PASSWORD})
    bearer = {"authorization": f"Bearer {login.json()['access_token']}"}
    [session] = [
        one for one in client.get("/auth/sessions", headers=bearer).json() if one["current"]
    ]

    assert session["ip"] == HOST
    assert "refresh_token" in login.cookies, "plain http, whatever the header says"
