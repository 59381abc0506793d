"""An issuer that publishes its keys on a real port, or answers whatever a test has it answer."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import anyio
from anyio.to_thread import run_sync
from starlette.types import Receive, Scope, Send

from batonpass.keys import KeyRing
from tests.support.live_server import PATIENCE_SECONDS, listening
from tests.support.tokens import NOW, RING

JWKS_PATH = "/.well-known/jwks.json"
Answer = Callable[[Send], Awaitable[None]]


class Issuer:
    """Answers for its JWK set, and counts how often it was asked.

    Attributes:
        url: Where the set stands.
        asked: How often it was asked for it.
        answer: What it answers with; None: the keys of `ring`.
    """

    def __init__(self) -> None:
        """Publish nothing yet."""
        self.url = ""
        self.restart()

    def restart(self, ring: KeyRing = RING) -> None:
        """Be as new: publish the keys of `ring`, and have been asked for nothing."""
        self.ring = ring
        self.asked = 0
        self.elsewhere = 0
        self.answer: Answer | None = None

    def jwks(self) -> bytes:
        """Write the set as our route does."""
        return json.dumps(self.ring.jwks(NOW)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] != JWKS_PATH:
            self.elsewhere += 1
            await body(self.jwks())(send)
            return
        self.asked += 1
        # Whoever hangs up ends what never ends.
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await (self.answer or body(self.jwks()))(send)
            group.cancel_scope.cancel()


@contextmanager
def publishing(*, certificate: Path | None = None) -> Iterator[Issuer]:
    """Run an issuer on a port of its own."""
    issuer = Issuer()
    with listening(issuer, certificate=certificate) as origin:
        issuer.url = f"{origin}{JWKS_PATH}"
        yield issuer


def body(content: bytes, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    """Answer with this."""

    async def answer(send: Send) -> None:
        await send(_start(status, headers))
        await send({"type": "http.response.body", "body": content})

    return answer


def endless(chunk: bytes, *, pause_seconds: float = 0) -> Answer:
    """Answer without an end: a gigabyte at once, or byte by byte."""

    async def answer(send: Send) -> None:
        await send(_start(200, {}))
        while True:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await anyio.sleep(pause_seconds)

    return answer


def held(until: Event, content: bytes) -> Answer:
    """Answer with this once the test, which runs in another thread, says so."""

    async def answer(send: Send) -> None:
        assert await run_sync(until.wait, PATIENCE_SECONDS), "nobody let it go"
        await body(content)(send)

    return answer


async def silence(send: Send) -> None:
    """Take the request, and never answer."""
    await anyio.sleep_forever()


def _start(status: int, headers: Mapping[str, str]) -> dict[str, object]:
    written = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": written}
