"""The feed: what was ended anywhere is refused here within two seconds, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, insert

from batonpass import ids
from batonpass.access_tokens import LEEWAY
from batonpass.auth_service import AuthService
from batonpass.errors import StoreUnavailableError
from batonpass.family import Ending
from batonpass.revocations import OVERLAP_SECONDS, STALE_AFTER_SECONDS
from batonpass.storage.store import Revoked
from tests.support.clocks import Clock
from tests.support.families import POLICY, TICK
from tests.support.postgres import PostgresServer
from tests.support.services import House, a_house
from tests.support.thieves import AT_HOME, Tab, a_tab, what_becomes_of

STALE = timedelta(seconds=STALE_AFTER_SECONDS)
OVERLAP = timedelta(seconds=OVERLAP_SECONDS)
REVOKED = "session_revoked (revoked)"


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


def pass_time(house: House, by: timedelta) -> None:
    assert isinstance(house.clock, Clock)
    house.clock.advance(by)


async def revoke(house: House, tab: Tab) -> None:
    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)


async def test_the_process_that_ended_a_session_refuses_it_at_once(house: House) -> None:
    tab = await a_tab(house)
    await house.service.check_access_token(tab.access_token)

    await revoke(house, tab)

    assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == REVOKED


async def test_s_ses_9_a_neighbour_believes_its_last_look_for_two_seconds_and_no_longer(
    house: House,
) -> None:
    tab, neighbour = await a_tab(house), house.another_process()
    await neighbour.check_access_token(tab.access_token)
    await revoke(house, tab)

    pass_time(house, STALE)
    at_the_bound = await what_becomes_of(neighbour.check_access_token(tab.access_token))
    pass_time(house, TICK)
    after_it = await what_becomes_of(neighbour.check_access_token(tab.access_token))

    assert (at_the_bound, after_it) == ("answered", REVOKED)


async def test_s_ses_9_a_process_that_just_started_knows_what_was_ended(
    house: House,
) -> None:
    tab = await a_tab(house)
    await revoke(house, tab)

    neighbour = house.another_process()

    assert await what_becomes_of(neighbour.check_access_token(tab.access_token)) == REVOKED


async def test_an_access_token_dated_after_the_ending_is_refused_to_its_end(house: House) -> None:
    """The refresh was committed before; its process wrote the answer 20 s later."""
    tab, neighbour = await a_tab(house), house.another_process()
    await revoke(house, tab)
    pass_time(house, timedelta(seconds=20))
    late = house.service.access_tokens.issue(
        subject=str(house.user_id),
        family_id=tab.family_id,
        generation=1,
        auth_time=house.clock.now(),
        now=house.clock.now(),
        lifetime=POLICY.access_token_lifetime,
    )

    pass_time(house, POLICY.access_token_lifetime + LEEWAY - timedelta(seconds=1))
    await house.service.purge()
    await house.service.revocations.poll()

    for process in (house.service, neighbour):
        assert await what_becomes_of(process.check_access_token(late)) == REVOKED


async def test_what_nobody_can_hold_a_token_of_is_forgotten(house: House) -> None:
    tab = await a_tab(house)
    await revoke(house, tab)
    for _ in range(2):  # now it looks no further back than to here
        await house.service.revocations.poll()
        pass_time(house, OVERLAP)

    pass_time(house, POLICY.access_token_lifetime + timedelta(minutes=2))
    await house.service.revocations.poll()

    assert house.service.revocations._ended == {}


async def test_s_ses_9_a_commit_that_becomes_visible_late_is_seen(house: House) -> None:
    """Its number is lower than one that was already read: the poll looks a minute back."""
    neighbour = house.another_process()
    slow, quick = await a_tab(house), await a_tab(house)
    await _write_to_the_feed(house, 1002, quick)
    await neighbour.revocations.poll()
    await _write_to_the_feed(house, 1001, slow)

    pass_time(house, OVERLAP - TICK)

    assert await what_becomes_of(neighbour.check_access_token(slow.access_token)) == REVOKED


async def test_after_the_overlap_a_poll_reads_only_what_is_new(house: House) -> None:
    tab = await a_tab(house)
    await revoke(house, tab)
    feed = house.service.revocations
    await feed.poll()
    pass_time(house, OVERLAP)
    await feed.poll()

    read = await house.database.read(
        lambda connection: house.store.revocations_after(connection, feed._floor)
    )

    assert read == []
    assert await feed.check(tab.family_id) is Ending.REVOKED


async def test_numbers_that_begin_anew_hide_nothing(house: House) -> None:
    """SQLite gives purged numbers again, a restored backup all of them."""
    neighbour = house.another_process()
    for _ in range(5):
        await revoke(house, await a_tab(house))
    await neighbour.revocations.poll()
    pass_time(house, OVERLAP)
    await neighbour.revocations.poll()
    await house.database.write(
        lambda connection: connection.execute(delete(house.tables.revocations))
    )
    tab = await a_tab(house)
    await _write_to_the_feed(house, 1, tab)

    pass_time(house, STALE + TICK)

    assert await what_becomes_of(neighbour.check_access_token(tab.access_token)) == REVOKED


async def test_numbers_that_begin_anew_hide_nothing_a_minute_later_either(house: House) -> None:
    """A number that was the highest half a minute ago says nothing of the ones given since."""
    neighbour = house.another_process()
    for wait in (OVERLAP / 2, OVERLAP / 2):
        for _ in range(5):
            await revoke(house, await a_tab(house))
        await neighbour.revocations.poll()
        pass_time(house, wait)
    await neighbour.revocations.poll()
    await house.database.write(
        lambda connection: connection.execute(delete(house.tables.revocations))
    )
    await neighbour.revocations.poll()
    tab = await a_tab(house)
    await _write_to_the_feed(house, 1, tab)
    await _write_to_the_feed(house, 11, await a_tab(house))

    pass_time(house, OVERLAP / 2 + TICK)

    assert await what_becomes_of(neighbour.check_access_token(tab.access_token)) == REVOKED


async def test_whoever_goes_away_during_a_poll_leaves_it_to_the_others(house: House) -> None:
    tab, neighbour = await a_tab(house), house.another_process()

    gone, stays = [
        asyncio.ensure_future(neighbour.check_access_token(tab.access_token)) for _ in range(2)
    ]
    while neighbour.revocations._polling is None:  # noqa: ASYNC110 - the keys are read first
        await asyncio.sleep(0)
    gone.cancel()

    assert await what_becomes_of(stays) == "answered"


async def test_s_ses_9_a_database_away_makes_nothing_valid(
    own_postgres: PostgresServer,
) -> None:
    """A neighbour has just ended one of the two sessions when nobody can be asked any more."""
    async with a_house(own_postgres.url) as house:
        tab, ended = await a_tab(house), await a_tab(house)
        neighbour = house.another_process()
        await house.service.check_access_token(tab.access_token)
        await neighbour.revoke_session(house.user_id, ended.family_id, AT_HOME)
        own_postgres.stop()

        still_fresh = await what_becomes_of(house.service.check_access_token(tab.access_token))
        pass_time(house, STALE + TICK)
        for one in (tab, ended):
            with pytest.raises(StoreUnavailableError):
                await house.service.check_access_token(one.access_token)
        own_postgres.start()

        assert still_fresh == "answered"
        assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == (
            "answered"
        )
        asked = house.service.check_access_token(ended.access_token)
        assert await what_becomes_of(asked) == REVOKED


async def test_s_ses_9_a_look_that_took_too_long_is_not_believed(house: House) -> None:
    """Whoever joins a poll that began long ago looks again: it may have read before the ending."""
    tab, neighbour = await a_tab(house), house.another_process()
    await revoke(house, tab)
    read = _SlowFirstLook(house, neighbour)
    neighbour.store.revocations_after = read  # type: ignore[method-assign]  # slow, and real

    outcome = await what_becomes_of(neighbour.check_access_token(tab.access_token))

    assert outcome == REVOKED
    assert read.looks == 2


async def test_a_family_from_before_what_was_restored_is_over(house: House) -> None:
    tab, neighbour = await a_tab(house), house.another_process()
    pass_time(house, timedelta(milliseconds=1))
    await house.database.write(
        lambda connection: house.store.set_not_before(connection, house.clock.now())
    )

    assert await neighbour.revocations.check(tab.family_id) is Ending.REVOKED
    assert await neighbour.revocations.check(ids.new_id(house.clock.now())) is None


class _SlowFirstLook:
    """Reads the real feed; the first time an ending commits just after, and the answer is late."""

    def __init__(self, house: House, process: AuthService) -> None:
        self.looks = 0
        self._house = house
        self._read = process.store.revocations_after

    def __call__(self, connection: Connection, seq: int) -> list[Revoked]:
        self.looks += 1
        if self.looks > 1:
            return self._read(connection, seq)
        pass_time(self._house, STALE + TICK)
        return []  # what it would have read before the ending


async def _write_to_the_feed(house: House, seq: int, tab: Tab) -> None:
    row = {"seq": seq, "family_id": tab.family_id, "at": house.clock.now(), "reason": "revoked"}
    await house.database.write(
        lambda connection: connection.execute(insert(house.tables.revocations), row)
    )
