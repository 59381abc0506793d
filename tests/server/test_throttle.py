"""How many failures one may have, on both databases."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import IPv6Address
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, insert, select, text

from batonpass import ids
from batonpass.events import EventName
from batonpass.origins import block
from batonpass.server import throttle
from batonpass.server.models import tables
from batonpass.server.models import throttle as table
from batonpass.server.throttle import Bucket, Limit, LoginLimits, Place, Refusal, Throttle
from tests.server.conftest import NOW

KEY = bytes(range(32))
TICK = timedelta(microseconds=1)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
HERE, THERE = "192.0.2.1", "192.0.2.2"
ADA, BOB = "ada@example.com", "bob@example.com"
DEFAULTS = LoginLimits()
BARRIER_SECONDS = 20


class Door:
    """A login door of which only the throttle is looked at."""

    def __init__(self, connection: Connection, limits: LoginLimits | None = DEFAULTS) -> None:
        self.connection = connection
        self.throttle = Throttle(
            KEY, login=limits, registration=Limit(20, HOUR), confirmation=Limit(10, QUARTER)
        )

    def knock(
        self,
        account: str = ADA,
        address: str | None = HERE,
        *,
        known: bool = True,
        at: datetime = NOW,
    ) -> Place | Refusal:
        return self.throttle.take_login(
            self.connection, account=account, address=address, known=known, now=at
        )

    def fails(self, times: int, account: str = ADA, address: str | None = HERE) -> None:
        for _ in range(times):
            assert isinstance(self.knock(account, address), Place)

    def rows(self) -> int:
        return self.connection.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def door(connection: Connection) -> Door:
    return Door(connection)


LIMITS = [
    pytest.param("off", None, id="off"),
    pytest.param("pair=10/15m,address=50/15m,strangers=100/1h", DEFAULTS, id="the default"),
    pytest.param("pair=3/30s", replace(DEFAULTS, pair=Limit(3, timedelta(seconds=30))), id="one"),
    pytest.param(
        " address=7/2d , strangers=1/1m ",
        replace(
            DEFAULTS,
            address=Limit(7, timedelta(days=2)),
            strangers=Limit(1, timedelta(minutes=1)),
        ),
        id="two, with spaces",
    ),
]


@pytest.mark.parametrize(("text", "limits"), LIMITS)
def test_limits_are_read(text: str, limits: LoginLimits | None) -> None:
    assert LoginLimits.parse(text) == limits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "on",
        "pair",
        "pair=",
        "pair=0/1m",
        "pair=10",
        "pair=10/15",
        "pair=10/0m",
        "pair=-1/1m",
        "pair=10/15w",
        "site=10/15m",
        "pair=1/1m,pair=2/1m",
        "pair=1/1m,",
        "pair=٣/1m",
        "off,off",
    ],
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"form|none of|twice"):
        LoginLimits.parse(text)


def test_the_eleventh_failure_of_a_pair_is_refused(door: Door) -> None:
    door.fails(10)

    assert door.knock() == Refusal(Bucket.PAIR)
    assert isinstance(door.knock(ADA, THERE), Place), "from elsewhere the account is open"
    assert isinstance(door.knock(BOB, HERE), Place), "from here other accounts are open"


def test_the_window_ends_and_nothing_prolongs_it(door: Door) -> None:
    door.fails(10)
    for minute in range(15):
        assert door.knock(at=NOW + timedelta(minutes=minute)) == Refusal(Bucket.PAIR)

    assert door.knock(at=NOW + QUARTER - TICK) == Refusal(Bucket.PAIR)
    assert isinstance(door.knock(at=NOW + QUARTER), Place)


def test_the_fifty_first_failure_of_an_address_is_refused(door: Door) -> None:
    for number in range(50):
        door.fails(1, f"user{number}@example.com")

    assert door.knock("another@example.com") == Refusal(Bucket.ADDRESS)
    assert isinstance(door.knock("another@example.com", THERE), Place)


def test_addresses_of_one_block_are_one(door: Door) -> None:
    for number in range(50):
        door.fails(1, f"user{number}@example.com", f"2001:db8:0:1::{number:x}")

    assert door.knock(ADA, "2001:db8:0:1:ffff::") == Refusal(Bucket.ADDRESS)
    assert isinstance(door.knock(ADA, "2001:db8:0:2::1"), Place)


def test_a_network_of_ipv6_has_four_times_the_places(door: Door) -> None:
    for number in range(200):
        door.fails(1, f"user{number}@example.com", f"2001:db8:7:{number:x}::1")

    assert door.knock(ADA, "2001:db8:7:ffff::1") == Refusal(Bucket.SITE)
    assert isinstance(door.knock(ADA, "2001:db8:8::1"), Place)


def test_strangers_together_are_refused_and_known_places_are_not(door: Door) -> None:
    for number in range(100):
        assert isinstance(door.knock(address=f"198.51.100.{number}", known=False), Place)

    assert door.knock(address=HERE, known=False) == Refusal(Bucket.STRANGERS)
    assert isinstance(door.knock(address=HERE, known=True), Place)
    assert isinstance(door.knock(BOB, HERE, known=False), Place)


def test_s_thr_1_a_right_password_gives_every_place_back(door: Door) -> None:
    for _ in range(120):
        place = door.knock(address="2001:db8::1", known=False)
        assert isinstance(place, Place)
        throttle.give_back(door.connection, place)

    assert door.rows() == 0


def test_a_right_password_forgives_no_failure(door: Door) -> None:
    door.fails(9)
    place = door.knock()
    assert isinstance(place, Place)
    throttle.give_back(door.connection, place)

    door.fails(1)

    assert door.knock() == Refusal(Bucket.PAIR)


def test_a_place_of_an_earlier_window_is_not_given_back_in_a_later_one(door: Door) -> None:
    place = door.knock()
    assert isinstance(place, Place)
    later = NOW + QUARTER
    for _ in range(10):
        assert isinstance(door.knock(at=later), Place)

    throttle.give_back(door.connection, place)

    assert door.knock(at=later) == Refusal(Bucket.PAIR)


def test_a_refusal_keeps_no_place(door: Door) -> None:
    door.fails(10)

    for _ in range(100):
        assert door.knock() == Refusal(Bucket.PAIR)

    for number in range(40):  # what is left of the address's fifty
        door.fails(1, f"user{number}@example.com")
    assert door.knock(BOB) == Refusal(Bucket.ADDRESS)


def test_s_thr_6_a_full_address_makes_no_row_for_another_name(door: Door) -> None:
    for number in range(50):
        door.fails(1, f"user{number}@example.com")
    rows = door.rows()

    for number in range(100):
        door.knock(f"name{number}@example.com", known=False)

    assert door.rows() == rows == 51


def test_the_last_place_says_so_once(door: Door) -> None:
    places = [door.knock() for _ in range(10)]

    assert [list(place.filled) for place in places if isinstance(place, Place)] == [
        *([] for _ in range(9)),
        [Bucket.PAIR],
    ]


def test_every_bucket_is_refused_in_the_same_words() -> None:
    errors = [Refusal(bucket).error() for bucket in Bucket]

    assert {(error.status, error.code, error.detail) for error in errors} == {
        (429, "rate_limited", "Too many attempts. Please wait a moment.")
    }
    assert {error.retry_after for error in errors} == {60}


def test_off_counts_nothing(connection: Connection) -> None:
    door = Door(connection, limits=None)

    door.fails(300)

    assert door.rows() == 0


def test_what_is_no_text_elsewhere_is_counted_too(door: Door) -> None:
    door.fails(10, "\ud800\x00", None)

    assert door.knock("\ud800\x00", None) == Refusal(Bucket.PAIR)
    assert isinstance(door.knock(ADA, None), Place)


def test_no_name_stands_in_the_table(door: Door) -> None:
    door.knock(known=False)

    keys = list(door.connection.scalars(select(table.c.key)))

    assert len(keys) == 3
    assert {len(key) for key in keys} == {16}
    other = Throttle(bytes(32), login=DEFAULTS)
    other.take_login(door.connection, account=ADA, address=HERE, known=False, now=NOW)
    assert door.rows() == 6, "another key, other rows"


def test_registrations_are_counted_by_block(door: Door) -> None:
    def register(address: str) -> Place | Refusal:
        return door.throttle.take_registration(door.connection, address=address, now=NOW)

    taken = [register(HERE) for _ in range(20)]

    assert all(isinstance(place, Place) for place in taken)
    assert register(HERE) == Refusal(Bucket.REGISTRATION)
    assert isinstance(register(THERE), Place)


def test_confirmations_are_counted_by_session(door: Door) -> None:
    mine, another = uuid4(), uuid4()

    def confirm(family_id: UUID) -> Place | Refusal:
        return door.throttle.take_confirmation(door.connection, family_id=family_id, now=NOW)

    taken = [confirm(mine) for _ in range(10)]

    assert all(isinstance(place, Place) for place in taken)
    assert confirm(mine) == Refusal(Bucket.CONFIRMATION)
    assert isinstance(confirm(another), Place)


def test_forty_at_once_take_ten_places(engine: Engine) -> None:
    callers = 40
    together = threading.Barrier(callers)
    failures = Throttle(KEY, login=DEFAULTS)

    def knock(number: int) -> Place | Refusal:
        together.wait(BARRIER_SECONDS)
        with engine.connect() as connection:
            taken = failures.take_login(
                connection, account=ADA, address=HERE, known=number % 2 == 0, now=NOW
            )
            connection.commit()
            return taken

    with ThreadPoolExecutor(callers) as threads:
        taken = list(threads.map(knock, range(callers)))

    assert sum(isinstance(place, Place) for place in taken) == 10


@pytest.mark.parametrize("takes_between_purges", [throttle.TAKES_BETWEEN_PURGES, 1])
def test_buckets_that_cross_never_deadlock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, takes_between_purges: int
) -> None:
    monkeypatch.setattr(throttle, "MAX_ROWS", 1)
    monkeypatch.setattr(throttle, "TAKES_BETWEEN_PURGES", takes_between_purges)
    failures = Throttle(KEY, login=LoginLimits.parse("pair=9999/1h,address=9999/1h"))

    def knock(number: int) -> None:
        for turn in range(15):
            account, address = (ADA, BOB)[number % 2], (HERE, THERE)[(number + turn) // 2 % 2]
            with engine.begin() as connection:
                place = failures.take_login(
                    connection, account=account, address=address, known=False, now=NOW
                )
                assert isinstance(place, Place)
            with engine.begin() as connection:
                throttle.give_back(connection, place)
            with engine.begin() as connection:
                throttle.purge(connection, NOW, max_rows=1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(knock, range(4)))


def test_a_purge_takes_what_is_over_and_leaves_what_counts(door: Door) -> None:
    door.knock(ADA, known=False)  # pair and address end in a quarter of an hour, strangers in one

    assert throttle.purge(door.connection, NOW + QUARTER - TICK) == 0
    assert throttle.purge(door.connection, NOW + QUARTER) == 2
    assert throttle.purge(door.connection, NOW + HOUR) == 1
    assert door.rows() == 0


def test_s_thr_6_a_purge_bounds_the_rows_and_keeps_the_fullest(door: Door) -> None:
    door.fails(10)
    for number in range(100):
        door.fails(1, f"user{number}@example.com", f"10.0.0.{number}")

    assert throttle.purge(door.connection, NOW, max_rows=50) == 152
    assert door.rows() == 50
    assert door.knock() == Refusal(Bucket.PAIR)


def test_s_thr_6_nobody_fills_the_table_between_two_purges(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_ROWS", 60)
    monkeypatch.setattr(throttle, "TAKES_BETWEEN_PURGES", 20)
    door.fails(10)

    for number in range(400):
        door.knock(f"user{number}@example.com", f"10.0.{number // 250}.{number % 250}", known=False)
        assert door.rows() <= 60 + 3 * 20

    assert door.knock() == Refusal(Bucket.PAIR), "who is at a limit is not pushed out"


def test_s_thr_6_as_many_rows_as_there_may_be_are_64_mib_at_most(engine: Engine) -> None:
    rows = 10_000
    names = [b"%016d" % (number * 7919 % rows) for number in range(rows)]
    before = _size(engine)

    with engine.begin() as connection:
        connection.execute(
            insert(table), [{"key": name, "count": 1, "resets_at": NOW} for name in names]
        )

    each = (_size(engine) - before) / rows
    assert 20 < each < 64 * 2**20 / (throttle.MAX_ROWS + 4 * throttle.TAKES_BETWEEN_PURGES)


def _size(engine: Engine) -> int:
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            return int(connection.scalar(text("SELECT pg_total_relation_size('throttle')")) or 0)
        pages, of = (
            connection.scalar(text(f"PRAGMA {one}")) for one in ("page_count", "page_size")
        )
        return int(pages or 0) * int(of or 0)


class Diary:
    """Writes logins into the library's events."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user_id = uuid4()

    def login(
        self,
        ip: str | None,
        at: datetime = NOW,
        event: EventName = EventName.LOGIN_SUCCEEDED,
        user_id: UUID | None = None,
    ) -> None:
        self.connection.execute(
            insert(tables.security_events).values(
                id=ids.new_id(at),
                at=at,
                event=event,
                user_id=user_id or self.user_id,
                ip=ip,
                details={},
            )
        )

    def knows(self, address: str | None, *, anybody: bool = True) -> bool:
        return throttle.knows_block(
            self.connection,
            tables.security_events,
            user_id=self.user_id if anybody else None,
            address=address,
            now=NOW,
        )


