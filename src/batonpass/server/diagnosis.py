"""What `batonpass doctor` finds: what is unsafe, and what an operator should know.

Source: docs/security.md, S-OPS-1 and S-OPS-2.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from batonpass.errors import StoreUnavailableError
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.settings import Settings, production_problems
from batonpass.server.users import User

MAX_CLOCK_DIFFERENCE = timedelta(seconds=2)
_LONG_GRACE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        is_unsafe: It must not be so in production; else it is worth knowing.
        subject: Which setting or part.
        problem: What is so.
        cure: What to do.
    """

    is_unsafe: bool
    subject: str
    problem: str
    cure: str


async def diagnose(settings: Settings, auth: Batonpass[User]) -> list[Finding]:
    """Ask the settings, the files and the database."""
    findings = [
        Finding(settings.is_production, one.setting, one.problem, one.cure)
        for one in production_problems(settings)
        if settings.is_production or not one.setting.endswith(("SECRET_KEY", "DATABASE_URL"))
    ]
    findings += _notes(settings)
    findings += [finding async for finding in _about_database(settings, auth)]
    return findings


def _notes(settings: Settings) -> list[Finding]:
    grace = settings.refresh_grace_seconds
    notes = [
        (
            grace == 0,
            "BATONPASS_REFRESH_GRACE_SECONDS",
            "is 0: two tabs at once, or a lost answer, end the session.",
            "Set it to 30 unless that is meant.",
        ),
        (
            grace > _LONG_GRACE_SECONDS,
            "BATONPASS_REFRESH_GRACE_SECONDS",
            "is long: a thief who comes that soon after the owner goes unseen.",
            "Set it to 30.",
        ),
        (
            settings.cookie_samesite == "strict" and _has_foreign_site(settings),
            "BATONPASS_COOKIE_SAMESITE",
            "is strict, yet CORS_ORIGINS lists other hosts: if they are another site, their pages "
            "never send the cookie.",
            "Set it to none (with https) if they are another site.",
        ),
    ]
    return [Finding(False, *rest) for applies, *rest in notes if applies]  # noqa: FBT003 - a row


async def _about_database(settings: Settings, auth: Batonpass[User]) -> AsyncIterator[Finding]:
    path = settings.database_path
    if path is not None and not path.exists():  # looking into it would make it
        yield Finding(
            is_unsafe=True,
            subject="database",
            problem="There is none yet.",
            cure="Run: batonpass migrate",
        )
        return
    try:
        current = await auth.database.read(migrations.is_current)
        time = await auth.database.read(auth.store.database_time)
        unsafe = await auth.database.read(_durability)
    except StoreUnavailableError as error:
        why = str(error.__cause__ or error)[:200]
        yield Finding(
            is_unsafe=True,
            subject="BATONPASS_DATABASE_URL",
            problem=f"The database cannot be reached ({why}).",
            cure="Start it, or mend the URL.",
        )
        return
    if not current:
        yield Finding(
            is_unsafe=True,
            subject="database",
            problem="Its tables are not up to date.",
            cure="Run: batonpass migrate",
        )
    if time is not None:
        difference = abs(time - auth.clock.now())
        if difference > MAX_CLOCK_DIFFERENCE:
            yield Finding(
                is_unsafe=False,
                subject="clock",
                problem=f"This machine's clock is {difference.total_seconds():.0f} s off.",
                cure="Run an NTP client.",
            )
    for name in unsafe:
        yield Finding(
            is_unsafe=True,
            subject=name,
            problem="is off in PostgreSQL: a crash may undo a rotation that was answered.",
            cure=f"Set {name} = on.",
        )


def _durability(connection: Connection) -> list[str]:
    if connection.dialect.name != "postgresql":
        return []
    return [
        name
        for name in ("fsync", "synchronous_commit", "full_page_writes")
        if connection.scalar(text("SELECT current_setting(:name)"), {"name": name}) == "off"
    ]


def _has_foreign_site(settings: Settings) -> bool:
    public = settings.public_url or ""
    host = public.rpartition("/")[2]
    return any(host not in origin for origin in settings.cors_origins) and bool(public)
