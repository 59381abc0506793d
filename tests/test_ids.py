"""UUIDv7: the time it carries, the order it has, the randomness that is left."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from batonpass import ids
from tests.support.families import T0

MILLISECOND = timedelta(milliseconds=1)
RANDOM_BITS = 74
times = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)


@given(times)
def test_an_id_carries_its_time_to_the_millisecond(at: datetime) -> None:
    made_at = ids.made_at(ids.new_id(at))

    assert at - MILLISECOND < made_at <= at
    assert made_at.tzinfo is UTC


@given(times)
def test_an_id_is_a_uuid_of_version_7(at: datetime) -> None:
    identifier = ids.new_id(at)

    assert (identifier.version, identifier.variant) == (7, RFC_4122)


def test_the_example_of_rfc_9562_is_read() -> None:
    example = UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")  # appendix A.6

    assert ids.made_at(example) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


@given(times, st.timedeltas(min_value=MILLISECOND, max_value=timedelta(days=3650)))
def test_a_later_id_is_greater(at: datetime, later: timedelta) -> None:
    if at.year > 9980:
        at = at.replace(year=9980, day=1)

    assert ids.new_id(at) < ids.new_id(at + later)


@given(times)
def test_the_lowest_id_divides_before_from_after(at: datetime) -> None:
    at = max(at, datetime(1971, 1, 1, tzinfo=UTC))
    start = at - timedelta(microseconds=at.microsecond % 1000)  # its millisecond begins

    lowest = ids.lowest_id(at)

    assert ids.new_id(start - MILLISECOND) < lowest <= ids.new_id(start)
    assert ids.made_at(lowest) == start


def test_s_rt_8_ids_of_one_millisecond_differ_in_every_random_bit() -> None:
    made = [ids.new_id(T0).int for _ in range(200)]

    varying = 0
    for one in made:
        varying |= one ^ made[0]

    assert len(set(made)) == len(made)
    assert varying.bit_count() == RANDOM_BITS
