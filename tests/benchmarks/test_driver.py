"""The load driver: what it sends, and that a real server answers it."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from batonpass.server.models import tables
from benchmarks import servers
from benchmarks.databases import seed, sqlite
from benchmarks.driver import Driver, Load, UnexpectedAnswerError, build_requests, percentile

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


def test_a_hundred_refreshes_are_a_hundred_generations() -> None:
    with sqlite() as url, Driver() as driver:
        cookies = [one.cookie for one in seed(url, 8)]
        with servers.batonpass(url) as server:
            driver.add(
                replace(LOAD, port=server.port, cookies=cookies, chains=True, clients=4, rate=100)
            )
            first = driver.run(["somebody"], 0.5)["somebody"]
            second = driver.run(["somebody"], 0.5)["somebody"]  # goes on where the first left off

        assert first.requests + second.requests == generations(url) == pytest.approx(100, abs=20)
        assert 0 < first.p50 <= first.p99
        assert first.driver_seconds > 0


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


def generations(url: str) -> int:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            total = connection.scalar(select(func.sum(tables.refresh_tokens.c.generation)))
    finally:
        engine.dispose()
    assert Path(url.removeprefix("sqlite:///")).exists()
    return int(total or 0)
