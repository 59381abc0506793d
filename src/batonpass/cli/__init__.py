"""`batonpass`: serve, and look after a server's database. One file per noun."""

import logging
import sys

import typer

from batonpass.cli import database, keys, serving, sessions, users
from batonpass.errors import BatonpassError

app = typer.Typer(
    name="batonpass",
    help="Secure sessions for FastAPI + React: the server and its tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serving.serve)
app.command()(serving.openapi)
app.command()(database.migrate)
app.command()(database.doctor)
app.command()(database.purge)
app.add_typer(users.app, name="users")
app.add_typer(sessions.app, name="sessions")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command line; an error of ours is one clear line and exit code 1."""
    # What the log would say of it, the error's sentence says; `serve` sets up a log of its own.
    logging.getLogger("batonpass.storage").addHandler(logging.NullHandler())
    try:
        app()
    except BatonpassError as error:
        sys.stderr.write(f"batonpass: {error.detail}\n")
        sys.exit(1)
