"""What every test and every example may ask for: databases, on SQLite and on a real PostgreSQL.

Each test has a database of its own. All workers of pytest-xdist share one PostgreSQL, started by
whoever distributes the work.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support import postgres

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

BROWSER_TESTS = Path(__file__).parent / "tests" / "browser"
WORKER_INPUT = "postgres_url"

# Hypothesis' own "ci": the same examples in every run, and no deadline, for how busy a machine is
# says nothing of the code. HYPOTHESIS_PROFILE=fuzz draws others each time, and more of them.
settings.register_profile("fuzz", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

servers = pytest.StashKey[ExitStack]()
server_url = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/browser as `browser`: `make test` gives it a run of its own."""
    for item in items:
        if item.path.is_relative_to(BROWSER_TESTS):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    """Tell a worker of pytest-xdist where the shared PostgreSQL is."""
    node.workerinput[WORKER_INPUT] = _shared_postgres(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the shared PostgreSQL."""
    if servers in config.stash:
        config.stash[servers].close()


def _shared_postgres(config: pytest.Config) -> str:
    """Return the URL of this run's PostgreSQL, started when it is first asked for."""
    given = getattr(config, "workerinput", {}).get(WORKER_INPUT)
    if given is not None:
        return str(given)
    if server_url not in config.stash:
        stack = config.stash.setdefault(servers, ExitStack())
        config.stash[server_url] = stack.enter_context(postgres.running(fsync=False))
    return config.stash[server_url]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, as FastAPI's servers do."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server_url(pytestconfig: pytest.Config) -> str:
    """Give the maintenance database of this run's PostgreSQL (fsync off: no crash tests here)."""
    return _shared_postgres(pytestconfig)


@pytest.fixture(scope="session")
def postgres_databases(postgres_server_url: str) -> Iterator[postgres.Databases]:
    """Give the databases that this worker's tests take in turn."""
    databases = postgres.Databases(postgres_server_url)
    yield databases
    databases.close()


@pytest.fixture
def postgresql_url(postgres_databases: postgres.Databases) -> Iterator[str]:
    """Give an empty PostgreSQL database."""
    with postgres_databases.lend() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give a fresh, empty SQLite database: a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'batonpass.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a fresh, empty database of each kind: the test runs once on every one."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def own_postgres() -> Iterator[postgres.PostgresServer]:
    """Give a durable PostgreSQL of the test's own, running: to be stopped, killed and started."""
    with postgres.PostgresServer() as server:
        yield server
