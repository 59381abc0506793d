"""`batonpass serve` as a process group of its own, as an operator runs it: asked, and killed.

It is forked from a process that has imported everything, as the commands of shell.py are.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx

from tests.support.shell import start_command

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PASSWORD = "a long walk at noon"
PATIENCE_SECONDS = 60
HOST = "127.0.0.1"


class ServerProcess:
    """A server that can be killed and started again under the same address."""

    def __init__(self, database_url: str, folder: Path, *, workers: int, **settings: str) -> None:
        """Choose a port; nothing runs yet."""
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._folder = folder
        self._workers = workers
        self._environment = {
            **{name: value for name, value in os.environ.items() if "BATONPASS" not in name},
            "BATONPASS_DATABASE_URL": database_url,
            **{f"BATONPASS_{name}": value for name, value in settings.items()},
        }
        self._process: BaseProcess | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        log = self._folder / "server.log"
        self._process = start_command(
            ("serve", f"--port={self.port}", f"--workers={self._workers}"),
            self._folder,
            self._environment,
            (Path(os.devnull), log, log),
        )
        async with httpx.AsyncClient(base_url=self.url) as client:
            with anyio.fail_after(PATIENCE_SECONDS):
                while not await _is_ready(client):  # noqa: ASYNC110 - it is another process
                    await anyio.sleep(0.05)

    async def restart(self, **settings: str) -> None:
        """Cut it off, and start it again under the same address with other settings."""
        self.kill()
        self._environment |= {f"BATONPASS_{name}": value for name, value in settings.items()}
        await self.start()

    def kill(self) -> None:
        """End the whole group at once, as a power cut would (SIGKILL)."""
        if self._process is not None:
            assert self._process.pid is not None
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()
            self._process = None


@asynccontextmanager
async def serving(
    database_url: str, folder: Path, *, workers: int, **settings: str
) -> AsyncIterator[ServerProcess]:
    """Run a server while the test does."""
    server = ServerProcess(database_url, folder, workers=workers, **settings)
    try:
        await server.start()
        yield server
    finally:
        server.kill()


async def log_in(client: httpx.AsyncClient, email: str = "ada@example.com") -> httpx.Response:
    """Log in, making the account if there is none; the answer has the tokens."""
    await client.post("/auth/register", json={"email": email, "password": PASSWORD})
    answer = await client.post(
        "/auth/token",
        data={"username": email, "password": PASSWORD},
        headers={"X-Token-Transport": "body"},
    )
    assert answer.status_code == 200, answer.text
    return answer


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Present a refresh token."""
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def refresh_until_answered(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Present a token as a client does whose server went away: again, until somebody answers."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            try:
                answer = await refresh(client, token)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
