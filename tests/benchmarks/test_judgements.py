"""Each benchmark turns what it measured into rows: the right figure, against the right bar."""

import pytest

from benchmarks import (
    ceilings,
    disk,
    growth,
    in_an_app,
    locked_row,
    logins,
    memory,
    one_client,
    protected,
    refresh,
    replays,
    scaling,
    settling,
)
from benchmarks.rounds import Measurement
from benchmarks.rows import Row
from tests.benchmarks.measurements import measured


def times(count: int = 3, **differs: float) -> list[Measurement]:
    return [measured(**differs) for _ in range(count)]


def judged(rows: list[Row]) -> dict[str, tuple[float | None, bool | None]]:
    return {row.what: (None if row.ratio is None else round(row.ratio, 3), row.met) for row in rows}


def test_refreshes_are_held_against_the_empty_route() -> None:
    rows = refresh.judge(
        {
            refresh.EMPTY: times(rate=1000, server_us=100, database_us=0),
            refresh.HS256: times(rate=990, server_us=70, database_us=30),
            refresh.ES256: times(rate=700, server_us=100, database_us=41),
            refresh.SQLITE: times(rate=800, server_us=120, database_us=0),
        }
    )

    assert judged(rows) == {
        "empty FastAPI route": (None, None),
        "HS256: requests/s, of the empty route's": (0.99, False),
        "ES256: requests/s, of the empty route's": (0.7, True),
        "HS256 on SQLite: requests/s, of the empty route's": (0.8, True),
        "HS256: CPU, of the empty route's": (1.0, True),
        "ES256: CPU, of the empty route's": (1.41, False),
        "HS256 on SQLite: CPU, of the empty route's": (1.2, None),
    }


def test_what_grows_with_the_clients_is_told_and_two_workers_are_held_against_one() -> None:
    rows = scaling.judge(
        {4: scaling.Found(rounds=times(rate=900, server_us=90, database_us=10), batch=3.6)},
        {scaling.ONE: times(rate=1000), scaling.TWO: times(rate=1500)},
    )

    assert judged(rows) == {
        "4 at once": (None, None),
        "two workers, 64 at once: requests/s, of one's": (1.5, None),
    }
    assert rows[0].figure.startswith("900/s, 100 µs, p50 ")
    assert rows[0].figure.endswith(", 4 sessions a transaction")


def test_in_an_app_the_database_s_cpu_counts_as_well() -> None:
    rows = in_an_app.judge(
        {
            "empty beside HS256": times(server_us=100, database_us=0),
            "HS256": times(server_us=150, database_us=50),
            "empty beside ES256": times(server_us=100, database_us=0),
            "ES256": times(server_us=160, database_us=50),
        }
    )

    assert judged(rows) == {
        "HS256: CPU, of the app's empty route's": (2.0, True),
        "ES256: CPU, of the app's empty route's": (2.1, False),
    }


def test_a_protected_route_is_held_against_the_same_route_unprotected() -> None:
    rows = protected.judge(
        {
            protected.UNPROTECTED: times(rate=1000),
            protected.DEPENDING: times(rate=960),
            protected.CLAIMS: times(rate=940),
            protected.USER: times(rate=300),
        }
    )

    assert judged(rows) == {
        "a dependency that does nothing: requests/s, of the unprotected route's": (0.96, None),
        "auth.claims: requests/s, of the unprotected route's": (0.94, False),
        "auth.user (one query): requests/s, of the unprotected route's": (0.3, None),
    }


def test_settling_is_what_a_note_adds() -> None:
    found = settling.Found(
        old=times(server_us=110, database_us=10, p50=0.001),
        young=times(server_us=100, database_us=0, p50=0.001),
        refresh=times(server_us=60, database_us=40),
        settled=30_000,
    )

    assert judged(settling.judge(found)) == {
        "CPU that a note and its writing add, of a refresh's": (0.2, True),
        "latency p50, of a request's without a note": (1.0, True),
    }


