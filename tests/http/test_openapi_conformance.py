"""The OpenAPI schema is the truth: whatever it allows, and much that it does not, is answered so.

Requests are made from the schema itself, over a real connection. None meets a 500, a status that
the schema does not name, or JSON of another shape.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, checks

from batonpass.server.app import build_app
from tests.support.live_server import EMAIL, PASSWORD, LiveServer, running
from tests.support.servers import settings_of

EXAMPLES = 12  # of each operation, beside those that visit the bounds of its schema
EXAMPLES_WITHOUT_LOGIN = 2  # nearly all of them are refused before they are read


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Serve a fresh database for this file."""
    folder = tmp_path_factory.mktemp("openapi")
    with running(f"sqlite:///{folder / 'batonpass.db'}", rate_limit_login="off") as server:
        yield server


@pytest.fixture
def bearer(server: LiveServer) -> dict[str, str]:
    """Sign somebody in, anew for each operation: some of them end the session."""
    with httpx.Client(base_url=server.url) as client:
        client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
        answer = client.post("/auth/token", data={"username": EMAIL, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


schema = schemathesis.openapi.from_dict(build_app(settings_of("sqlite:///unused.db")).openapi())


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


def examples(count: int) -> settings:
    """Take so many of each operation, the same in every run."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@examples(EXAMPLES)
def test_every_answer_is_as_the_schema_says(
    case: Case[Any], server: LiveServer, bearer: dict[str, str]
) -> None:
    case.call_and_validate(base_url=server.url, headers=bearer, checks=CHECKS)


@schema.parametrize()
@examples(EXAMPLES_WITHOUT_LOGIN)
def test_every_answer_without_a_login_is_as_the_schema_says(
    case: Case[Any], server: LiveServer
) -> None:
    case.call_and_validate(base_url=server.url, checks=CHECKS)
