"""What the statements do that a service's story does not show: order, time, what a purge spares."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Select, Table, create_engine, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from batonpass.events import EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.storage.store import EVENTS_ARE_KEPT, Revoked, StoredFamily
from tests.support.clocks import Clock
from tests.support.families import GRACE, NONCE, POLICY, TICK
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


async def turn_round(house: House) -> None:
    """Put the newest rows first on the disk: what is read in order then was asked for in order."""
    tables = house.tables
    for table in (tables.refresh_tokens, tables.security_events, tables.rotation_history):

        def work(connection: Connection, table: Table = table) -> None:
            rows = connection.execute(select(table).order_by(table.c.id.desc())).mappings().all()
            connection.execute(delete(table))
            for row in rows:
                connection.execute(insert(table), dict(row))

        await house.database.write(work)


@pytest.mark.parametrize("whose", ["a batch's", "a user's"])
async def test_rows_are_locked_in_the_order_of_their_ids(postgresql_url: str, whose: str) -> None:
    """Two that met in another order would deadlock; these lie on the disk the other way round."""
    threads = by_driver("postgresql+psycopg sync")
    async with a_house(postgresql_url, make_engine=threads) as house:
        low = (await a_tab(house)).family_id
        pass_time(house, MILLISECOND)
        high = (await a_tab(house)).family_id
        families = house.tables.refresh_tokens
        await turn_round(house)
        has_low, may_go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold_low(connection: Connection) -> None:
            house.store.lock(connection, [low])
            loop.call_soon_threadsafe(has_low.set)
            may_go.wait(10)

        def wait_for_both(connection: Connection) -> None:
            house.store.limit_lock_wait(connection, 300)
            if whose == "a batch's":
                house.store.lock(connection, [high, low])
            else:
                house.store.lock_live_of(connection, house.user_id)

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


async def test_a_locked_row_may_be_pointed_at_and_not_changed(postgresql_url: str) -> None:
    """An app's own table may have a foreign key to users, or to a family: its inserts go on."""
    async with a_house(postgresql_url) as house:
        tab, users = await a_tab(house), house.users
        families = house.tables.refresh_tokens
        neighbour = create_engine(postgresql_url.replace("://", "+psycopg://"))
        user = select(users.c.id).where(users.c.id == house.user_id)
        family = select(families.c.id).where(families.c.id == tab.family_id)
        locks: list[tuple[Callable[[Connection], object], Select[Any]]] = [
            (lambda connection: house.store.lock(connection, [tab.family_id]), family),
            (lambda connection: house.store.lock_live_of(connection, house.user_id), family),
            (lambda connection: house.store.lock_user(connection, house.user_id), user),
        ]
        for lock, row in locks:

            def work(
                connection: Connection,
                lock: Callable[[Connection], object] = lock,
                row: Select[Any] = row,
            ) -> None:
                lock(connection)
                with neighbour.connect() as other:
                    other.execute(row.with_for_update(read=True, key_share=True, nowait=True))
                with neighbour.connect() as other, pytest.raises(DBAPIError, match="lock"):
                    other.execute(row.with_for_update(key_share=True, nowait=True))

            await house.database.write(work)
        neighbour.dispose()


async def test_what_is_listed_comes_in_its_order(database_url: str) -> None:
    async with a_house(database_url, policy=Policy(history=DAY)) as house:
        tabs = []
        for _ in range(3):
            tabs.append(await a_tab(house))
            pass_time(house, MILLISECOND)
        for _ in range(3):
            await tabs[0].refresh()
            pass_time(house, MILLISECOND)
        await house.service.revoke_session(house.user_id, tabs[1].family_id, AT_HOME)
        await house.service.record(
            *[replace(one, family_id=tabs[0].family_id) for one in house.told]
        )
        await turn_round(house)

        sessions = await house.service.list_sessions(house.user_id)
        everybodys = await house.service.list_sessions(None)
        lineage = await house.service.get_session(house.user_id, tabs[0].family_id)

        newest_first = [tab.family_id for tab in reversed(tabs)]
        assert [one.family.id for one in sessions] == newest_first
        assert [one.family.id for one in everybodys] == newest_first
        assert [one.generation for one in lineage.rotations] == [1, 2, 3]
        told_at = [one.at for one in lineage.events]
        assert len(told_at) > 3
        assert told_at == sorted(told_at)


async def test_the_users_families_are_told_newest_first(house: House) -> None:
    """A login ends those at the end of this list where there are too many."""
    tabs = []
    for _ in range(3):
        tabs.append(await a_tab(house))
        pass_time(house, MILLISECOND)

    live = await house.database.read(lambda one: house.store.live_of(one, house.user_id))

    assert [one.family.id for one in live] == [tab.family_id for tab in reversed(tabs)]


