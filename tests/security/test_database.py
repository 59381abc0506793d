"""Somebody with the database: a dump and its backups to read, or a row to write. S-RT-2, A41."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import product
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from batonpass.cli.context import VISIT
from batonpass.events import EventName
from batonpass.keys import Keys, SigningKey
from batonpass.plugin import Batonpass
from batonpass.refresh_tokens import (
    SECRET_BYTES,
    RefreshToken,
    Transport,
    decode,
    derive_successor,
    encode,
)
from batonpass.server.app import build_auth
from batonpass.server.engines import dispose
from batonpass.server.models import metadata
from batonpass.server.users import User
from tests.support.clocks import Clock
from tests.support.families import GRACE, TICK
from tests.support.servers import a_server, log_in
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


async def test_s_rt_2_nothing_that_stands_anywhere_in_a_dump_is_a_key(database_url: str) -> None:
    """Each value of each table is tried: as SECRET_KEY, as a derived key, as a token's secret."""
    async with a_server(database_url) as server:
        auth = build_auth(server.settings, server.clock)
        client = await server.signed_in()
        await client.post("/auth/refresh")
        await log_in(server.somebody(), password="wrong")  # so that the throttle has a row
        await auth.service.rotate_signing_keys(VISIT)
        dump, before = await everything_in(auth), server.rows()
        me = (await client.get("/auth/me")).json()
        family_id, row = UUID(me["session_id"]), dump["refresh_tokens"][0]
        kids = [one["kid"] for one in dump["signing_keys"]]
        values = {value for rows in dump.values() for one in rows for value in one.values()}
        tries = 0

        for key in {key for value in values - {None} for key in candidates(value)}:
            guesses = (key, *every_key(Keys.derive_from((key,))))
            for mac, secret in product(guesses, (key, row["token"], row["nonce"])):
                padded = secret[:SECRET_BYTES].ljust(SECRET_BYTES, b"\0")
                forged = RefreshToken(Transport.COOKIE, family_id, row["generation"], padded)
                sent = auth.service.rotate_refresh_token(
                    encode(mac, forged), Transport.COOKIE, VISIT
                )
                assert await what_becomes_of(sent) == "refresh_invalid"
                tries += 1
            for kid in kids:
                for token in forged_access_tokens(key, kid, me):
                    sent_too = auth.service.check_access_token(token)
                    assert await what_becomes_of(sent_too) == "token_invalid"
                    tries += 1
        await auth.stop()
        await dispose(auth.database.engine)

        assert {name for name, rows in dump.items() if rows} >= {
            "refresh_tokens", "security_events", "signing_keys", "throttle", "users"
        }  # fmt: skip
        assert tries > 500
        assert server.rows() == before
        assert (await client.post("/auth/refresh")).status_code == 200, "the owner goes on"


async def everything_in(auth: Batonpass[User]) -> dict[str, list[dict[str, Any]]]:
    """Read all tables, as a dump has them."""

    def work(connection: Connection) -> dict[str, list[dict[str, Any]]]:
        return {
            table.name: [
                {name: hashable(value) for name, value in one.items()}
                for one in connection.execute(select(table)).mappings()
            ]
            for table in metadata.sorted_tables
        }

    return await auth.database.read(work)


def hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def candidates(value: object) -> Iterator[bytes]:
    """Read a value as the bytes that it may stand for."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    if isinstance(value, UUID):
        yield value.bytes
    yield raw
    yield sha256(raw).digest()
    with suppress(ValueError):
        yield urlsafe_b64decode(raw + b"==")


def every_key(keys: Keys) -> tuple[bytes, ...]:
    return (*keys.refresh_mac, *keys.successor, keys.throttle, keys.log)


def forged_access_tokens(key: bytes, kid: str, me: Mapping[str, str]) -> Iterator[str]:
    """Sign what the server would, by a key of one's own, under the name of one of its keys."""
    now = int(Clock().now().timestamp())
    claims = {"iss": "batonpass", "aud": "batonpass", "sub": me["id"], "sid": me["session_id"],
              "jti": "x", "gen": 1, "iat": now, "auth_time": now, "exp": now + 600}  # fmt: skip
    for algorithm, sign in (
        ("ES256", SigningKey(key, "ES256", 1).sign),
        ("HS256", SigningKey(key, "HS256", 1).sign),
        ("HS256", lambda message: hmac.digest(key, message, "sha256")),
    ):
        head = {"alg": algorithm, "typ": "at+jwt", "kid": kid}
        message = ".".join(
            urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in (head, claims)
        )
        signature = urlsafe_b64encode(sign(message.encode())).rstrip(b"=").decode()
        yield f"{message}.{signature}"


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
