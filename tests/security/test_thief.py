"""A thief with a copied refresh token against its owner, on both databases: A01 to A07, A20 to A39.

What one token means is tested in tests/test_family.py and tests/test_auth_service.py; here two
people use one session, and what counts is who has it in the end and what the owner hears.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, QueuePool, event
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.auth_service import AuthService
from batonpass.clock import Clock as RealClock
from batonpass.events import EventName
from batonpass.refresh_tokens import Transport
from tests.support.clocks import Clock
from tests.support.families import GRACE, STRICT, TICK
from tests.support.services import House, a_house
from tests.support.thieves import AT_HOME, Tab, Thief, a_tab, what_becomes_of

LATER = 3 * GRACE
AN_HOUR = timedelta(hours=1)


# --- one token, two people ---------------------------------------------------------------------


async def test_a01_owner_and_thief_at_once_get_one_successor_and_the_old_one_finds_him(
    house: House, clock: Clock
) -> None:
    neighbour = house.another_process()
    tab = await a_tab(house)
    stolen = tab.refresh_token
    thief = Thief(tab)
    calls = [tab.send(stolen), thief.send(stolen, service=neighbour)] * 25

    answers = await asyncio.gather(*calls)

    assert len({answer.refresh_token for answer in answers}) == 1
    tab.answer = answers[0]
    clock.advance(LATER)
    await tab.refresh()  # later than twice the grace: what it presents has settled
    assert await what_becomes_of(thief.send(stolen)) == "refresh_reused"
    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (reused)"


async def test_a01_while_nothing_has_settled_who_is_withdrawn_ends_the_session(
    house: House, clock: Clock
) -> None:
    tab = await a_tab(house)
    thief = Thief(tab)
    await thief.refresh()
    clock.advance(GRACE + TICK)

    await tab.refresh()  # the owner comes second: the thief's successor is withdrawn

    assert await what_becomes_of(thief.refresh()) == "refresh_superseded"
    clock.advance(GRACE + TICK)
    assert await what_becomes_of(thief.refresh()) == "refresh_reused"


async def test_a02_with_grace_zero_a_shadow_is_found_at_its_first_step(database_url: str) -> None:
    async with a_house(database_url, policy=STRICT) as house:
        tab = await a_tab(house)
        shadow = Thief(tab)
        await tab.refresh()

        assert await what_becomes_of(shadow.refresh()) == "refresh_reused"


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_a02_no_page_of_events_tells_that_the_owner_has_just_recovered(
    house: House, clock: Clock, limit: int
) -> None:
    """He holds the same token: within grace it would bring him the same successor."""
    tab = await a_tab(house)
    await tab.refresh_but_lose_the_answer()
    clock.advance(GRACE + TICK)
    before = await house.service.list_events(house.user_id, limit=limit)

    await tab.refresh()
    clock.advance(GRACE)
    young = await house.service.list_events(house.user_id, limit=limit)
    clock.advance(TICK)
    old = await house.service.list_events(house.user_id, limit=limit)

    assert young == before
    assert old[0][1].name is EventName.LOST_ANSWER_RECOVERED


@pytest.mark.parametrize(
    ("apart", "outcome"),
    [
        pytest.param(LATER, "refresh_reused", id="settled between: a replay"),
        pytest.param(timedelta(seconds=1), "refresh_superseded", id="within grace: nothing given"),
    ],
)
async def test_a03_a_walk_along_the_chain_and_back_to_its_beginning(
    house: House, clock: Clock, apart: timedelta, outcome: str
) -> None:
    thief = Thief(await a_tab(house))
    first = thief.refresh_token
    for _ in range(2):
        clock.advance(apart)
        await thief.refresh()
    before = await house.row(thief.family_id)

    assert await what_becomes_of(thief.send(first)) == outcome
    after = await house.row(thief.family_id)
    assert (after == before) is (outcome == "refresh_superseded")


# --- many at once ------------------------------------------------------------------------------


async def test_after_a_replay_in_a_batch_nobody_else_is_answered(
    house: House, clock: Clock
) -> None:
    """The first is long spent, the second was spent just now, the third is current."""
    expected = {
        (0, 1, 2): ["refresh_reused", "refresh_revoked (reused)", "refresh_revoked (reused)"],
        (0, 2, 1): ["refresh_reused", "refresh_revoked (reused)", "refresh_revoked (reused)"],
        (1, 0, 2): ["answered", "refresh_reused", "refresh_revoked (reused)"],
        (1, 2, 0): ["answered", "answered", "refresh_reused"],
        (2, 0, 1): ["answered", "refresh_reused", "refresh_revoked (reused)"],
        (2, 1, 0): ["answered", "refresh_superseded", "refresh_reused"],
    }
    for order, said in expected.items():
        tab, tokens = await three_tokens(house, clock, apart=LATER)

        assert await outcomes(tab, [tokens[number] for number in order]) == said
        assert (await house.row(tab.family_id)).family.ended_at is not None


async def test_a_burst_in_a_batch_leaves_one_live_token(house: House, clock: Clock) -> None:
    """Nothing has settled; the second token opens the row until the third, current, is spent."""
    expected = {
        (0, 1, 2): ["refresh_superseded", "answered", "answered"],
        (0, 2, 1): ["refresh_superseded", "answered", "refresh_superseded"],
        (1, 0, 2): ["answered", "refresh_superseded", "answered"],
        (1, 2, 0): ["answered", "answered", "refresh_superseded"],
        (2, 0, 1): ["answered", "refresh_superseded", "refresh_superseded"],
        (2, 1, 0): ["answered", "refresh_superseded", "refresh_superseded"],
    }
    for order, said in expected.items():
        tab, tokens = await three_tokens(house, clock, apart=timedelta(seconds=1))

        assert await outcomes(tab, [tokens[number] for number in order]) == said
        row = (await house.row(tab.family_id)).family
        assert (row.generation, row.ended_at) == (3, None)


async def three_tokens(house: House, clock: Clock, *, apart: timedelta) -> tuple[Tab, list[str]]:
    tab = await a_tab(house)
    tokens = [tab.refresh_token]
    for _ in range(2):
        clock.advance(apart)
        tokens.append((await tab.refresh()).refresh_token)
    return tab, tokens


async def outcomes(tab: Tab, tokens: Sequence[str]) -> list[str]:
    """Send all of them at once, in this order: one batch."""
    return list(await asyncio.gather(*(what_becomes_of(tab.send(token)) for token in tokens)))


async def test_a39_replays_at_once_are_one_alarm(house: House, clock: Clock) -> None:
    """Half of them by another process: whichever of the two sees it first."""
    tab = await a_tab(house)
    spent = tab.refresh_token
    for _ in range(2):
        clock.advance(LATER)
        await tab.refresh()
    thief, services = Thief(tab), [house.service, house.another_process()]

    said = await asyncio.gather(
        *(what_becomes_of(thief.send(spent, service=services[number % 2])) for number in range(200))
    )

    assert sorted(said) == ["refresh_reused"] + ["refresh_revoked (reused)"] * 199
    assert (await house.events()).count(EventName.REFRESH_TOKEN_REUSED) == 1
    assert len(await house.feed()) == 1


# --- a revocation at the same moment -----------------------------------------------------------


@pytest.mark.parametrize("first", ["refresh", "revocation"])
@pytest.mark.parametrize(
    "late_by", [pytest.param(GRACE, id="repeat"), pytest.param(GRACE + TICK, id="recover")]
)
async def test_a07_one_comes_between_the_others_read_and_its_write(
    house: House, clock: Clock, first: str, late_by: timedelta
) -> None:
    """The first holds the row, and has read it, when the second begins.

    The refresh is one after a lost answer: it must be judged, so its read and its write are two.
    """
    neighbour = house.another_process()
    for _ in range(3):
        tab = await a_tab(house)
        await tab.refresh_but_lose_the_answer()
        clock.advance(late_by)
        refresh = partial(what_becomes_of, tab.refresh())
        revoke = partial(neighbour.revoke_session, house.user_id, tab.family_id, AT_HOME)

        if first == "refresh":
            refreshed, _ = await begin_between(house.service, refresh, revoke)
            assert refreshed == "answered"
        else:
            _, refreshed = await begin_between(neighbour, revoke, refresh)
            assert refreshed == "refresh_revoked (revoked)"

        await house.service.revocations.poll()
        assert await what_becomes_of(tab.refresh()) == "refresh_revoked (revoked)"
        seen = what_becomes_of(house.service.check_access_token(tab.access_token))
        assert await seen == "session_revoked (revoked)"


async def begin_between(
    service: AuthService,
    first: Callable[[], Awaitable[object]],
    second: Callable[[], Awaitable[object]],
) -> list[object]:
    """Begin `second` once `first`, done by `service`, has its rows locked and nothing written."""
    loop = asyncio.get_running_loop()
    begins: list[bool] = []
    begun: list[asyncio.Future[object]] = []
    engine = service.database.engine
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine

    def begin() -> None:
        begun.append(asyncio.ensure_future(second()))

    def after_its_lock(connection: Connection, *said: Any) -> None:
        statement = str(said[1])
        if begins or "FROM refresh_tokens" not in statement or "ORDER BY" not in statement:
            return
        begins.append(True)
        loop.call_soon_threadsafe(begin)
        if connection.dialect.name == "sqlite":  # in a thread of its own, and nobody else can write
            Event().wait(0.05)
        else:
            connection.exec_driver_sql("SELECT pg_sleep(0.05)")

    event.listen(sync, "after_cursor_execute", after_its_lock)
    try:
        said = await first()
    finally:
        event.remove(sync, "after_cursor_execute", after_its_lock)
    return [said, await begun[0]]


# --- a backup is restored ----------------------------------------------------------------------


async def test_a05_after_a_restore_the_lost_current_one_closes_the_family(
    house: House, clock: Clock
) -> None:
    """Dumped at 5, gone on to 9, restored; another client walks from 5 to 9, then the lost 9."""
    owner, other = await restored(house, clock, apart=LATER)
    for _ in range(4):
        clock.advance(LATER)
        await other.refresh()

    assert await what_becomes_of(owner.refresh()) == "refresh_revoked (forked)"
    assert await what_becomes_of(other.refresh()) == "refresh_revoked (forked)"
    assert (await house.events())[-1] is EventName.HISTORY_FORKED


async def test_a05_after_a_restore_the_lost_one_before_the_last_never_makes_two(
    house: House, clock: Clock
) -> None:
    owner, other = await restored(house, clock, apart=timedelta(seconds=1), lost=8)
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        await other.refresh()

    at_once = await what_becomes_of(owner.refresh())
    clock.advance(GRACE + TICK)
    later = await what_becomes_of(owner.refresh())
    withdrawn = await what_becomes_of(other.refresh())
    clock.advance(GRACE + TICK)
    found = await what_becomes_of(other.refresh())

    assert (at_once, later) == ("refresh_superseded", "answered")
    assert (withdrawn, found) == ("refresh_superseded", "refresh_reused")


async def restored(
    house: House, clock: Clock, *, apart: timedelta, lost: int = 9
) -> tuple[Tab, Tab]:
    """Restore a backup of generation 5: who holds a lost generation, and who still holds 5."""
    tab = await a_tab(house)
    answers = [tab.answer]
    for _ in range(5):
        clock.advance(apart)
        answers.append(await tab.refresh())
    backup = await house.rows(house.tables.refresh_tokens)
    for _ in range(4):
        clock.advance(apart)
        answers.append(await tab.refresh())
    await restore(house, backup)
    return Tab(house.service, answers[lost]), Tab(house.service, answers[5])


async def restore(house: House, backup: Sequence[Mapping[str, Any]]) -> None:
    """Put the families' rows back as a backup has them; later ones are gone."""
    table = house.tables.refresh_tokens

    def work(connection: Connection) -> None:
        connection.execute(table.delete())
        if backup:
            connection.execute(table.insert(), list(backup))

    await house.database.write(work)