async def test_no_other_transaction_inherits_how_long_a_lock_is_waited_for(
    postgresql_url: str,
) -> None:
    """The connections are the app's own: its transactions wait as they always did."""
    async with a_house(postgresql_url) as house:
        before = await house.database.read(lambda one: one.scalar(text("SHOW lock_timeout")))
        await (await a_tab(house)).refresh()

        after = await house.database.read(lambda one: one.scalar(text("SHOW lock_timeout")))

        assert before == after == "0"


async def test_a_time_is_utc_whatever_zone_the_database_speaks(postgresql_url: str) -> None:
    async with a_house(postgresql_url, make_engine=by_driver("postgresql+psycopg sync")) as house:
        tab = await a_tab(house)

        def in_tokyo(connection: Connection) -> StoredFamily | None:
            connection.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
            return house.store.get(connection, tab.family_id)

        stored = await house.database.read(in_tokyo)

        assert stored is not None
        assert stored.grant == tab.answer.session
        assert stored.family.rotated_at.tzinfo is UTC


async def test_of_two_moments_set_at_once_the_later_one_holds(postgresql_url: str) -> None:
    """I4: what one operator ended, another's earlier moment must not bring back."""
    threads = by_driver("postgresql+psycopg sync")
    async with a_house(postgresql_url, make_engine=threads) as house:
        now, set_not_before = house.clock.now(), house.store.set_not_before
        await house.database.write(lambda one: set_not_before(one, now))
        has_set, loop = asyncio.Event(), asyncio.get_running_loop()

        def later(connection: Connection) -> None:
            set_not_before(connection, now + 2 * DAY)
            loop.call_soon_threadsafe(has_set.set)
            connection.exec_driver_sql("SELECT pg_sleep(0.3)")  # the other one waits by now

        first = asyncio.ensure_future(house.database.write(later))
        await has_set.wait()
        await house.database.write(lambda one: set_not_before(one, now + DAY))
        await first

        assert await house.database.read(house.store.not_before) == now + 2 * DAY


async def test_a_family_comes_back_as_it_was_saved(house: House) -> None:
    tab = await a_tab(house)
    pass_time(house, 3 * GRACE + TICK)
    await tab.refresh()

    row = await house.row(tab.family_id)

    assert row.grant == tab.answer.session
    assert row.family.rotated_at.tzinfo is UTC
    assert row.family.rotated_at.microsecond == (house.clock.now()).microsecond


async def test_whatever_a_change_may_touch_is_saved(house: House) -> None:
    before = await house.row((await a_tab(house)).family_id)
    then = house.clock.now() + DAY
    after = replace(
        before,
        family=replace(
            before.family,
            token=bytes(32),
            nonce=NONCE,
            generation=9,
            recoverable_from=8,
            rights_changed=True,
            window_generation=7,
            window_started_at=then,
            rotated_at=then + TICK,
            shown_at=then + 2 * TICK,
            ended_at=then + 3 * TICK,
            ended_reason=Ending.LOGOUT,
        ),
        auth_time=then + 4 * TICK,
        origin=Origin("2001:db8::1", "curl"),
    )

    await house.database.write(lambda connection: house.store.save(connection, [after]))

    assert await house.row(before.family.id) == after


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


async def test_a_purge_spares_who_was_promised_a_longer_life(house: House) -> None:
    """SESSION_MAX_DAYS was lowered: sessions of before keep the limit that they were given."""
    tab = await a_tab(house)
    lowered = house.another_process(policy=replace(POLICY, absolute_limit=2 * DAY))
    pass_time(house, 4 * DAY)

    purged = await lowered.purge()

    assert purged["refresh_tokens"] == 0
    assert (await tab.refresh()).session.generation == 1


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
    await house.database.write(lambda connection: _rewrite_the_feed(connection, house, feed))
    assert feed == await house.database.read(
        lambda connection: house.store.revocations_after(connection, 0)
    )
    behind = await house.database.read(
        lambda connection: house.store.revocations_after(connection, feed[1].seq)
    )

    assert [one.family_id for one in feed] == [tab.family_id for tab in reversed(tabs)]
    assert behind == feed[2:]
    assert {one.reason for one in feed} == {Ending.REVOKED}


async def test_only_a_database_with_a_clock_is_asked_for_the_time(house: House) -> None:
    told, later = await house.database.read(
        lambda one: (house.store.database_time(one), house.store.database_time(one))
    )

    if house.database.dialect == "sqlite":
        assert (told, later) == (None, None)
    else:
        assert told is not None
        assert later is not None
        assert told.tzinfo is UTC
        assert told < later  # its clock's, not the beginning of the transaction


def _rewrite_the_feed(connection: Connection, house: House, feed: list[Revoked]) -> None:
    """Put the highest number first on the disk."""
    table = house.tables.revocations
    connection.execute(delete(table))
    for one in reversed(feed):
        row = {"seq": one.seq, "family_id": one.family_id, "at": one.at, "reason": one.reason}
        connection.execute(insert(table), row)
