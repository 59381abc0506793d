"""A native client before a real server: one refresh for all, and three outcomes of it.

What is lost or refused on the way is by a line that the test holds; the server has done its work.
"""

import asyncio
import importlib.util
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import anyio
import httpx
import pytest
from anyio.to_thread import run_sync

import batonpass.httpx_auth
from batonpass.httpx_auth import (
    BatonpassAuth,
    FileStore,
    LoginRefusedError,
    MemoryStore,
    SessionExpiredError,
    SessionUnavailableError,
    Tokens,
)
from batonpass.httpx_auth.session import Outcome
from tests.httpx_auth.conftest import Device
from tests.support.bad_lines import CERTIFICATES, Fault, answering, lost, offline
from tests.support.clocks import Clock
from tests.support.live_server import EMAIL, PASSWORD, PATIENCE_SECONDS, LiveServer, listening

AT_ONCE = 50
NEARLY_OVER = timedelta(minutes=29, seconds=45)


@contextmanager
def nobody_served(device: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Hold the refresh's answer; the event tells that AT_ONCE requests wait for it."""
    session, waiting, all_wait = device.auth._session, count(1), Event()
    ask = session.ask

    def ask_and_count(**what: Any) -> Future[Outcome]:
        asked = ask(**what)
        if not asked.done() and next(waiting) == AT_ONCE:
            all_wait.set()
        return asked

    monkeypatch.setattr(session, "ask", ask_and_count)
    with device.server.wire.holding("/auth/refresh"):
        yield all_wait


def an_async_client(device: Device, auth: BatonpassAuth | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=device.server.url,
        auth=auth or device.auth,
        timeout=PATIENCE_SECONDS,
        verify=CERTIFICATES,
    )


# --- one refresh for all -----------------------------------------------------------------------


def test_fifty_threads_at_once_cause_one_refresh(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.server.expire_access_tokens()

    with ThreadPoolExecutor(AT_ONCE) as threads, nobody_served(device, monkeypatch) as all_wait:
        answers = [threads.submit(device.me) for _ in range(AT_ONCE)]
        assert all_wait.wait(PATIENCE_SECONDS)

    assert {answer.result().status_code for answer in answers} == {200}
    assert device.server.refreshes == 1


async def test_fifty_tasks_at_once_cause_one_refresh(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.server.expire_access_tokens()

    async with an_async_client(device) as client:
        with nobody_served(device, monkeypatch) as all_wait:
            asked = [asyncio.create_task(client.get("/auth/me")) for _ in range(AT_ONCE)]
            assert await run_sync(all_wait.wait, PATIENCE_SECONDS)
        answers = await asyncio.gather(*asked)

    assert {answer.status_code for answer in answers} == {200}
    assert device.server.refreshes == 1


def test_threads_and_event_loops_share_the_refresh(device: Device) -> None:
    device.let_token_expire()
    together = Barrier(4)

    async def ask() -> list[int]:
        async with an_async_client(device) as client:
            answers = await asyncio.gather(*(client.get("/auth/me") for _ in range(3)))
        return [answer.status_code for answer in answers]

    def in_a_loop() -> list[int]:
        together.wait()
        return asyncio.run(ask())

    def in_a_thread() -> list[int]:
        together.wait()
        return [device.me().status_code]

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(deed) for deed in (in_a_loop, in_a_thread) * 2]

    assert [status for one in asked for status in one.result()] == [200] * 8
    assert device.server.refreshes == 1


async def test_who_gives_up_waiting_harms_nobody(device: Device) -> None:
    device.let_token_expire()
    async with an_async_client(device) as client:
        with device.server.wire.holding("/auth/refresh") as held:
            impatient = asyncio.create_task(client.get("/auth/me"))
            await held.arrived()
            patient = asyncio.create_task(client.get("/auth/me"))
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.wait([impatient])

        answer = await patient

    assert impatient.cancelled()
    assert answer.status_code == 200
    assert device.server.refreshes == 1


async def test_nobody_waits_longer_than_was_said(device: Device) -> None:
    device.let_token_expire()
    hasty = device.another_auth(timeout=0.05)
    with device.server.wire.holding("/auth/refresh"):
        async with an_async_client(device, hasty) as client:
            with pytest.raises(SessionUnavailableError):
                await client.get("/auth/me")
        with device.another_client(hasty) as in_a_thread, pytest.raises(SessionUnavailableError):
            await run_sync(in_a_thread.get, "/auth/me")

    assert (await run_sync(device.me)).status_code == 200  # the refresh went on, and is stored
    assert device.server.refreshes == 1


def test_a_late_401_is_answered_by_the_newer_token(device: Device) -> None:
    device.server.expire_access_tokens()
    flow = device.auth.sync_auth_flow(httpx.Request("GET", f"{device.server.url}/auth/me"))
    slow = next(flow)
    old = slow.headers["Authorization"]
    device.me()

    again = flow.send(httpx.Response(401, request=slow))

    assert again.headers["Authorization"] != old
    assert device.server.refreshes == 1


def test_an_endpoint_that_is_always_401_costs_one_refresh_and_no_logout(device: Device) -> None:
    answers = [device.client.get("/grumble") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {401}
    assert device.server.refreshes == 1
    assert device.me().status_code == 200


def test_a_token_that_was_found_good_is_doubted_again_after_a_while(device: Device) -> None:
    device.client.get("/grumble")
    device.clock.advance(timedelta(seconds=31))
    device.client.get("/grumble")

    assert device.server.refreshes == 2


@pytest.mark.parametrize("code", ["invalid_credentials", "login_required_again"])
def test_a_401_that_speaks_of_something_else_starts_no_refresh(device: Device, code: str) -> None:
    answer = device.client.get("/grumble", params={"code": code})

    assert answer.json()["code"] == code
    assert device.server.refreshes == 0


# --- what becomes of a refresh -----------------------------------------------------------------


def test_a_lost_answer_is_asked_for_once_more(device: Device) -> None:
    device.let_token_expire()
    device.line.ahead = [lost]

    assert device.me().status_code == 200
    assert device.server.refreshes == 2
    assert "lost_answer_recovered" not in device.server.events()  # within grace: the same once more


def test_an_answer_that_stays_lost_is_recovered_hours_later(device: Device) -> None:
    device.let_token_expire()
    device.line.ahead = [lost, lost]
    with pytest.raises(SessionUnavailableError):
        device.me()

    device.clock.advance(timedelta(hours=8))
    device.server.advance(minutes=8 * 60)

    assert device.me().status_code == 200
    assert "lost_answer_recovered" in device.server.events()


def test_an_access_token_is_not_handed_out_before_its_successor_is_stored(
    server: LiveServer,
) -> None:
    class FullDisk(MemoryStore):
        is_full = False

        def save(self, tokens: Tokens | None) -> None:
            if self.is_full:
                raise OSError(28, "No space left on device")
            super().save(tokens)

    store = FullDisk()
    device = Device(server, store)
    before = device.stored
    device.let_token_expire()
    store.is_full = True

    with pytest.raises(OSError, match="No space left"):
        device.me()
    store.is_full = False
    answer = device.me()

    assert answer.status_code == 200
    assert device.stored.refresh_token != before.refresh_token
    assert answer.request.headers["Authorization"] == f"Bearer {device.stored.access_token}"
    device.close()


@pytest.mark.parametrize("fault", [
    pytest.param(offline, id="no network"),
    pytest.param(answering(503, '{"code": "unavailable"}', Retry_After="1"), id="server down"),
    pytest.param(answering(429, '{"code": "busy"}'), id="too busy"),
    pytest.param(answering(403, '{"code": "csrf"}'), id="a proxy's refusal"),
    pytest.param(answering(401, '{"code": "token_missing"}'), id="a 401 of another kind"),
    pytest.param(answering(401, "<h1>Welcome to the Grand Hotel</h1>"), id="a hotel's 401"),
    pytest.param(answering(200, "<h1>Welcome to the Grand Hotel</h1>"), id="a hotel's page"),
    pytest.param(answering(200, '{"access_token": "eyJ0"}'), id="half an answer"),
    pytest.param(answering(307, Location="https://evil.example/"), id="a redirect"),
])  # fmt: skip
def test_whatever_is_no_answer_of_ours_keeps_the_session(device: Device, fault: Fault) -> None:
    device.let_token_expire()
    before = device.stored
    device.line.ahead = [fault, fault]

    with pytest.raises(SessionUnavailableError):
        device.me()
    device.line.ahead = []
    device.clock.advance(timedelta(seconds=1))

    assert device.stored == before
    assert all(request.url.host == "127.0.0.1" for request in device.line.carried)
    assert device.me().status_code == 200


def test_a_server_that_is_away_is_asked_less_and_less_often(device: Device) -> None:
    device.let_token_expire()
    asked = len(device.line.carried)
    pauses = []
    for _ in range(7):
        device.line.ahead = [offline, offline]
        with pytest.raises(SessionUnavailableError) as caught:
            device.me()
        pauses.append(caught.value.retry_in_seconds)
        with pytest.raises(SessionUnavailableError):  # at once: nobody is asked
            device.me()
        device.clock.advance(timedelta(seconds=pauses[-1]))

    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert len(device.line.carried) - asked == 14


def test_a_server_may_say_when_to_come_again(device: Device) -> None:
    device.let_token_expire()
    device.line.ahead = [answering(503, Retry_After="120")]
    with pytest.raises(SessionUnavailableError) as caught:
        device.me()

    assert caught.value.retry_in_seconds == 120


def test_a_dead_session_says_why_and_is_not_asked_about_again(device: Device) -> None:
    bearer = device.stored.access_token
    session = httpx.get(
        f"{device.server.url}/auth/me", headers={"Authorization": f"Bearer {bearer}"}
    ).json()["session_id"]
    anyio.run(device.server.delete, f"/auth/sessions/{session}", bearer)

    for _ in range(3):
        with pytest.raises(SessionExpiredError) as caught:
            device.me()
        assert (caught.value.code, caught.value.reason) == ("refresh_revoked", "revoked")

    assert device.server.refreshes == 1
    device.auth.log_in(EMAIL, PASSWORD)
    assert device.me().status_code == 200


def test_who_never_logged_in_is_told_so(server: LiveServer) -> None:
    auth = BatonpassAuth(server.url)

    with (
        httpx.Client(base_url=server.url, auth=auth) as client,
        pytest.raises(SessionExpiredError) as caught,
    ):
        client.get("/auth/me")

    assert caught.value.code == "refresh_missing"
    assert not server.wire.exchanges


def test_a_superseded_token_is_looked_up_in_the_store_again(device: Device) -> None:
    """Another process has refreshed twice without the lock, and has stored what it got."""
    device.let_token_expire()

    def be_overtaken(
        _request: httpx.Request, carry: Callable[[], httpx.Response]
    ) -> httpx.Response:
        quicker = Device.another_auth(device, client=None)._session._routes
        tokens = device.stored
        for _ in range(2):
            answer = quicker.refresh(tokens.refresh_token)
            newer = answer and answer.tokens(quicker.url)
            assert newer
            tokens = newer
        device.store.save(tokens)
        return carry()

    device.line.ahead = [be_overtaken]

    assert device.me().status_code == 200
    assert device.server.wire.count("POST", "/auth/refresh", 409) == 1
    assert device.server.wire.count("POST", "/auth/refresh", 200) == 3


def test_an_answer_that_comes_after_a_logout_elsewhere_brings_nothing_back(device: Device) -> None:
    device.let_token_expire()

    def be_logged_out(
        _request: httpx.Request, carry: Callable[[], httpx.Response]
    ) -> httpx.Response:
        answer = carry()
        answer.read()
        device.store.save(None)
        return answer

    device.line.ahead = [be_logged_out]

    with pytest.raises(SessionExpiredError) as caught:
        device.me()
    assert caught.value.code == "logged_out"
    assert device.store.load() is None


# --- bodies that cannot be sent twice ----------------------------------------------------------


def a_stream() -> Iterator[bytes]:
    for _ in range(3):
        yield b"ten bytes."


async def an_async_stream() -> AsyncIterator[bytes]:
    for chunk in a_stream():
        yield chunk


@pytest.fixture(params=["a generator", "a file", "a form with a file"])
def body(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """Bodies that httpx reads as it sends them."""
    path = tmp_path / "file"
    path.write_bytes(b"".join(a_stream()))
    with path.open("rb") as file:
        match request.param:
            case "a generator":
                yield {"content": a_stream()}
            case "a file":
                yield {"content": file}
            case _:
                yield {"files": {"file": file}}


def test_a_stream_is_preceded_by_a_refresh_when_the_token_is_nearly_over(
    device: Device, body: dict[str, object]
) -> None:
    device.clock.advance(NEARLY_OVER)

    answer = device.client.post("/count", **body)  # type: ignore[arg-type]  # httpx's own

    assert answer.status_code == 200
    assert answer.json() >= 30
    assert device.server.refreshes == 1


async def test_an_async_stream_is_too(device: Device) -> None:
    device.clock.advance(NEARLY_OVER)

    async with an_async_client(device) as client:
        answer = await client.post("/count", content=an_async_stream())

    assert answer.json() == 30
    assert device.server.refreshes == 1


def test_what_can_be_sent_twice_is_sent_with_a_token_that_is_nearly_over(device: Device) -> None:
    device.clock.advance(NEARLY_OVER)

    answer = device.client.post("/count", json={"a": 1})

    assert answer.status_code == 200
    assert device.server.refreshes == 0


def test_what_can_be_sent_twice_is_sent_twice_byte_for_byte(device: Device) -> None:
    device.server.expire_access_tokens()

    answer = device.client.post("/count", content=b"x" * 1234)

    assert answer.json() == 1234
    assert device.server.refreshes == 1


def test_a_stream_goes_out_with_the_old_token_where_no_newer_one_can_be_had(
    device: Device,
) -> None:
    device.clock.advance(NEARLY_OVER)
    device.line.ahead = [offline, offline]

    assert device.client.post("/count", content=a_stream()).json() == 30


def test_a_stream_that_was_refused_is_not_sent_again_but_the_next_one_is_served(
    device: Device, body: dict[str, object]
) -> None:
    device.server.expire_access_tokens()

    refused = device.client.post("/count", **body)  # type: ignore[arg-type]  # httpx's own
    served = device.client.post("/count", content=a_stream())

    assert (refused.status_code, served.status_code) == (401, 200)
    assert device.server.wire.count("POST", "/count") == 2
    assert device.server.refreshes == 1


# --- where the token goes ----------------------------------------------------------------------


class Elsewhere:
    """A server of somebody else's, which notes what it is sent and refuses it."""

    def __init__(self) -> None:
        """Nobody has come."""
        self.authorizations: list[str | None] = []

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # ASGI
        """Answer 401."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = dict(scope["headers"])
        found = headers.get(b"authorization")
        self.authorizations.append(None if found is None else found.decode())
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, Elsewhere]]:
    """Give the other server's address, and the server."""
    app = Elsewhere()
    with listening(app) as url:
        yield url, app


def test_another_origin_gets_no_token(device: Device, elsewhere: tuple[str, Elsewhere]) -> None:
    url, other = elsewhere

    answers = [
        device.client.get(url),
        device.client.get("/away", params={"to": url}, follow_redirects=True),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert other.authorizations == [None, None]
    assert device.server.refreshes == 0  # nobody there has seen the token


def test_a_listed_origin_gets_the_token(device: Device, elsewhere: tuple[str, Elsewhere]) -> None:
    url, other = elsewhere
    auth = device.another_auth(origins=[url])

    with device.another_client(auth) as client:
        client.get(url)

    assert [one is not None for one in other.authorizations] == [True, True]  # and once more
    assert device.server.refreshes == 1


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:1/auth/me", "https://{place}/auth/me", "http://{place}.example/auth/me",
    "http://localhost:{port}/auth/me",
])  # fmt: skip
def test_another_scheme_host_or_port_is_another_origin(device: Device, url: str) -> None:
    place = device.server.url.removeprefix("http://")
    port = place.partition(":")[2]
    request = httpx.Request("GET", url.format(place=place.partition(":")[0], port=port))

    sent = next(device.auth.sync_auth_flow(request))

    assert "Authorization" not in sent.headers


def test_a_request_with_a_token_of_its_own_keeps_it(device: Device) -> None:
    answer = device.client.get("/auth/me", headers={"Authorization": "Bearer mine"})

    assert answer.request.headers["Authorization"] == "Bearer mine"
    assert answer.status_code == 401
    assert device.server.refreshes == 0


@pytest.mark.parametrize("route", ["token", "refresh", "logout", "register"])
def test_the_auth_routes_speak_for_themselves(device: Device, route: str) -> None:
    request = httpx.Request("POST", f"{device.server.url}/auth/{route}")

    sent = next(device.auth.sync_auth_flow(request))

    assert "Authorization" not in sent.headers


def test_the_callers_own_client_lends_no_cookie_and_no_auth_to_the_auth_routes(
    device: Device,
) -> None:
    own = httpx.Client(
        transport=device.line,
        auth=("ada", "secret"),
        cookies={"a": "b"},
        headers={"Origin": "https://app.example", "X-Gateway-Key": "1"},
    )
    auth = device.another_auth(client=own, user_agent="acme-cli/1.4")
    auth.log_in(EMAIL, PASSWORD)

    sent = device.line.carried[-2].headers  # then the session before is ended

    assert not {"authorization", "cookie", "origin"} & set(sent)
    assert (sent["User-Agent"], sent["X-Gateway-Key"]) == ("acme-cli/1.4", "1")


@pytest.mark.parametrize("url", [
    "api.example.com", "ftp://api.example.com", "https://ada:secret@api.example.com", "https://",
])  # fmt: skip
def test_a_base_url_is_an_address_without_a_password(url: str) -> None:
    with pytest.raises(ValueError, match="is no place such as") as caught:
        BatonpassAuth(url)

    assert "secret" not in str(caught.value)


# --- logging in and out ------------------------------------------------------------------------


def test_a_login_that_is_refused_says_what_the_server_said(server: LiveServer) -> None:
    store = MemoryStore()

    with pytest.raises(LoginRefusedError) as caught:
        BatonpassAuth(server.url, store).log_in(EMAIL, "a guess at noon")

    assert (caught.value.status, caught.value.code) == (401, "invalid_credentials")
    assert store.load() is None


def test_a_login_at_a_server_that_is_away_can_be_tried_again(device: Device) -> None:
    before = device.stored
    device.line.ahead = [offline]

    with pytest.raises(SessionUnavailableError):
        device.auth.log_in(EMAIL, PASSWORD)

    assert device.stored == before
    assert device.me().status_code == 200


def test_a_login_ends_the_session_that_was_there(device: Device) -> None:
    before = device.stored
    device.auth.log_in(EMAIL, PASSWORD)

    answer = httpx.post(
        f"{device.server.url}/auth/refresh", json={"refresh_token": before.refresh_token}
    )

    assert (answer.json()["code"], answer.json()["reason"]) == ("refresh_revoked", "logout")
    assert device.me().status_code == 200


async def test_a_logout_ends_the_session_here_and_at_the_server(server: LiveServer) -> None:
    store = MemoryStore()
    auth = BatonpassAuth(server.url, store)
    await auth.alog_in(EMAIL, PASSWORD)
    tokens = store.load()
    assert tokens

    await auth.alog_out()

    assert store.load() is None
    async with httpx.AsyncClient(base_url=server.url, auth=auth) as client:
        with pytest.raises(SessionExpiredError) as caught:
            await client.get("/auth/me")
        answer = await client.post("/auth/refresh", json={"refresh_token": tokens.refresh_token})
    assert caught.value.code == "logged_out"
    assert (answer.json()["code"], answer.json()["reason"]) == ("refresh_revoked", "logout")


def test_a_logout_without_a_server_forgets_the_tokens_all_the_same(device: Device) -> None:
    device.line.ahead = [offline]

    with pytest.raises(SessionUnavailableError, match="gone from here"):
        device.auth.log_out()

    assert device.store.load() is None
    device.auth.log_out()  # there is nothing left to do


# --- another run, and clocks -------------------------------------------------------------------


def test_the_next_run_goes_on_with_the_stored_access_token(device: Device) -> None:
    with device.another_client(device.another_auth()) as later:
        assert later.get("/auth/me").status_code == 200

    assert device.server.refreshes == 0


@pytest.mark.parametrize("passed", [timedelta(minutes=31), timedelta(hours=-5)])
def test_a_stored_token_that_is_over_or_from_the_future_is_refreshed(
    device: Device, passed: timedelta
) -> None:
    device.clock.advance(passed)

    with device.another_client(device.another_auth()) as later:
        assert later.get("/auth/me").status_code == 200

    assert device.server.refreshes == 1


def test_a_device_whose_clock_is_years_off_neither_refreshes_too_often_nor_too_late(
    server: LiveServer,
) -> None:
    clock = Clock()
    clock.advance(timedelta(days=-3000))
    device = Device(server, clock=clock)

    for _ in range(3):
        assert device.me().status_code == 200
    assert server.refreshes == 0
    device.let_token_expire()
    assert device.me().status_code == 200
    assert server.wire.count("GET", "/auth/me", 401) == 0
    device.close()


def test_tokens_of_another_server_are_not_sent_to_this_one(device: Device) -> None:
    auth = BatonpassAuth("http://localhost:1", device.store)

    with httpx.Client(auth=auth) as client, pytest.raises(SessionExpiredError):
        client.get("http://localhost:1/")


# --- what nobody may see -----------------------------------------------------------------------


def test_no_secret_stands_in_a_repr_an_error_or_the_log(
    device: Device, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    device.let_token_expire()
    tokens = device.stored
    device.line.ahead = [offline, offline]
    with pytest.raises(SessionUnavailableError) as unavailable:
        device.me()
    device.clock.advance(timedelta(seconds=5))
    device.line.ahead = [answering(400, json.dumps({"code": "what", "detail": "?"}))]
    with pytest.raises(SessionUnavailableError):
        device.me()

    shown = [
        *map(repr, (device.auth, tokens, unavailable.value, FileStore(tmp_path / "t"))),
        str(unavailable.value),
        repr(unavailable.value.__cause__),
        caplog.text,
        repr([vars(record) for record in caplog.records]),
    ]

    assert "refresh_not_understood" in caplog.text
    for secret in (tokens.access_token, tokens.refresh_token, PASSWORD):
        assert not any(secret in text for text in shown)


def test_without_httpx_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    spec = importlib.util.spec_from_file_location("again", batonpass.httpx_auth.__file__)
    assert spec
    assert spec.loader

    with pytest.raises(ImportError, match=r"pip install 'batonpass\[httpx\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_a_store_may_be_anything_that_loads_saves_and_locks(server: LiveServer) -> None:
    class Keyring:
        def __init__(self) -> None:
            self.kept: dict[str, Tokens] = {}
            self.inner = MemoryStore()

        def load(self) -> Tokens | None:
            return self.kept.get("acme")

        def save(self, tokens: Tokens | None) -> None:
            self.kept = {} if tokens is None else {"acme": tokens}

        def locked(self) -> AbstractContextManager[None]:
            return self.inner.locked()

    device = Device(server, Keyring())
    device.let_token_expire()

    assert device.me().status_code == 200
    device.close()