def test_settling_that_did_not_happen_is_not_cheap() -> None:
    found = settling.Found(old=times(), young=times(), refresh=times(), settled=20_000)

    with pytest.raises(ValueError, match="only 20000 families have settled"):
        settling.judge(found)


def test_many_sessions_are_held_against_few() -> None:
    rows = growth.judge(
        {
            "10,000 live sessions": times(rate=1000, p99=0.010),
            "1,000,000 live sessions": times(rate=840, p99=0.015),
        }
    )

    assert judged(rows) == {
        "requests/s at 1,000,000 live sessions, of those at 10,000": (0.84, False),
        "p99 at 1,000,000 live sessions, of that at 10,000": (1.5, True),
    }


def test_a_replay_is_held_against_a_refresh_and_the_others_against_themselves() -> None:
    rows = replays.judge(
        {
            replays.REFRESHES: times(server_us=80, database_us=20),
            replays.AFTER: times(server_us=60, database_us=40),
            replays.WITHIN: times(server_us=160, database_us=50),
            replays.QUIET: times(p99=0.010),
            replays.REPLAYS: times(p99=0.013),
            replays.AS_MANY: times(p99=0.014),
        }
    )

    assert judged(rows) == {
        "a replay after the window (401): CPU, of a refresh's": (1.0, True),
        "a replay within the window (409): CPU, of a refresh's": (2.1, False),
        "p99 of others beside replays, of that alone": (1.3, False),
        "p99 of others beside as many refreshes, of that alone": (1.4, None),
    }


def test_a_locked_row_is_held_against_no_locked_row() -> None:
    rows = locked_row.judge(
        {
            locked_row.FREE: times(p99=0.010),
            locked_row.LOCKED: times(p99=0.012),
        }
    )

    assert judged(rows) == {"p99 of everybody else, of that with no row locked": (1.2, True)}


def test_logins_are_held_against_hashes_and_refreshes_against_idle_ones() -> None:
    found = logins.Found(
        hashes=[100.0, 50.0],
        logins=times(2, rate=90),
        refreshes=times(2, p99=0.060),
        idle=times(2, p99=0.010),
    )

    assert judged(logins.judge(found)) == {
        "logins/s, of bare Argon2id hashes/s": (1.35, True),
        "p99 of refreshes meanwhile, of their idle one": (6.0, False),
    }


def test_memory_is_what_is_resident() -> None:
    rows = memory.judge(
        {
            "PostgreSQL": memory.Memory(rss=121, uss=90),
            "SQLite": memory.Memory(rss=99, uss=80),
        }
    )

    assert judged(rows) == {
        "MiB of one worker under 64 clients, ES256 on PostgreSQL": (121, False),
        "MiB of one worker under 64 clients, ES256 on SQLite": (99, True),
    }


def test_bytes_are_those_of_one_session_after_its_rotations() -> None:
    [row] = disk.judge(1_000, before=300_000, after=321_000, hot=0.995)

    assert (row.ratio, row.met) == (321, False)
    assert row.figure == "321 B, indexes in; 300 B as logged in; 99.5 % HOT"


def test_one_client_is_held_against_one_statement() -> None:
    [row] = one_client.judge([0.004, 0.002, 0.002], [0.002, 0.001, 0.002])

    assert (row.ratio, row.met) == (2.0, True)
    assert row.figure == "2.00 ms; bare 2.00 ms"


def test_ceilings_are_told_and_held_against_nothing() -> None:
    rounds = {name: times() for name in (ceilings.ECHO, ceilings.RAW, ceilings.EMPTY)}
    statements = [ceilings.Statements(clients=8, rate=9_000, cpu_us=71)]

    rows = ceilings.judge(rounds, statements)

    assert [row.met for row in rows] == [None] * 4
    assert rows[0].figure == "5,000/s, 100 µs CPU, driver 10 µs"
    assert rows[3].figure == "9,000/s, 71 µs CPU in PostgreSQL"
