"""Databases with sessions written in bulk are as the product would have left them."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from batonpass.auth_service import Visit
from batonpass.errors import RefreshTokenReusedError
from batonpass.plugin import Batonpass
from batonpass.refresh_tokens import Transport
from batonpass.server import migrations
from batonpass.server.app import build_auth
from batonpass.server.engines import dispose
from batonpass.server.users import User
from benchmarks.databases import SECRET, access_tokens, postgres, seed, spent_cookie, sqlite
from tests.support.servers import settings_of

COOKIE = Transport.COOKIE


@pytest.fixture
def url(database_url: str) -> str:
    migrations.upgrade(database_url)
    return database_url


def auth_on(url: str) -> Batonpass[User]:
    return build_auth(settings_of(url, BATONPASS_SECRET_KEY=SECRET))


async def test_what_was_written_in_bulk_is_refreshed_as_any_login(url: str) -> None:
    sessions = await run_sync(seed, url, 20)
    auth = auth_on(url)
    try:
        answer = await auth.service.rotate_refresh_token(sessions[7].cookie, COOKIE, Visit())
    finally:
        await auth.stop()
        await dispose(auth.database.engine)

    assert answer.session.family_id == sessions[7].family_id
    assert answer.session.generation == 1


async def test_its_spent_tokens_are_replays_and_its_access_tokens_are_believed(url: str) -> None:
    columns = {"generation": 300, "recoverable_from": 299, "window_generation": 299}
    [session] = await run_sync(partial(seed, url, 1, columns=columns))
    [bearer] = access_tokens([session], "ES256", age=timedelta(minutes=5))
    auth = auth_on(url)
    try:
        claims = await auth.service.check_access_token(bearer)
        with pytest.raises(RefreshTokenReusedError):
            await auth.service.rotate_refresh_token(spent_cookie(session, 5), COOKIE, Visit())
    finally:
        await auth.stop()
        await dispose(auth.database.engine)

    assert (claims.family_id, claims.generation) == (session.family_id, 300)
    assert datetime.now(UTC) - claims.issued_at > timedelta(minutes=4)  # noqa: TID251 - it is compared with itself


def test_some_of_many_come_from_all_over_the_table(url: str) -> None:
    kept = seed(url, 100, keep=10)

    ids = [one.family_id for one in kept]
    assert len(ids) == 10
    assert ids == sorted(ids)
    assert (ids[-1].int >> 80) - (ids[0].int >> 80) > 4 * 86_400_000  # of the last five days


def test_sqlite_is_a_file_that_production_takes() -> None:
    with sqlite() as url:
        path = Path(url.removeprefix("sqlite:///"))
        assert path.stat().st_mode & 0o077 == 0

    assert not path.exists()


def test_postgresql_is_as_durable_as_it_comes() -> None:
    with postgres() as cluster, cluster.database() as url:
        settings = [
            cluster.ask(f"SHOW {name}", url)
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]

        assert settings == ["on", "on", "on"]
        assert "postgres" in cluster.postmaster.name()
        assert len(cluster.postmaster.children()) > 2
