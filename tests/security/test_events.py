"""What each flow tells: exactly its events, with the fact that they tell or not at all.

What changed something is a row, written in the transaction of the change. What was refused changed
nothing: a line in the log.

Source: docs/security.md, "Events" and S-LOG-1; OWASP Logging Vocabulary.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import create_engine, make_url, select, text

from batonpass.http.refusal_log import LINES_A_MINUTE, MINUTE_SECONDS
from batonpass.plugin import Batonpass
from batonpass.server.app import build_auth
from batonpass.server.engines import dispose
from batonpass.server.users import User
from tests.support.clocks import Clock
from tests.support.families import GRACE, IDLE, TICK
from tests.support.servers import PASSWORD, Server, a_server, log_in, login_json
from tests.support.shell import Shell

REQUEST_ID = "flow-0001"
SPA = "https://spa.example.com"
ADDRESS, ELSEWHERE = "192.0.2.77", "203.0.113.66"
SECOND = timedelta(seconds=1)
SECURITY = "batonpass.security"
NEW_PASSWORD = "another walk, at midnight"


@dataclass
class Flow:
    """One user, alone on a server, and what they do."""

    server: Server
    email: str
    client: httpx.AsyncClient = field(init=False)
    kept: str = ""  # a refresh token from before
    began_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.somebody()

    def somebody(self, address: str = ADDRESS) -> httpx.AsyncClient:
        client = self.server.somebody(address=address)
        client.headers["X-Request-ID"] = REQUEST_ID
        return client

    async def signed_in(self) -> httpx.AsyncClient:
        """Log in from a client of its own, as the user who is there already."""
        client = self.somebody()
        answer = await log_in(client, self.email)
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self.pass_time(SECOND)
        return client

    async def post(self, path: str, **body: str) -> httpx.Response:
        return await self.client.post(f"/auth/{path}", json=body or None)

    async def present(self, token: str, address: str = ADDRESS) -> httpx.Response:
        headers = {"cookie": f"refresh_token={token}"}
        return await self.somebody(address).post("/auth/refresh", headers=headers)

    def pass_time(self, time: timedelta) -> None:
        self.server.clock.advance(time)

    @property
    def token(self) -> str:
        return str(self.client.cookies["refresh_token"])


# --- the flows: what is done once somebody is signed in, and what that tells ---------------------


async def register(flow: Flow) -> None:
    await flow.somebody().post("/auth/register", json=login_json("new-" + flow.email))


async def register_a_taken_name(flow: Flow) -> None:
    await flow.somebody().post("/auth/register", json=login_json(flow.email))


async def log_in_again(flow: Flow) -> None:
    await log_in(flow.client, flow.email)


async def log_in_elsewhere(flow: Flow) -> None:
    await flow.signed_in()


async def mistype(flow: Flow, times: int = 1) -> None:
    for _ in range(times):
        await log_in(flow.somebody(), flow.email, "wrong")
        flow.pass_time(SECOND)


async def mistype_twice_and_log_in(flow: Flow) -> None:
    await mistype(flow, 2)
    await flow.signed_in()
    await flow.signed_in()


async def guess(flow: Flow) -> None:
    await mistype(flow, 13)


async def log_out(flow: Flow) -> None:
    await flow.post("logout")


async def refresh(flow: Flow) -> None:
    await flow.post("refresh")


async def be_away_too_long(flow: Flow) -> None:
    flow.pass_time(IDLE)
    await flow.post("refresh")
    await flow.post("refresh")


async def use_a_copy(flow: Flow) -> None:
    stolen = flow.token
    for _ in range(2):
        flow.pass_time(3 * GRACE)
        await flow.post("refresh")
    await flow.present(stolen, ELSEWHERE)
    await flow.present(stolen, ELSEWHERE)


async def lose_an_answer(flow: Flow) -> None:
    token = flow.token
    await flow.post("refresh")
    flow.pass_time(GRACE + TICK)
    await flow.present(token)


async def be_two(flow: Flow) -> None:
    token = flow.token
    await flow.post("refresh")
    await flow.present(token, ELSEWHERE)


async def change_the_password(flow: Flow) -> None:
    await flow.signed_in()
    await flow.post("password", current_password=PASSWORD, new_password=NEW_PASSWORD)


async def change_it_without_knowing_it(flow: Flow) -> None:
    await flow.post("password", current_password="wrong", new_password=NEW_PASSWORD)


async def confirm(flow: Flow) -> None:
    await flow.post("confirm", password="wrong")
    await flow.post("confirm", password=PASSWORD)


async def end_the_others(flow: Flow) -> None:
    await flow.signed_in()
    await flow.client.delete("/auth/sessions")


async def end_this_one(flow: Flow) -> None:
    session_id = (await flow.client.get("/auth/me")).json()["session_id"]
    await flow.client.delete(f"/auth/sessions/{session_id}")
    await flow.client.get("/auth/me")


async def begin_too_many(flow: Flow) -> None:
    for _ in range(3):
        await flow.signed_in()


async def come_from_another_site(flow: Flow) -> None:
    headers = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    await flow.client.post("/auth/refresh", headers=headers)
    await flow.client.post("/auth/logout", headers=headers)


async def ask_from_another_origin(flow: Flow) -> None:
    for origin in ("https://evil.example", SPA):
        asked = {"origin": origin, "access-control-request-method": "POST"}
        await flow.client.options("/auth/refresh", headers=asked)


async def reach_for_anothers(flow: Flow) -> None:
    await flow.client.delete(f"/auth/sessions/{UUID(int=1)}")


async def send_rubbish(flow: Flow) -> None:
    await flow.present("bpr_" + "A" * 92)
    await flow.post("register", email="nobody", password=PASSWORD)
    await flow.client.post("/auth/register", content=b"x" * 70_000)


LOGIN = ["authn_login_success", "session_created"]
CSRF, RUBBISH = "malicious_csrf", "input_validation_fail"
TOO_LATE = "session_use_after_expire"
FAIL = "authn_login_fail"

# What is done, the rows that it writes, and the lines beside them.
FLOWS: list[tuple[Callable[[Flow], Awaitable[None]], list[str], list[str]]] = [
    (register,                     ["user_created"], []),
    (register_a_taken_name,        ["register_on_existing"], []),
    (log_in_again,                 ["session_logout", *LOGIN], []),
    (log_in_elsewhere,             LOGIN, []),
    (mistype,                      [FAIL], []),
    (mistype_twice_and_log_in,     [FAIL, FAIL, "authn_login_successafterfail", "session_created",
                                    *LOGIN], []),
    (guess,                        [FAIL] * 10 + ["authn_login_fail_max",
                                                  "excess_rate_limit_exceeded"], []),
    (log_out,                      ["session_logout"], []),
    (refresh,                      [], ["session_renewed"]),
    (be_away_too_long,             ["session_expired"], [TOO_LATE, TOO_LATE]),
    (use_a_copy,                   ["refresh_token_reused"],
                                   ["session_renewed", "session_renewed", TOO_LATE]),
    (lose_an_answer,               ["lost_answer_recovered"], ["session_renewed"] * 2),
    (be_two,                       ["answered_elsewhere"], ["session_renewed"] * 2),
    (change_the_password,          [*LOGIN, "authn_password_change", "authn_token_revoked"], []),
    (change_it_without_knowing_it, ["authn_password_change_fail"], []),
    (confirm,                      [FAIL, "authn_login_success"], []),
    (end_the_others,               [*LOGIN, "authn_token_revoked"], []),
    (end_this_one,                 ["authn_token_revoked"], [TOO_LATE]),
    (begin_too_many,               [*LOGIN, *LOGIN, "excess_sessions_exceeded", *LOGIN], []),
    (come_from_another_site,       [], [CSRF, CSRF]),
    (ask_from_another_origin,      [], ["malicious_cors"]),
    (reach_for_anothers,           [], ["authz_fail"]),
    (send_rubbish,                 [], [RUBBISH] * 3),
]  # fmt: skip

# Told of another user, or of nobody's account, and so not by the user's id.
OF_NOBODY = {"user_created", CSRF, RUBBISH, "malicious_cors"}
OF_NO_SESSION = {"user_created", "register_on_existing", FAIL, "authn_login_fail_max",
                 "excess_rate_limit_exceeded", "authn_password_change_fail", CSRF, RUBBISH,
                 "malicious_cors", *LOGIN[:1], "authn_login_successafterfail"}  # fmt: skip


@asynccontextmanager
async def an_operator(server: Server) -> AsyncIterator[Batonpass[User]]:
    auth = build_auth(server.settings, server.clock)
    try:
        yield auth
    finally:
        await auth.stop()
        await dispose(auth.database.engine)


async def rows(auth: Batonpass[User]) -> list[dict[str, Any]]:
    """Read the events, oldest first."""
    table = auth.tables.security_events
    query = select(table).order_by(table.c.at, table.c.id)
    found = await auth.database.read(lambda c: c.execute(query).mappings().all())
    return [dict(row) for row in found]


async def test_s_log_1_each_flow_writes_exactly_its_events(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, SECURITY)
    clock = Clock()
    settings = {"sessions_per_user": 3, "cors_origins": SPA, "public_url": "http://app.example"}
    async with (
        a_server(database_url, clock=clock, users=(), **settings) as server,
        an_operator(server) as auth,
    ):
        for number, (deed, told, logged) in enumerate(FLOWS):
            email = f"user{number}@example.com"
            await server.a_user(email)
            flow = Flow(server, email)
            flow.client = await flow.signed_in()
            before = len(await rows(auth))
            caplog.clear()
            flow.began_at = clock.now()
            flow.pass_time(SECOND)

            await deed(flow)

            new = (await rows(auth))[before:]
            name = deed.__name__
            assert sorted(row["event"] for row in new) == sorted(told), name
            said = [record for record in caplog.records if record.name == SECURITY]
            names = ["authn_token_reuse" if e == "refresh_token_reused" else e for e in told]
            assert sorted(one.getMessage() for one in said) == sorted([*names, *logged]), name
            for row in new:
                assert_tells_who_and_where(name, row["event"], row)
                at = row["at"].replace(tzinfo=UTC)  # SQLite knows no zone: it keeps UTC
                assert row["at"].utcoffset() in {None, timedelta(0)}
                assert flow.began_at < at <= clock.now()
            for one in said:
                event = one.getMessage()
                if event in logged and event != TOO_LATE:
                    assert_tells_who_and_where(name, event, vars(one))


def assert_tells_who_and_where(flow: str, event: str, told: dict[str, Any]) -> None:
    assert told["ip"] in {ADDRESS, ELSEWHERE}, (flow, event)
    assert told["request_id"] == REQUEST_ID, (flow, event)
    assert told["device"], (flow, event)
    if event not in OF_NOBODY:
        assert told["user_id"] is not None, (flow, event)
    session = told.get("family_id") or told.get("session_id")
    if flow != "confirm" and event not in OF_NO_SESSION:
        assert session is not None, (flow, event)


async def test_s_log_1_a_session_used_after_its_end_is_named(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_server(sqlite_url) as server:
        client = await server.signed_in()
        session_id = (await client.get("/auth/me")).json()["session_id"]
        server.clock.advance(IDLE)

        with caplog.at_level(logging.WARNING, SECURITY):
            await client.post("/auth/refresh")

    (one,) = [r for r in caplog.records if r.getMessage() == TOO_LATE]
    assert (one.session_id, one.details) == (session_id, {"code": "refresh_expired"})  # type: ignore[attr-defined]  # `extra`


async def test_s_log_1_a_flood_of_refusals_is_a_few_lines_and_no_row(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_server(sqlite_url) as server, an_operator(server) as auth:
        before = await rows(auth)
        client = server.somebody()

        with caplog.at_level(logging.WARNING, SECURITY):
            for _ in range(LINES_A_MINUTE + 5):
                await client.post("/auth/logout", headers={"sec-fetch-site": "cross-site"})
            server.clock.advance(timedelta(seconds=MINUTE_SECONDS))
            await client.post("/auth/logout", headers={"sec-fetch-site": "cross-site"})

        assert await rows(auth) == before
    said = [one.details for one in caplog.records if one.getMessage() == CSRF]  # type: ignore[attr-defined]  # `extra`
    assert len(said) == LINES_A_MINUTE + 1
    assert said[-1] == {"code": "csrf", "left_out": 5}


async def test_s_log_1_an_operators_deeds_are_told(tmp_path: Path) -> None:
    run, email = Shell(tmp_path), "ada@example.com"
    async with a_server(f"sqlite:///{tmp_path / 'batonpass.db'}", users=()) as server:
        deeds: list[tuple[tuple[str, ...], list[str]]] = [
            (("users", "add", email), ["user_created"]),
            (("users", "set-password", email), ["authn_password_change"]),
            (("users", "disable", email), ["user_archived"]),
            (("users", "enable", email), ["user_updated"]),
            (("users", "delete", email), ["user_deleted"]),
            (("sessions", "revoke", "--all"), ["authz_admin"]),
            (("keys", "rotate"), ["key_rotated"]),
            (("keys", "rotate", "--withdraw"), ["key_rotated", *["key_withdrawn"] * 2]),
        ]
        async with an_operator(server) as auth:
            seen = 0
            for words, told in deeds:
                code, _, err = await asyncio.to_thread(run, *words, stdin=PASSWORD + "\n")
                assert (code, err) == (0, "")
                new = (await rows(auth))[seen:]
                seen += len(new)

                assert sorted(row["event"] for row in new) == sorted(told), words
                assert {row["device"] for row in new} == {"command line"}


# --- with the fact, or not at all --------------------------------------------------------------


@asynccontextmanager
async def refusing(url: str, table: str, verb: str) -> AsyncIterator[None]:
    """Have the database refuse a write: on PostgreSQL at the commit, when all has been written."""
    made = make_url(url)
    if made.get_backend_name() == "postgresql":
        engine = create_engine(made.set(drivername="postgresql+psycopg"))
        plant = [
            "CREATE OR REPLACE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'planted'; END $$",
            f"CREATE CONSTRAINT TRIGGER planted AFTER {verb} ON {table} DEFERRABLE INITIALLY "
            "DEFERRED FOR EACH ROW EXECUTE FUNCTION planted()",
        ]
        mend = [f"DROP TRIGGER planted ON {table}"]
    else:
        engine = create_engine(made.set(drivername="sqlite"))
        plant = [
            f"CREATE TRIGGER planted BEFORE {verb} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'planted'); END"
        ]
        mend = ["DROP TRIGGER planted"]

    def write(lines: list[str]) -> None:
        with engine.begin() as connection:
            for line in lines:
                connection.execute(text(line))

    # In a thread: it may wait for the table, which a transaction of this very loop may hold.
    await asyncio.to_thread(write, plant)
    yield
    await asyncio.to_thread(write, mend)
    engine.dispose()


async def recover(flow: Flow) -> None:
    await flow.present(flow.kept)


async def log_in_with_the_right_password(flow: Flow) -> None:
    await log_in(flow.somebody(), flow.email)


async def change_the_only_sessions_password(flow: Flow) -> None:
    await flow.post("password", current_password=PASSWORD, new_password=NEW_PASSWORD)


async def end_all_of_them(flow: Flow) -> None:
    await flow.client.delete("/auth/sessions")


# What is done, where its fact is written, and how.
TOGETHER: list[tuple[Callable[[Flow], Awaitable[None]], str, str]] = [
    (register, "users", "INSERT"),
    (log_in_with_the_right_password, "refresh_tokens", "INSERT"),
    (log_out, "refresh_tokens", "UPDATE"),
    (log_out, "revocations", "INSERT"),
    (recover, "refresh_tokens", "UPDATE"),
    (change_the_only_sessions_password, "users", "UPDATE"),
    (end_all_of_them, "revocations", "INSERT"),
]


async def test_s_log_1_neither_a_fact_without_its_event_nor_an_event_without_its_fact(
    database_url: str,
) -> None:
    async with a_server(database_url, users=()) as server, an_operator(server) as auth:
        for number, (deed, table, verb) in enumerate(TOGETHER):
            email = f"user{number}@example.com"
            await server.a_user(email)
            flow = Flow(server, email)
            flow.client = await flow.signed_in()
            await flow.signed_in()
            flow.kept = flow.token
            if deed is recover:
                await flow.post("refresh")
                flow.pass_time(GRACE + TICK)
            before = server.rows(), await rows(auth)

            for broken, how in (("security_events", "INSERT"), (table, verb)):
                async with refusing(database_url, broken, how):
                    await deed(flow)

                assert (server.rows(), await rows(auth)) == before, (deed.__name__, broken)
            await deed(flow)
            assert server.rows() != before[0], "nothing else had kept it from being done"
            assert len(await rows(auth)) > len(before[1]), deed.__name__