async def test_a06_a_restore_touches_nobody_elses_session(house: House) -> None:
    """The clock stands still: not even at one moment is an id issued twice."""
    backup = await house.rows(house.tables.refresh_tokens)
    lost = [await a_tab(house) for _ in range(10)]
    await restore(house, backup)
    others = [await a_tab(house, await house.add_user()) for _ in range(10)]

    for tab in lost:
        assert await what_becomes_of(tab.refresh()) == "refresh_expired"

    assert {tab.family_id for tab in lost}.isdisjoint(tab.family_id for tab in others)
    for tab in others:
        assert await what_becomes_of(tab.refresh()) == "answered"


# --- the clock jumps ---------------------------------------------------------------------------


@pytest.mark.parametrize("by", [AN_HOUR, -AN_HOUR])
async def test_a20_a_clock_that_jumps_costs_an_access_token_and_no_session(
    house: House, clock: Clock, by: timedelta
) -> None:
    tab, phone = await a_tab(house), await a_tab(house)
    await tab.refresh()
    slow = Thief(phone)
    await phone.refresh()

    clock.jump(by)

    checked = house.service.check_access_token(tab.access_token)
    assert await what_becomes_of(checked) == "token_invalid"
    for _ in range(3):
        assert await what_becomes_of(tab.refresh()) == "answered"
        assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == (
            "answered"
        )
        clock.advance(GRACE)
    assert await what_becomes_of(slow.refresh()) == "answered", "a retry is no theft either"
    clock.jump(-by)
    assert await what_becomes_of(tab.refresh()) == "answered"
    assert EventName.REFRESH_TOKEN_REUSED not in await house.events()


