"""What `doctor` finds, on both databases: nothing where all is well, else a thing and its cure."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import update

from batonpass.cli.context import VISIT
from batonpass.clock import Clock as RealClock
from batonpass.plugin import Batonpass
from batonpass.server import migrations
from batonpass.server.app import build_auth
from batonpass.server.diagnosis import (
    MANY_USERS,
    MAX_CLOCK_DIFFERENCE,
    Finding,
    diagnose_database,
    diagnose_settings,
)
from batonpass.server.engines import dispose
from batonpass.server.settings import Settings
from batonpass.server.users import User
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.servers import Server, a_server, log_in, settings_of

AWAY = "postgresql://nobody@127.0.0.1:1/none"
POSTGRESQL = "postgresql://localhost/app"


def told(findings: list[Finding]) -> list[str]:
    for finding in findings:
        assert finding.problem.endswith(".")
        assert finding.cure, finding
    return [finding.subject.removeprefix("BATONPASS_") for finding in findings]


@asynccontextmanager
async def an_operator(
    settings: Settings, clock: RealClock | None = None
) -> AsyncIterator[Batonpass[User]]:
    auth = build_auth(settings, clock)
    try:
        yield auth
    finally:
        await auth.stop()
        await dispose(auth.database.engine)


async def found_in(url: str, clock: RealClock | None = None, **overrides: Any) -> list[Finding]:
    settings = settings_of(url, **overrides)
    async with an_operator(settings, clock) as auth:
        return await diagnose_database(settings, auth)


# --- the settings ------------------------------------------------------------------------------


PUBLIC = {"public_url": "https://app.example.com"}
ANOTHER_SITE = "COOKIE_SAMESITE"


@pytest.mark.parametrize(("overrides", "subjects"), [
    pytest.param({}, [], id="the defaults"),
    pytest.param({"refresh_grace_seconds": 0}, ["REFRESH_GRACE_SECONDS"], id="no grace"),
    pytest.param({"refresh_grace_seconds": 60}, [], id="a minute of grace"),
    pytest.param({"refresh_grace_seconds": 61}, ["REFRESH_GRACE_SECONDS"], id="more than that"),
    pytest.param({"jwt_algorithm": "HS256"}, ["JWT_ALGORITHM"], id="HS256: nobody can verify"),
    pytest.param({"jwt_algorithm": "EdDSA"}, [], id="EdDSA"),
    pytest.param({**PUBLIC, "cors_origins": "https://spa.example.com"}, [], id="the same site"),
    pytest.param({**PUBLIC, "cors_origins": "https://example.com"}, [], id="its parent"),
    pytest.param({**PUBLIC, "cors_origins": "https://app.example.com:8443"}, [], id="a port"),
    pytest.param({**PUBLIC, "cors_origins": "https://spa.example.org"}, [ANOTHER_SITE],
                 id="another site"),
    pytest.param({**PUBLIC, "cors_origins": "http://localhost:5173"}, [ANOTHER_SITE],
                 id="a developer's machine"),
    pytest.param({"public_url": "https://a.firm.co.uk", "cors_origins": "https://b.firm.co.uk"},
                 [], id="the same site below a country"),
    pytest.param({"public_url": "https://firm.co.uk", "cors_origins": "https://other.co.uk"},
                 [ANOTHER_SITE], id="another site below a country"),
    pytest.param({"public_url": "https://192.0.2.1", "cors_origins": "https://198.51.2.1"},
                 [ANOTHER_SITE], id="another address"),
    pytest.param({**PUBLIC, "cors_origins": "https://spa.example.org", "cookie_samesite": "lax"},
                 [ANOTHER_SITE], id="lax sends no cookie either"),
    pytest.param({**PUBLIC, "cors_origins": "https://spa.example.org", "cookie_samesite": "none"},
                 [], id="none does"),
    pytest.param({"cors_origins": "https://spa.example.org"}, [], id="nobody knows our own site"),
])  # fmt: skip
def test_s_ops_2_what_is_allowed_and_unwise(overrides: dict[str, Any], subjects: list[str]) -> None:
    findings = diagnose_settings(settings_of(POSTGRESQL, **overrides))

    assert told(findings) == subjects
    assert not any(finding.is_unsafe for finding in findings)


@pytest.mark.parametrize(("url", "workers", "subjects"), [
    ("sqlite:///a.db", 1, []), ("sqlite:///a.db", 2, ["DATABASE_URL"]), (POSTGRESQL, 8, []),
])  # fmt: skip
def test_s_ops_2_sqlite_is_for_one_worker(url: str, workers: int, subjects: list[str]) -> None:
    assert told(diagnose_settings(settings_of(url), workers=workers)) == subjects


@pytest.mark.parametrize(("environment", "is_unsafe"), [
    ("production", True), ("development", False)
])  # fmt: skip
def test_what_production_refuses_is_worth_knowing_before(environment: str, is_unsafe: bool) -> None:
    (finding,) = diagnose_settings(
        settings_of(POSTGRESQL, environment=environment, rate_limit_login="off")
    )

    assert finding.subject == "BATONPASS_RATE_LIMIT_LOGIN"
    assert finding.is_unsafe is is_unsafe


# --- the database ------------------------------------------------------------------------------


async def test_a_good_database_has_no_finding(
    sqlite_url: str, own_postgres: PostgresServer
) -> None:
    with fresh_database(own_postgres.url) as postgresql_url:
        for url in (sqlite_url, postgresql_url):
            migrations.upgrade(url)
            assert await found_in(url) == []


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    findings = await found_in(f"sqlite:///{tmp_path / 'none.db'}")

    assert [(one.is_unsafe, one.cure) for one in findings] == [(True, "Run: batonpass migrate")]
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a moment


async def test_a_database_that_is_away_is_one_finding_without_a_password() -> None:
    (finding,) = await found_in(AWAY.replace("nobody", "nobody:hunter22"))

    assert finding.is_unsafe
    assert finding.subject == "BATONPASS_DATABASE_URL"
    assert "hunter22" not in repr(finding)


async def test_tables_that_are_not_there_are_unsafe(own_postgres: PostgresServer) -> None:
    with fresh_database(own_postgres.url) as url:
        findings = await found_in(url)

    assert [(one.subject, one.is_unsafe) for one in findings] == [("database", True)]


async def test_s_ops_1_commits_that_do_not_last_are_unsafe(postgresql_url: str) -> None:
    """The tests' shared PostgreSQL has all of it off."""
    migrations.upgrade(postgresql_url)

    findings = await found_in(postgresql_url)

    assert {one.subject for one in findings} == {
        f"PostgreSQL's {name}" for name in ("fsync", "full_page_writes", "synchronous_commit")
    }
    assert all(one.is_unsafe for one in findings)


