"""The load driver: what it sends, and that a real server answers it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

import pytest
from sqlalchemy import create_engine, func, select

from batonpass.refresh_tokens import TEXT_LENGTH
from batonpass.server.models import tables
from benchmarks import servers
from benchmarks.databases import seed, sqlite
from benchmarks.driver import (
    FORM,
    JSON,
    Driver,
    Load,
    UnexpectedAnswerError,
    _Client,
    _Crowd,
    build_requests,
    percentile,
)

LOAD = Load(name="somebody", port=8000, path="/auth/refresh")


@pytest.mark.parametrize(("count", "percent", "found"), [
    pytest.param(1,    99, 1,   id="one value is every percentile"),
    pytest.param(100,  50, 50,  id="half of them do not exceed it"),
    pytest.param(100,  99, 99,  id="99 of 100"),
    pytest.param(1000, 99, 990, id="990 of 1000"),
    pytest.param(10,   99, 10,  id="of ten, the highest"),
])  # fmt: skip
def test_percentiles(count: int, percent: float, found: float) -> None:
    assert percentile(range(1, count + 1), percent) == found


def test_each_token_gets_a_request_and_a_load_without_tokens_one() -> None:
    assert len(build_requests(replace(LOAD, cookies=["a", "b", "c"]))) == 3
    assert len(build_requests(LOAD)) == 1


def test_both_sides_of_a_comparison_are_sent_the_same_bytes_but_for_the_path() -> None:
    [ours] = build_requests(replace(LOAD, cookies=["bpr_1"]))
    [empty] = build_requests(replace(LOAD, cookies=["bpr_1"], path="/empty"))

    assert ours.replace(b"/auth/refresh", b"/empty") == empty
    assert b"\r\nCookie: __Host-Http-refresh_token=bpr_1; " in ours
    assert ours.endswith(b"\r\n\r\n")


def test_a_form_is_announced_by_its_length() -> None:
    [request] = build_requests(replace(LOAD, bodies=["username=ada"]))

    head, body = request.split(b"\r\n\r\n")
    assert body == b"username=ada"
    assert b"\r\nContent-Length: 12" in head


def test_a_token_stands_in_its_body() -> None:
    load = replace(LOAD, tokens=["a", "bc"], template='{"refresh":"$TOKEN"}', media_type=JSON)

    first, second = build_requests(load)

    assert first.endswith(b'\r\n\r\n{"refresh":"a"}')
    assert second.endswith(b'\r\n\r\n{"refresh":"bc"}')
    assert b"\r\nContent-Length: 16\r\nContent-Type: application/json\r\n" in second


def test_an_answer_in_pieces_is_one_answer_and_its_token_is_presented_next() -> None:
    old, new = "o" * TEXT_LENGTH, "n" * TEXT_LENGTH
    crowd, client, sent = a_client(replace(LOAD, cookies=[old], chains=True, clients=1))
    answer = (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"
        f"set-cookie: __Host-Http-refresh_token={new}; Path=/\r\n\r\n{{}}"
    ).encode()

    for piece in (answer[:30], answer[30:-1]):
        client.data_received(piece)
    assert len(sent) == 1, "it is not whole yet"
    client.data_received(answer[-1:])

    assert len(crowd.latencies) == 1
    assert sent[1] == sent[0].replace(old.encode(), new.encode())


@pytest.mark.parametrize(("media_type", "template"), [
    pytest.param(JSON, '{"refresh": "$TOKEN"}',        id="in JSON"),
    pytest.param(FORM, "grant_type=refresh&it=$TOKEN", id="in a form"),
])  # fmt: skip
def test_a_token_in_a_body_is_followed_by_the_one_in_the_answer_however_long(
    media_type: str, template: str
) -> None:
    load = replace(
        LOAD, tokens=["old"], template=template, media_type=media_type, member="refresh", clients=1
    )
    crowd, client, sent = a_client(load)

    for piece in an_answer('{"access":"x","refresh":"rather.longer"}', at=60):
        client.data_received(piece)
    for piece in an_answer('{"refresh": "new", "refresh_token": "x"}', at=20):
        client.data_received(piece)

    assert len(crowd.latencies) == 2
    assert sent == [a_body(load, token) for token in ("old", "rather.longer", "new")]
    client.close()
    assert crowd.shares[0] == [sent[2]], "the next round goes on with it"


@pytest.mark.parametrize("body", [
    pytest.param('{"access":"x"}',                id="without it"),
    pytest.param('{"refresh":null,"access":"x"}', id="null"),
    pytest.param('{"refresh":""}',                id="empty"),
])  # fmt: skip
async def test_an_answer_without_the_next_token_is_refused(body: str) -> None:
    load = replace(LOAD, tokens=["old"], member="refresh", clients=1)
    crowd, client, sent = a_client(load)
    crowd.missing, crowd.done = 1, asyncio.get_running_loop().create_future()

    for piece in an_answer(body, at=20):
        client.data_received(piece)

    assert crowd.refused == {"a token answer without its member": 1}
    assert len(sent) == 1


async def test_an_answer_with_a_token_and_another_status_is_refused() -> None:
    load = replace(LOAD, tokens=["old"], member="refresh", clients=1, status=201)
    crowd, client, sent = a_client(load)
    crowd.missing, crowd.done = 1, asyncio.get_running_loop().create_future()

    for piece in an_answer('{"refresh":"new"}', at=20):
        client.data_received(piece)

    assert sum(crowd.refused.values()) == 1
    assert len(sent) == 1


def test_a_client_that_asks_by_the_clock_is_charged_for_what_it_could_not_send_in_time() -> None:
    crowd, client, sent = a_client(replace(LOAD, clients=1, rate=10), begun=timedelta(seconds=1))

    for _ in range(3):  # due 1.0, 0.9 and 0.8 s ago
        client.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    assert len(sent) == 4
    first, second, third = crowd.latencies
    assert (first >= 1.0, second >= 0.9, third >= 0.8) == (True, True, True)


def test_the_next_round_goes_on_with_the_tokens_that_this_one_did_not_come_to() -> None:
    crowd, client, sent = a_client(replace(LOAD, cookies=["a", "b", "c"], clients=1))
    client.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    client.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    client.close()

    assert crowd.shares[0] == [sent[2], sent[0], sent[1]]


def test_each_refresh_is_a_generation_also_in_the_next_round() -> None:
    with sqlite() as url, Driver() as driver:
        cookies = [one.cookie for one in seed(url, 8)]
        with servers.batonpass(url) as server:
            driver.add(
                replace(LOAD, port=server.port, cookies=cookies, chains=True, clients=4, rate=100)
            )
            rounds = [driver.run(["somebody"], 0.5)["somebody"] for _ in range(2)]

        assert sum(one.requests for one in rounds) == generations(url)
        for one in rounds:
            assert 0 < one.requests <= 100 * one.seconds + 4, "it asks by the clock"
            assert 0 < one.p50 <= one.p99


def test_an_answer_that_is_not_expected_ends_the_round() -> None:
    with sqlite() as url, Driver() as driver:
        [session] = seed(url, 1)
        with servers.batonpass(url) as server:
            load = replace(LOAD, port=server.port, cookies=[session.cookie[:-1]], clients=2)
            driver.add(load)
            with pytest.raises(UnexpectedAnswerError, match="refresh_invalid"):
                driver.run(["somebody"], 0.1)


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match="cannot be reached"),
        servers.batonpass("sqlite:////no-such-folder/batonpass.db"),
    ):
        pytest.fail("it has started")


def an_answer(body: str, *, at: int) -> tuple[bytes, bytes]:
    """Write an answer as a WSGI server does, in two pieces."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    return answer[:at], answer[at:]


def a_body(load: Load, token: str) -> bytes:
    [request] = build_requests(replace(load, tokens=[token]))
    return request


class Wire(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def abort(self) -> None:
        """Nobody is at the other end."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))


def a_client(load: Load, *, begun: timedelta = timedelta(0)) -> tuple[_Crowd, _Client, list[bytes]]:
    crowd, wire = _Crowd(load), Wire()
    crowd.begin = perf_counter() - begun.total_seconds()
    crowd.end = crowd.begin + 60
    interval = None if load.rate is None else load.clients / load.rate
    client = _Client(crowd, crowd.shares[0], interval)
    client.connection_made(wire)
    client.start(0)
    return crowd, client, wire.sent


def generations(url: str) -> int:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            total = connection.scalar(select(func.sum(tables.refresh_tokens.c.generation)))
    finally:
        engine.dispose()
    return int(total or 0)
