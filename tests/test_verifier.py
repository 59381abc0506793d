"""Another service believes our tokens by the keys that we publish, and nothing else it is given."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI

from batonpass import verifier as module
from batonpass.access_tokens import AccessTokenRefusedError, AccessTokens, Claims
from batonpass.errors import ConfigurationError
from batonpass.jwks import MAX_KEYS
from batonpass.keys import Algorithm, KeyPeriod, KeyRing, SigningKey
from batonpass.verifier import KeysUnavailableError, Verifier
from tests.support import hostile_tokens as hostile
from tests.support import issuers
from tests.support.certificates import write_certificate
from tests.support.clocks import Clock
from tests.support.issuers import JWKS_PATH, Answer, Issuer, body
from tests.support.live_server import HOST, PATIENCE_SECONDS, until
from tests.support.processes import log_in, serving
from tests.support.shell import Shell
from tests.support.tokens import FAMILY_ID, GOOD, NOW, RING, SECOND, SECRET, TICK, a_token, issued

MINUTE = timedelta(minutes=1)
FRESH, STALE, LOOK = module.FRESH_FOR, module.STALE_FOR, module.UNKNOWN_KID_EVERY
SECOND_KEY = SigningKey(SECRET, "ES256", 2)
BOTH_KEYS = KeyRing([SECRET], "ES256", [KeyPeriod(number=1), KeyPeriod(number=2)])
SECOND_ALONE = KeyRing([SECRET], "ES256", [KeyPeriod(number=2)])


@pytest.fixture(scope="module")
def port() -> Iterator[Issuer]:
    """Keep one issuer's port for all tests."""
    with issuers.publishing() as issuer:
        yield issuer


