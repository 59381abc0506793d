"""`batonpass serve | openapi`."""

import json
from typing import Annotated

import typer
import uvicorn

from batonpass.errors import ConfigurationError
from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection
from batonpass.server.settings import Settings, load_settings, production_problems

GRACEFUL_SECONDS = 10
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 65  # longer than the 60 s of the usual load balancer in front


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes.", min=1)] = 1,
) -> None:
    """Serve the API and the web app."""
    settings = load_settings()
    _prepare(settings)
    if workers == 1:
        print(f"Batonpass serves on http://{_shown(host)}:{port}", flush=True)
    else:
        print(f"Batonpass serves on http://{_shown(host)}:{port} ({workers} workers)", flush=True)
    uvicorn.run(
        "batonpass.server.app:build_app_from_environment",
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
        backlog=BACKLOG,
    )


def openapi() -> None:
    """Print the OpenAPI schema."""
    schema = build_app(load_settings()).openapi()
    print(json.dumps(schema, indent=2))


def _prepare(settings: Settings) -> None:
    """Refuse what is unsafe in production; bring a development database up to date."""
    problems = production_problems(settings)
    if settings.is_production and problems:
        message = "\n".join(f"{one.setting}: {one.problem} {one.cure}" for one in problems)
        raise ConfigurationError(message)
    if settings.is_production:
        migrations.require_current(settings.database_url)
    else:
        migrations.upgrade(settings.database_url)


def _shown(host: str) -> str:
    if host in {"127.0.0.1", "0.0.0.0", "::", "::1"}:  # noqa: S104 - compared
        return "localhost"
    return f"[{host}]" if ":" in host else host
