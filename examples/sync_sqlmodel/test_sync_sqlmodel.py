"""The example's own tests, run as its README says, on each database."""

import subprocess
import sys
from pathlib import Path
from secrets import token_hex

from sqlalchemy import make_url

from tools.steps import environment

HERE = Path(__file__).parent
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def test_the_apps_tests_pass(database_url: str) -> None:
    url = make_url(database_url)
    address = url.set(drivername=DRIVERS[url.drivername])
    given = {
        "DATABASE_URL": address.render_as_string(hide_password=False),
        "SECRET_KEY": token_hex(32),
        "FIRST_SUPERUSER_PASSWORD": "a password of the first one",
    }

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=HERE,
        env=environment() | given,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "8 passed" in done.stdout, done.stdout + done.stderr
