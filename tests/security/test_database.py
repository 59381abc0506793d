"""Somebody with the database: a dump and its backups to read, or a row to write. S-RT-2, A41."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, update

from batonpass.events import EventName
from batonpass.keys import Keys
from batonpass.refresh_tokens import (
    SECRET_BYTES,
    RefreshToken,
    Transport,
    decode,
    derive_successor,
    encode,
)
from tests.support.clocks import Clock
from tests.support.families import GRACE, TICK
from tests.support.services import SECRETS, House
from tests.support.thieves import Thief, a_tab, what_becomes_of

OURS = Keys.derive_from(SECRETS)
HIS = Keys.derive_from((bytes(range(50, 82)),))
LATER = 3 * GRACE


async def rewrite(house: House, family_id: UUID, values: Mapping[str, Any]) -> None:
    """Write to a row as somebody with a database console does."""
    table = house.tables.refresh_tokens

    def work(connection: Connection) -> None:
        connection.execute(update(table).where(table.c.id == family_id).values(values))

    await house.database.write(work)


async def stored(house: House, family_id: UUID) -> dict[str, Any]:
    """Read a row as a dump has it."""
    rows = await house.rows(house.tables.refresh_tokens)
    return next(row for row in rows if row["id"] == family_id)


async def test_s_rt_2_every_dump_and_every_spent_token_open_nothing_without_the_key(
    house: House,
) -> None:
    tab = await a_tab(house)
    dumps, spent = [await stored(house, tab.family_id)], [tab.refresh_token]
    for _ in range(3):
        await tab.refresh()
        dumps.append(await stored(house, tab.family_id))
        spent.append(tab.refresh_token)
    before = dumps[-1]
    tokens = [token for text in spent[:-1] if (token := decode(OURS.refresh_mac, text))]
    guesses = [
        value.ljust(SECRET_BYTES, b"\0")
        for row in dumps
        for value in row.values()
        if isinstance(value, bytes)
    ]
    guesses += [
        derive_successor(HIS.successor[0], token, row["nonce"])
        for token in tokens
        for row in dumps
        if row["nonce"] is not None
    ]

    for secret in guesses:
        forged = RefreshToken(Transport.COOKIE, tab.family_id, before["generation"], secret)
        said = await what_becomes_of(tab.send(encode(HIS.refresh_mac[0], forged)))
        assert said == "refresh_invalid"

    assert len(tokens) == 3
    assert await stored(house, tab.family_id) == before


async def test_s_rt_2_with_the_key_a_settled_session_ends_and_is_not_taken_over(
    house: House, clock: Clock
) -> None:
    tab = await a_tab(house)
    await tab.refresh()
    clock.advance(LATER)
    await house.service.check_access_token(tab.access_token)
    await house.service.settling.write()
    row = await stored(house, tab.family_id)
    forged = RefreshToken(Transport.COOKIE, tab.family_id, row["generation"], bytes(row["token"]))

    said = await what_becomes_of(tab.send(encode(OURS.refresh_mac[0], forged)))

    assert row["nonce"] is None
    assert said == "refresh_revoked (forked)"
    assert await what_becomes_of(tab.refresh()) == "refresh_revoked (forked)"


async def test_a41_a_flipped_nonce_is_no_more_than_a_lost_answer(
    house: House, clock: Clock
) -> None:
    tab = await a_tab(house)
    slow = Thief(tab)
    answer = await tab.refresh()
    nonce = (await stored(house, tab.family_id))["nonce"]
    await rewrite(house, tab.family_id, {"nonce": bytes([nonce[0] ^ 1]) + nonce[1:]})

    at_once = await what_becomes_of(slow.refresh())
    clock.advance(GRACE + TICK)
    recovered = await slow.refresh()

    assert at_once == "refresh_superseded"
    assert recovered.refresh_token != answer.refresh_token
    assert await what_becomes_of(tab.refresh()) == "refresh_superseded"
    assert await what_becomes_of(slow.refresh()) == "answered"


async def test_a41_a_row_with_anothers_nonce_and_hash_is_a_forked_history(house: House) -> None:
    """The insider holds a session of his own, and makes the victim's row open by his token."""
    insider, victim = await a_tab(house, await house.add_user()), await a_tab(house)
    spent = insider.refresh_token
    for tab in (insider, victim):
        await tab.refresh()
    own = await stored(house, insider.family_id)
    await rewrite(house, victim.family_id, {name: own[name] for name in ("token", "nonce")})

    answer = await insider.send(spent)

    assert answer.refresh_token == insider.refresh_token, "his own session, and no other"
    assert await what_becomes_of(victim.refresh()) == "refresh_revoked (forked)"
    assert (await house.events())[-1] is EventName.HISTORY_FORKED
    assert await what_becomes_of(insider.refresh()) == "answered"
