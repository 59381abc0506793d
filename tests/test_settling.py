"""Notes that a generation has reached its user: when one is made, and what it may not do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, delete, select, text

from batonpass import settling as settling_module
from batonpass.errors import StoreUnavailableError
from tests.support.clocks import Clock
from tests.support.families import GRACE, TICK
from tests.support.postgres import PostgresServer
from tests.support.services import House, a_house
from tests.support.thieves import AT_HOME, Tab, a_tab, what_becomes_of


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


def pass_time(house: House, by: timedelta) -> None:
    assert isinstance(house.clock, Clock)
    house.clock.advance(by)


async def has_settled(house: House, tab: Tab) -> bool:
    family = (await house.row(tab.family_id)).family
    return family.nonce is None and family.recoverable_from == family.generation


async def use(house: House, access_token: str) -> None:
    """Use an access token, and let the heart beat."""
    await house.service.check_access_token(access_token)
    await house.service.settling.write()


@pytest.mark.parametrize(
    ("seen_after", "settled"),
    [
        pytest.param(2 * GRACE, False, id="twice the grace is not yet later"),
        pytest.param(2 * GRACE + TICK, True, id="a tick later it is"),
    ],
)
async def test_an_access_token_settles_its_generation_once_it_is_old_enough(
    house: House, seen_after: timedelta, settled: bool
) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    pass_time(house, seen_after)

    await use(house, tab.access_token)

    assert await has_settled(house, tab) is settled


async def test_an_older_generation_settles_nothing(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    old = tab.access_token
    await tab.refresh()
    pass_time(house, 3 * GRACE)

    await use(house, old)

    assert not await has_settled(house, tab)


async def test_a_note_that_a_rotation_overtook_settles_nothing(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    pass_time(house, 3 * GRACE)
    await house.service.check_access_token(tab.access_token)  # noted, not yet written
    await tab.refresh()
    before = await house.row(tab.family_id)

    await house.service.settling.write()

    assert await house.row(tab.family_id) == before
    assert before.family.nonce is not None


async def test_a_late_note_does_not_touch_a_family_that_has_ended(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    pass_time(house, 3 * GRACE)
    await house.service.check_access_token(tab.access_token)
    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)
    before = await house.row(tab.family_id)

    await house.service.settling.write()

    assert await house.row(tab.family_id) == before


async def test_it_ends_the_mark_of_a_rights_change(house: House) -> None:
    tab = await a_tab(house)
    tab.answer = await house.service.change_rights(tab.family_id, AT_HOME)
    pass_time(house, 3 * GRACE)

    await use(house, tab.access_token)

    assert not (await house.row(tab.family_id)).family.rights_changed


async def test_a_token_that_is_seen_often_is_written_once(house: House) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    pass_time(house, 3 * GRACE)
    await use(house, tab.access_token)

    await house.service.check_access_token(tab.access_token)

    assert house.service.settling._notes == {}


async def test_what_another_process_has_settled_is_not_written_again(
    postgresql_url: str,
) -> None:
    """Every process sees the same access tokens: each would make a dead row of its own."""
    async with a_house(postgresql_url) as house:
        tab, neighbour = await a_tab(house), house.another_process()
        await tab.refresh()
        pass_time(house, 3 * GRACE)
        await use(house, tab.access_token)
        version = text("SELECT xmin::text FROM refresh_tokens")
        before = await house.database.read(lambda connection: connection.scalar(version))

        await neighbour.check_access_token(tab.access_token)
        await neighbour.settling.write()

        assert await house.database.read(lambda connection: connection.scalar(version)) == before


async def test_a_note_of_a_family_that_was_purged_is_forgotten(house: House) -> None:
    gone, kept = await a_tab(house), await a_tab(house)
    for tab in (gone, kept):
        await tab.refresh()
    pass_time(house, 3 * GRACE)
    for tab in (gone, kept):
        await house.service.check_access_token(tab.access_token)
    families = house.tables.refresh_tokens
    await house.database.write(
        lambda connection: connection.execute(
            delete(families).where(families.c.id == gone.family_id)
        )
    )

    await house.service.settling.write()

    assert house.service.settling._notes == {}
    assert await has_settled(house, kept)


async def test_a_note_that_comes_during_the_write_is_for_the_next_one(house: House) -> None:
    tab, settling = await a_tab(house), house.service.settling
    now, long_ago = house.clock.now(), house.clock.now() - 3 * GRACE
    settling.note(tab.family_id, 0, long_ago, now)

    writing = asyncio.ensure_future(settling.write())
    await asyncio.sleep(0)  # its notes are taken
    settling.note(tab.family_id, 1, long_ago, now)
    await writing

    assert settling._notes == {tab.family_id: 1}


async def test_the_newest_generation_of_a_family_is_noted(house: House) -> None:
    tab, settling = await a_tab(house), house.service.settling
    now, long_ago = house.clock.now(), house.clock.now() - 3 * GRACE

    for generation in (3, 5, 4):
        settling.note(tab.family_id, generation, long_ago, now)

    assert settling._notes == {tab.family_id: 5}


async def test_what_was_written_is_remembered_of_those_last_seen(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "MAX_REMEMBERED", 2)
    first, second, third = [await a_tab(house) for _ in range(3)]
    settling = house.service.settling
    now, long_ago = house.clock.now(), house.clock.now() - 3 * GRACE

    for tab, generation in ((first, 0), (second, 0), (first, 1), (third, 0)):
        settling.note(tab.family_id, generation, long_ago, now)
        await settling.write()

    assert settling._written == {first.family_id: 1, third.family_id: 0}


async def test_a_full_notebook_forgets_and_grows_no_further(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "MAX_NOTES", 2)
    tabs = [await a_tab(house) for _ in range(4)]
    pass_time(house, 3 * GRACE)

    for tab in tabs:
        await house.service.check_access_token(tab.access_token)

    assert len(house.service.settling._notes) == 2


async def test_more_notes_than_one_transaction_takes_are_all_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_module, "_AT_ONCE", 2)
    tabs = [await a_tab(house) for _ in range(5)]
    for tab in tabs:
        await tab.refresh()
    pass_time(house, 3 * GRACE)
    for tab in tabs:
        await house.service.check_access_token(tab.access_token)

    await house.service.settling.write()

    assert [await has_settled(house, tab) for tab in tabs] == [True] * 5


async def test_while_the_database_is_away_notes_are_kept(own_postgres: PostgresServer) -> None:
    async with a_house(own_postgres.url) as house:
        tab = await a_tab(house)
        await tab.refresh()
        pass_time(house, 3 * GRACE)
        await house.service.check_access_token(tab.access_token)
        own_postgres.stop()
        with pytest.raises(StoreUnavailableError):
            await house.service.settling.write()
        own_postgres.start()

        await house.service.settling.write()

        assert await has_settled(house, tab)


async def test_a_row_that_somebody_holds_is_left_for_the_next_time(postgresql_url: str) -> None:
    """Waiting for it would hold up every other family whose row this transaction holds."""
    async with a_house(postgresql_url) as house:
        held, free = await a_tab(house), await a_tab(house)
        for tab in (held, free):
            await tab.refresh()
        pass_time(house, 3 * GRACE)
        for tab in (held, free):
            await house.service.check_access_token(tab.access_token)
        families = house.tables.refresh_tokens
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))

        with engine.begin() as somebody:
            row = select(families).where(families.c.id == held.family_id)
            somebody.execute(row.with_for_update())
            await house.service.settling.write()
            assert await has_settled(house, free)
            assert not await has_settled(house, held)
        await house.service.settling.write()

        assert await has_settled(house, held)
        assert await what_becomes_of(held.refresh()) == "answered"
        engine.dispose()
