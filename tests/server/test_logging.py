"""What a log line may hold, and what a request is called in it."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Literal

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batonpass.server.logging import RequestIds, clean, configure

Format = Literal["console", "json"]
Written = Callable[[], str]
REFRESH_TOKEN = "bpr_AQAAAZrVdQ0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_"
ACCESS_TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture(params=["console", "json"])
def log_format(request: pytest.FixtureRequest) -> Format:
    found: Format = request.param
    return found


@pytest.fixture
def written(log_format: Format) -> Iterator[Written]:
    """Configure the log for one test; what is returned reads it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(log_format)
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream.getvalue
    root.handlers[:] = handlers
    root.setLevel(level)


logger = logging.getLogger("batonpass.test")


def log_a_failure(message: str, _password: str = "") -> None:
    """Log an exception as whoever catches one does."""
    try:
        fail(message)
    except ValueError:
        logger.exception("failed")


def fail(message: str) -> None:
    raise ValueError(message)


HOSTILE = [
    pytest.param("a\r\nb", r"a\u000d\u000ab", id="a line end"),
    pytest.param("a\x1b[31mb", r"a\u001b[31mb", id="a terminal's colour"),
    pytest.param("a\u202eb", r"a\u202eb", id="right to left"),
    pytest.param("a\u2028b", r"a\u2028b", id="a line separator"),
    pytest.param("a\u200bb", r"a\u200bb", id="zero width"),
    pytest.param("a\x85b", r"a\u0085b", id="another line end"),
    pytest.param("a\U000e0041b", r"a\U000e0041b", id="an invisible tag"),
]


def test_s_log_3_half_a_surrogate_pair_is_spelled_out() -> None:
    # Asked directly: pytest captures what is logged, and its report cannot carry such a half.
    assert clean(None, "warning", {"event": "a\ud800b"})["event"] == r"a\ud800b"


@pytest.mark.parametrize(("said", "shown"), HOSTILE)
@pytest.mark.parametrize("place", ["message", "field", "key", "list", "mapping"])
def test_s_log_3_no_client_forges_a_line(
    written: Written, log_format: Format, place: str, said: str, shown: str
) -> None:
    match place:
        case "message":
            logger.warning("refused %s", said)
        case "field":
            logger.warning("refused", extra={"agent": said})
        case "key":
            logger.warning("refused", extra={"more": {said: 1}})
        case "list":
            logger.warning("refused", extra={"more": [said]})
        case _:
            logger.warning("refused", extra={"more": {"agent": said}})

    [line] = written().split("\n")[:-1]
    assert line.isprintable()
    text = json.dumps(json.loads(line), ensure_ascii=False) if log_format == "json" else line
    assert shown in text.replace("\\\\", "\\")


@pytest.mark.parametrize("value", ["x" * 10_000, ["x" * 10_000], {"agent": "x" * 10_000}])
def test_s_log_3_a_value_has_an_end(written: Written, value: object) -> None:
    logger.warning("refused", extra={"agent": value})

    assert 500 <= written().count("x") <= 512


def test_s_log_3_a_traceback_is_whole_and_forges_no_line(
    written: Written, log_format: Format
) -> None:
    log_a_failure("bad\nbatonpass [error] forged\r\x1b[31m\u202e")

    text = written()
    assert "in log_a_failure" in text
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    first, *rest = text.rstrip("\n").split("\n")
    assert "failed" in first
    assert all(line.startswith("  ") for line in rest), "no line of it begins as ours do"
    assert (rest == []) is (log_format == "json")


def test_s_log_2_a_traceback_shows_no_local_variable(written: Written) -> None:
    log_a_failure("nothing of it", "battery staple")

    assert "battery staple" not in written()


@pytest.mark.parametrize("token", [REFRESH_TOKEN, ACCESS_TOKEN])
def test_s_log_2_no_token_is_written(written: Written, token: str) -> None:
    logger.warning("answered %s", token)
    logger.warning("answered", extra={"header": f"Bearer {token}", "more": {"cookies": [token]}})
    log_a_failure(token)

    assert written().count("[token]") == 4
    assert token[:12] not in written()


@pytest.mark.parametrize("after", ["", "\n[SQL: INSERT INTO users]", "\n\nThe above exception"])
def test_s_log_2_no_row_that_the_database_refused_is_written(written: Written, after: str) -> None:
    log_a_failure(f'violates "a_check"\nDETAIL:  Failing row contains (7, $argon2id$v=19).{after}')
    log_a_failure(f"Key exists.\nDETAIL:  Key (email)=(a@\nb) exists.\nHINT:  Look.{after}")

    text = written()
    assert "argon2id" not in text
    assert "a@" not in text
    assert text.count("DETAIL: [row]") == 2
    assert "a_check" in text
    assert "Look." in text
    assert text.count(after.strip() or "DETAIL") == 2


def test_fields_stay_what_they_are(written: Written, log_format: Format) -> None:
    logger.warning("counted", extra={"rows": 7, "share": 0.5, "whole": True, "user_id": None})

    line = written()
    if log_format == "json":
        said = json.loads(line)
        assert said["event"] == "counted"
        assert said["level"] == "warning"
        assert said["logger"] == "batonpass.test"
        assert said["timestamp"].endswith("Z")
        assert (said["rows"], said["share"], said["whole"], said["user_id"]) == (7, 0.5, True, None)
    else:
        assert "rows=7" in line


def test_a_second_configuration_replaces_the_first(written: Written) -> None:
    configure("json")

    assert len(logging.getLogger().handlers) == 1


async def _who(request: Request) -> Response:
    return JSONResponse(request.scope["state"]["request_id"])


APP = RequestIds(Starlette(routes=[Route("/", _who)]))


async def ask(headers: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the id that the app saw and the one that was answered."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(APP), base_url="http://app.test"
    ) as client:
        answer = await client.get("/", headers=[(k.encode(), v.encode()) for k, v in headers])
    seen: str = answer.json()
    return seen, answer.headers["x-request-id"]


@pytest.mark.parametrize("given", ["a", "A-b_9" * 12, "0193e6f0-6c1e-7abc-8def-0123456789ab"])
async def test_a_harmless_id_is_kept(given: str) -> None:
    assert await ask([("X-Request-ID", given)]) == (given, given)


IDS = [
    pytest.param([], id="none"),
    pytest.param([("X-Request-ID", "")], id="empty"),
    pytest.param([("X-Request-ID", "x" * 65)], id="too long"),
    pytest.param([("X-Request-ID", "a b")], id="a space"),
    pytest.param([("X-Request-ID", "a\tb")], id="a tab"),
    pytest.param([("X-Request-ID", "é")], id="a letter beyond ASCII"),
    pytest.param([("X-Request-ID", "<script>")], id="markup"),
]


@pytest.mark.parametrize("headers", IDS)
async def test_any_other_gives_way_to_a_new_one(headers: list[tuple[str, str]]) -> None:
    seen, answered = await ask(headers)
    again, _ = await ask(headers)

    assert seen == answered != again
    assert len(seen) == 32
    assert seen not in [value for _, value in headers]
