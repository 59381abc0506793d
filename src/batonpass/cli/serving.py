"""`batonpass serve | openapi`."""

import errno
import json
import os
import socket
import sys
from contextlib import nullcontext
from typing import Annotated

import typer
import uvicorn

from batonpass.cli.context import run_on
from batonpass.errors import ConfigurationError
from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection, allow_many_files
from batonpass.server.diagnosis import find_unsafe_database, several_workers_on_sqlite
from batonpass.server.metrics import counted_together
from batonpass.server.passwords import WORKERS_VARIABLE
from batonpass.server.settings import Settings, load_settings, require_safe

GRACEFUL_SECONDS = 10
BACKLOG = 2048
# A worker is silent while it imports us: 2 s of computing, 10 on a busy machine. Uvicorn's 5 s kill
# it then, and the next one, for ever: the server never comes up.
WORKER_SILENT_SECONDS = 60
KEEP_ALIVE_SECONDS = 65  # longer than the 60 s of the usual load balancer in front


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes.", min=1)] = 1,
) -> None:
    """Serve the API and the web app."""
    settings = load_settings()
    _require_free(host, port)
    _prepare(settings)
    if (note := several_workers_on_sqlite(settings, workers)) is not None:
        print(f"Note: {note.subject} {note.problem} {note.cure}", file=sys.stderr)
    if workers == 1:
        print(f"Batonpass serves on http://{_shown(host)}:{port}", flush=True)
    else:
        print(f"Batonpass serves on http://{_shown(host)}:{port} ({workers} workers)", flush=True)
    os.environ[WORKERS_VARIABLE] = str(workers)  # each hashes on its share of the cores (S-PW-5)
    with counted_together() if settings.metrics and workers > 1 else nullcontext():
        run_server(
            "batonpass.server.app:build_app_from_environment",
            host=host,
            port=port,
            workers=workers,
        )


def run_server(factory: str, *, host: str, port: int, workers: int) -> None:
    """Run the app that `module:function` makes, until it is told to end.

    `serve` runs ours so; the benchmarks run what it is compared with.
    """
    allow_many_files()
    uvicorn.run(
        factory,
        factory=True,
        http=Connection,
        host=host,
        port=port,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # it would trust 127.0.0.1; TRUSTED_PROXIES decides (S-THR-4)
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=WORKER_SILENT_SECONDS,
        backlog=BACKLOG,
    )


def openapi() -> None:
    """Print the OpenAPI schema."""
    schema = build_app(load_settings()).openapi()
    print(json.dumps(schema, indent=2))


def _require_free(host: str, port: int) -> None:
    """Refuse in one sentence, before anything is said or migrated, where nobody could listen.

    Raises:
        ConfigurationError: Nobody can listen there.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn's own
            probe.bind(address)
    except OSError as error:
        message = f"Cannot listen on {host}, port {port}: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} is taken: does Batonpass run already? --port chooses another."
        raise ConfigurationError(message) from error


def _prepare(settings: Settings) -> None:
    """Refuse what is unsafe in production; bring a development database up to date."""
    if not settings.is_production:
        migrations.upgrade(settings.database_url)
        return
    require_safe(settings)
    migrations.require_current(settings.database_url)
    unsafe = run_on(settings, find_unsafe_database, by_database_clock=False)
    if unsafe:
        message = "\n".join(f"{one.subject} {one.problem} {one.cure}" for one in unsafe)
        raise ConfigurationError(message)


def _shown(host: str) -> str:
    if host in {"127.0.0.1", "0.0.0.0", "::", "::1"}:  # noqa: S104 - compared
        return "localhost"
    return f"[{host}]" if ":" in host else host
