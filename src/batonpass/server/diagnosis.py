"""What `batonpass doctor` finds: what is unsafe, and what an operator should know.

Source: docs/security.md, S-OPS-1 and S-OPS-2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select, text

from batonpass.errors import StoreUnavailableError
from batonpass.keys import KeyState
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.settings import PREFIX, Settings, production_problems
from batonpass.server.users import User

MAX_CLOCK_DIFFERENCE: Final = timedelta(seconds=2)
MANY_USERS: Final = 5  # that many at one address are an office, or a proxy that nobody named
_LONG_GRACE_SECONDS: Final = 60
_COUNTRY_LETTERS: Final = 2
_SHORT_LABEL: Final = 3  # "co" of co.uk, "com" of com.au: no site of anybody's own
# What makes a commit last: fsync and full_page_writes through a power cut, the third through any
# crash. `local` and above wait for this server's own disk.
_DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")

# A standby that is sent what happens and not waited for; logical slots feed other things.
_WAITED_FOR_BY_NOBODY: Final = """
SELECT count(*)
  FROM pg_stat_replication AS sender
 WHERE current_setting('synchronous_standby_names') = ''
   AND NOT EXISTS (SELECT 1
                     FROM pg_replication_slots AS slot
                    WHERE slot.active_pid = sender.pid
                      AND slot.slot_type = 'logical')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        is_unsafe: It must not be so; else it is worth knowing.
        subject: Which setting or part.
        problem: What is so.
        cure: What to do.
    """

    is_unsafe: bool
    subject: str
    problem: str
    cure: str


def diagnose_settings(settings: Settings, *, workers: int = 1) -> list[Finding]:
    """Ask the settings and the files.

    Args:
        settings: What was set.
        workers: How many processes will serve.
    """
    return [
        *(
            Finding(
                is_unsafe=settings.is_production,
                subject=one.setting,
                problem=one.problem,
                cure=one.cure,
            )
            for one in production_problems(settings)
            if settings.is_production or not one.setting.endswith(("SECRET_KEY", "DATABASE_URL"))
        ),
        *_notes(settings, workers),
    ]


def several_workers_on_sqlite(settings: Settings, workers: int) -> Finding | None:
    """Note that more processes will not be faster where one file has one writer."""
    if not settings.is_sqlite or workers == 1:
        return None
    return _note(
        "DATABASE_URL",
        f"is SQLite, which {workers} workers would share: it writes for one at a time, so the "
        "others wait.",
        "Use one worker, or PostgreSQL.",
    )


async def diagnose_database(settings: Settings, auth: Batonpass[User]) -> list[Finding]:
    """Ask the database."""
    path = settings.database_path
    if path is not None and not path.exists():  # looking into it would make it
        return [_unsafe("database", "There is none yet.", "Run: batonpass migrate")]
    try:
        current = await auth.database.read(migrations.is_current)
        findings = [
            *await find_unsafe_database(auth),
            *await _about_clock(auth),
            *await auth.database.read(_about_replication),
        ]
        if not current:
            update = "Run: batonpass migrate"
            return [_unsafe("database", "Its tables are not up to date.", update), *findings]
        return [*findings, *await _about_addresses(auth), *await _about_keys(auth)]
    except StoreUnavailableError as error:
        why = str(error.__cause__ or error)[:200]
        problem = f"The database cannot be reached ({why})."
        return [_unsafe(f"{PREFIX}DATABASE_URL", problem, "Start it, or mend the URL.")]


async def find_unsafe_database(auth: Batonpass[User]) -> list[Finding]:
    """Find what is unsafe in production, and only the database can tell (S-OPS-1).

    Raises:
        StoreUnavailableError: It cannot be reached.
    """
    return [
        _unsafe(
            f"PostgreSQL's {name}",
            "is off: a crash may undo a rotation that was answered, and its user is logged out.",
            f"Run: ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
        )
        for name in await auth.database.read(_not_durable)
    ]


# --- the settings ------------------------------------------------------------------------------


def _notes(settings: Settings, workers: int) -> Iterator[Finding]:
    grace = settings.refresh_grace_seconds
    if grace == 0:
        yield _note(
            "REFRESH_GRACE_SECONDS",
            "is 0: two tabs at once, or a lost answer, end the session.",
            "Set it to 30 unless that is meant.",
        )
    if grace > _LONG_GRACE_SECONDS:
        yield _note(
            "REFRESH_GRACE_SECONDS",
            "is long: a thief who comes that soon after the owner goes unseen.",
            "Set it to 30.",
        )
    if settings.jwt_algorithm == "HS256":
        yield _note(
            "JWT_ALGORITHM",
            "is HS256: the JWKS is empty, and a service that verifies access tokens would need a "
            "key that can also make them.",
            "Set it to ES256 if another service verifies them.",
        )
    sites = _other_sites(settings)
    if sites and settings.cookie_samesite != "none":
        yield _note(
            "COOKIE_SAMESITE",
            f"is {settings.cookie_samesite}: pages of {', '.join(sites)}, which CORS_ORIGINS "
            "lists, are of another site and never send the cookie.",
            "Set it to none, or serve them from the same site.",
        )
    shared = several_workers_on_sqlite(settings, workers)
    if shared is not None:
        yield shared


def _other_sites(settings: Settings) -> list[str]:
    """List the CORS_ORIGINS that are of another site than PUBLIC_URL, as far as names tell."""
    if settings.public_url is None:
        return []
    own = _site(settings.public_url)
    return [origin for origin in settings.cors_origins if _site(origin) != own]


def _site(origin: str) -> tuple[str, str]:
    """Return scheme and registrable domain: two labels, three below such as co.uk.

    Browsers ask the Public Suffix List. For a hint this is near enough: where it errs, it takes
    two users of one hoster for one site.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        *_, below, top = ("", *labels)
        by_country = len(top) == _COUNTRY_LETTERS and len(below) <= _SHORT_LABEL
        return parts.scheme, ".".join(labels[-3 if by_country else -2 :])
    return parts.scheme, host