@pytest.fixture
def issuer(port: Issuer) -> Issuer:
    """Give an issuer that publishes one ES256 key."""
    port.restart()
    return port


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands where tokens are good."""
    return Clock(NOW)


@pytest.fixture
def verifier(issuer: Issuer, clock: Clock) -> Verifier:
    """Give a verifier that has fetched nothing yet."""
    return Verifier(issuer.url, clock=clock)


async def problem_of(verifier: Verifier, token: str) -> str | None:
    try:
        await verifier.verify(token)
    except AccessTokenRefusedError as refused:
        return refused.problem
    return None


def unknown(number: int) -> str:
    return a_token(header={"kid": f"unknown-{number}"})


# --- what is believed --------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_what_the_issuer_issues_is_believed_by_its_keys_alone(
    issuer: Issuer, verifier: Verifier, algorithm: Algorithm
) -> None:
    issuer.restart(KeyRing([SECRET], algorithm))
    tokens = AccessTokens(issuer.ring, "batonpass", "batonpass")
    token = issued(tokens, extra={"roles": ["admin"]})

    claims = await verifier.verify(token)

    assert claims == tokens.verify(token, NOW)
    assert claims.extra == {"roles": ["admin"]}


async def test_the_issuer_and_the_audience_are_those_it_was_told(issuer: Issuer) -> None:
    verifier = Verifier(issuer.url, issuer="us", audience="them", clock=Clock(NOW))

    assert await problem_of(verifier, issued(AccessTokens(RING, "us", "them"))) is None
    assert await problem_of(verifier, issued(AccessTokens(RING, "we", "them"))) == "claim_iss"
    assert await problem_of(verifier, issued(AccessTokens(RING, "us", "those"))) == "claim_aud"


async def test_every_hostile_token_is_refused_for_the_issuers_own_reason(
    verifier: Verifier,
) -> None:
    found = {row.id: await problem_of(verifier, str(row.values[0])) for row in hostile.HOSTILE}

    assert found == {row.id: row.values[1] for row in hostile.HOSTILE}
    assert len(found) > 200


async def test_many_callers_at_once_share_one_fetch(issuer: Issuer, verifier: Verifier) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(verifier.verify, issued())

    assert issuer.asked == 1


async def test_a_caller_that_gives_up_takes_the_keys_from_nobody(
    issuer: Issuer, verifier: Verifier
) -> None:
    go_on = Event()
    issuer.answer = issuers.held(go_on, issuer.jwks())
    impatient = asyncio.create_task(verifier.verify(GOOD))
    await until(_asked(issuer, 1))
    patient = asyncio.create_task(verifier.verify(GOOD))
    await checkpoint()

    impatient.cancel()
    go_on.set()

    assert (await patient).subject == "42"
    assert issuer.asked == 1


def test_it_works_in_one_event_loop_after_the_other(issuer: Issuer, verifier: Verifier) -> None:
    """As where asyncio.run is called for each token, or a TestClient without `with`."""
    issuer.answer = issuers.silence

    async def give_up() -> None:
        verifying = asyncio.create_task(verifier.verify(GOOD))
        await until(_asked(issuer, 1))
        verifying.cancel()

    asyncio.run(give_up())  # its fetch ends with its loop
    issuer.answer = None

    assert asyncio.run(verifier.verify(GOOD)).subject == "42"
    assert asyncio.run(verifier.verify(issued())).subject == "42"
    assert issuer.asked == 2


def test_it_works_in_two_event_loops_at_once(issuer: Issuer, verifier: Verifier) -> None:
    go_on = Event()
    issuer.answer = issuers.held(go_on, issuer.jwks())
    there: Future[Claims] = Future()
    thread = Thread(target=lambda: there.set_result(asyncio.run(verifier.verify(GOOD))))
    thread.start()
    asyncio.run(until(_asked(issuer, 1)))
    issuer.answer = None

    here = asyncio.run(verifier.verify(GOOD))

    go_on.set()
    assert there.result(PATIENCE_SECONDS) == here
    thread.join()


# --- keys that change --------------------------------------------------------------------------


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, verifier: Verifier
) -> None:
    await verifier.verify(GOOD)
    issuer.restart(BOTH_KEYS)
    tokens = [issued(AccessTokens(BOTH_KEYS, "batonpass", "batonpass")) for _ in range(50)]
    assert BOTH_KEYS.issuing(NOW).kid == SECOND_KEY.kid

    async with anyio.create_task_group() as group:
        for token in tokens:
            group.start_soon(verifier.verify, token)

    assert issuer.asked == 1
    assert await problem_of(verifier, GOOD) is None


async def test_s_jwt_10_ten_thousand_unknown_kids_cost_one_fetch(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    await verifier.verify(GOOD)
    assert issuer.asked == 1
    tokens = [unknown(number) for number in range(10_000)]

    problems = {await problem_of(verifier, token) for token in tokens}

    assert problems == {"unknown_kid"}
    assert issuer.asked == 2
    clock.advance(LOOK - TICK)
    await problem_of(verifier, tokens[0])
    assert issuer.asked == 2
    clock.advance(TICK)
    await problem_of(verifier, tokens[0])
    assert issuer.asked == 3


def test_s_jwt_10_the_numbers_are_those_of_the_page() -> None:
    assert (FRESH, STALE, LOOK) == (60 * SECOND, 15 * MINUTE, 30 * SECOND)
    assert (module.FETCH_WITHIN, module.MAX_BODY_BYTES, MAX_KEYS) == (2 * SECOND, 65_536, 32)


async def test_a_withdrawn_key_is_refused_within_a_minute(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Also by whoever verified that very token a moment ago."""
    await verifier.verify(GOOD)
    issuer.restart(SECOND_ALONE)

    clock.advance(FRESH - TICK)
    assert await problem_of(verifier, GOOD) is None
    clock.advance(TICK)

    assert await problem_of(verifier, GOOD) == "unknown_kid"


