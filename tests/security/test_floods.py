"""Much of everything: garbage, refused logins, sessions begun and ended. Nothing grows by it.

How many logins, bodies and requests at once are taken is tested where it is decided
(tests/server/test_passwords.py, tests/storage/test_batching.py, tests/server/test_throttle.py).
"""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, create_engine, event, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message, Scope

from batonpass import ids, origins
from batonpass.events import EventName
from batonpass.family import Ending
from batonpass.http import devices
from batonpass.refresh_tokens import TEXT_LENGTH
from batonpass.server import throttle
from batonpass.storage.store import ENDED_LISTED
from tests.support.servers import PASSWORD, Server, a_server, log_in, refusal
from tests.support.services import House
from tests.support.thieves import a_tab, what_becomes_of

QUARTER = timedelta(minutes=15)
KIB = 1024


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """Give a server whose pair bucket is soon full."""
    limits = "pair=2/15m,address=20/15m,strangers=100/1h"
    async with a_server(database_url, rate_limit_login=limits) as server:
        yield server


# --- garbage -----------------------------------------------------------------------------------


async def test_garbage_leaves_nothing_behind(sqlite_url: str) -> None:
    """Each request has its own token, address and id; what is remembered of them has an end."""
    async with a_server(sqlite_url) as server:
        before = server.rows()
        await send_garbage(server, 0, 200)
        origins._remembered.cache_clear()
        gc.collect()
        tracemalloc.start()
        try:
            await send_garbage(server, 200, 500)
            origins._remembered.cache_clear()
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert kept < 32 * KIB, "of 300 heads of 1 KiB"
        assert server.rows() == before
    assert origins._remembered.cache_info().maxsize
    assert devices._remembered_name.cache_info().maxsize


async def send_garbage(server: Server, start: int, end: int) -> None:
    for number in range(start, end):
        token = f"bpr_{number:0{TEXT_LENGTH - 4}d}"
        scope: Scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/auth/refresh", "raw_path": b"/auth/refresh", "query_string": b"",
            "root_path": "", "server": ("app.example", 80),
            "client": (f"2001:db8:{number:x}::1", 4711),
            "headers": [
                (b"host", b"app.example"),
                (b"cookie", f"refresh_token={token}".encode()),
                (b"x", b"y" * KIB),
                (b"x-request-id", f"garbage-{number}".encode()),
            ],
        }  # fmt: skip
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message, said: list[Message] = said) -> None:
            said.append(message)

        await server.app(scope, receive, send)
        assert said[0]["status"] == 401


# --- refused logins ----------------------------------------------------------------------------


async def events_named(server: Server, name: EventName) -> int:
    client = await server.signed_in()
    page = (await client.get("/auth/events?limit=200")).json()
    return sum(one["event"] == name for one in page["events"])


async def test_a_flood_of_refused_logins_is_one_event_a_window(server: Server) -> None:
    """Else a thief buries the alarm that would tell of him, in a list 200 lines a second long."""
    eve = server.somebody(address="203.0.113.66")
    for _ in range(2):
        await log_in(eve, password="wrong password")

    for _ in range(30):
        assert refusal(await log_in(eve, password="wrong password")) == (429, "rate_limited")
    in_one_window = await events_named(server, EventName.RATE_LIMIT_EXCEEDED)
    server.clock.advance(QUARTER)
    for _ in range(5):
        await log_in(eve, password="wrong password")
    in_two = await events_named(server, EventName.RATE_LIMIT_EXCEEDED)

    assert (in_one_window, in_two) == (1, 2)
    assert (await log_in(server.somebody())).status_code == 200


async def test_a_flood_of_refused_confirmations_is_one_event_a_window(server: Server) -> None:
    client = await server.signed_in()
    for _ in range(30):
        await client.post("/auth/confirm", json={"password": "wrong password"})

    assert refusal(await client.post("/auth/confirm", json={"password": PASSWORD})) == (
        429, "rate_limited",
    )  # fmt: skip
    assert await events_named(server, EventName.LOGIN_FAILED) == 11, "ten failures and a refusal"


async def test_s_thr_6_what_a_process_remembers_to_have_told_has_an_end(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setattr(throttle, "MAX_TOLD", 3)
    one = throttle.Limit(1, QUARTER)
    door = throttle.Throttle(bytes(32), login=None, mail=one)

    async with a_server(sqlite_url) as server:
        engine = create_engine(server.settings.database_url)
        with engine.begin() as connection:
            for number in range(10):
                for _ in range(2):
                    door.take_mail(connection, account=f"{number}", now=server.clock.now())

        engine.dispose()

    assert len(door._told) == 3


# --- sessions begun and ended ------------------------------------------------------------------


async def test_whoever_logs_in_and_out_all_day_slows_nobody_down(house: House) -> None:
    """20,000 ended sessions once took a second of the database's only writer at each login."""
    tab = await a_tab(house)
    await add_ended_sessions(house, 3 * ENDED_LISTED)
    read: list[str] = []
    engine = house.database.engine
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    event.listen(sync, "before_cursor_execute", lambda *said: read.append(str(said[2])))

    again = await a_tab(house)

    of_families = [one for one in read if one.startswith("SELECT") and "FROM refresh_tokens" in one]
    assert of_families
    assert all(
        "ended_at IS NULL" in one or "refresh_tokens.id" in where(one) for one in of_families
    )
    listed = await house.service.list_sessions(house.user_id)
    assert len(listed) == ENDED_LISTED + 2
    assert listed == sorted(listed, key=lambda one: one.family.id, reverse=True)
    assert {tab.family_id, again.family_id} <= {one.family.id for one in listed}
    assert await what_becomes_of(tab.refresh()) == "answered"


def where(statement: str) -> str:
    return statement.partition("WHERE")[2].partition("ORDER BY")[0]


async def add_ended_sessions(house: House, count: int) -> None:
    table = house.tables.refresh_tokens
    [like] = await house.rows(table)
    now = house.clock.now()
    ended = {"ended_at": now, "ended_reason": Ending.LOGOUT.value, "is_active": False}

    def work(connection: Connection) -> None:
        rows = [{**like, **ended, "id": ids.new_id(now)} for _ in range(count)]
        connection.execute(insert(table), rows)

    await house.database.write(work)
