"""Which passwords an account may have, and that every place where one is typed agrees.

What is refused and why, word for word, is tested where it is decided
(tests/server/test_passwords.py). S-PW-1 to S-PW-4, A35.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import create_engine, make_url, select, update

from batonpass.server.models import users
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    SECRET_KEY,
    Server,
    a_server,
    log_in,
    login_json,
    refusal,
)
from tests.support.shell import Shell
from tests.support.work import noted

COMPOSED, DECOMPOSED = "caf\u00e9 au lait", "cafe\u0301 au lait"
LIGATURE, LETTERS = "\ufb01shing rods", "fishing rods"  # NFKC would make them one


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    """Give a server that counts no failures."""
    async with a_server(sqlite_url, rate_limit_login="off") as server:
        yield server


async def chosen(
    server: Server, password: str, email: str, *, at: str
) -> tuple[httpx.Response, str]:
    """Choose a password, at registration or when it is changed; return the answer and whose."""
    if at == "registration":
        form = login_json(email, password)
        return await server.somebody().post("/auth/register", json=form), email
    await server.a_user(email)
    client = await server.signed_in(email)
    change = {"current_password": PASSWORD, "new_password": password}
    return await client.post("/auth/password", json=change), email


async def opens(server: Server, email: str, password: str) -> bool:
    return (await log_in(server.somebody(), email, password)).status_code == 200


LENGTHS = [
    ("sevench", False), ("eightchr", True), ("\U0001f50b" * 7, False), ("\U0001f50b" * 8, True),
    ("x" * 1_024, True), ("\U0001f50b" * 1_024, True), ("x" * 1_025, False), ("x" * 10**4, False),
]  # fmt: skip


@pytest.mark.parametrize("at", ["registration", "change"])
async def test_s_pw_1_a_password_has_8_to_1024_characters(server: Server, at: str) -> None:
    for number, (password, accepted) in enumerate(LENGTHS):
        answer, email = await chosen(server, password, f"{number}@example.com", at=at)

        assert (answer.status_code < 300) is accepted, password[:10]
        assert accepted or answer.status_code == 422
        if accepted:
            assert await opens(server, email, password)
            assert not await opens(server, email, password[:-1]), "all of them count"


async def test_s_pw_1_a_login_with_a_longer_one_is_refused_unhashed(server: Server) -> None:
    with noted() as work:
        answers = [
            await log_in(server.somebody(), email, "x" * length)
            for email in (EMAIL, "nob@example.com")
            for length in (1_025, 10_000, 60_000)
        ]

    assert {refusal(one) for one in answers} == {(401, "invalid_credentials")}
    assert work.hashes == []


# --- one password, however it is typed ---------------------------------------------------------


async def test_s_pw_2_what_is_typed_in_two_ways_is_one_password_everywhere(
    server: Server, tmp_path: Path
) -> None:
    """Registered, logged in, confirmed, changed, set by an operator: each from one to the other."""
    email = "cafe@example.com"
    form = login_json(email, DECOMPOSED)
    assert (await server.somebody().post("/auth/register", json=form)).status_code == 201
    assert await opens(server, email, DECOMPOSED)
    client = await server.signed_in(email, COMPOSED)
    confirmed = await client.post("/auth/confirm", json={"password": COMPOSED})
    client.headers["Authorization"] = f"Bearer {confirmed.json()['access_token']}"
    changed = await client.post(
        "/auth/password",
        json={"current_password": COMPOSED, "new_password": DECOMPOSED + " noir"},
    )

    assert changed.status_code == 200
    assert (await log_in(server.somebody(), email, COMPOSED + " noir")).status_code == 200
    shell = Shell(tmp_path)
    code, _, complaint = shell(
        "users", "set-password", email, stdin=DECOMPOSED + "\n", SECRET_KEY=SECRET_KEY,
        DATABASE_URL=server.settings.database_url,
    )  # fmt: skip
    assert code == 0, complaint
    assert (await log_in(server.somebody(), email, COMPOSED)).status_code == 200


async def test_s_pw_2_what_compatibility_alone_makes_equal_are_two_passwords(
    server: Server,
) -> None:
    _, email = await chosen(server, LIGATURE, "b@example.com", at="change")

    assert not await opens(server, email, LETTERS)
    assert await opens(server, email, LIGATURE)


SIGNS = [
    "  spaces  all  round  ", "%41&password=x+y#z",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "\u05de\u05d9\u05dc\u05ea \u05e1\u05d5\u05d3 \u05e9\u05dc\u05d9",
    "\u79d8\u5bc6\u306e\u5408\u8a00\u8449\u3067\u3059",
]  # fmt: skip


async def test_s_pw_2_any_script_and_sign_is_kept_as_typed(server: Server) -> None:
    for number, password in enumerate(SIGNS):
        _, email = await chosen(server, password, f"{number}@example.com", at="registration")

        assert await opens(server, email, password)
        for other in {password.strip(), password.upper(), password[1:]} - {password}:
            assert not await opens(server, email, other)


async def test_s_pw_2_what_nobody_can_type_again_is_no_password(server: Server) -> None:
    client = await server.signed_in()
    json = {"Content-Type": "application/json"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    for raw in (rb"passphrase\ud800", rb"\udc00passphrase", rb"passphrase\u0000"):
        for path, body, refused in (
            ("/auth/register", b'{"email": "b@example.com", "password": "%s"}', {422}),
            ("/auth/password", b'{"current_password": "%s", "new_password": "%s"}', {403, 422}),
            ("/auth/password", CHANGE, {422}),
            ("/auth/confirm", b'{"password": "%s"}', {403, 422}),
        ):
            answer = await client.post(path, content=body.replace(b"%s", raw), headers=json)
            assert answer.status_code in refused, (path, raw)
    for raw in (b"passphrase%00", b"passphrase%ED%A0%80", b"passphrase%FF"):
        content = b"username=ada%40example.com&password=" + raw
        answer = await server.somebody().post("/auth/token", content=content, headers=form)
        assert answer.status_code in {401, 422}


CHANGE = b'{"current_password": "correct horse battery", "new_password": "%s"}'


# --- which are too common ----------------------------------------------------------------------

COMMON = {
    "password1": "most common", "PassWord1": "most common", "iloveyou1": "most common",
    "batonpass": "name of this product", "Baton Pass": "name of this product",
    "{0}": "own e-mail",
}  # fmt: skip


@pytest.mark.parametrize("at", ["registration", "change"])
async def test_s_pw_3_a_common_password_is_refused_with_the_reason(server: Server, at: str) -> None:
    for number, (password, reason) in enumerate(COMMON.items()):
        email = f"eve{number}.longer@example.com"
        answer, _ = await chosen(server, password.format(email), email, at=at)

        assert refusal(answer) == (422, "weak_password")
        assert reason in answer.json()["detail"]


async def test_s_pw_3_nothing_else_is_asked_of_a_password(server: Server) -> None:
    """No capitals, no digits, no signs; and the old one may be taken again."""
    for number, password in enumerate(
        ("password1 and more", "aaaaaaaaaaaaa", "lowercaseonly", "7391846205", "3@example.com's")
    ):
        answer, email = await chosen(server, password, f"{number}@example.com", at="registration")
        assert answer.status_code == 201
        client = await server.signed_in(email, password)
        again = {"current_password": password, "new_password": password}

        assert (await client.post("/auth/password", json=again)).status_code == 200


# --- how they are kept -------------------------------------------------------------------------


def set_hash(server: Server, hashed: str) -> None:
    _on_database(server, update(users).values(password_hash=hashed))


def hash_of(server: Server) -> str:
    return str(_on_database(server, select(users.c.password_hash)))


def _on_database(server: Server, statement: Any) -> Any:
    url = make_url(server.settings.database_url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(url.set(drivername=driver))
    with engine.begin() as connection:
        done = connection.execute(statement)
        found = done.scalar() if done.returns_rows else None
    engine.dispose()
    return found


async def test_s_pw_4_a_weaker_hash_is_replaced_at_the_next_good_login(database_url: str) -> None:
    weaker = {
        "bcrypt": BcryptHasher(rounds=4).hash(PASSWORD),
        "less memory": Argon2Hasher(time_cost=1, memory_cost=64).hash(PASSWORD),
    }
    async with a_server(database_url, rate_limit_login="off") as server:
        todays = hash_of(server).split("$")[1:4]
        for kind, hashed in weaker.items():
            set_hash(server, hashed)
            assert (await log_in(server.somebody(), password="wrong")).status_code == 401
            assert hash_of(server) == hashed, "nobody has proved to know it"

            assert (await log_in(server.somebody())).status_code == 200

            assert hash_of(server).split("$")[1:4] == todays, kind
            assert todays[0] == "argon2id"
            assert (await log_in(server.somebody())).status_code == 200


async def test_a35_no_length_of_a_password_is_a_fault_of_ours(server: Server) -> None:
    """A million letters; and, at an imported bcrypt hash, more than the 72 bytes that it saw."""
    client = await server.signed_in()
    million = "x" * 10**6
    answers = [
        await client.post("/auth/register", json=login_json("b@example.com", million)),
        await client.post("/auth/confirm", json={"password": million}),
        await client.post(
            "/auth/password", json={"current_password": million, "new_password": million}
        ),
        await log_in(client, password=million),
    ]
    set_hash(server, BcryptHasher(rounds=4).hash("x" * 72))
    exact = await log_in(server.somebody(), password="x" * 72)
    set_hash(server, BcryptHasher(rounds=4).hash("x" * 72))
    longer = [
        await log_in(server.somebody(), password=one)
        for one in ("x" * 73, "x" * 72 + "\u00e9", "x" * 71 + "\u00e9", "x" * 1_024)
    ]

    assert {one.status_code for one in answers} <= {401, 403, 413, 422}
    assert exact.status_code == 200
    assert {refusal(one) for one in longer} == {(401, "invalid_credentials")}
