"""The table of signing keys: a rotation is known before its use, a withdrawal within a minute."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from joserfc import jws
from sqlalchemy import delete, update

from batonpass.access_tokens import LEEWAY
from batonpass.auth_service import LOGOUT_ACCEPTS_EXPIRED_BY, AuthService
from batonpass.events import EventName
from batonpass.keys import LEARNT_WITHIN, PUBLISHED_BEFORE_USE, KeyState
from batonpass.refresh_tokens import Transport
from batonpass.signing_keys import POLL_KEYS_SECONDS
from tests.support.clocks import Clock
from tests.support.families import POLICY, TICK
from tests.support.services import House, a_house
from tests.support.thieves import AT_HOME, a_tab, what_becomes_of

ANNOUNCED_FOR = LEARNT_WITHIN + PUBLISHED_BEFORE_USE
POLL = timedelta(seconds=POLL_KEYS_SECONDS)
SIGNED_BY_NONE_OF_OURS = "token_invalid"


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


def pass_time(house: House, by: timedelta) -> datetime:
    assert isinstance(house.clock, Clock)
    return house.clock.advance(by)


def kid_of(access_token: str) -> str:
    return str(jws.extract_compact(access_token.encode()).headers()["kid"])


async def states(service: AuthService) -> dict[int, KeyState]:
    return {row.period.number: state for row, state in await service.signing_keys.list_all()}


async def test_nobody_is_refused_while_a_key_takes_over(house: House) -> None:
    """Two processes, a request at each in every second of the rotation and long after it."""
    neighbour = house.another_process()
    processes = (house.service, neighbour)
    tab = await a_tab(house)
    await house.service.rotate_signing_keys(AT_HOME)
    kids: list[str] = []

    for second in range(0, int(ANNOUNCED_FOR.total_seconds()) + 60, 3):
        pass_time(house, timedelta(seconds=3))
        issuer, other = processes[second % 2], processes[1 - second % 2]
        tab.answer = await tab.send(tab.refresh_token, service=issuer)
        if second % 5 == 0:  # each reads the table in its own rhythm
            await issuer.signing_keys.poll()
        await other.check_access_token(tab.access_token)
        kids.append(kid_of(tab.access_token))

    first, second_kid = dict.fromkeys(kids)
    assert kids == sorted(kids, key=[first, second_kid].index), "once the new one signs, it stays"
    assert await states(neighbour) == {1: KeyState.ACCEPTED, 2: KeyState.ISSUING}


async def test_s_key_3_a_token_of_the_old_key_is_good_to_its_own_end(house: House) -> None:
    tab = await a_tab(house)
    await house.service.rotate_signing_keys(AT_HOME)
    pass_time(house, ANNOUNCED_FOR - TICK)
    await tab.refresh()
    old = kid_of(tab.access_token)

    pass_time(house, POLICY.access_token_lifetime)

    await house.service.check_access_token(tab.access_token)
    pass_time(house, LEEWAY + timedelta(minutes=1) + TICK)
    jwks = house.service.signing_keys.ring
    assert jwks.find(old, house.clock.now()) is None
    assert await states(house.service) == {1: KeyState.OVER, 2: KeyState.ISSUING}


async def test_s_key_3_a_withdrawn_key_is_refused_everywhere_and_sessions_live(
    house: House,
) -> None:
    neighbour = house.another_process()
    tab = await a_tab(house)
    await neighbour.check_access_token(tab.access_token)

    await house.service.rotate_signing_keys(AT_HOME, withdraw=True)

    assert await what_becomes_of(house.service.check_access_token(tab.access_token)) == (
        SIGNED_BY_NONE_OF_OURS
    )
    pass_time(house, LEARNT_WITHIN)
    late = await what_becomes_of(neighbour.check_access_token(tab.access_token))
    pass_time(house, TICK)
    later = await what_becomes_of(neighbour.check_access_token(tab.access_token))
    assert (late, later) == ("answered", SIGNED_BY_NONE_OF_OURS), "without a heartbeat: a minute"
    tab.answer = await tab.send(tab.refresh_token, service=neighbour)
    await house.service.check_access_token(tab.access_token)


async def test_the_heartbeat_reads_the_table_again_after_a_few_seconds(house: House) -> None:
    keys = house.service.signing_keys
    assert keys.is_due()
    await keys.poll()

    pass_time(house, POLL)
    in_time = keys.is_due()
    pass_time(house, TICK)

    assert (in_time, keys.is_due()) == (False, True)
    assert POLL * 2 < LEARNT_WITHIN


@pytest.mark.parametrize(("withdraw", "ends"), [(False, True), (True, False)])
async def test_an_expired_token_logs_out_unless_its_key_was_withdrawn(
    house: House, withdraw: bool, ends: bool
) -> None:
    tab = await a_tab(house)
    await house.service.rotate_signing_keys(AT_HOME)
    pass_time(house, POLICY.access_token_lifetime + LOGOUT_ACCEPTS_EXPIRED_BY - TICK)
    if withdraw:
        await house.service.rotate_signing_keys(AT_HOME, withdraw=True)

    await house.service.log_out(
        AT_HOME, refresh_token=None, transport=Transport.COOKIE, bearer=tab.access_token
    )

    assert ((await house.row(tab.family_id)).family.ended_at is not None) is ends


async def test_s_key_2_a_row_edited_in_the_database_is_refused_and_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.service.rotate_signing_keys(AT_HOME)
    pass_time(house, ANNOUNCED_FOR)
    tab, neighbour = await a_tab(house), house.another_process()
    kid = kid_of(tab.access_token)
    table = house.tables.signing_keys
    await _execute(house, update(table).where(table.c.kid == kid).values(kid="A" * 43))

    with caplog.at_level(logging.WARNING, "batonpass.security"):
        outcome = await what_becomes_of(neighbour.check_access_token(tab.access_token))
        for _ in range(3):
            await neighbour.signing_keys.poll()

    assert outcome == SIGNED_BY_NONE_OF_OURS
    told = [record for record in caplog.records if record.name == "batonpass.security"]
    assert [(one.getMessage(), one.kid) for one in told] == [("crypt_decrypt_fail", "A" * 43)]  # type: ignore[attr-defined]  # `extra`
    assert (await states(neighbour))[2] is KeyState.UNKNOWN


async def test_when_nothing_may_sign_the_log_says_so(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.service.rotate_signing_keys(AT_HOME)
    table = house.tables.signing_keys
    await _execute(house, delete(table).where(table.c.number == 1))

    with caplog.at_level(logging.ERROR, "batonpass.signing_keys"):
        await house.service.signing_keys.poll()

    assert [record.getMessage() for record in caplog.records] == ["no_signing_key"]


async def test_a_rotation_and_a_withdrawal_write_their_events(house: House) -> None:
    first = await house.service.rotate_signing_keys(AT_HOME)
    pass_time(house, TICK)
    second = await house.service.rotate_signing_keys(AT_HOME, withdraw=True)

    told = {(one.name, one.details["number"], one.details["kid"]) for one in house.told}
    old = {row.period.number: row.kid for row in second.withdrawn}
    assert told == {
        (EventName.KEY_ROTATED, 2, first.added[0].kid),
        (EventName.KEY_ROTATED, 3, second.added[0].kid),
        (EventName.KEY_WITHDRAWN, 1, old[1]),
        (EventName.KEY_WITHDRAWN, 2, first.added[0].kid),
    }
    assert sorted(await house.events()) == sorted(one.name for one in house.told)


async def test_s_key_2_the_database_holds_nothing_that_signs(house: House) -> None:
    await house.service.rotate_signing_keys(AT_HOME)

    rows = await house.rows(house.tables.signing_keys)

    assert [set(row) for row in rows] == [
        {"kid", "algorithm", "number", "counts_from", "counts_until", "is_withdrawn"}
    ] * 2
    ring = house.service.signing_keys.ring
    for row in rows:
        key = ring.find(row["kid"], house.clock.now())
        assert key is not None
        exported = key.verifying_key.as_dict(private=True)
        secret_parts = {str(exported[name]) for name in ("d", "k") if name in exported}
        assert secret_parts, "HS256 here: its key is in the ring"
        assert not any(part in repr(row) for part in secret_parts)


async def test_rotations_at_once_happen_one_after_the_other(house: House) -> None:
    async def rotate(service: AuthService) -> int:
        done = await service.rotate_signing_keys(AT_HOME)
        return done.added[0].period.number

    numbers = await asyncio.gather(
        *(rotate(service) for service in (house.service, house.another_process()) for _ in range(3))
    )

    assert sorted(numbers) == [2, 3, 4, 5, 6, 7]


async def _execute(house: House, statement: Any) -> None:  # any statement of SQLAlchemy's
    await house.database.write(lambda connection: connection.execute(statement))
