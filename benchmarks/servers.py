"""Real servers as processes of their own, started as an operator starts them."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import apps
from benchmarks.databases import SECRET
from benchmarks.driver import HOST, PUBLIC_URL

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 180.0  # a loaded machine; it usually takes 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers.

    Attributes:
        port: Where.
        process: It, the parent of its workers.
    """

    port: int
    process: psutil.Process


@contextmanager
def batonpass(
    database_url: str,
    algorithm: str = "HS256",
    *,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run `batonpass serve` in production's settings, and those that are named."""
    port = _free_port()
    program = str(Path(sys.executable).with_name("batonpass"))
    command = [program, "serve", f"--port={port}", f"--workers={workers}"]
    production = {
        "BATONPASS_ENVIRONMENT": "production",
        "BATONPASS_DATABASE_URL": database_url,
        "BATONPASS_SECRET_KEY": SECRET,
        "BATONPASS_PUBLIC_URL": PUBLIC_URL,
        "BATONPASS_JWT_ALGORITHM": algorithm,
    }
    with _running(command, port, production | dict(settings or {})) as server:
        yield server


@contextmanager
def app(name: str, *, database_url: str = "", algorithm: str = "HS256") -> Iterator[Server]:
    """Run an app of `apps.py` as `batonpass serve` runs its own."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.apps", name, str(port)]
    settings = {
        "PYTHONPATH": str(ROOT),
        apps.DATABASE_URL: database_url,
        apps.SECRET_KEY: SECRET,
        apps.ALGORITHM: algorithm,
    }
    with _running(command, port, settings) as server:
        yield server


@contextmanager
def echo() -> Iterator[Server]:
    """Run the echo server."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.echo", str(port)]
    with _running(command, port, {"PYTHONPATH": str(ROOT)}) as server:
        yield server


@contextmanager
def another(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[Server]:
    """Run somebody else's server; `{port}` in its command stands for where it is to listen."""
    port = _free_port()
    filled = [part.replace("{port}", str(port)) for part in command]
    with _running(filled, port, dict(settings)) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, settings: dict[str, str]) -> Iterator[Server]:
    ours = {name: value for name, value in os.environ.items() if "BATONPASS" not in name}
    with (
        tempfile.TemporaryDirectory(prefix="batonpass-benchmark-") as folder,
        Path(folder, "log").open("w+") as log,
        subprocess.Popen(
            command, cwd=folder, env=ours | settings, stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait_for(process, port, log.name)
            yield Server(port=port, process=psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: str) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"a server does not start: {Path(log).read_text()}"
    raise RuntimeError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