@pytest.mark.parametrize(("ahead", "is_told"), [
    (timedelta(0), False), (MAX_CLOCK_DIFFERENCE * 2, True), (-MAX_CLOCK_DIFFERENCE * 2, True)
])  # fmt: skip
async def test_s_ops_2_a_clock_that_is_off(
    own_postgres: PostgresServer, ahead: timedelta, is_told: bool
) -> None:
    with fresh_database(own_postgres.url) as url:
        migrations.upgrade(url)

        findings = await found_in(url, Clock(RealClock().now() + ahead))

    assert told(findings) == (["clock"] if is_told else [])


async def test_s_ops_2_a_standby_that_nobody_waits_for(own_postgres: PostgresServer) -> None:
    with fresh_database(own_postgres.url) as url:
        migrations.upgrade(url)
        with psycopg.connect(f"{url}?replication=true", autocommit=True) as standby:
            standby.execute("IDENTIFY_SYSTEM")  # as a standby begins; the sender is there

            alone = await found_in(url)
            _name_standbys(url, "*")
            named = await found_in(url)
            _name_standbys(url, "")  # else whoever writes waits for it, for ever

    assert told(alone) == ["PostgreSQL's synchronous_standby_names"]
    assert told(named) == []


@pytest.mark.parametrize(("people", "addresses", "is_told"), [
    pytest.param(MANY_USERS, 1, True, id="everybody at one address: a proxy"),
    pytest.param(MANY_USERS - 1, 1, False, id="too few to tell"),
    pytest.param(MANY_USERS, 2, False, id="two addresses"),
])  # fmt: skip
async def test_s_ops_2_all_sessions_from_one_address(
    sqlite_url: str, people: int, addresses: int, is_told: bool
) -> None:
    emails = [f"user{n}@example.com" for n in range(people)]
    async with a_server(sqlite_url, users=emails) as server:
        for n, email in enumerate(emails):
            await _log_in_from(server, f"192.0.2.{1 + n % addresses}", email)

        findings = await found_in(sqlite_url)

    assert told(findings) == (["TRUSTED_PROXIES"] if is_told else [])
    assert not any(one.is_unsafe for one in findings)
    if is_told:
        assert "192.0.2.1" in findings[0].problem


async def test_a_key_of_nobodys_is_told(sqlite_url: str) -> None:
    migrations.upgrade(sqlite_url)
    settings = settings_of(sqlite_url)
    async with an_operator(settings) as auth:
        await auth.service.rotate_signing_keys(VISIT)
        table = auth.tables.signing_keys
        edited = update(table).where(table.c.number == 2).values(kid="A" * 43)
        await auth.database.write(lambda connection: connection.execute(edited))

        findings = await diagnose_database(settings, auth)

    assert [(one.subject, one.is_unsafe) for one in findings] == [("signing keys", False)]


async def test_no_key_that_signs_is_unsafe(sqlite_url: str) -> None:
    migrations.upgrade(sqlite_url)
    settings = settings_of(sqlite_url)
    async with an_operator(settings) as auth:
        await auth.service.rotate_signing_keys(VISIT)
        table = auth.tables.signing_keys
        over = update(table).values(is_withdrawn=True)
        await auth.database.write(lambda connection: connection.execute(over))

        findings = await diagnose_database(settings, auth)
        await auth.service.rotate_signing_keys(VISIT, withdraw=True)
        cured = await diagnose_database(settings, auth)

    assert [(one.subject, one.is_unsafe) for one in findings] == [("signing keys", True)]
    assert cured == []


async def _log_in_from(server: Server, address: str, email: str) -> None:
    async with server.somebody(address=address) as client:
        assert (await log_in(client, email)).status_code == 200


def _name_standbys(url: str, names: str) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
        operator.execute("SELECT pg_reload_conf()")
    found = None
    while found != (names,):  # PostgreSQL reads it when it gets round to it
        with psycopg.connect(url) as asked:
            found = asked.execute("SHOW synchronous_standby_names").fetchone()
