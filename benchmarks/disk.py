"""How many bytes does a live session take on disk, after ten rotations all over the table?

The rotations go through the product's own service, 128 at a time. What a session takes does not
depend on how many there are; a million of them, ten times each, take longer than all the rest:
`python -m benchmarks.disk 1000000`.
"""

import asyncio
import random
import sys
from datetime import UTC, datetime

import uvloop

from batonpass.auth_service import AuthService, Visit
from batonpass.origins import Origin
from batonpass.refresh_tokens import Transport
from batonpass.server.app import build_auth
from batonpass.server.engines import dispose
from batonpass.server.settings import load_settings
from benchmarks.databases import SECRET, Postgres, postgres, seed
from benchmarks.rows import Bar, Row, table

QUESTION = "disk"
SESSIONS = 50_000
ROTATIONS = 10
BAR_BYTES = 320.0  # issue 4
_AT_ONCE = 128
_SIZE = "SELECT pg_total_relation_size('refresh_tokens')"
_HOT = """
SELECT n_tup_hot_upd::float / n_tup_upd FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'
"""


def run(sessions: int = SESSIONS) -> list[Row]:
    """Measure, and hold against the bar."""
    with postgres() as cluster, cluster.database() as url:
        cookies = [one.cookie for one in seed(url, sessions)]
        before = float(cluster.ask(_SIZE, url))
        uvloop.run(_rotate(url, cookies))
        after, hot = float(cluster.ask(_SIZE, url)), _hot(cluster, url)
    return judge(sessions, before, after, hot)


def judge(sessions: int, before: float, after: float, hot: float) -> list[Row]:
    """Turn sizes in bytes, and the share of updates that touched no index, into a row."""
    return [
        Row(
            question=QUESTION,
            what=f"bytes per live session, of {sessions:,} rotated {ROTATIONS} times",
            figure=f"{after / sessions:.0f} B, indexes in; {before / sessions:.0f} B as logged in;"
            f" {100 * hot:.1f} % HOT",
            ratio=after / sessions,
            side=Bar.AT_MOST,
            bar=BAR_BYTES,
        )
    ]


async def _rotate(url: str, cookies: list[str]) -> None:
    settings = load_settings(
        database_url=url,
        environment="production",
        jwt_algorithm="HS256",
        BATONPASS_SECRET_KEY=SECRET,
        _env_file=None,
    )
    auth = build_auth(settings)
    try:
        for _ in range(ROTATIONS):
            order = random.sample(range(len(cookies)), len(cookies))
            for start in range(0, len(order), _AT_ONCE):
                batch = order[start : start + _AT_ONCE]
                rotations = (_successor(auth.service, cookies[index]) for index in batch)
                for index, cookie in zip(batch, await asyncio.gather(*rotations), strict=True):
                    cookies[index] = cookie
    finally:
        await auth.stop()
        await dispose(auth.database.engine)


async def _successor(service: AuthService, cookie: str) -> str:
    visit = Visit(origin=Origin("203.0.113.7", "Firefox on Linux"))
    answer = await service.rotate_refresh_token(cookie, Transport.COOKIE, visit, datetime.now(UTC))
    return answer.refresh_token


def _hot(cluster: Postgres, url: str) -> float:
    cluster.ask("SELECT pg_stat_force_next_flush()", url)
    return float(cluster.ask(_HOT, url))


if __name__ == "__main__":
    print(table(run(*map(int, sys.argv[1:]))))