@pytest.fixture
def diary(connection: Connection) -> Diary:
    return Diary(connection)


DAYS_90 = timedelta(days=90)
KNOWN = [
    pytest.param(HERE, HERE, True, id="the same address"),
    pytest.param(HERE, THERE, False, id="another"),
    pytest.param("192.0.2.10", HERE, False, id="one that begins alike"),
    pytest.param(HERE, f"::ffff:{HERE}", True, id="the same, mapped"),
    pytest.param("2001:db8:5:1::1", "2001:db8:5:1:a:b:c:d", True, id="the same block"),
    pytest.param("2001:db8:5:1::1", "2001:db8:5:10::1", False, id="a block that begins alike"),
    pytest.param("2001:db8::1", "2001:db8:0:0:a:b:c:d", True, id="the same block, with zeros"),
    pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="another block, with zeros"),
    pytest.param(None, None, True, id="no address, as before"),
    pytest.param(None, HERE, False, id="no address before"),
]


@pytest.mark.parametrize(("earlier", "address", "known"), KNOWN)
def test_which_blocks_an_account_knows(
    diary: Diary, earlier: str | None, address: str | None, known: bool
) -> None:
    diary.login(earlier)

    assert diary.knows(address) is known


def test_a_place_is_known_by_a_good_login_of_its_own_and_not_too_old(diary: Diary) -> None:
    diary.login("10.0.0.1", NOW - DAYS_90)
    diary.login("10.0.0.2", NOW - DAYS_90 - timedelta(milliseconds=1))
    diary.login("10.0.0.3", event=EventName.LOGIN_FAILED)
    diary.login("10.0.0.4", user_id=uuid4())

    assert [diary.knows(f"10.0.0.{number}") for number in range(1, 5)] == [
        True,
        False,
        False,
        False,
    ]
    assert not diary.knows("10.0.0.1", anybody=False), "nobody knows no place"


