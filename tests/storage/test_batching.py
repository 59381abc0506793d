"""The group commit: one write for many, nobody harmed by a neighbour, nothing lost on the way."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.errors import StoreUnavailableError
from batonpass.refresh_tokens import Transport
from batonpass.storage import batching
from batonpass.storage.engine import ConnectionLostError
from batonpass.storage.rulings import Request
from tests.support.families import STRICT
from tests.support.services import House, a_house, by_driver
from tests.support.thieves import AT_HOME, Tab, a_tab, what_becomes_of


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


class Statements:
    """Notes what the database is told, by the first word, before it is told."""

    def __init__(self, house: House) -> None:
        self.seen: list[str] = []
        self.lock_waits: list[str] = []
        engine = house.database.engine
        if isinstance(engine, AsyncEngine):
            event.listen(engine.sync_engine, "before_cursor_execute", self._note_execution)
            event.listen(engine.sync_engine, "commit", lambda _: self.seen.append("COMMIT"))
            self._run_alone = house.database.run_alone
            house.database.run_alone = self._note_alone  # type: ignore[method-assign]  # watched
        else:
            event.listen(engine, "checkout", self._watch_sqlite)

    def _watch_sqlite(self, connection: Any, *_: object) -> None:
        connection.set_trace_callback(self._note)

    def _note_execution(self, *arguments: Any) -> None:
        statement, values = arguments[2:4]
        self._note(statement, *(values.values() if isinstance(values, dict) else values))

    async def _note_alone(self, statement: str, *arguments: object) -> list[Sequence[Any]]:
        self.seen.append("UPDATE")
        self.lock_waits.append(str(arguments[0]))
        rows = await self._run_alone(statement, *arguments)
        self.seen.append("COMMIT")
        return rows

    def _note(self, statement: str, *arguments: object) -> None:
        self.seen.append(statement.split(maxsplit=1)[0].upper().rstrip(";"))
        if "lock_timeout" in statement:
            self.lock_waits.append(str(arguments[0]))


async def poison(house: House, tab: Tab) -> None:
    """Make the database refuse every write to one family."""
    if house.database.dialect == "sqlite":
        statements = [
            "CREATE TRIGGER poison BEFORE UPDATE ON refresh_tokens "
            f"WHEN NEW.id = '{tab.family_id.hex}' "
            "BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        ]
    else:
        statements = [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'poisoned'; END $$",
            "CREATE TRIGGER poison BEFORE UPDATE ON refresh_tokens FOR EACH ROW "
            f"WHEN (NEW.id = '{tab.family_id}') EXECUTE FUNCTION refuse()",
        ]

    def work(connection: Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    await house.database.write(work)


# --- One for many ------------------------------------------------------------------------------


async def test_twenty_at_once_with_one_token_are_one_write_and_one_successor(house: House) -> None:
    tab = await a_tab(house)
    statements = Statements(house)

    answers = await asyncio.gather(*[tab.send(tab.refresh_token) for _ in range(20)])

    assert len({answer.refresh_token for answer in answers}) == 1
    assert (await house.row(tab.family_id)).family.generation == 1
    assert statements.seen.count("UPDATE") == 1


async def test_those_who_wait_are_served_by_one_transaction(house: House) -> None:
    tabs = [await a_tab(house) for _ in range(30)]
    statements = Statements(house)

    await asyncio.gather(*[tab.refresh() for tab in tabs])

    assert statements.seen.count("COMMIT") <= 2  # the first goes at once, the others together
    generations = [(await house.row(tab.family_id)).family.generation for tab in tabs]
    assert generations == [1] * 30


async def test_a_transaction_takes_no_more_than_so_many(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_BATCH", 4)
    tabs = [await a_tab(house) for _ in range(12)]
    statements = Statements(house)

    await asyncio.gather(*[tab.refresh() for tab in tabs])

    assert 3 <= statements.seen.count("COMMIT") <= 4  # the first may go alone, at once


async def test_two_processes_that_meet_in_another_order_do_not_deadlock(house: House) -> None:
    tabs = [await a_tab(house) for _ in range(20)]
    neighbour = house.another_process()

    for _ in range(5):
        here = [tab.send(tab.refresh_token) for tab in tabs]
        there = [tab.send(tab.refresh_token, service=neighbour) for tab in reversed(tabs)]
        answers = await asyncio.gather(*here, *there)
        for tab, one, other in zip(tabs, answers[:20], reversed(answers[20:]), strict=True):
            assert one.refresh_token == other.refresh_token
            tab.answer = one


# --- Bounds ------------------------------------------------------------------------------------


async def test_past_the_last_place_the_answer_is_503_and_the_token_still_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_PLACES", 3)
    tabs = [await a_tab(house) for _ in range(6)]

    outcomes = await asyncio.gather(*[what_becomes_of(tab.refresh()) for tab in tabs])

    assert outcomes == ["answered"] * 3 + ["unavailable"] * 3
    for tab in tabs[3:]:
        assert (await house.row(tab.family_id)).family.generation == 0
        assert await what_becomes_of(tab.refresh()) == "answered"


async def test_s_rt_9_a_family_holds_one_place_and_so_many_may_wait_on_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_PLACES", 2)
    monkeypatch.setattr(batching, "MAX_WAITING_ON_A_PLACE", 5)
    tab, innocent = await a_tab(house), await a_tab(house)

    outcomes = await asyncio.gather(
        *[what_becomes_of(tab.send(tab.refresh_token)) for _ in range(8)],
        what_becomes_of(innocent.refresh()),
    )

    assert outcomes[:8].count("unavailable") == 3
    assert outcomes[8] == "answered"


# --- One who fails -----------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 6, 12])
async def test_a_family_that_cannot_be_written_harms_no_other(
    house: House, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    tabs = [await a_tab(house) for _ in range(13)]
    culprit = tabs[position]
    await poison(house, culprit)

    with caplog.at_level(logging.DEBUG):
        outcomes = await asyncio.gather(*[what_becomes_of(tab.refresh()) for tab in tabs])

    assert [tab for tab, one in zip(tabs, outcomes, strict=True) if one != "answered"] == [culprit]
    assert outcomes[position] == "internal_error"
    assert (await house.row(culprit.family_id)).family.generation == 0


async def test_the_log_of_a_failure_shows_nothing_of_the_row(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    await poison(house, tab)
    row = (await house.row(tab.family_id)).family
    assert row.nonce is not None

    with caplog.at_level(logging.DEBUG):
        await what_becomes_of(tab.refresh())

    assert "refresh_failed" in [record.message for record in caplog.records]
    for secret in (row.token, row.nonce, tab.refresh_token.encode()):
        assert secret.hex() not in caplog.text
        assert str(secret)[2:-1] not in caplog.text
    assert "parameters" not in caplog.text


async def test_a_row_that_somebody_holds_delays_nobody_else(postgresql_url: str) -> None:
    async with a_house(postgresql_url) as house:
        tabs = [await a_tab(house) for _ in range(16)]
        held = tabs[5]
        families = house.tables.refresh_tokens
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))

        with engine.begin() as somebody:
            row = select(families).where(families.c.id == held.family_id)
            somebody.execute(row.with_for_update())
            waiting = [asyncio.ensure_future(tab.refresh()) for tab in tabs]
            done, pending = await asyncio.wait(waiting, timeout=2)
            second_round = await asyncio.gather(
                *[what_becomes_of(tab.refresh()) for tab in tabs if tab is not held]
            )
            more_for_the_held_one = asyncio.ensure_future(held.send(held.refresh_token))
            await asyncio.sleep(0)

        assert pending == {waiting[5]}
        assert len(done) == 15
        assert second_round == ["answered"] * 15
        first, later = await asyncio.gather(waiting[5], more_for_the_held_one)
        assert first.refresh_token == later.refresh_token
        engine.dispose()


async def test_the_row_that_is_held_is_found_by_one_question(postgresql_url: str) -> None:
    async with a_house(postgresql_url) as house:
        tabs = [await a_tab(house) for _ in range(8)]
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))
        statements = Statements(house)

        with engine.begin() as somebody:
            families = house.tables.refresh_tokens
            row = select(families).where(families.c.id == tabs[7].family_id)
            somebody.execute(row.with_for_update())
            waiting = [asyncio.ensure_future(tab.refresh()) for tab in tabs]
            await asyncio.wait(waiting[:7])
            while "5000ms" not in statements.lock_waits:  # noqa: ASYNC110 - the held one, alone
                await asyncio.sleep(0)
        await waiting[7]

        # all together, the question, then all but the one that is held
        assert Counter(statements.lock_waits) == {"25ms": 3, "5000ms": 1}
        engine.dispose()


async def test_who_meets_a_locked_table_waits_for_it_together(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LOCK_WAIT_ALONE_MS", 50)
    make_engine = by_driver("postgresql+psycopg async")
    async with a_house(postgresql_url, make_engine=make_engine) as house:
        tabs = [await a_tab(house) for _ in range(8)]
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))
        statements = Statements(house)

        with engine.begin() as migration:
            migration.execute(text("LOCK TABLE refresh_tokens IN ACCESS EXCLUSIVE MODE"))
            while_locked = await asyncio.gather(*(what_becomes_of(tab.refresh()) for tab in tabs))

        assert while_locked == ["unavailable"] * 8
        assert statements.lock_waits == ["25ms", "25ms", "50ms"]
        assert await what_becomes_of(tabs[0].refresh()) == "answered"
        engine.dispose()


async def test_s_rt_9_whoever_comes_while_a_row_is_waited_for_joins_its_one_place(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_PLACES", 1)
    async with a_house(postgresql_url) as house:
        held, other = await a_tab(house), await a_tab(house)
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))
        statements = Statements(house)

        with engine.begin() as somebody:
            families = house.tables.refresh_tokens
            row = select(families).where(families.c.id == held.family_id)
            somebody.execute(row.with_for_update())
            first = asyncio.ensure_future(held.send(held.refresh_token))
            while "25ms" not in statements.lock_waits:  # noqa: ASYNC110 - it is waited for
                await asyncio.sleep(0)
            newcomer = asyncio.ensure_future(held.send(held.refresh_token))
            while "5000ms" not in statements.lock_waits:  # noqa: ASYNC110 - now it waits alone
                await asyncio.sleep(0)
            while_it_waits = await what_becomes_of(other.refresh())
        one, two = await asyncio.wait_for(asyncio.gather(first, newcomer), 10)

        assert one.refresh_token == two.refresh_token
        assert statements.lock_waits == ["25ms", "5000ms"]
        assert while_it_waits == "unavailable"
        assert await what_becomes_of(other.refresh()) == "answered"
        engine.dispose()


async def test_a_row_that_is_held_too_long_is_unavailable_and_then_good_again(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LOCK_WAIT_ALONE_MS", 50)
    async with a_house(postgresql_url) as house:
        tab = await a_tab(house)
        engine = create_engine(postgresql_url.replace("://", "+psycopg://"))

        with engine.begin() as somebody:
            somebody.execute(text("SELECT * FROM refresh_tokens FOR UPDATE"))
            while_held = await what_becomes_of(tab.refresh())

        assert while_held == "unavailable"
        assert await what_becomes_of(tab.refresh()) == "answered"
        engine.dispose()


# --- A connection that is lost ------------------------------------------------------------------


def lose_the_next_answer(house: House) -> None:
    """Cut the connection of the next swap, once it is committed."""
    run_alone = house.database.run_alone

    async def run_and_cut(statement: str, *arguments: object) -> list[Sequence[Any]]:
        house.database.run_alone = run_alone  # type: ignore[method-assign]  # once
        await run_alone(statement, *arguments)
        raise ConnectionLostError

    house.database.run_alone = run_and_cut  # type: ignore[method-assign]  # a cut wire


async def test_what_was_committed_before_the_wire_was_cut_is_a_repeat(postgresql_url: str) -> None:
    async with a_house(postgresql_url) as house:
        tab = await a_tab(house)
        lose_the_next_answer(house)

        await tab.refresh()

        assert (await house.row(tab.family_id)).family.generation == 1
        assert (await tab.refresh()).session.generation == 2


async def test_a_strict_server_does_not_take_its_own_lost_answer_for_theft(
    postgresql_url: str,
) -> None:
    async with a_house(postgresql_url, policy=STRICT) as house:
        tab = await a_tab(house)
        lose_the_next_answer(house)

        outcome = await what_becomes_of(tab.refresh())

        assert outcome == "unavailable"
        assert (await house.row(tab.family_id)).family.ended_at is None


# --- Those who go away -------------------------------------------------------------------------


async def test_whoever_goes_away_before_the_write_has_spent_nothing(house: House) -> None:
    gone, stays = await a_tab(house), await a_tab(house)

    first = asyncio.ensure_future(stays.refresh())
    await asyncio.sleep(0)  # the writer has begun with this one
    waiting = asyncio.ensure_future(gone.refresh())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({first, waiting})
    await house.service.drain()

    assert waiting.cancelled()
    assert (await house.row(gone.family_id)).family.generation == 0
    assert (await house.row(stays.family_id)).family.generation == 1


async def test_whoever_goes_away_after_the_write_gets_the_same_successor(house: House) -> None:
    tab = await a_tab(house)
    statements = Statements(house)

    caller = asyncio.ensure_future(tab.refresh())
    while "UPDATE" not in statements.seen:  # noqa: ASYNC110 - SQLite writes in another thread
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    await house.service.drain()
    after = (await house.row(tab.family_id)).family
    again = await tab.refresh()

    assert after.generation == 1
    assert again.session.generation == after.generation


async def test_whoever_goes_away_after_the_write_costs_the_others_nothing(house: House) -> None:
    gone, stays = await a_tab(house), await a_tab(house)
    statements = Statements(house)

    calls = [asyncio.ensure_future(tab.refresh()) for tab in (gone, stays)]
    while "UPDATE" not in statements.seen:  # noqa: ASYNC110 - SQLite writes in another thread
        await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.wait(calls)
    await house.service.drain()

    assert stays.answer.session.generation == 1
    assert statements.seen.count("COMMIT") == 1  # nothing was tried again


async def test_whoever_goes_away_from_a_failure_leaves_it_to_the_others(house: House) -> None:
    culprit = await a_tab(house)
    await poison(house, culprit)
    statements = Statements(house)

    gone = asyncio.ensure_future(culprit.refresh())
    stays = asyncio.ensure_future(what_becomes_of(culprit.refresh()))
    while "UPDATE" not in statements.seen:  # noqa: ASYNC110 - SQLite writes in another thread
        await asyncio.sleep(0)
    gone.cancel()

    assert await asyncio.wait_for(stays, 10) == "internal_error"


async def test_a_drain_answers_everybody_who_was_taken_in(house: House) -> None:
    tabs = [await a_tab(house) for _ in range(10)]
    calls = [asyncio.ensure_future(tab.refresh()) for tab in tabs]
    await asyncio.sleep(0)

    await house.service.drain()
    await asyncio.sleep(0)  # the answers are there; the callers only have to wake up

    assert all(call.done() for call in calls)


async def test_a_request_that_nobody_waits_for_any_more_frees_its_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_PLACES", 1)
    gone, next_one = await a_tab(house), await a_tab(house)
    call = asyncio.ensure_future(gone.refresh())
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait({call})
    await house.service.drain()

    assert await what_becomes_of(next_one.refresh()) == "answered"


async def test_a_submit_that_is_refused_leaves_no_task_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_PLACES", 0)
    tab = await a_tab(house)
    request = Request(
        house.service._tokens.read(tab.refresh_token, Transport.COOKIE),
        house.clock.now(),
        AT_HOME.origin,
    )

    with pytest.raises(StoreUnavailableError):
        await house.service._group_commit.submit(request)

    await asyncio.wait_for(house.service.drain(), 1)
