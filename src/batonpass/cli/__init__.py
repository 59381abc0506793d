"""`batonpass`: serve, and look after a server's database. One file per noun."""

import logging
import sys
from typing import NoReturn

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
    """Run the command line; whatever it cannot do is one clear line, and no exit code 0."""
    # What the log would say of it, the error's sentence says; `serve` sets up a log of its own.
    logging.getLogger("batonpass.storage").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)  # else a mistake is told in a box of six lines
    except BatonpassError as error:
        _refuse(error.detail, 1)
    except typer.TyperException as error:
        _refuse(error.format_message(), error.exit_code)
    except typer.Abort:
        _refuse("Nothing was done.", 1)
    sys.exit(code)


def _refuse(sentence: str, code: int) -> NoReturn:
    if sentence:  # a noun alone, `batonpass users`, has shown its help
        sys.stderr.write(f"batonpass: {sentence}\n")
    sys.exit(code)
