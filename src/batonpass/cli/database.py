"""`batonpass migrate | purge | doctor`: the database and the configuration."""

import sys

from rich.console import Console

from batonpass.cli.context import run, run_on
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.diagnosis import Finding, diagnose
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


def doctor() -> None:
    """Check configuration and database; exit code 1 when something is unsafe."""
    settings = load_settings()

    async def deed(auth: Batonpass[User]) -> list[Finding]:
        return await diagnose(settings, auth)

    findings = run_on(settings, deed, by_database_clock=False)
    console = Console(soft_wrap=True)
    for finding in findings:
        mark = "[red]unsafe[/red]" if finding.is_unsafe else "[yellow]note[/yellow]  "
        console.print(f"{mark}  {finding.subject} {finding.problem} {finding.cure}")
    if not findings:
        console.print("[green]All is well.[/green]")
    if any(finding.is_unsafe for finding in findings):
        sys.exit(1)
