"""Which other origins an operator may let in: S-CORS-1. What they then hear: tests/http."""

from typing import Any

import pytest

from batonpass.errors import ConfigurationError
from batonpass.plugin import Batonpass
from batonpass.server.engines import build_engine
from batonpass.server.models import metadata, users
from batonpass.server.settings import production_problems
from tests.support.servers import SECRET_KEY, settings_of

NO_ORIGINS = [
    "*", "null", "https://*", "https://*.a.test", "https://a.test/", "https://a.test/path",
    "https://a.test?x", "https://a.test#x", "https://user@a.test", "https://a b.test",
    "https://a.test:443", "http://a.test:80", "https://a.test:", "https://a.test:99999",
    "HTTPS://a.test", "https://A.test", "https://bücher.test", "a.test", "//a.test", "file://",
    "https://", "https://a.test,https://b.test", r"https://(a|b)\.test", "https://a.test\n", "",
]  # fmt: skip


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_s_cors_1_what_is_no_exact_origin_keeps_the_server_from_starting(
    sqlite_url: str, origin: str
) -> None:
    listed = f"https://good.test,{origin}" if origin.strip() == origin else (origin,)
    if origin not in {"", "https://a.test,https://b.test"}:  # a comma parts two, the server reads
        with pytest.raises(ConfigurationError, match="BATONPASS_CORS_ORIGINS"):
            settings_of(sqlite_url, cors_origins=listed)

    with pytest.raises(ConfigurationError, match="cors_origins"):
        _library(sqlite_url, cors_origins=["https://good.test", origin])


@pytest.mark.parametrize(("origin", "is_refused"), [
    ("http://a.test", True), ("http://192.0.2.7:8000", True), ("http://localhost.evil.test", True),
    ("https://a.test", False), ("http://localhost:5173", False), ("http://127.0.0.1:3000", False),
    ("http://[::1]:3000", False),
])  # fmt: skip
def test_s_cors_1_production_takes_plain_http_from_this_machine_alone(
    sqlite_url: str, origin: str, is_refused: bool
) -> None:
    settings = settings_of(
        sqlite_url, environment="production", public_url="https://app.test", cors_origins=origin
    )

    problems = [one.setting for one in production_problems(settings)]

    assert problems == (["BATONPASS_CORS_ORIGINS"] if is_refused else [])


def _library(database_url: str, **choices: Any) -> None:  # any argument of Batonpass
    Batonpass(build_engine(database_url), metadata, user=users, secret=SECRET_KEY, **choices)