def test_s_enum_1_an_account_that_is_attacked_for_weeks_is_asked_for_as_quickly_as_nobody(
    diary: Diary,
) -> None:
    """Failures that anybody can make once slowed each login by what a clock tells from afar."""
    rows = [
        {
            "id": ids.new_id(NOW), "at": NOW, "event": EventName.LOGIN_FAILED,
            "user_id": diary.user_id, "ip": f"10.0.{number // 250}.{number % 250}", "details": {},
        }
        for number in range(6_000)
    ]  # fmt: skip
    diary.connection.execute(insert(tables.security_events), rows)
    took: dict[bool, list[float]] = {True: [], False: []}

    for _ in range(15):
        for anybody, times in took.items():
            begun = time.perf_counter()
            diary.knows(HERE, anybody=anybody)
            times.append(time.perf_counter() - begun)

    assert min(took[True]) < 2 * min(took[False])


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_every_address_of_a_block_begins_with_its_head(address: object, rest: int) -> None:
    first = IPv6Address(str(address))
    if first.ipv4_mapped is not None:
        return
    second = IPv6Address(int(first) >> 64 << 64 | rest)

    where = block(str(first))

    assert where is not None
    head = throttle._textual_head(where)
    assert head is not None
    assert str(first).startswith(head)
    assert str(second).startswith(head)
