"""Sessions that have to end, and those that must not: S-SES-3 to 10.

What each ending does is tested in tests/test_auth_service.py, and the feed that tells it to every
process in tests/test_revocations.py.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from batonpass.clock import Clock as RealClock
from batonpass.errors import StoreUnavailableError
from batonpass.visits import Visit
from tests.support.clocks import Clock
from tests.support.dumps import dump, restore
from tests.support.families import TICK
from tests.support.servers import EMAIL, PASSWORD, a_server, log_in, refusal
from tests.support.services import House
from tests.support.shell import Shell
from tests.support.thieves import AT_HOME, a_tab, what_becomes_of

HEARD = timedelta(seconds=2) + TICK
EVE, BOB = "eve@example.com", "bob@example.com"


# --- S-SES-3: what becomes of an account -------------------------------------------------------


async def test_s_ses_3_what_operators_do_to_an_account_reaches_a_running_server_in_two_seconds(
    database_url: str, tmp_path: Path
) -> None:
    """The command is another process than the server, which looks at the feed as ever."""
    commands = [
        (("users", "disable", EMAIL), "user_disabled"),
        (("users", "delete", EVE), "user_disabled"),
        (("users", "set-password", BOB), "password"),
    ]
    async with a_server(database_url, clock=now(), users=[EMAIL, EVE, BOB]) as server:
        for command, reason in commands:
            client = await server.signed_in(command[2])
            assert (await client.get("/auth/me")).status_code == 200

            done = await asyncio.to_thread(
                Shell(tmp_path),
                *command,
                stdin="another fine password\n",
                DATABASE_URL=database_url,
            )
            server.clock.advance(HEARD)

            assert done[0] == 0, done
            seen = await client.get("/auth/me")
            assert (refusal(seen), seen.json()["reason"]) == ((401, "session_revoked"), reason)
            renewed = await client.post("/auth/refresh")
            deleted = command[1] == "delete"
            assert refusal(renewed)[1] == ("refresh_expired" if deleted else "refresh_revoked")
            again = await log_in(server.somebody(), command[2], PASSWORD)
            assert refusal(again) == (401, "invalid_credentials")


def now() -> Clock:
    """Stand at the time that it is: a command's clock cannot be moved."""
    return Clock(RealClock().now())


async def test_s_ses_3_an_account_and_its_sessions_change_in_one_commit(house: House) -> None:
    """What cannot be told ends nothing, and then the password has not changed either."""
    tab = await a_tab(house)
    await house.set_password(house.user_id, "old")
    untold = Visit(request_id=cast("Any", object()))  # no column takes it

    def deed(connection: Connection) -> None:
        connection.execute(house.users.update().values(password="new"))

    with pytest.raises((SQLAlchemyError, StoreUnavailableError, TypeError)):
        await house.service.end_sessions(house.user_id, untold, deed=deed)

    assert [row["password"] for row in await house.rows(house.users)] == ["old"]
    assert await what_becomes_of(tab.refresh()) == "answered"
    assert await house.service.end_sessions(house.user_id, AT_HOME, deed=deed) == 1
    assert [row["password"] for row in await house.rows(house.users)] == ["new"]


# --- S-SES-6: when the password is asked for again ---------------------------------------------


async def test_s_ses_6_ending_sessions_wants_no_new_login_and_a_new_password_does(
    sqlite_url: str,
) -> None:
    """In an emergency speed counts; whoever found an open laptop keeps nobody out with it."""
    async with a_server(sqlite_url) as server:
        client, phone, tablet = [await server.signed_in() for _ in range(3)]
        server.clock.advance(timedelta(minutes=29))
        body = {"current_password": "a guess", "new_password": "another fine password"}
        phones_id = (await phone.get("/auth/me")).json()["session_id"]

        changed = await client.post("/auth/password", json=body)
        one = await client.delete(f"/auth/sessions/{phones_id}")
        others = await client.delete("/auth/sessions")

        assert refusal(changed) == (403, "wrong_password")
        assert (one.status_code, others.status_code) == (204, 204)
        for ended in (phone, tablet):
            assert refusal(await ended.get("/auth/me")) == (401, "session_revoked")
        assert (await client.get("/auth/me")).status_code == 200


# --- S-SES-7: operators ------------------------------------------------------------------------


async def test_s_ses_7_ending_everybodys_sessions_writes_one_row_however_many_there_are(
    house: House, clock: Clock
) -> None:
    for _ in range(30):
        await a_tab(house, await house.add_user())
    clock.advance(timedelta(milliseconds=1))
    before = {table.name: await house.rows(table) for table in house.tables.all}

    with statements_of(house) as said:
        await house.service.end_everything(AT_HOME)

    after = {table.name: await house.rows(table) for table in house.tables.all}
    grown = {name: len(rows) - len(before[name]) for name, rows in after.items()}
    assert {name for name, by in grown.items() if by} == {"meta", "security_events"}
    assert grown["security_events"] == 1
    assert after["refresh_tokens"] == before["refresh_tokens"]
    assert len([one for one in said if "refresh_tokens" in one[0]]) == 0


