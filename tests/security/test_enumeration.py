"""Who has an account is told to nobody: not by an answer, not by the time that it takes.

S-ENUM-1 to S-ENUM-3, S-ENUM-6, A27, A34; S-ENUM-4 is tested where such linking happens
(examples/oauth_and_passkey), S-ENUM-5 in test_email_addresses.py.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from sqlalchemy import Connection, create_engine, make_url, select, update

from batonpass.server import passwords
from batonpass.server import users as accounts
from batonpass.server.email_addresses import parse
from batonpass.server.models import users
from tests.support import servers
from tests.support.families import T0
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
)
from tests.support.smtp import SmtpSite, a_mail_server
from tests.support.timing import TELLS_APART, in_random_order, welch_t
from tests.support.work import noted

DISABLED, OLD_DISABLED, LOCKED = "dis@example.com", "old@example.com", "loc@example.com"
UNKNOWN = "nob@example.com"
BCRYPT = "$2b$04$b/yVpTvOTvMkYMU1wP3bG.2sYvrY1wTCuAxXCA5i.C1b/w5d3TrXq"


def on_users(server: Server, work: Callable[[Connection], Any]) -> Any:
    """Do what an operator's command does, in the server's database."""
    url = make_url(server.settings.database_url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(url.set(drivername=driver))
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def shown(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all that a client sees but the request's own id."""
    headers = [line for line in answer.headers.multi_items() if line[0] != "x-request-id"]
    return answer.status_code, answer.content, headers


# --- logging in --------------------------------------------------------------------------------


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """Give a server whose throttle is off, with accounts of each kind."""
    names = (EMAIL, DISABLED, OLD_DISABLED, LOCKED)
    async with a_server(database_url, users=names, rate_limit_login="off") as server:

        def spoil(connection: Connection) -> None:
            spoilt: dict[str, dict[str, Any]] = {
                DISABLED: {"is_active": False},
                OLD_DISABLED: {"is_active": False, "password_hash": BCRYPT},
                LOCKED: {"password_hash": "!"},
            }
            for email, change in spoilt.items():
                connection.execute(update(users).where(users.c.email == email).values(change))

        on_users(server, spoil)
        yield server


ATTEMPTS = [
    (UNKNOWN, PASSWORD), (UNKNOWN, "wrong password"), (EMAIL, "wrong password"),
    (DISABLED, PASSWORD), (DISABLED, "wrong password"), (OLD_DISABLED, PASSWORD),
    (OLD_DISABLED, "wrong password"), (LOCKED, PASSWORD),
]  # fmt: skip


async def test_s_enum_1_unknown_wrong_and_disabled_get_one_answer_for_the_same_work(
    server: Server,
) -> None:
    client = server.somebody()
    await log_in(client, UNKNOWN, "wrong password")  # whatever is done once in a process
    answers, done = set(), set()

    with noted() as work:
        for email, password in ATTEMPTS:
            answer = await log_in(client, email, password)
            assert refusal(answer) == (401, "invalid_credentials")
            answers.add(repr(shown(answer)))
            done.add(work.taken())

    assert len(answers) == 1
    [(statements, hashes)] = done
    assert len(hashes) == 1, "one hash, of today's parameters"
    assert len(statements) == 3, "the user, the places it knows, the event"


async def test_s_enum_1_who_is_nobody_costs_a_hash_of_todays_parameters(sqlite_url: str) -> None:
    """As the server runs, not with the light hashes of these tests."""
    hasher = passwords.PasswordHasher(threads=1)

    with noted() as work:
        await hasher.verify(PASSWORD, None)
        await hasher.verify(PASSWORD, await hasher.hash("another password"))

    hasher.close()
    assert work.hashes == ["argon2id$v=19$m=19456,t=2,p=1"] * 3


