"""What every test and every example may ask for: databases, on SQLite and on a real PostgreSQL.

Each test has a database of its own. All workers of pytest-xdist share one PostgreSQL, started by
whoever distributes the work.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from anyio._backends._asyncio import TestRunner
from hypothesis import settings
from pydantic import ConfigDict, TypeAdapter

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


def pytest_collection_finish() -> None:
    """Let the collector look at what tests leave behind, less often than it would.

    Each test builds an app of thousands of objects, and for every few of them it would look at all
    that was ever imported: a sixth of the tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/browser as `browser`: `make test` gives it a run of its own."""
    for item in items:
        if item.path.is_relative_to(BROWSER_TESTS):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    """Tell a worker of pytest-xdist where the shared PostgreSQL is."""
    node.workerinput[WORKER_INPUT] = _shared_postgres(node.config)


def pytest_configure(config: pytest.Config) -> None:
    """Keep nothing of a test that is over, and make nothing twice."""
    stack = config.stash.setdefault(servers, ExitStack())
    stack.enter_context(_collectable_runners())
    stack.enter_context(_adapters_made_once())


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
        config.stash[server_url] = config.stash[servers].enter_context(
            postgres.running(fsync=False)
        )
    return config.stash[server_url]


@contextmanager
def _collectable_runners() -> Iterator[None]:
    """Have anyio's runners let go of what a test used, once it is over.

    A runner's task ends by a CancelledError whose traceback leads to the runner, and the collector
    of Python 3.11 does not see that a task holds it: each async test stayed, and its app with it.
    """
    end = TestRunner.__exit__

    def end_and_forget(self: TestRunner, *exception: Any) -> None:
        try:
            end(self, *exception)
        finally:
            self._runner_task = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestRunner, "__exit__", end_and_forget)
        yield


@contextmanager
def _adapters_made_once() -> Iterator[None]:
    """Have FastAPI make what reads and writes one type once, not for each route of each test's app.

    A refusal's model stands at every status of every route: two thirds of what an app's start
    takes, and there are hundreds of apps.
    """
    made: dict[object, TypeAdapter[Any]] = {}

    def make(annotated: Any, *, config: ConfigDict | None = None) -> TypeAdapter[Any]:
        kind, *metadata = get_args(annotated)
        key = (kind, repr(metadata), repr(config))  # the type itself: others may have its name
        try:
            return made[key]
        except TypeError:  # it has no hash
            return TypeAdapter(annotated, config=config)
        except KeyError:
            return made.setdefault(key, TypeAdapter(annotated, config=config))

    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError):  # the oldest FastAPI has it elsewhere
            patch.setattr("fastapi._compat.v2.TypeAdapter", make)
        yield


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
