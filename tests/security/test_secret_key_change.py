"""SECRET_KEY is changed on three running nodes, one after the other: nobody loses anything.

Each node is cut off (SIGKILL) and comes back with the next list, while everybody goes on
refreshing at the others. A client shows its token to two nodes at the same moment, whatever list
each of them has by then.

Source: docs/security.md, S-KEY-4.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path

import anyio
import httpx

from batonpass.keys import Keys
from batonpass.refresh_tokens import RefreshToken, decode
from tests.support.processes import ServerProcess, log_in, refresh, serving
from tests.support.servers import SECRET_KEY

NODES = 3
PEOPLE = 2
PATIENCE_SECONDS = 60
ROUNDS = 1  # of everybody's, before the next node is changed
OLD, NEW = SECRET_KEY, SECRET_KEY[::-1]
BOTH = Keys.derive_from((bytes.fromhex(NEW), bytes.fromhex(OLD)))


class Person:
    """Somebody with a native client, who refreshes all the time, at two nodes at once."""

    def __init__(self, answer: httpx.Response) -> None:
        self.rounds = 0
        self.refused: list[str] = []
        self.other_successors = 0
        self.issued_by_new = False
        self.keep(answer)

    def keep(self, answer: httpx.Response) -> None:
        tokens = answer.json()
        self.access_token: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]

    async def go_on(self, nodes: list[httpx.AsyncClient], is_over: anyio.Event) -> None:
        for turn in count():
            if is_over.is_set():
                return
            pair = [nodes[turn % NODES], nodes[(turn + 1) % NODES]]
            await self.refresh_at(pair)
            for node in nodes:
                await self.look_at(node)
            self.rounds += 1

    async def refresh_at(self, pair: list[httpx.AsyncClient]) -> None:
        """Show one token to both; what a node that is away owes, the other one tells."""
        said = await asyncio.gather(*(refresh_or_none(one, self.refresh_token) for one in pair))
        answers = [answer for answer in said if answer is not None]
        self.refused += [answer.text for answer in answers if answer.status_code != 200]
        given = [answer for answer in answers if answer.status_code == 200]
        secrets = {read(answer).secret for answer in given}
        self.other_successors += len(secrets) > 1
        if given:
            self.keep(given[-1])
            by_new = decode(BOTH.refresh_mac[:1], self.refresh_token)
            self.issued_by_new = by_new is not None

    async def look_at(self, node: httpx.AsyncClient) -> None:
        with suppress(httpx.TransportError):  # it is being changed
            headers = {"Authorization": f"Bearer {self.access_token}"}
            answer = await node.get("/auth/me", headers=headers)
            if answer.status_code != 200:
                self.refused.append(answer.text)


def read(answer: httpx.Response) -> RefreshToken:
    """Read the successor, whichever key its MAC is by."""
    token = decode(BOTH.refresh_mac, answer.json()["refresh_token"])
    assert token is not None
    return token


async def refresh_or_none(node: httpx.AsyncClient, token: str) -> httpx.Response | None:
    try:
        return await refresh(node, token)
    except httpx.TransportError:
        return None


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the load goes on meanwhile
            await anyio.sleep(0.01)


async def test_s_key_4_a_rolling_swap_on_three_nodes_under_load_loses_nothing(
    postgresql_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        servers: list[ServerProcess] = []
        nodes: list[httpx.AsyncClient] = []
        for number in range(NODES):
            folder = tmp_path / str(number)
            folder.mkdir()
            started = serving(postgresql_url, folder, workers=1, SECRET_KEY=f"{OLD},{NEW}")
            servers.append(await stack.enter_async_context(started))
            client = httpx.AsyncClient(base_url=servers[-1].url, timeout=30)
            nodes.append(await stack.enter_async_context(client))
        people = [
            Person(await log_in(nodes[n % NODES], f"person{n}@example.com")) for n in range(PEOPLE)
        ]
        late, too_late = [Person(await log_in(nodes[0], "sleeper@example.com")) for _ in range(2)]
        is_over = anyio.Event()
        load = [asyncio.ensure_future(person.go_on(nodes, is_over)) for person in people]

        async def everybody_goes_on() -> None:
            goals = [(person, person.rounds + ROUNDS) for person in people]
            await until(lambda: all(person.rounds >= goal for person, goal in goals))

        await everybody_goes_on()
        for server in servers:
            await server.restart(SECRET_KEY=f"{NEW},{OLD}")
            await everybody_goes_on()
        await until(lambda: all(person.issued_by_new for person in people))
        await late.refresh_at(nodes[:2])
        for server in servers:
            await server.restart(SECRET_KEY=NEW)
            await everybody_goes_on()
        is_over.set()
        await asyncio.gather(*load)
        await late.refresh_at(nodes[1:])
        forgotten = await refresh(nodes[0], too_late.refresh_token)

    for person in (*people, late):
        assert person.refused == []
        assert person.other_successors == 0, "one token has one successor, whoever derives it"
    assert forgotten.json()["code"] == "refresh_invalid", "the old key is needed for one idle limit"
