"""What the statements do that a service's story does not show: order, time, what a purge spares."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import pytest
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import DBAPIError

from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.storage.store import EVENTS_ARE_KEPT, _columns
from tests.support.clocks import Clock
from tests.support.families import GRACE, POLICY, TICK
from tests.support.services import House, a_house, by_driver
from tests.support.thieves import AT_HOME, a_tab

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


def pass_time(house: House, by: timedelta) -> None:
    assert isinstance(house.clock, Clock)
    house.clock.advance(by)


async def test_rows_are_locked_in_the_order_of_their_ids(postgresql_url: str) -> None:
    """Two that met in another order would deadlock; these lie on the disk the other way round."""
    threads = by_driver("postgresql+psycopg sync")
    async with a_house(postgresql_url, make_engine=threads) as house:
        rows = []
        for _ in range(2):
            rows.append(await house.row((await a_tab(house)).family_id))
            pass_time(house, MILLISECOND)
        low, high = (row.family.id for row in rows)
        families = house.tables.refresh_tokens

        def turn_round(connection: Connection) -> None:
            connection.execute(delete(families))
            for row in reversed(rows):
                connection.execute(insert(families), _columns(row))

        await house.database.write(turn_round)
        has_low, may_go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold_low(connection: Connection) -> None:
            house.store.lock(connection, [low])
            loop.call_soon_threadsafe(has_low.set)
            may_go.wait(10)

        def wait_for_both(connection: Connection) -> None:
            house.store.limit_lock_wait(connection, 300)
            house.store.lock(connection, [high, low])

        def try_high(connection: Connection) -> bool:
            connection.exec_driver_sql("SELECT pg_sleep(0.1)")  # the others stand in line by now
            statement = select(families.c.id).where(families.c.id == high)
            try:
                connection.execute(statement.with_for_update(key_share=True, nowait=True))
            except DBAPIError:
                return False
            return True

        holder = asyncio.ensure_future(house.database.write(hold_low))
        await has_low.wait()
        waiter = asyncio.ensure_future(house.database.write(wait_for_both))
        high_is_free = await house.database.read(try_high)
        may_go.set()
        await asyncio.gather(holder, waiter, return_exceptions=True)

        assert high_is_free


async def test_a_family_comes_back_as_it_was_saved(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, 3 * GRACE + TICK)
    await tab.refresh()

    row = await house.row(tab.family_id)

    assert row.grant == tab.answer.session
    assert row.family.rotated_at.tzinfo is UTC
    assert row.family.rotated_at.microsecond == (house.clock.now()).microsecond


async def test_an_end_shows_in_every_column(house: House) -> None:
    tab = await a_tab(house)
    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)

    [row] = await house.rows(house.tables.refresh_tokens)

    assert (row["is_active"], row["ended_reason"]) == (False, "revoked")
    assert row["ended_at"] is not None


async def test_no_row_is_locked_or_left_out_that_was_not_asked_for(house: House) -> None:
    tab, other = await a_tab(house), await a_tab(house)

    locked = await house.database.write(
        lambda connection: house.store.lock(connection, [tab.family_id])
    )

    assert list(locked.families) == [tab.family_id]
    assert other.family_id not in locked.families
    assert locked.not_before is None


async def test_a_purge_takes_what_is_over_and_spares_the_rest(database_url: str) -> None:
    policy = Policy(history=DAY)
    async with a_house(database_url, policy=policy) as house:
        old = await a_tab(house)
        await old.refresh()
        await house.service.revoke_session(house.user_id, old.family_id, AT_HOME)
        pass_time(house, POLICY.absolute_limit + DAY)
        spared = await a_tab(house)
        await spared.refresh()
        await house.service.revoke_session(house.user_id, spared.family_id, AT_HOME)

        too_early = await house.service.purge()
        pass_time(house, MILLISECOND)
        purged = await house.service.purge()

        assert too_early["refresh_tokens"] == 0
        assert purged["refresh_tokens"] == 1
        assert (await house.row(spared.family_id)).family.id == spared.family_id
        assert [family_id for family_id, _ in await house.feed()] == [spared.family_id]
        kept = await house.rows(house.tables.rotation_history)
        assert [row["family_id"] for row in kept] == [spared.family_id]
        assert too_early["security_events"] == purged["security_events"] == 0


async def test_events_are_kept_for_as_long_as_the_throttle_looks_back(house: House) -> None:
    await a_tab(house)

    pass_time(house, EVENTS_ARE_KEPT)
    kept = await house.service.purge()
    pass_time(house, MILLISECOND)
    gone = await house.service.purge()

    assert (kept["security_events"], gone["security_events"]) == (0, 1)


async def test_single_rotations_are_kept_only_where_somebody_wants_them(
    database_url: str,
) -> None:
    async with a_house(database_url, policy=Policy(history=DAY)) as house:
        tab = await a_tab(house)
        await tab.refresh()
        await tab.refresh_but_lose_the_answer()
        pass_time(house, GRACE + TICK)
        await tab.refresh()

        lineage = await house.service.get_session(house.user_id, tab.family_id)
        kinds = [(one.generation, one.kind) for one in lineage.rotations]
        assert sorted(kinds) == [(1, "rotated"), (2, "rotated"), (3, "recovered")]

    assert Policy().history == timedelta(0)


async def test_an_event_comes_back_as_it_was_told(house: House) -> None:
    told = SecurityEvent(
        name=EventName.LOGIN_FAILED,
        at=house.clock.now(),
        user_id=house.user_id,
        origin=Origin("2001:db8::1", "curl"),
        request_id="r1",
        details={"what": "ever", "times": 3, "nothing": None},
    )

    await house.service.record(told)

    [(_, event)] = await house.service.list_events(house.user_id)
    assert event == told
    assert house.told == [told]


async def test_the_feed_keeps_the_order_of_its_numbers(house: House) -> None:
    tabs = [await a_tab(house) for _ in range(3)]
    for tab in reversed(tabs):
        await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)

    feed = await house.database.read(
        lambda connection: house.store.revocations_after(connection, 0)
    )
    behind = await house.database.read(
        lambda connection: house.store.revocations_after(connection, feed[1].seq)
    )

    assert [one.family_id for one in feed] == [tab.family_id for tab in reversed(tabs)]
    assert behind == feed[2:]
    assert {one.reason for one in feed} == {Ending.REVOKED}


async def test_only_a_database_with_a_clock_is_asked_for_the_time(house: House) -> None:
    told = await house.database.read(house.store.database_time)

    assert (told is not None) == (house.database.dialect == "postgresql")
    assert told is None or told.tzinfo is UTC
