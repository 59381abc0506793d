"""E-mails at the server's door: slow ones, look-alikes, and one that fifty people register at once.

What is an address and what is its canonical form is tested where it is decided
(tests/server/test_email_addresses.py). S-ENUM-5, A36, A38, A40.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, make_url, select
from sqlalchemy.exc import IntegrityError

from batonpass.server.email_addresses import parse
from batonpass.server.models import users
from tests.support.families import T0
from tests.support.servers import PASSWORD, Server, a_server, log_in, login_json, refusal


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """Give a server without an account."""
    async with a_server(database_url, users=(), rate_limit_login="off") as server:
        yield server


def emails(server: Server) -> list[tuple[str, str]]:
    """Read who is registered: as typed, and who that is."""
    engine = _engine(server)
    with engine.connect() as connection:
        rows = connection.execute(select(users.c.email, users.c.email_canonical)).all()
    engine.dispose()
    return [(row[0], row[1]) for row in rows]


def _engine(server: Server) -> Engine:
    url = make_url(server.settings.database_url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
    return create_engine(url.set(drivername=driver))


async def test_s_enum_5_the_database_itself_holds_one_account_a_canonical_email(
    server: Server,
) -> None:
    """Also where something else than our code writes."""
    engine = _engine(server)

    def add(connection: Connection, number: int, email: str) -> None:
        row = {"id": UUID(int=number), "email": email, "email_canonical": parse(email).canonical}
        more = {"password_hash": "!", "is_active": True, "created_at": T0}
        connection.execute(insert(users).values({**row, **more}))

    with engine.begin() as connection:
        add(connection, 1, "Ada@example.com")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        add(connection, 2, "ada@EXAMPLE.com")
    engine.dispose()
    assert emails(server) == [("Ada@example.com", "ada@example.com")]


async def test_a36_no_email_takes_long_to_be_refused(server: Server) -> None:
    """How little each costs is measured at `parse`; here none gets further, or is a fault."""
    for email in (
        "a@" + "a." * 5_000, "a@" + "a." * 126, '"' * 5_000 + "@x", '"a\\"' * 60 + "@x.com",
        "(" * 120 + ")" * 120 + "a@x.com", "a@" + "-" * 250, "a@" + "xn--" * 60,
        "\u0300" * 250 + "@x",
        "a@" + "\ufdfa" * 250, "\ufdfa" * 64 + "@x.com",
    ):  # fmt: skip
        answer = await server.somebody().post("/auth/register", json=login_json(email))
        assert answer.status_code == 422, email[:20]
        login = await log_in(server.somebody(), email)
        assert refusal(login) == (401, "invalid_credentials")

    assert emails(server) == []


async def test_a38_of_fifty_registrations_at_once_one_makes_the_account(server: Server) -> None:
    clients = [server.somebody(address=f"10.0.0.{n}") for n in range(50)]

    async def register(number: int) -> int:
        form = login_json(("Ada@example.com", "ada@EXAMPLE.com")[number % 2])
        while True:  # fifty hashes do not fit into the queue: those who are turned away try again
            answer = await clients[number].post("/auth/register", json=form)
            if answer.status_code != 429:
                return answer.status_code
            assert refusal(answer) == (429, "busy")
            await asyncio.sleep(0.05)  # who is turned away lets the others work

    answers = await asyncio.gather(*map(register, range(50)))

    assert sorted(answers) == [201] + [409] * 49
    assert len(emails(server)) == 1
    assert (await log_in(server.somebody(), "ADA@example.com")).status_code == 200


LOOK_ALIKES = {
    "\uff21\uff24\uff21@example.com": True,  # full-width
    "ada@\uff45xample.com": True,
    "ADA@EXAMPLE.COM": True,
    "\u0430da@example.com": False,  # Cyrillic
    "ada@ex\u0430mple.com": False,
    "\u0251da@example.com": False,  # Latin alpha
    "ad\u00e1@example.com": False,
    "ada+x@example.com": False,
    "a.da@example.com": False,
}
NO_ADDRESSES = ["a\u200bda@example.com", "ada\u200d@example.com", "ada\ufeff@example.com",
                "ada@exam\u2060ple.com", "\u202eada@example.com"]  # fmt: skip


async def test_a40_who_looks_alike_is_the_same_only_by_the_canonical_form(server: Server) -> None:
    """With another password, so that a login tells whose account it is."""
    await server.a_user("ada@example.com")
    for number, (email, is_ada) in enumerate(LOOK_ALIKES.items()):
        other = f"another battery {number}"
        client = server.somebody(address=f"10.0.0.{number}")
        answer = await client.post("/auth/register", json=login_json(email, other))

        assert answer.status_code == (409 if is_ada else 201), ascii(email)
        assert (await log_in(client, email, PASSWORD)).status_code == (200 if is_ada else 401)
        assert (await log_in(client, email, other)).status_code == (401 if is_ada else 200)
    for email in NO_ADDRESSES:
        answer = await server.somebody().post("/auth/register", json=login_json(email))
        assert answer.status_code == 422, ascii(email)

    canonical = [one for _, one in emails(server)]
    assert len(canonical) == len(set(canonical)) == 1 + list(LOOK_ALIKES.values()).count(False)


async def test_a40_a_dotless_i_and_a_dotted_one_are_three_people(sqlite_url: str) -> None:
    """Upper case makes one letter of i and \u0131: whoever compares so gives accounts away."""
    async with a_server(sqlite_url, users=("mike@example.com",)) as server:
        for email in ("m\u0131ke@example.com", "M\u0130KE@example.com"):
            answer = await server.somebody().post("/auth/register", json=login_json(email))
            assert answer.status_code == 201

        again = await server.somebody().post("/auth/register", json=login_json("MIKE@example.com"))
    assert refusal(again) == (409, "email_taken")
