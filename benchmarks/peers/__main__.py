"""What do other libraries' refreshes cost, beside ours?

64 clients that chain their newest token, one worker each, all by turns in one run, on the same
PostgreSQL. simplejwt and django-oauth-toolkit write every rotation down, authx nothing.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import servers
from benchmarks.apps import DATABASE_URL, SECRET_KEY
from benchmarks.databases import SECRET
from benchmarks.driver import FORM, JSON, TOKEN, Load
from benchmarks.machine import describe
from benchmarks.rounds import Measurement, Rounds, Variant, compare, measure, typical
from benchmarks.rows import Row, table
from benchmarks.stage import CLIENTS, Stage, a_stage
from tests.support.postgres import fresh_database
from tools.peers import PYTHON

QUESTION = "peers"
OURS = "Batonpass, HS256"
ROUNDS = 3
SECONDS = 2.0
APPS = "benchmarks.peers.apps"
THREADS = 16  # of 64 clients' requests, as many wait for PostgreSQL at a time
PACKAGES = ("django", "djangorestframework-simplejwt", "django-oauth-toolkit", "authx", "gunicorn")

GUNICORN = (
    str(PYTHON), "-m", "gunicorn", "django.core.wsgi:get_wsgi_application()",
    "--bind=127.0.0.1:{port}", "--workers=1", "--worker-class=gthread", f"--threads={THREADS}",
    "--keep-alive=75", "--log-level=error", "--no-control-socket",
)  # fmt: skip
UVICORN = (
    str(PYTHON), "-m", "uvicorn", f"{APPS}.authx_app:app", "--port={port}", "--loop=uvloop",
    "--http=httptools", "--no-access-log", "--log-level=error",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another library's refresh.

    Attributes:
        name: What its rows say.
        seed: The module that prints refresh tokens, and its arguments but for their number.
        command: Its server.
        path: Where it refreshes.
        template: The body, with TOKEN in it.
        media_type: What the body is.
        member: Where the answer has the next token.
        stores: It needs a database.
    """

    name: str
    seed: Sequence[str]
    command: Sequence[str]
    path: str
    template: str
    media_type: str
    member: str
    stores: bool = True


PEERS = (
    Peer(
        name="simplejwt (rotates, blacklists)",
        seed=(f"{APPS}.seed", "simplejwt"),
        command=GUNICORN,
        path="/simplejwt/refresh",
        template=f'{{"refresh":"{TOKEN}"}}',
        media_type=JSON,
        member="refresh",
    ),
    Peer(
        name="django-oauth-toolkit (rotates)",
        seed=(f"{APPS}.seed", "oauth-toolkit"),
        command=GUNICORN,
        path="/oauth/token",
        template=f"grant_type=refresh_token&client_id=browser&refresh_token={TOKEN}",
        media_type=FORM,
        member="refresh_token",
    ),
    Peer(
        name="authx (stateless: nothing is stored, no reuse is noticed)",
        seed=(f"{APPS}.authx_app",),
        command=UVICORN,
        path="/refresh",
        template=f'{{"refresh_token":"{TOKEN}"}}',
        media_type=JSON,
        member="refresh_token",
        stores=False,
    ),
)


def run() -> list[Row]:
    """Measure all of them by turns."""
    with a_stage() as stage, ExitStack() as stack:
        ours = stage.refreshes(OURS, stage.serve("HS256", sessions=CLIENTS))
        theirs = [stack.enter_context(_serving(peer, stage)) for peer in PEERS]
        return judge(measure(stage.driver, [ours, *theirs], rounds=ROUNDS, seconds=SECONDS))


@contextmanager
def _serving(peer: Peer, stage: Stage) -> Iterator[Variant]:
    """Run a peer's server on a database of its own, with a session for each client."""
    with fresh_database(stage.postgres.url) as url:
        settings = {
            DATABASE_URL: url,
            SECRET_KEY: SECRET,
            "DJANGO_SETTINGS_MODULE": f"{APPS}.settings",
            "PYTHONPATH": str(servers.ROOT),
        }
        tokens = _seed(peer, settings)
        stage.postgres.ask("VACUUM ANALYZE", url)
        stage.postgres.ask("CHECKPOINT")
        with servers.another(peer.command, settings) as server:
            load = Load(
                name=peer.name,
                port=server.port,
                path=peer.path,
                tokens=tokens,
                template=peer.template,
                media_type=peer.media_type,
                member=peer.member,
                clients=CLIENTS,
            )
            stage.driver.add(load)
            database = stage.postgres.postmaster if peer.stores else None
            yield Variant(name=peer.name, server=server.process, database=database)


def _seed(peer: Peer, settings: Mapping[str, str]) -> list[str]:
    said = _python("-m", *peer.seed, str(CLIENTS), settings=settings)
    tokens: list[str] = json.loads(said)
    return tokens


def _python(*arguments: str, settings: Mapping[str, str]) -> str:
    """Return what the peers' Python prints."""
    return subprocess.run(
        [PYTHON, *arguments],
        env=os.environ | settings,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout


def judge(rounds: Rounds) -> list[Row]:
    """Turn the rounds into rows: ours, then how many times our CPU each of the others takes."""
    ours = rounds[OURS]
    rows = [Row(question=QUESTION, what=OURS, figure=_figure(ours))]
    for name, found in rounds.items():
        if name != OURS:
            ratio = compare(found, ours, lambda one: one.cpu_us)
            what = f"{name}: CPU, of ours"
            rows.append(Row(question=QUESTION, what=what, figure=_figure(found), ratio=ratio))
    return rows


def _figure(rounds: Sequence[Measurement]) -> str:
    rate = typical(rounds, lambda one: one.rate)
    server = typical(rounds, lambda one: one.server_us)
    database = typical(rounds, lambda one: one.database_us)
    return f"{rate:,.0f}/s, {server:,.0f} + {database:,.0f} µs CPU (server + PostgreSQL)"


def versions() -> str:
    """Say which versions were measured."""
    program = (
        "import sys; from importlib.metadata import version;"
        "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    return _python("-c", program, *PACKAGES, settings={}).strip()


if __name__ == "__main__":
    machine = describe()
    print(table(run()))
    print(f"Beside {versions()}. {machine.sentence()}")