async def test_keys_that_stay_the_same_forget_nothing(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    first = await verifier.verify(GOOD)

    clock.advance(FRESH)

    assert await verifier.verify(GOOD) is first
    assert issuer.asked == 2


# --- an issuer that is away --------------------------------------------------------------------


async def test_an_issuer_that_is_away_is_believed_for_a_quarter_of_an_hour(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    await verifier.verify(GOOD)
    issuer.answer = body(b"", 500)

    clock.advance(FRESH)
    assert await problem_of(verifier, GOOD) is None
    clock.advance(STALE - FRESH - TICK)
    assert await problem_of(verifier, GOOD) is None
    await until(_done(verifier))
    clock.advance(TICK)

    with pytest.raises(KeysUnavailableError) as refused:
        await verifier.verify(GOOD)
    assert (refused.value.status, refused.value.code) == (503, "unavailable")
    assert 1 <= (refused.value.retry_after or 0) <= module.RETRY_AFTER.total_seconds()
    assert "500" in str(refused.value.__cause__)

    issuer.answer = None
    clock.advance(module.RETRY_AFTER)
    assert await problem_of(verifier, GOOD) is None


async def test_nobody_waits_for_an_issuer_that_is_known_to_be_away(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    await verifier.verify(GOOD)
    issuer.answer = body(b"", 503)
    clock.advance(FRESH)
    await verifier.verify(GOOD)
    issuer.answer = issuers.silence
    clock.advance(module.RETRY_AFTER)

    await verifier.verify(GOOD)

    flight = verifier._keys._flight
    assert flight is not None
    assert not flight.done()
    await until(_asked(issuer, 3))
    flight.cancel()


async def test_an_issuer_that_is_away_is_asked_now_and_then(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    issuer.answer = body(b"", 500)

    for _ in range(10):
        with pytest.raises(KeysUnavailableError):
            await verifier.verify(GOOD)
    assert issuer.asked == 1
    clock.advance(module.RETRY_AFTER)
    with pytest.raises(KeysUnavailableError):
        await verifier.verify(GOOD)

    assert issuer.asked == 2


async def test_whether_a_new_key_is_good_is_not_known_while_the_issuer_is_away(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Calling its token invalid would be a guess: it may have been published a moment ago."""
    await verifier.verify(GOOD)
    issuer.answer = body(b"", 500)

    with pytest.raises(KeysUnavailableError):
        await verifier.verify(unknown(1))
    clock.advance(FRESH)
    with pytest.raises(KeysUnavailableError):
        await verifier.verify(unknown(1))

    assert await problem_of(verifier, GOOD) is None
    await until(_done(verifier))


async def test_where_nobody_listens_there_are_no_keys() -> None:
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    verifier = Verifier(f"http://{HOST}:{port}{JWKS_PATH}", clock=Clock(NOW))

    with pytest.raises(KeysUnavailableError) as refused:
        await verifier.verify(GOOD)

    assert refused.value.__cause__ is not None


# --- an issuer that is hostile -----------------------------------------------------------------

JWKS = Issuer().jwks()


@pytest.mark.parametrize(("answer", "said"), [
    pytest.param(body(b"", 302, {"Location": "/elsewhere"}), "302", id="a redirect"),
    pytest.param(body(b"", 307, {"Location": "http://169.254.169.254/"}), "307",
                 id="a redirect to a cloud's own address"),
    pytest.param(body(JWKS, 404), "404", id="not found"),
    pytest.param(body(JWKS, 206), "206", id="a part"),
    pytest.param(issuers.endless(bytes(64 * 1024)), "65536", id="a gigabyte"),
    pytest.param(body(JWKS + b" " * 64 * 1024), "65536", id="over 64 KiB"),
    pytest.param(issuers.endless(b" ", pause_seconds=0.005), "TimeoutError", id="a slow drip"),
    pytest.param(issuers.silence, "TimeoutError", id="silence"),
    pytest.param(body(JWKS, headers={"Content-Encoding": "gzip"}), "packed", id="packed"),
    pytest.param(body(b"<html>"), "no JWK set", id="HTML"),
    pytest.param(body(b""), "no JWK set", id="nothing"),
])  # fmt: skip
async def test_a37_what_the_url_answers_is_bounded_or_refused(
    issuer: Issuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch, answer: Answer, said: str
) -> None:
    if said == "TimeoutError":
        monkeypatch.setattr(module, "FETCH_WITHIN", timedelta(seconds=0.2))
    issuer.answer = answer

    with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailableError) as refused:
        await verifier.verify(GOOD)

    assert said in repr(refused.value.__cause__)
    assert issuer.elsewhere == 0


@pytest.mark.parametrize("pause_seconds", [0, 0.005], ids=["at once", "a slow drip"])
async def test_a37_a_head_without_an_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch, pause_seconds: float
) -> None:
    monkeypatch.setattr(module, "FETCH_WITHIN", timedelta(seconds=0.5))

    hung_up = anyio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"X-More: and more\r\n")
                await writer.drain()
                await asyncio.sleep(pause_seconds)
        writer.transport.abort()
        hung_up.set()

    async with await asyncio.start_server(drip, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        verifier = Verifier(f"http://{HOST}:{port}{JWKS_PATH}", clock=Clock(NOW))

        with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailableError):
            await verifier.verify(GOOD)

        with anyio.fail_after(PATIENCE_SECONDS):
            await hung_up.wait()


@pytest.mark.parametrize("url", [
    "http://accounts.example.com/.well-known/jwks.json",
    "http://169.254.169.254/latest/meta-data",
    "http://localhost.evil.example/jwks.json",
    "http://127.0.0.1.nip.io/jwks.json",
    "http://127.0.0.2/jwks.json",
    "http://0.0.0.0/jwks.json",
    "https://ada:secret@accounts.example.com/jwks.json",
    "http://localhost@evil.example/jwks.json",
    "file:///etc/passwd", "ftp://localhost/jwks.json", "data:application/json,{}",
    "https:///jwks.json", "//accounts.example.com/jwks.json", "/jwks.json", "localhost:8000", "",
    "http://[::1/jwks.json",
])  # fmt: skip
def test_a37_a_url_that_anybody_could_answer_for_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="jwks_url") as refused:
        Verifier(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", [
    "https://accounts.example.com/.well-known/jwks.json", "https://accounts.example.com:8443/keys",
    "http://localhost:8000/.well-known/jwks.json", "http://127.0.0.1:8000/jwks.json",
    "http://[::1]:8000/jwks.json", "HTTPS://ACCOUNTS.EXAMPLE.COM/JWKS.JSON",
])  # fmt: skip
def test_https_and_this_machine_are_fine(url: str) -> None:
    Verifier(url)


async def test_an_issuer_whose_certificate_nobody_vouches_for_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path / "server.pem", HOST)
    with issuers.publishing(certificate=certificate) as issuer:
        with pytest.raises(KeysUnavailableError) as refused:
            await Verifier(issuer.url, clock=Clock(NOW)).verify(GOOD)
        assert isinstance(_root_of(refused.value), ssl.SSLCertVerificationError)
        assert issuer.asked == 0

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

        assert (await Verifier(issuer.url, clock=Clock(NOW)).verify(GOOD)).subject == "42"


async def test_no_proxy_answers_for_this_machine(
    issuer: Issuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert await problem_of(verifier, GOOD) is None


async def test_hs256_is_refused_with_a_sentence_that_says_what_to_do(
    issuer: Issuer, verifier: Verifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.restart(KeyRing([SECRET], "HS256"))
    token = issued(AccessTokens(issuer.ring, "batonpass", "batonpass"))

    with caplog.at_level(logging.ERROR), pytest.raises(KeysUnavailableError) as refused:
        await verifier.verify(token)

    assert "set the issuer's JWT_ALGORITHM to ES256" in str(refused.value.__cause__)
    assert [record.getMessage() for record in caplog.records] == ["jwks_empty"]

    issuer.restart()
    clock.advance(module.RETRY_AFTER)
    assert await problem_of(verifier, GOOD) is None


async def test_an_issuer_that_takes_all_its_keys_back_is_believed_at_once(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """No key at all is an answer, other than silence: the old ones are not stale but gone."""
    await verifier.verify(GOOD)
    issuer.answer = body(b'{"keys": []}')
    clock.advance(FRESH)

    with pytest.raises(KeysUnavailableError):
        await verifier.verify(GOOD)


# --- in FastAPI --------------------------------------------------------------------------------


def an_app(verifier: Verifier) -> FastAPI:
    app = FastAPI()

    @app.get("/me")
    def me(claims: Annotated[Claims, Depends(verifier.claims)]) -> str:
        return claims.subject

    return app


@pytest.fixture
def app(verifier: Verifier) -> FastAPI:
    """Give an app that is protected by the verifier."""
    app = an_app(verifier)
    verifier.install(app)
    return app


async def get_me(app: FastAPI, headers: Mapping[str, str] = {}) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
        return await client.get("/me", headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_route_of_another_service_has_the_claims(app: FastAPI) -> None:
    answer = await get_me(app, headers=bearer(GOOD))

    assert (answer.status_code, answer.json()) == (200, "42")


@pytest.mark.parametrize(("headers", "code", "challenge"), [
    pytest.param({}, "token_missing", "Bearer", id="no token"),
    pytest.param({"Authorization": "Basic YTpi"}, "token_missing", "Bearer", id="another scheme"),
    pytest.param(bearer("rubbish"), "token_invalid", 'Bearer error="invalid_token", error_'
                 'description="The access token is invalid or has expired."', id="a bad token"),
])  # fmt: skip
async def test_a_refusal_looks_as_the_issuers_does(
    app: FastAPI, headers: dict[str, str], code: str, challenge: str
) -> None:
    answer = await get_me(app, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert set(answer.json()) == {"code", "detail"}
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["Cache-Control"] == "no-store"


async def test_without_keys_a_route_says_when_to_come_back(app: FastAPI, issuer: Issuer) -> None:
    issuer.answer = body(b"", 500)

    answer = await get_me(app, headers=bearer(GOOD))

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "WWW-Authenticate" not in answer.headers


def test_the_api_page_logs_in_at_the_issuer(app: FastAPI, issuer: Issuer) -> None:
    origin = issuer.url.removesuffix(JWKS_PATH)
    schema = app.openapi()

    assert schema["paths"]["/me"]["get"]["security"] == [{"OAuth2PasswordBearer": []}]
    scheme = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]
    assert scheme["flows"]["password"]["tokenUrl"] == f"{origin}/auth/token"


async def test_a_test_puts_claims_in_the_place_of_tokens(app: FastAPI, verifier: Verifier) -> None:
    app.dependency_overrides[verifier.claims] = lambda: Claims(
        subject="ada", family_id=FAMILY_ID, generation=0, issued_at=NOW,
        expires_at=NOW + MINUTE, auth_time=NOW, jti="an id",
    )  # fmt: skip

    assert (await get_me(app)).json() == "ada"


async def test_an_app_without_install_says_so_at_the_first_request(verifier: Verifier) -> None:
    app = an_app(verifier)

    with pytest.raises(ConfigurationError, match=r"verifier\.install\(app\)"):
        await get_me(app, headers=bearer(GOOD))


async def test_an_install_that_comes_too_late_says_so(app: FastAPI, verifier: Verifier) -> None:
    await get_me(app, headers=bearer(GOOD))

    with pytest.raises(ConfigurationError, match="before the app serves"):
        verifier.install(app)


# --- as a program of its own -------------------------------------------------------------------

WITHOUT_HTTPX = """
import sys
import batonpass
assert "httpx" not in sys.modules, "the core imports httpx"
sys.modules["httpx"] = None
try:
    import batonpass.verifier
except ImportError as error:
    print(error)
"""

ANOTHER_PROGRAM = """
import asyncio, sys
from batonpass.access_tokens import AccessTokenRefusedError
from batonpass.verifier import Verifier

async def main(url, *tokens):
    verifier = Verifier(url)
    for token in tokens:
        try:
            print((await verifier.verify(token)).subject)
        except AccessTokenRefusedError as refused:
            print(refused.problem)

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_core_needs_no_httpx_and_the_verifier_says_what_to_install(tmp_path: Path) -> None:
    code, printed, complained = Shell(tmp_path).python(WITHOUT_HTTPX)

    assert (code, complained) == (0, "")
    assert "pip install 'batonpass[httpx]'" in printed


async def test_a_program_without_database_or_secret_believes_the_servers_tokens(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with (
        serving(sqlite_url, tmp_path, workers=1) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        token = (await log_in(client)).json()["access_token"]
        me = (await client.get("/auth/me", headers=bearer(token))).json()
        forged = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
        elsewhere = Shell(tmp_path)

        code, printed, complained = await run_sync(
            elsewhere.python, ANOTHER_PROGRAM, f"{server.url}{JWKS_PATH}", token, forged
        )

    assert (code, complained) == (0, "")
    assert printed.split() == [me["id"], "bad_signature"]


# --- how ---------------------------------------------------------------------------------------


def _asked(issuer: Issuer, times: int) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return issuer.asked == times

    return asked


def _done(verifier: Verifier) -> Callable[[], Awaitable[bool]]:
    async def done() -> bool:
        return verifier._keys._flight is None or verifier._keys._flight.done()

    return done


def _root_of(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
