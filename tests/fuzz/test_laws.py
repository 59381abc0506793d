"""The laws of laws.py, on a few examples that are the same in each run; `make fuzz` takes more."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.connections import Connection
from tests.fuzz import laws
from tests.support.live_server import listening
from tests.support.servers import settings_of

EXAMPLES = 25


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an empty database."""
    database_url = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'batonpass.db'}"
    migrations.upgrade(database_url)
    with listening(build_app(settings_of(database_url)), http=Connection) as url:
        yield url


@pytest.mark.parametrize("law", laws.LAWS, ids=[law.__name__ for law in laws.LAWS])
def test_a_law_holds(law: Callable[[], None]) -> None:
    settings(max_examples=EXAMPLES)(law)()


def test_a14_a_head_is_answered_as_documented(url: str) -> None:
    settings(max_examples=EXAMPLES)(laws.a_head_is_answered_as_documented)(url=url)
