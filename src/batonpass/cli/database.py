"""`batonpass migrate | purge | doctor`: the database and the configuration."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from batonpass.cli.context import run, run_on
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.diagnosis import Finding, diagnose_database, diagnose_settings
from batonpass.server.settings import load_settings
from batonpass.server.users import User


def migrate() -> None:
    """Bring the database's tables up to date; running it twice is harmless."""
    migrations.upgrade(load_settings().database_url)
    print("The database is up to date.")


def purge() -> None:
    """Delete what nobody can need any more."""

    async def deed(auth: Batonpass[User]) -> dict[str, int]:
        return await auth.service.purge()

    for table, rows in run(deed).items():
        print(f"{table}: {rows} deleted")


def doctor(
    workers: Annotated[int, typer.Option(help="How many processes will serve.", min=1)] = 1,
) -> None:
    """Check configuration and database; exit code 1 when something is unsafe."""
    settings = load_settings()
    findings = diagnose_settings(settings, workers=workers)

    async def deed(auth: Batonpass[User]) -> list[Finding]:
        return await diagnose_database(settings, auth)

    if not any(one.is_unsafe and one.subject.endswith("SECRET_KEY") for one in findings):
        findings += run_on(settings, deed, by_database_clock=False)
    console = Console(soft_wrap=True)
    for finding in findings:
        mark = "[red]unsafe[/red]" if finding.is_unsafe else "[yellow]note[/yellow]  "
        told = f"{finding.subject}: {finding.problem} {finding.cure}"
        console.print(f"{mark}  {escape(told)}", highlight=False)
    if not findings:
        console.print("[green]All is well.[/green]")
    if any(finding.is_unsafe for finding in findings):
        sys.exit(1)
