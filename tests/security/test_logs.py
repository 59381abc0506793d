"""What the logs tell: every line is ours, and no secret stands in one, at DEBUG neither.

The renderer is tested in tests/server/test_logging.py; here the whole server speaks, and what it
and its libraries said is searched for everything that it ever handed out or keeps. S-LOG-2, A28.
"""

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batonpass.keys import Keys
from batonpass.refresh_tokens import decode, digest
from batonpass.server.logging import configure
from tests.support.clocks import Clock
from tests.support.families import GRACE
from tests.support.servers import EMAIL, PASSWORD, SECRET_KEY, Server, a_server, log_in
from tests.support.shell import Shell

NEW_PASSWORD = "another walk, at midnight"
SQL_LOG = "sqlalchemy.engine"
HOSTILE = "x\x1b[31m\u202e"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Configure the log as the server does, but at DEBUG; what is returned holds what was said."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    others = ("asyncio", "alembic", SQL_LOG)
    levels = {name: logging.getLogger(name).level for name in others}
    configure("json")
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    root.setLevel(logging.DEBUG)
    logging.getLogger(SQL_LOG).setLevel(logging.INFO)  # as somebody who looks for a slow statement
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def spellings(secret: bytes) -> set[str]:
    """Every way in which a log could write these bytes."""
    return {
        secret.hex(),
        repr(secret)[2:-1],
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
    }


class Seen:
    """Keeps every secret that was handed out, or stands in the database."""

    def __init__(self) -> None:
        self.texts = {PASSWORD, NEW_PASSWORD, SECRET_KEY}

    def note(self, client: httpx.AsyncClient, answer: httpx.Response) -> None:
        """Keep the tokens of an answer, and the secret, hash and MAC inside of them."""
        tokens = {cookie.value or "" for cookie in client.cookies.jar if "refresh" in cookie.name}
        content = answer.json()
        tokens.add(content.get("refresh_token") or "")
        for text in filter(None, tokens):
            token = decode(Keys.derive_from((bytes.fromhex(SECRET_KEY),)).refresh_mac, text)
            assert token is not None
            self.texts |= {text, text[4:], *spellings(token.secret)}
            self.texts |= spellings(digest(token.secret))
        self.texts.add(content["access_token"])

    def note_rows(self, server: Server) -> None:
        """Keep what the rows hold: nonces, hashes, password hashes."""
        for name, rows in server.rows().items():
            for value in (value for row in rows for value in row):
                if isinstance(value, bytes) and name != "alembic_version":
                    self.texts |= spellings(value)
                elif isinstance(value, str) and value.startswith("$argon2"):
                    self.texts.add(value)


async def every_flow(server: Server, clock: Clock, seen: Seen) -> None:
    """Do what users, thieves and rubbish do."""
    client = server.somebody()
    answer = await log_in(client)
    seen.note(client, answer)
    stolen = client.cookies["refresh_token"]
    for _ in range(3):
        clock.advance(3 * GRACE)
        answer = await client.post("/auth/refresh")
        seen.note(client, answer)
        seen.note_rows(server)
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
    await client.get("/auth/me", headers=bearer)
    await client.get("/auth/events", headers=bearer)
    native = server.somebody()
    by_body = await log_in(native, headers={"x-token-transport": "body"})
    seen.note(native, by_body)
    by_body = await native.post(
        "/auth/refresh", json={"refresh_token": by_body.json()["refresh_token"]}
    )
    seen.note(native, by_body)
    again = await client.post("/auth/confirm", json={"password": PASSWORD}, headers=bearer)
    seen.note(client, again)
    bearer = {"authorization": f"Bearer {again.json()['access_token']}"}
    changed = await client.post(
        "/auth/password",
        json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        headers=bearer,
    )
    seen.note(client, changed)
    seen.note_rows(server)
    thief = server.somebody()
    clock.advance(3 * GRACE)
    await client.post("/auth/refresh")
    for text in (stolen, stolen[:-1] + "A", stolen[:50], bearer["authorization"][7:]):
        await thief.post("/auth/refresh", headers={"cookie": f"refresh_token={text}"})
        await thief.post("/auth/logout", headers={"cookie": f"refresh_token={text}"})
        await thief.get("/auth/me", headers={"authorization": f"Bearer {text}"})
        await thief.post("/auth/refresh", json={"refresh_token": text})
        await thief.post("/auth/logout", json={"refresh_token": text})
        await thief.get(f"/auth/sessions?access_token={text}&refresh_token={text}")
    await log_in(thief, password=f"{PASSWORD}!")
    await thief.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
    await log_in(thief, password=NEW_PASSWORD)
    await thief.post("/auth/logout")