# --- the database ------------------------------------------------------------------------------


def _not_durable(connection: Connection) -> list[str]:
    if connection.dialect.name != "postgresql":  # on SQLite our engine sets it
        return []
    asked = text("SELECT current_setting(:name)")
    return [name for name in _DURABLE if connection.scalar(asked, {"name": name}) == "off"]


async def _about_clock(auth: Batonpass[User]) -> list[Finding]:
    time = await auth.database.read(auth.store.database_time)
    if time is None:
        return []
    difference = abs(time - auth.clock.now())
    if difference <= MAX_CLOCK_DIFFERENCE:
        return []
    problem = f"This machine's is {difference.total_seconds():.0f} s away from the database's."
    return [_finding("clock", problem, "Run an NTP client on both.")]


def _about_replication(connection: Connection) -> list[Finding]:
    if connection.dialect.name != "postgresql" or not connection.scalar(
        text(_WAITED_FOR_BY_NOBODY)
    ):
        return []
    return [
        _finding(
            "PostgreSQL's synchronous_standby_names",
            "is empty, yet there is a standby: a failover loses the last rotations, and their "
            "sessions end as `history_forked`.",
            "Name the standby there.",
        )
    ]


async def _about_addresses(auth: Batonpass[User]) -> list[Finding]:
    families = auth.tables.refresh_tokens
    statement = select(
        func.count(families.c.user_id.distinct()),
        func.count(families.c.ip.distinct()),
        func.min(families.c.ip),
    ).where(families.c.ended_at.is_(None), families.c.ip.is_not(None))
    people, addresses, address = await auth.database.read(
        lambda connection: tuple(connection.execute(statement).one())
    )
    if people < MANY_USERS or addresses > 1:
        return []
    return [
        _note(
            "TRUSTED_PROXIES",
            f"lacks a proxy, it seems: the sessions of all {people} users come from {address}, so "
            "throttles take them for one.",
            f"If {address} is your proxy, list it there.",
        )
    ]


async def _about_keys(auth: Batonpass[User]) -> list[Finding]:
    states = [state for _, state in await auth.service.signing_keys.list_all()]
    findings = []
    if KeyState.ISSUING not in states:
        problem = "There is none that signs: nobody can log in."
        findings.append(_unsafe("signing keys", problem, "Run: batonpass keys rotate --withdraw"))
    if KeyState.UNKNOWN in states:
        findings.append(
            _finding(
                "signing keys",
                "The database names some that SECRET_KEY does not derive: they are ignored.",
                "See: batonpass keys list. They are of a former SECRET_KEY, or somebody wrote "
                "into the table.",
            )
        )
    return findings


def _unsafe(subject: str, problem: str, cure: str) -> Finding:
    return Finding(is_unsafe=True, subject=subject, problem=problem, cure=cure)


def _finding(subject: str, problem: str, cure: str) -> Finding:
    return Finding(is_unsafe=False, subject=subject, problem=problem, cure=cure)


def _note(setting: str, problem: str, cure: str) -> Finding:
    return _finding(PREFIX + setting, problem, cure)
