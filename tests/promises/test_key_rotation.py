"""Four real servers, a rotation and a withdrawal under load: no 401 in between, nobody logged out.

The time of the servers is PostgreSQL's, and PostgreSQL's can be moved: a function of our own stands
in front of `clock_timestamp()`. So the three minutes until a new key signs take no three minutes.

Source: docs/security.md, S-KEY-3.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import httpx
import psycopg
import pytest
from joserfc import jws

from tests.support.processes import log_in, refresh, serving
from tests.support.servers import SECRET_KEY

PEOPLE = 2
NAMES = ("one", "two", "three", "four")
PATIENCE_SECONDS = 60  # what security.md promises
BEFORE_IT_SIGNS = timedelta(seconds=4)
SETTINGS = {"SECRET_KEY": SECRET_KEY, "REFRESH_GRACE_SECONDS": "30"}

CLOCK = """
CREATE SCHEMA moved;
CREATE TABLE moved.time (ahead interval NOT NULL);
INSERT INTO moved.time VALUES ('0');
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT pg_catalog.clock_timestamp() + ahead FROM moved.time';
"""


class DatabaseClock:
    """PostgreSQL's clock, to be moved."""

    def __init__(self, url: str) -> None:
        """Put ours in front of the database's own; connections made from now on are told by it."""
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(CLOCK)
        name = self._connection.info.dbname
        self._connection.execute(
            f'ALTER DATABASE "{name}" SET search_path = moved, pg_catalog, public'.encode()
        )

    def move_to(self, moment: datetime) -> None:
        """Let it be `moment` now."""
        self._connection.execute(
            "UPDATE moved.time SET ahead = %s - pg_catalog.clock_timestamp()", [moment]
        )

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()


@pytest.fixture
def clock(postgresql_url: str) -> Iterator[DatabaseClock]:
    made = DatabaseClock(postgresql_url)
    yield made
    made.close()


class Person:
    """Somebody with a native client, who goes from server to server."""

    def __init__(self, answer: httpx.Response) -> None:
        self.access_token, self.refresh_token = "", ""
        self.keep(answer)

    def keep(self, answer: httpx.Response) -> None:
        tokens = answer.json()
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    @property
    def kid(self) -> str:
        return str(_parts(self.access_token)[0]["kid"])

    @property
    def issued_at(self) -> datetime:
        return datetime.fromtimestamp(_parts(self.access_token)[1]["iat"], UTC)

    async def refresh_at(self, server: httpx.AsyncClient) -> int:
        answer = await refresh(server, self.refresh_token)
        if answer.status_code == 200:
            self.keep(answer)
        return answer.status_code

    async def look_at(self, server: httpx.AsyncClient) -> int:
        headers = {"Authorization": f"Bearer {self.access_token}"}
        return (await server.get("/auth/me", headers=headers)).status_code


async def test_s_key_3_four_processes_under_load_and_no_401(
    postgresql_url: str, clock: DatabaseClock, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        servers: list[httpx.AsyncClient] = []
        for name in NAMES:
            (tmp_path / name).mkdir()
            running = await stack.enter_async_context(
                serving(postgresql_url, tmp_path / name, workers=1, **SETTINGS)
            )
            client = httpx.AsyncClient(base_url=running.url, timeout=30)
            servers.append(await stack.enter_async_context(client))
        people = [
            Person(await log_in(servers[n % len(servers)], f"person{n}@example.com"))
            for n in range(PEOPLE)
        ]
        (old,) = {person.kid for person in people}

        await _keys(postgresql_url, "rotate")
        new = (await _listed(postgresql_url))[1]
        for server in servers:
            await _until(lambda: _publishes(server, {old, new["kid"]}))  # noqa: B023 - awaited here
        await _go_to(
            clock, datetime.fromisoformat(new["counts_from"]) - BEFORE_IT_SIGNS, people[0], servers
        )
        seen = await _load(people, servers, until=new["kid"])

        assert {status for _, status in seen} == {200}, "no 401, whoever signed, whoever was asked"
        assert {kid for kid, _ in seen} == {old, new["kid"]}

        await _keys(postgresql_url, "rotate", "--withdraw")
        for server in servers:
            for person in people:
                await _until(lambda: _is_refused(person, server))  # noqa: B023 - awaited here
        newest = (await _listed(postgresql_url))[2]["kid"]
        for person, server in zip(people, cycle(servers), strict=False):
            assert await person.refresh_at(server) == 200, "refresh tokens survive"
            assert person.kid == newest
            assert [await person.look_at(one) for one in servers] == [200] * 4


async def _load(
    people: list[Person], servers: list[httpx.AsyncClient], *, until: str
) -> list[tuple[str, int]]:
    """Refresh at one server and ask both, again and again, until each person has that key.

    Returns:
        The key and the status of each answer.
    """
    seen: list[tuple[str, int]] = []

    async def go_on(person: Person) -> None:
        rounds_with_the_new_key = 0
        for issuer in cycle(servers):
            seen.append((person.kid, await person.refresh_at(issuer)))
            seen.extend([(person.kid, await person.look_at(server)) for server in servers])
            rounds_with_the_new_key += person.kid == until
            if rounds_with_the_new_key == len(servers):
                return

    with anyio.fail_after(PATIENCE_SECONDS):
        await asyncio.gather(*(go_on(person) for person in people))
    return seen


async def _go_to(
    clock: DatabaseClock, moment: datetime, person: Person, servers: list[httpx.AsyncClient]
) -> None:
    """Move the time while nobody asks, and wait until each server has been told."""
    clock.move_to(moment)
    for server in servers:

        async def has_been_told(server: httpx.AsyncClient = server) -> bool:
            assert await person.refresh_at(server) == 200
            return person.issued_at >= moment - timedelta(seconds=1)

        await _until(has_been_told)


async def _publishes(server: httpx.AsyncClient, kids: set[str]) -> bool:
    answer = await server.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    return {key["kid"] for key in answer.json()["keys"]} == kids


async def _is_refused(person: Person, server: httpx.AsyncClient) -> bool:
    return await person.look_at(server) == 401


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - it is another process
            await anyio.sleep(0.1)


async def _keys(database_url: str, *words: str) -> str:
    """Run `batonpass keys` as the operator of these servers."""
    binary = Path(sys.executable).with_name("batonpass")
    environment = {"BATONPASS_DATABASE_URL": database_url} | {
        f"BATONPASS_{name}": value for name, value in SETTINGS.items()
    }
    done = await anyio.run_process([str(binary), "keys", *words], env=_inherited() | environment)
    return done.stdout.decode()


async def _listed(database_url: str) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(await _keys(database_url, "list", "--json"))
    return keys


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "BATONPASS" not in name}


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    found = jws.extract_compact(token.encode())
    return found.headers(), json.loads(found.payload)
