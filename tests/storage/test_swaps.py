"""The swap finds the plain case sooner, and decides nothing: held to `judge` and `rotate`.

Hundreds of rows, each with its times on, before and after a bound of the rules, are swapped in one
statement. What it moved must be what `judge` would rotate, and stand there as `rotate` says.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from batonpass import family as rules
from batonpass import ids
from batonpass.family import Ending, Family, Presented, Verdict
from batonpass.keys import Keys
from batonpass.origins import Origin
from batonpass.policy import Policy
from batonpass.refresh_tokens import RefreshToken, Transport, decode, derive_successor, digest
from batonpass.storage.batching import LOCK_WAIT_MS
from batonpass.storage.rulings import Request
from batonpass.storage.store import StoredFamily
from batonpass.storage.swaps import Swaps
from tests.support.families import POLICY, STRICT, T0, TICK
from tests.support.services import SECRETS, House, a_house
from tests.support.thieves import AT_HOME, Tab, a_tab

KEY = bytes(range(32))
HOME, ELSEWHERE = Origin("192.0.2.1", "Firefox on Linux"), Origin("203.0.113.66", None)
NOT_BEFORE = T0 - timedelta(hours=3)
ROWS = 400


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Give the service on a database of its own."""
    async with a_house(database_url) as house:
        yield house


class Case(NamedTuple):
    """A row, and the token that is presented for it."""

    stored: StoredFamily
    token: RefreshToken


def around(moment: datetime, dice: random.Random) -> datetime:
    return moment + dice.choice([-TICK, timedelta(0), TICK])


def a_case(dice: random.Random, policy: Policy, user_id: object) -> Case:
    """Throw a row whose every column lies near a bound that some rule knows."""
    grace = policy.grace
    generation = dice.randrange(5)
    rotated_at = around(
        T0 - dice.choice([timedelta(0), grace, 2 * grace, policy.idle_limit, 5 * grace]), dice
    )
    window_started_at = dice.choice([None, around(T0 - grace, dice), rotated_at])
    ended = dice.random() < 0.1
    secret = dice.randbytes(32)
    family = Family(
        id=ids.new_id(around(NOT_BEFORE, dice) + timedelta(milliseconds=dice.randrange(-1, 600))),
        token=digest(secret if dice.random() < 0.9 else dice.randbytes(32)),
        nonce=dice.choice([None, dice.randbytes(16)]),
        generation=generation,
        recoverable_from=dice.randint(0, generation),
        rights_changed=dice.random() < 0.3,
        window_generation=dice.randint(0, generation),
        window_started_at=window_started_at,
        rotated_at=rotated_at,
        expires_at=around(T0, dice) if dice.random() < 0.2 else T0 + timedelta(days=1),
        ended_at=T0 if ended else None,
        ended_reason=Ending.LOGOUT if ended else None,
        shown_at=rotated_at - timedelta(hours=1),
    )
    transport = dice.choice(list(Transport))
    stored = StoredFamily(
        family=family,
        user_id=user_id,
        created_at=NOT_BEFORE,
        transport=transport,
        persistent=dice.random() < 0.5,
        auth_time=NOT_BEFORE,
        claims=dice.choice([None, {"roles": ["é"]}]),
        origin=ELSEWHERE,
    )
    return Case(stored, RefreshToken(transport, family.id, generation, secret))


async def insert(house: House, cases: list[Case]) -> None:
    def work(connection: Connection) -> None:
        for case in cases:
            house.store.insert(connection, case.stored)
        house.store.set_not_before(connection, NOT_BEFORE)

    await house.database.write(work)


@pytest.mark.parametrize("policy", [POLICY, STRICT], ids=["grace of 30 s", "strict"])
@pytest.mark.parametrize("seed", range(3))
async def test_it_moves_exactly_what_judge_would_rotate_and_as_rotate_does(
    house: House, policy: Policy, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same rows in every run
    cases = [a_case(dice, policy, house.user_id) for _ in range(ROWS)]
    await insert(house, cases)
    judged_by = replace(policy, not_before=NOT_BEFORE)
    swaps = Swaps(house.database, house.store, KEY, policy)

    moved = await swaps.rotate([Request(case.token, T0, HOME) for case in cases], T0, LOCK_WAIT_MS)

    rotated = 0
    for stored, token in cases:
        family = stored.family
        after = await house.row(family.id)
        presented = Presented(token.generation, digest(token.secret), None)
        ruling = rules.judge(family, presented, judged_by, T0)
        if ruling.verdict is not Verdict.ROTATE:
            assert family.id not in moved
            assert after == stored
            continue
        rotated += 1
        nonce = after.family.nonce
        assert nonce is not None
        secret = derive_successor(KEY, token, nonce)
        expected = rules.rotate(family, digest(secret), nonce, policy, T0)
        assert after == replace(stored, family=expected, origin=HOME)
        outcome = moved[family.id]
        assert outcome.ruling == ruling
        assert outcome.grant == after.grant
        assert outcome.successor == replace(token, generation=token.generation + 1, secret=secret)
    assert ROWS / 10 < rotated < ROWS * 9 / 10


async def test_two_requests_of_one_family_are_left_to_be_judged_in_turn(house: House) -> None:
    tab = await a_tab(house)
    token = the_token_of(tab)
    other = replace(token, secret=bytes(32))
    swaps = Swaps(house.database, house.store, KEY, POLICY)

    moved = await swaps.rotate([Request(token, T0), Request(other, T0)], T0, LOCK_WAIT_MS)

    assert moved == {}
    assert (await house.row(tab.family_id)).family.generation == 0


async def test_what_arrived_later_than_now_is_left_to_be_judged(house: House) -> None:
    tab = await a_tab(house)
    token = the_token_of(tab)
    swaps = Swaps(house.database, house.store, KEY, POLICY)

    moved = await swaps.rotate([Request(token, T0 + TICK)], T0, LOCK_WAIT_MS)

    assert moved == {}


async def test_a_rotation_is_kept_for_the_lineage_where_the_policy_says_so(
    database_url: str,
) -> None:
    policy = replace(POLICY, history=timedelta(days=7))
    async with a_house(database_url, policy=policy) as house:
        tabs = [await a_tab(house) for _ in range(3)]
        for tab in tabs:
            await tab.refresh()

        lineage = (await house.service.get_session(house.user_id, tabs[1].family_id)).rotations

    assert [(one.generation, one.at, one.kind, one.origin) for one in lineage] == [
        (1, house.clock.now(), "rotated", AT_HOME.origin)
    ]


@pytest.mark.parametrize(
    ("url", "serves"),
    [
        ("postgresql+asyncpg://", True),
        ("postgresql+psycopg://", False),
        ("sqlite+aiosqlite:///file.db", False),
        ("sqlite:///file.db", True),
    ],
)
def test_which_drivers_are_spoken_to_directly(url: str, *, serves: bool) -> None:
    make = create_engine if url.startswith("sqlite:") else create_async_engine

    engine = make(url)

    assert Swaps.serves(engine) is serves


def test_tables_that_are_translated_are_left_to_sqlalchemy() -> None:
    engine = create_engine("sqlite:///file.db")

    translating = engine.execution_options(schema_translate_map={None: "tenant"})

    assert not Swaps.serves(translating)


def the_token_of(tab: Tab) -> RefreshToken:
    token = decode(Keys.derive_from(SECRETS).refresh_mac, tab.refresh_token)
    assert token is not None
    return token