async def test_s_ses_7_one_users_sessions_are_found_by_an_index(house: House) -> None:
    await a_tab(house)
    with statements_of(house) as said:
        assert await house.service.end_sessions(house.user_id, AT_HOME) == 1
    statement, parameters = next(
        one
        for one in said
        if one[0].startswith("SELECT") and "refresh_tokens.ended_at IS" in one[0]
    )

    plan = await house.database.read(
        lambda connection: explained(connection, statement, parameters)
    )

    assert "ix_refresh_tokens_user_id" in plan


def explained(connection: Connection, statement: str, parameters: Any) -> str:
    """Tell by which way the database finds the rows; of so few it would read all."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(str(row) for row in rows)
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(str(row[0]) for row in rows)


@contextmanager
def statements_of(house: House) -> Iterator[list[tuple[str, Any]]]:
    """Write down what the process of the house asks of the database, with its parameters."""
    engine = house.database.engine
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    said: list[tuple[str, Any]] = []

    def note(*asked: Any) -> None:
        said.append((str(asked[2]), asked[3]))

    event.listen(sync, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(sync, "before_cursor_execute", note)


async def test_s_ses_7_after_a_restored_backup_one_command_ends_what_came_back(
    database_url: str, tmp_path: Path
) -> None:
    """Who had logged out is back in, and who came later never was: until the command is run."""
    backup = tmp_path / "backup"
    clock = now()
    clock.advance(-timedelta(hours=1))
    async with a_server(database_url, clock=clock) as server:
        people = {name: await server.signed_in() for name in ("stayed", "left")}
        held = {name: held_by(person) for name, person in people.items()}
        await asyncio.to_thread(dump, database_url, backup)
        assert (await people["left"].post("/auth/logout")).status_code == 204
        clock.advance(timedelta(seconds=1))
        held["came later"] = held_by(await server.signed_in())
    failed_at = clock.advance(timedelta(seconds=1))
    await asyncio.to_thread(restore, database_url, backup)

    async with a_server(database_url, clock=clock, users=()) as server:
        stranger = server.somebody()
        is_back = (await stranger.get("/auth/me", headers=held["left"])).status_code == 200
        done = await asyncio.to_thread(
            Shell(tmp_path),
            *("sessions", "revoke", "--before", failed_at.isoformat()),
            DATABASE_URL=database_url,
        )
        clock.advance(HEARD)
        seen = {name: await stranger.get("/auth/me", headers=one) for name, one in held.items()}
        renewed = [await stranger.post("/auth/refresh", headers=one) for one in held.values()]
        newcomer = await server.signed_in()
        goes_on = await newcomer.post("/auth/refresh")

    assert is_back, "this is what a restore does"
    assert done[0] == 0, done
    assert {name: refusal(one) for name, one in seen.items()} == dict.fromkeys(
        held, (401, "session_revoked")
    )
    assert [refusal(one)[1] for one in renewed] == ["refresh_revoked"] * 2 + ["refresh_expired"]
    assert goes_on.status_code == 200


def held_by(person: httpx.AsyncClient) -> dict[str, str]:
    """Copy what a browser would send."""
    cookie = f"refresh_token={person.cookies['refresh_token']}"
    return {"Cookie": cookie, "Authorization": person.headers["Authorization"]}


# --- S-SES-10: no cache keeps an answer --------------------------------------------------------

A_BODY_TOO_LARGE = b"x" * 70_000


async def test_s_ses_10_no_cache_keeps_any_answer_under_auth(sqlite_url: str) -> None:
    """Every route with and without a token, and what no route answers."""
    listed = "http://other.example"
    async with a_server(sqlite_url, cors_origins=listed) as server:
        client, stranger = await server.signed_in(), server.somebody()
        asked = [
            (method.upper(), path.replace("{session_id}", "0"))
            for path, methods in server.app.openapi()["paths"].items()
            if path.startswith("/auth/")
            for method in methods
        ]
        answers = []
        for method, path in asked:
            answers += [
                await stranger.request(method, path),
                await stranger.request(method, path, content=A_BODY_TOO_LARGE),
                await stranger.request(method, path, headers={"origin": "http://evil.example"}),
                await client.request(method, path, json={"password": "no"}),
                await client.request(method, path, headers={"x": "y" * 20_000}),
                await client.request("TRACE", path),
            ]
        for path in ("/auth", "/auth/", "/auth/nothing", "/auth/sessions/"):
            answers.append(await client.get(path))
        preflight = {"origin": listed, "access-control-request-method": "POST"}
        answers.append(await client.options("/auth/refresh", headers=preflight))
        answers.append(await log_in(server.somebody()))

    assert len(asked) > 10
    assert {one.status_code for one in answers} >= {
        200,
        204,
        401,
        403,
        404,
        405,
        413,
        415,
        422,
        431,
    }
    for answer in answers:
        told = answer.headers.get_list("cache-control")
        assert told == ["no-store"], (answer.request.method, answer.url, answer.status_code)