async def test_s_enum_1_no_clock_tells_an_unknown_name_from_a_wrong_password(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By CPU time: a busy machine adds nothing to that, and what sleeps costs nobody anything."""
    monkeypatch.setattr(servers, "light_hashes", nullcontext)
    took: list[list[float]] = [[], []]
    async with a_server(sqlite_url, rate_limit_login="off") as server:
        client = server.somebody()
        for email in (EMAIL, UNKNOWN) * 5:
            await log_in(client, email, "wrong password")

        for number in in_random_order(25, 25):
            begun = time.process_time()
            await log_in(client, (EMAIL, UNKNOWN)[number], "wrong password")
            took[number].append(time.process_time() - begun)

    assert abs(welch_t(*took)) < TELLS_APART


# --- registering -------------------------------------------------------------------------------


@asynccontextmanager
async def where_mail_decides(
    database_url: str, *taken: str
) -> AsyncIterator[tuple[Server, SmtpSite]]:
    """Run a server with REGISTRATION=confirm, a mail server, and accounts that there are."""
    async with a_mail_server() as mail:
        url = f"smtp://{mail.host}:{mail.port}?from=batonpass@example.com"
        settings: dict[str, Any] = {
            "registration": "confirm",
            "smtp_url": url,
            "public_url": servers.ORIGIN,
        }
        async with a_server(database_url, users=(), **settings) as server:
            for email in taken:
                on_users(server, partial(an_account, email=email))
            yield server, mail


def an_account(connection: Connection, *, email: str) -> None:
    accounts.create(connection, parse(email), "!", T0)


async def register(client: httpx.AsyncClient, email: str, **more: object) -> httpx.Response:
    return await client.post("/auth/register", json={**login_json(email), **more})


async def test_s_enum_2_until_the_answer_a_taken_email_is_not_even_looked_up(
    database_url: str,
) -> None:
    async with where_mail_decides(database_url, EMAIL) as (server, mail):
        client = server.somebody()
        done = set()
        with noted() as work:
            for email in (UNKNOWN, EMAIL):
                assert (await register(client, email)).status_code == 202
                statements, hashes = work.taken()
                await mail.next_mail()
                work.taken()
                done.add((statements, hashes))

    [(statements, hashes)] = done
    assert (len(statements), len(hashes)) == (0, 1)


async def test_a27_a_taken_email_is_answered_as_a_free_one(sqlite_url: str) -> None:
    """Status, body and headers; and the time, by turns that nobody can guess."""
    rounds = 25
    names = [[f"{kind}{n}@example.com" for n in range(rounds)] for kind in ("free", "taken")]
    answers: list[set[str]] = [set(), set()]
    took: list[list[float]] = [[], []]
    async with where_mail_decides(sqlite_url, *names[1]) as (server, mail):
        client = server.somebody()
        await register(client, "first@example.com")
        await mail.next_mail()

        for number in in_random_order(rounds, rounds):
            begun = time.perf_counter()
            answer = await register(client, names[number].pop())
            took[number].append(time.perf_counter() - begun)
            answers[number].add(repr(shown(answer)))
            await mail.next_mail()  # so that the next one waits for nobody's letter

    assert answers[0] == answers[1]
    assert len(answers[0]) == 1
    assert abs(welch_t(*took)) < TELLS_APART


CONFIRM: dict[str, Any] = {
    "registration": "confirm",
    "smtp_url": "smtp://localhost:1?from=a@example.com",
}


@pytest.mark.parametrize("how", [{}, CONFIRM], ids=["open", "confirm"])
async def test_s_enum_3_a_password_is_judged_before_the_email_is_looked_up(
    database_url: str, how: dict[str, Any]
) -> None:
    async with a_server(database_url, users=(), **how) as server:
        on_users(server, lambda connection: an_account(connection, email=EMAIL))
        client = server.somebody()
        with noted() as work:
            answers = [
                await client.post("/auth/register", json=login_json(email, "password1"))
                for email in (EMAIL, UNKNOWN)
            ]

            assert work.taken() == ((), ())
    assert {refusal(one) for one in answers} == {(422, "weak_password")}
    assert shown(answers[0]) == shown(answers[1])


async def test_s_enum_2_an_id_tells_neither_when_nor_how_many(sqlite_url: str) -> None:
    async with a_server(sqlite_url, users=()) as server:
        client = server.somebody()
        ids = [UUID((await register(client, f"{n}@example.com")).json()["id"]) for n in range(3)]

    assert {one.version for one in ids} == {4}
    assert len({one.bytes[:4] for one in ids}) == 3, "random from the first bit"


MORE = {
    "id": "00000000-0000-4000-8000-000000000001", "user_id": 1, "sub": "1", "is_admin": True,
    "role": "admin", "scope": "admin", "is_active": False, "email_verified": True,
    "email_canonical": "eve@example.com", "password_hash": "$2b$04$x", "created_at": "1970-01-01",
    "__proto__": {"is_admin": True}, "auth_time": 4102444800, "act": {"sub": "1"},
}  # fmt: skip


async def test_s_enum_6_no_route_takes_a_field_that_it_does_not_name(database_url: str) -> None:
    """What came along is neither stored, nor answered, nor stands in a token."""
    new = "another horse battery"
    async with a_server(database_url, users=()) as server:
        client = server.somebody()
        registered = await register(client, EMAIL, **MORE)
        [row] = on_users(server, lambda connection: connection.execute(select(users)).all())
        said: dict[str, Any] = {name: str(value) for name, value in MORE.items()}
        login = await log_in(client, **said)
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        confirmed = await client.post("/auth/confirm", json={"password": PASSWORD, **MORE})
        client.headers["Authorization"] = f"Bearer {confirmed.json()['access_token']}"
        changed = await client.post(
            "/auth/password", json={"current_password": PASSWORD, "new_password": new, **MORE}
        )
        me = (await client.get("/auth/me")).json()
        again = await log_in(client, password=new)

    assert registered.status_code == 201
    assert registered.json().keys() == {"id", "email", "created_at"}
    assert str(row.id) == registered.json()["id"] == me["id"] != MORE["id"]
    assert (row.email, row.email_canonical, row.is_active) == (EMAIL, EMAIL, True)
    assert row.password_hash.startswith("$argon2id$")
    assert row.created_at.year > 2000
    for answer in (login, confirmed, changed, again):
        assert answer.status_code == 200
        assert claims_in(answer).keys() == CLAIMS
        assert claims_in(answer)["sub"] == str(row.id)


CLAIMS = {"iss", "aud", "client_id", "sub", "sid", "jti", "iat", "exp", "auth_time", "gen"}


def claims_in(answer: httpx.Response) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        answer.json()["access_token"], options={"verify_signature": False}
    )
    return claims


async def test_a34_a_registration_names_no_row_of_its_choosing(database_url: str) -> None:
    """Nor does it touch somebody's: the id, and the canonical e-mail, are Ada's."""
    async with a_server(database_url) as server:
        before = on_users(server, lambda connection: connection.execute(select(users)).one())
        claimed = {
            "id": str(before.id), "is_admin": True, "is_active": True,
            "password_hash": "$argon2id$", "email_canonical": EMAIL,
        }  # fmt: skip

        answer = await register(server.somebody(), "eve@example.com", **claimed)
        rows = on_users(server, lambda connection: connection.execute(select(users)).all())

    assert answer.status_code == 201
    assert answer.json()["id"] != str(before.id)
    assert len(rows) == 2
    assert before in rows
    [eve] = [row for row in rows if row != before]
    assert eve.email_canonical == "eve@example.com"
    assert eve.password_hash.startswith("$argon2id$v=19$m=")
