"""What every command needs: the settings, the sessions' service on the settings' database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from batonpass.errors import ConfigurationError
from batonpass.origins import Origin
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.app import build_auth
from batonpass.server.engines import dispose
from batonpass.server.settings import Settings, load_settings
from batonpass.server.users import User
from batonpass.visits import Visit

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Row = dict[str, str | int | bool | None]

VISIT = Visit(origin=Origin(ip=None, device="command line"))


def run(deed: Callable[[Batonpass[User]], Awaitable[T]]) -> T:
    """Run one deed on the environment's database.

    Raises:
        ConfigurationError: There is none yet, or its tables are of another version.
        StoreUnavailableError: It cannot be reached.
    """
    settings = load_settings()
    path = settings.database_path
    if path is not None and not path.exists():  # connecting would make one that others can read
        message = f"There is no database {path} yet. Run: batonpass migrate"
        raise ConfigurationError(message)
    migrations.require_current(settings.database_url)
    return run_on(settings, deed)


def run_on(
    settings: Settings,
    deed: Callable[[Batonpass[User]], Awaitable[T]],
    *,
    by_database_clock: bool = True,
) -> T:
    """Run one deed on a database.

    Raises:
        StoreUnavailableError: It cannot be reached.
    """

    async def whole() -> T:
        auth = build_auth(settings)
        try:
            if by_database_clock:
                await auth.service.revocations.poll()
            return await deed(auth)
        finally:
            await auth.stop()
            await dispose(auth.database.engine)

    return asyncio.run(whole())


def print_rows(rows: list[Row], *, as_json: bool) -> None:
    """Print a listing: for people as a table, for programs as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("There are none.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