A_MINUTE = timedelta(seconds=61)


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(AN_HOUR, A_MINUTE), (-AN_HOUR, A_MINUTE)], id="ahead, and right again"),
        pytest.param([(-AN_HOUR, timedelta(minutes=32)), (-TICK, AN_HOUR / 2)], id="behind"),
    ],
)
async def test_a20_what_has_ended_stays_so_whatever_the_clock_does(
    house: House, clock: Clock, story: list[tuple[timedelta, timedelta]]
) -> None:
    """An access token lives on where the clock is set back, and so must its ending."""
    tab, neighbour = await a_tab(house), house.another_process()
    await house.service.revoke_session(house.user_id, tab.family_id, AT_HOME)
    said = []

    for jump, wait in [(timedelta(0), A_MINUTE), *story]:
        clock.jump(jump)
        for process in (house.service, neighbour):
            await process.revocations.poll()
        clock.advance(wait)
        for process in (house.service, neighbour):
            await process.revocations.poll()
            said.append(await what_becomes_of(process.check_access_token(tab.access_token)))

    assert said[-2:] == ["session_revoked (revoked)"] * 2
    assert "answered" not in said


@pytest.mark.parametrize("fast_by", [AN_HOUR, -AN_HOUR])
async def test_a20_on_postgresql_a_node_with_a_wrong_clock_decides_as_its_neighbours(
    postgresql_url: str, fast_by: timedelta
) -> None:
    async with a_house(postgresql_url, clock=RealClock()) as house:
        wrong = house.another_process(clock=WrongClock(fast_by))
        for service in (house.service, wrong):
            await service.revocations.poll()
        tab = await a_tab(house)
        token = tab.refresh_token

        lost = await tab.send(token, service=wrong)
        again = await tab.send(token)

        assert lost.refresh_token == again.refresh_token
        for answer, service in ((lost, house.service), (again, wrong)):
            asked = service.check_access_token(answer.access_token)
            assert await what_becomes_of(asked) == "answered"


