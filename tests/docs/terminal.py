"""The terminal of a page's reader: its commands, what they print, and an app that answers them."""

import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from batonpass import Clock


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Serve an app as uvicorn does, heartbeat included; give a client of it."""
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://localhost:8000") as client,
    ):
        yield client


class Shell:
    """Understands the few commands that pages show, and answers them by an app."""

    def __init__(self, client: AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._jars: dict[str, dict[str, str]] = {}
        self._access_token = ""

    async def run(self, command: str) -> str:
        """Run one command; return what it prints."""
        program, *words = shlex.split(command)
        match program, words:
            case "curl", _:
                return await self._curl(words)
            case "cp", [source, target]:
                self._jars[target] = dict(self._jars[source])
            case "sleep", [seconds]:
                self._clock.follow(self._clock.now() + timedelta(seconds=int(seconds)))
            case _:
                pytest.fail(f"a page uses a command that is not known here: {command}")
        return ""

    async def _curl(self, words: list[str]) -> str:
        options = {"-X": "GET", "-b": "", "-c": ""}
        data: list[str] = []
        headers: dict[str, str] = {}
        url = ""
        ahead = iter(words)
        for word in ahead:
            if word == "-d":
                data.append(next(ahead))
            elif word == "-H":
                name, _, value = next(ahead).partition(": ")
                headers[name] = value.replace("eyJ0…", self._access_token)
            elif word in options:
                options[word] = next(ahead)
            elif word != "-s":
                url = word
        method = "POST" if data else options["-X"]
        if data:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if options["-b"]:
            jar = self._jars[options["-b"]]
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        path = re.sub(r"^localhost:800[01]", "", url)
        self._client.cookies.clear()
        response = await self._client.request(method, path, headers=headers, content="&".join(data))
        if options["-c"]:
            self._jars.setdefault(options["-c"], {}).update(_cookies(response))
        if path == "/auth/token":
            self._access_token = response.json().get("access_token", "")
        return response.text


def _cookies(response: Response) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in response.headers.get_list("set-cookie"):
        found.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
    return found


def commands_of(blocks: list[str]) -> Iterator[tuple[str, str]]:
    """Split terminal sessions into commands and what they print."""
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed.strip()


def matches(answered: str, printed: str) -> bool:
    """Compare JSON by its fields; what the page cuts short ("…") is compared that far."""
    if not printed:
        return not answered
    said, real = json.loads(printed), json.loads(answered)
    if not isinstance(said, dict):
        return bool(said == real)
    return list(said) == list(real) and all(
        isinstance(real[name], str) if str(value).endswith("…") else real[name] == value
        for name, value in said.items()
    )
