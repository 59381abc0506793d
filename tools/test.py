"""`make test`: every runner, even where one fails; a closing line for each at the end."""

import os
import sys
from collections.abc import Callable

from tools import chromium, oldest
from tools.runners import Outcome, Result, closing_line, conclude, line, run, timed
from tools.steps import PYTHON, ROOT, StepError, explained

CORES = os.cpu_count() or 1
# One more than there are cores: each waits a third of its time, for servers, disks, PostgreSQL. At
# most 4: each has its own databases, and beyond that PostgreSQL is what all of them wait for.
WORKERS = min(CORES + 1, 4)
# A Chromium has processes enough of its own, and some tests time what they see.
BROWSERS = min(CORES, 2)
# What an app meets of us, and all that wants SQLAlchemy 2.0.
ON_THE_OLDEST = (
    "tests/test_plugin.py::test_the_gate_and_the_ordinary_route_answer_alike",
    "tests/test_plugin.py::test_s_cookie_1_no_handler_sees_the_refresh_cookie",
    "tests/test_plugin.py::test_sign_in_starts_a_session_without_a_password",
    "tests/test_plugin_users.py::test_any_condition_on_the_users_row_says_who_is_active",
    "tests/test_plugin_users.py::test_tokens_carry_what_the_app_says_until_it_says_something_else",
    "tests/test_user_keys.py",
    "tests/contrib/test_fastapi_users.py",
    "tests/docs/test_sqlmodel.py",
    "tests/fit",
    "examples/sync_sqlmodel/test_sync_sqlmodel.py",
)
_OLD_WARNINGS = ("-W", "ignore::PendingDeprecationWarning")  # Starlette imports `multipart`


def python() -> tuple[Outcome, str]:
    """Run the Python tests, on SQLite and a real PostgreSQL."""
    ended = run(
        str(PYTHON), "-m", "pytest", "-q", "-m", "not browser", *_spread(WORKERS), *_colour()
    )
    return _judged(ended.status), closing_line(ended.output)


def oldest_versions() -> tuple[Outcome, str]:
    """Run what an app meets once more: on the oldest FastAPI and SQLAlchemy, and with SQLModel."""
    try:
        oldest.install()
    except StepError as error:
        return Outcome.FAILED, str(error)
    python = str(oldest.PYTHON)
    ended = run(
        python, "-m", "pytest", "-q", *_OLD_WARNINGS, *ON_THE_OLDEST, *_spread(WORKERS), *_colour()
    )
    return _judged(ended.status), closing_line(ended.output)


def typescript() -> tuple[Outcome, str]:
    """Run the TypeScript tests of all workspaces."""
    if not (ROOT / "package.json").exists():
        return Outcome.SKIPPED, "no tests yet"
    ended = run("npm", "test")
    return _judged(ended.status), closing_line(ended.output)


def browser() -> tuple[Outcome, str]:
    """Run the tests that drive a real Chromium."""
    if not any((ROOT / "tests" / "browser").glob("**/test_*.py")):
        return Outcome.SKIPPED, "no tests yet"
    try:
        chromium.ensure()
    except StepError as error:
        return Outcome.FAILED, str(error)
    ended = run(str(PYTHON), "-m", "pytest", "-q", "-m", "browser", *_spread(BROWSERS), *_colour())
    return _judged(ended.status), closing_line(ended.output)


RUNNERS: dict[str, Callable[[], tuple[Outcome, str]]] = {
    "python": python,
    "oldest": oldest_versions,
    "typescript": typescript,
    "browser": browser,
}


def _judged(status: int) -> Outcome:
    # pytest ends with 5 where it collected nothing: a failure, for the tests' files are there.
    return Outcome.PASSED if status == 0 else Outcome.FAILED


def _spread(workers: int) -> tuple[str, ...]:
    return ("-n", str(workers), "--dist", "worksteal")


def _colour() -> tuple[str, ...]:
    return ("--color=yes",) if sys.stdout.isatty() else ()


def main(names: list[str]) -> int:
    """Run the named runners, or all of them."""
    unknown = [name for name in names if name not in RUNNERS]
    if unknown:
        message = f"There is no runner {unknown[0]}; there are {', '.join(RUNNERS)}."
        raise StepError(message)
    results: list[Result] = []
    for name in names or RUNNERS:
        print(f"\n── {name}", flush=True)
        results.append(timed(name, RUNNERS[name]))
    print()
    for result in results:
        print(line(result))
    return conclude(results)


if __name__ == "__main__":
    with explained():
        sys.exit(main(sys.argv[1:]))