async def test_s_log_2_no_secret_stands_in_any_log_even_at_debug(
    database_url: str, log: io.StringIO
) -> None:
    seen, clock = Seen(), Clock()

    async with a_server(database_url, clock=clock) as server:
        await every_flow(server, clock, seen)

    said = log.getvalue()
    assert "authn_token_reuse" in said, "the flows were flown"
    assert "INSERT INTO refresh_tokens" in said, "and the statements are told"
    assert len(seen.texts) > 40
    assert [text for text in seen.texts if text in said] == []


async def test_s_log_2_no_command_prints_a_secret(tmp_path: Path) -> None:
    seen, run = Seen(), Shell(tmp_path)

    async with a_server(f"sqlite:///{tmp_path / 'batonpass.db'}") as server:
        client = server.somebody()
        seen.note(client, await log_in(client))
        seen.note(client, await client.post("/auth/refresh"))
        [session] = (await asyncio.to_thread(run, "sessions", "list", "--json"))[1:2]
        said = [
            await asyncio.to_thread(run, *words, stdin=NEW_PASSWORD + "\n")
            for words in (
                ("users", "add", "bob@example.com"),
                ("users", "list", "--json"),
                ("users", "set-password", "bob@example.com"),
                ("sessions", "show", json.loads(session)[0]["id"], "--json"),
                ("keys", "rotate"),
                ("keys", "list"),
                ("doctor",),
                ("sessions", "revoke", "--all"),
                ("purge",),
            )
        ]
        seen.note_rows(server)

    assert [code for code, _, _ in said] == [0] * len(said)
    told = session + "".join(out + err for _, out, err in said)
    assert len(seen.texts) > 20
    assert [text for text in seen.texts if text in told] == []


@pytest.mark.parametrize(
    "where", ["user-agent", "x-request-id", "username", "email", "path", "origin"]
)
async def test_a28_what_a_client_says_makes_no_line_of_its_own(
    sqlite_url: str, log: io.StringIO, where: str
) -> None:
    forged = '{"event": "authn_login_success", "user_id": "1"}'
    said = f"{HOSTILE}\r\n{forged}\n"
    header = {where: said.replace("\r\n", " ").replace("\n", " ").encode()}

    async with a_server(sqlite_url, cors_origins="https://spa.example.com") as server:
        client = server.somebody()
        match where:
            case "origin":
                asked = {**header, "access-control-request-method": b"POST"}
                await client.options("/auth/refresh", headers=asked)  # type: ignore[arg-type]  # bytes pass as they are
            case "username":
                await log_in(client, said)
            case "email":
                await client.post("/auth/register", json={"email": said, "password": PASSWORD})
            case "path":
                await client.get(f"/auth/{said.encode().hex('%')}")
            case _:
                await log_in(client, headers=header)  # type: ignore[arg-type]  # bytes pass as they are
                await log_in(client, password="wrong", headers=header)  # type: ignore[arg-type]

    lines = log.getvalue().split("\n")[:-1]
    assert lines
    assert where != "origin" or "malicious_cors" in log.getvalue()
    for line in lines:
        assert line.isprintable()
        assert json.loads(line).get("user_id") != "1"