class WrongClock(RealClock):
    """This machine's clock, set wrong; it follows the database as every other."""

    def __init__(self, fast_by: timedelta) -> None:
        """Be fast, or slow, by so much."""
        super().__init__()
        self._fast_by = fast_by

    def now(self) -> datetime:
        """Return the wrong time, as far as the database has not told another."""
        return super().now() + self._fast_by

    def follow(self, database_now: datetime) -> datetime:
        """Take over the database's time."""
        super().follow(database_now - self._fast_by)
        return self.now()


# --- whoever asked goes away -------------------------------------------------------------------

# Before it is begun, at each await, and after the commit: by the machine's own time, since what is
# waited for is the database.
AFTER_MILLISECONDS = (0, 0.2, 0.5, 1, 1.5, 2, 3, 5, 8)


async def test_a_refresh_that_is_cancelled_anywhere_costs_nothing(house: House) -> None:
    for milliseconds in AFTER_MILLISECONDS:
        tab = await a_tab(house)

        await cancelled(tab.send(tab.refresh_token), milliseconds)

        assert await what_becomes_of(tab.refresh()) == "answered"
        assert await what_becomes_of(tab.refresh()) == "answered"
    await no_connection_is_held(house)


async def test_a_login_that_is_cancelled_anywhere_replaces_the_session_or_not(
    house: House,
) -> None:
    for milliseconds in AFTER_MILLISECONDS:
        user_id = await house.add_user()
        old = await a_tab(house, user_id)

        await cancelled(
            house.service.create_refresh_token(user_id, AT_HOME, replaces=old.refresh_token),
            milliseconds,
        )

        await house.service.drain()
        live = [
            one.family.id
            for one in await house.service.list_sessions(user_id)
            if one.family.ended_at is None
        ]
        assert len(live) == 1
        ended = what_becomes_of(house.service.check_access_token(old.access_token))
        assert await ended == (
            "answered" if live == [old.family_id] else "session_revoked (logout)"
        )
    await no_connection_is_held(house)


async def test_a_logout_that_is_cancelled_anywhere_is_whole_or_nothing(house: House) -> None:
    for milliseconds in AFTER_MILLISECONDS:
        tab = await a_tab(house)

        await cancelled(
            house.service.revoke_refresh_token(tab.refresh_token, Transport.COOKIE, AT_HOME),
            milliseconds,
        )

        await house.service.drain()
        is_told = tab.family_id in {family_id for family_id, _ in await house.feed()}
        asked = what_becomes_of(house.service.check_access_token(tab.access_token))
        assert await asked == ("session_revoked (logout)" if is_told else "answered")
        renewed = await what_becomes_of(tab.refresh())
        assert renewed == ("refresh_revoked (logout)" if is_told else "answered")
    await no_connection_is_held(house)


async def cancelled(asked: Coroutine[Any, Any, object], milliseconds: float) -> None:
    """Ask, and go away after so long; whether it was done by then is the machine's to say."""
    task = asyncio.create_task(asked)
    await asyncio.sleep(milliseconds / 1000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def no_connection_is_held(house: House) -> None:
    """Wait until everything that was begun has come to its end and given its connection back."""
    pool = house.database.engine.pool
    assert isinstance(pool, QueuePool)
    with anyio.fail_after(10):
        while pool.checkedout():  # noqa: ASYNC110 - a pool tells nobody
            await asyncio.sleep(0.001)
