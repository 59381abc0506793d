"""What do others feel of 500 logins at once, each from an address of its own, as in A31?

`python -m benchmarks.login_flood`. They are sent by a process of its own, a wave in each round,
with wrong passwords of accounts that are there. Meanwhile a crowd refreshes by the clock.
"""

import os
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from batonpass.server.connections import allow_many_files
from batonpass.server.passwords import ARGON2_MEMORY_KIB
from benchmarks.databases import seed
from benchmarks.driver import HOST, PUBLIC_URL
from benchmarks.rounds import compare, run_round, typical
from benchmarks.rows import Bar, Row, table
from benchmarks.stage import a_stage

QUESTION = "login_flood"
LOGINS = 500
CLIENTS, PER_SECOND = 16, 100.0
SECONDS, ROUNDS = 8.0, 4
P99_BAR = 5.0  # docs/security.md, A31
MEMORY_BAR_MIB = (os.cpu_count() or 1) * ARGON2_MEMORY_KIB / 1024 + 64
PATIENCE_SECONDS = 120.0
_OTHERS = "others"

Statuses = Counter[int]


def run() -> list[Row]:
    """Measure, and hold against the bars."""
    with a_stage() as stage:
        running = stage.serve("HS256", keep=CLIENTS, settings={"BATONPASS_TRUSTED_PROXIES": HOST})
        names = [f"{one.user_id.hex}@example.com" for one in seed(running.url, LOGINS)]
        others = stage.refreshes(_OTHERS, running, clients=CLIENTS, rate=PER_SECOND)
        quiet, beside, told = [], [], Statuses()
        run_round(stage.driver, others, 1.0)
        before = most = others.server.memory_info().rss
        for _ in range(ROUNDS):
            quiet.append(run_round(stage.driver, others, SECONDS))
            with _a_wave(running.server.port, names) as wave:
                beside.append(run_round(stage.driver, others, SECONDS))
                told += _statuses(wave)
            most = max(most, others.server.memory_info().rss)
    alone, meanwhile = (1e3 * typical(rounds, lambda one: one.p99) for rounds in (quiet, beside))
    middle = [1e3 * typical(rounds, lambda one: one.p50) for rounds in (quiet, beside)]
    grown = (most - before) / 2**20
    return [
        Row(
            question=QUESTION,
            what=f"p99 of {SECONDS:.0f} s of refreshes beside {LOGINS} logins, of that alone",
            figure=f"{meanwhile:.1f} ms; alone {alone:.1f} ms "
            f"(median {middle[1]:.1f}; alone {middle[0]:.1f})",
            ratio=compare(beside, quiet, lambda one: one.p99),
            side=Bar.AT_MOST,
            bar=P99_BAR,
        ),
        Row(
            question=QUESTION,
            what="what the logins were told",
            figure=", ".join(f"{count} × {status}" for status, count in sorted(told.items())),
        ),
        Row(
            question=QUESTION,
            what="MiB that the worker grew by",
            figure=f"{grown:.0f} MiB",
            ratio=grown,
            side=Bar.AT_MOST,
            bar=MEMORY_BAR_MIB,
        ),
    ]


@contextmanager
def _a_wave(port: int, names: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Send them beside, a moment from now."""
    command = (sys.executable, "-m", f"benchmarks.{QUESTION}", "wave", str(port))
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as wave:
        assert wave.stdin is not None
        assert wave.stdout is not None
        wave.stdin.write("\n".join(names) + "\n\n")
        wave.stdin.flush()
        wave.stdout.readline()  # it has imported and connected
        wave.stdin.close()
        yield wave


def _statuses(wave: "subprocess.Popen[str]") -> Statuses:
    assert wave.stdout is not None
    return Statuses(int(status) for status in wave.stdout.read().split())


def _be_a_wave(port: int) -> None:
    """Connect as many as there are names, log in on all at once; print how each was answered."""
    allow_many_files()
    requests = [_request(number, line.strip()) for number, line in enumerate(iter(input, ""))]
    peers = [socket.create_connection((HOST, port)) for _ in requests]
    selector = selectors.DefaultSelector()
    for peer in peers:
        selector.register(peer, selectors.EVENT_READ, peer)
    print("ready", flush=True)
    sys.stdin.read()
    time.sleep(0.5)  # the others' round has begun
    for peer, request in zip(peers, requests, strict=True):
        peer.sendall(request)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while selector.get_map() and time.monotonic() < give_up:
        for key, _ in selector.select(1):
            peer = key.data
            print(peer.recv(4096)[9:12].decode() or "0")
            selector.unregister(peer)
            peer.close()


def _request(number: int, name: str) -> bytes:
    body = urlencode({"username": name, "password": "not the one"})
    head = (
        "POST /auth/token HTTP/1.1",
        "Host: app.example.com",
        f"Origin: {PUBLIC_URL}",
        "Sec-Fetch-Site: same-origin",
        f"X-Forwarded-For: 198.18.{number // 250}.{number % 250 + 1}",
        "X-Forwarded-Proto: https",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["wave", port]:
            _be_a_wave(int(port))
        case _:
            print(table(run()))
