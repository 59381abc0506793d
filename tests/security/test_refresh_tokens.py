"""Refresh tokens against whoever guesses, keeps, replays or restores them: S-RT-1 to 7.

What one token means is tested in tests/test_family.py and tests/test_auth_service.py, a thief's
whole stories in test_thief.py.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from batonpass.auth_service import AuthService
from batonpass.events import EventName
from batonpass.keys import Keys
from batonpass.refresh_tokens import (
    MAC_BYTES,
    SECRET_BYTES,
    TEXT_LENGTH,
    RefreshToken,
    Transport,
    decode,
    encode,
)
from tests.support.clocks import Clock
from tests.support.families import GRACE, POLICY, TICK
from tests.support.services import SECRETS, House, a_house
from tests.support.thieves import AT_HOME, Tab, Thief, a_tab, what_becomes_of

LATER = 3 * GRACE
A_DAY = timedelta(days=1)
OURS = Keys.derive_from(SECRETS)
HIS = Keys.derive_from((bytes(range(50, 82)),))


# --- guessed -----------------------------------------------------------------------------------


def _raw(token: str) -> bytes:
    return urlsafe_b64decode(token[4:])


def _text(raw: bytes) -> str:
    return "bpr_" + urlsafe_b64encode(raw).decode()


def _every_flipped_bit(token: str) -> list[str]:
    raw = _raw(token)
    whole = int.from_bytes(raw)
    flipped = [whole ^ 1 << bit for bit in range(len(raw) * 8)]
    return [_text(one.to_bytes(len(raw))) for one in flipped]


def _forged(token: str) -> list[str]:
    """A real family and generation, with a MAC of somebody else's, none, or half of one."""
    ours = decode(OURS.refresh_mac, token)
    assert ours is not None
    made_up = RefreshToken(Transport.COOKIE, ours.family_id, ours.generation, bytes(SECRET_BYTES))
    raw = _raw(token)
    return [
        encode(HIS.refresh_mac[0], made_up),
        encode(OURS.successor[0], ours),  # a key of ours, of another use
        _text(raw[:-MAC_BYTES]),
        _text(raw[:-MAC_BYTES] + bytes(MAC_BYTES)),
        _text(raw[: -MAC_BYTES // 2]),
        token[:-1],
        token + "A",
        "",
    ]


@pytest.mark.parametrize("spoilt", [_every_flipped_bit, _forged])
async def test_s_rt_1_a_spoilt_token_is_invalid_and_no_database_is_asked(
    sqlite_url: str, tmp_path: Path, spoilt: Callable[[str], list[str]]
) -> None:
    """The service that is asked has no database: a token that is good is a 503 there."""
    async with a_house(sqlite_url) as house:
        token = (await a_tab(house)).refresh_token
        house.url = f"sqlite:///{tmp_path / 'no folder' / 'of this name.db'}"
        cut_off = house.another_process()

    said = [await what_becomes_of(_present(cut_off, one)) for one in spoilt(token)]

    assert len(token) == TEXT_LENGTH
    assert set(said) == {"refresh_invalid"}
    assert await what_becomes_of(_present(cut_off, token)) == "unavailable"


def _present(service: AuthService, token: str) -> Awaitable[object]:
    return service.rotate_refresh_token(token, Transport.COOKIE, AT_HOME)


async def test_s_rt_1_no_two_logins_have_a_byte_of_their_secrets_in_common(house: House) -> None:
    """Of 256 random bits each; that a byte is the same in all of eight is one in 256^7."""
    tokens = [decode(OURS.refresh_mac, (await a_tab(house)).refresh_token) for _ in range(8)]

    secrets = [token.secret for token in tokens if token is not None]

    assert [len(secret) for secret in secrets] == [SECRET_BYTES] * 8
    assert SECRET_BYTES * 8 >= 128 <= MAC_BYTES * 8
    assert all(len(set(column)) > 1 for column in zip(*secrets, strict=True))


# --- used for too long -------------------------------------------------------------------------


async def test_s_rt_6_neither_a_recovery_nor_a_rights_change_moves_the_absolute_limit(
    house: House, clock: Clock
) -> None:
    tab = await a_tab(house)
    limit = clock.now() + POLICY.absolute_limit
    moved = [tab.answer.session.expires_at]
    for day in range(29):
        clock.advance(A_DAY)
        if day % 3 == 0:
            await tab.refresh_but_lose_the_answer()
            clock.advance(GRACE + TICK)
            await tab.refresh()
        elif day % 3 == 1:
            tab.answer = await house.service.change_rights(tab.family_id, AT_HOME)
        else:
            await tab.refresh()
        moved.append(tab.answer.session.expires_at)

    clock.advance(limit - clock.now() + timedelta(seconds=1))

    assert set(moved) == {limit}
    assert await what_becomes_of(tab.refresh()) == "refresh_expired"


# --- a backup is restored ----------------------------------------------------------------------


@pytest.mark.parametrize("lost", [2, 3, 4, 5])
async def test_s_rt_7_each_lost_generation_alone_closes_the_family(
    house: House, clock: Clock, lost: int
) -> None:
    """The backup knows generation 1; whoever comes next is further."""
    tab = await a_tab(house)
    answers = [tab.answer]
    for number in range(5):
        clock.advance(LATER)
        answers.append(await tab.refresh())
        if number == 0:
            backup = await house.row(tab.family_id)
    await house.database.write(lambda connection: house.store.save(connection, [backup]))

    said = await what_becomes_of(Tab(house.service, answers[lost]).refresh())

    assert said == "refresh_revoked (forked)"
    for answer in answers[1:]:
        asked = what_becomes_of(Tab(house.service, answer).refresh())
        assert await asked == "refresh_revoked (forked)"
    asked = what_becomes_of(house.service.check_access_token(tab.access_token))
    assert await asked == "session_revoked (forked)"
    assert (await house.events()).count(EventName.HISTORY_FORKED) == 1


# --- one alarm, and it is committed ------------------------------------------------------------


async def test_s_rt_3_the_end_is_committed_although_the_answer_is_a_refusal(
    house: House, clock: Clock
) -> None:
    """Another process, which has heard nothing, finds it in the database, and all that tells it."""
    tab = await a_tab(house)
    thief = Thief(tab)
    for _ in range(2):
        clock.advance(LATER)
        await tab.refresh()

    assert await what_becomes_of(thief.refresh()) == "refresh_reused"

    elsewhere = house.another_process()
    stored = await house.row(tab.family_id)
    assert stored.family.ended_at == clock.now()
    assert await house.feed() == [(tab.family_id, stored.family.ended_reason)]
    assert (await house.events())[-1] is EventName.REFRESH_TOKEN_REUSED
    asked = what_becomes_of(elsewhere.check_access_token(tab.access_token))
    assert await asked == "session_revoked (reused)"
    owner = tab.send(tab.refresh_token, service=elsewhere)
    assert await what_becomes_of(owner) == "refresh_revoked (reused)"
