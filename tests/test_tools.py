"""The door: what the Makefile stands on, and what it promises to somebody on a fresh machine."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import audit, node_lock, runners, steps
from tools import test as make_test
from tools.audit import Package
from tools.runners import Outcome

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty project for steps to work on."""
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(steps, "LOGS", tmp_path / "logs")
    return tmp_path


class Recipe:
    """A step that counts how often it was done."""

    def __init__(self, project: Path, *, fails: bool = False) -> None:
        """Write to `project`; fail half-way if told so."""
        self.source = project / "source"
        self.output = project / "output"
        self.fails = fails
        self.times = 0

    def run(self) -> None:
        """Do the step if it is due."""
        steps.step(
            "recipe",
            "A recipe",
            inputs=steps.fingerprint(self.source),
            outputs=[self.output],
            do=self._do,
        )

    def _do(self) -> None:
        self.times += 1
        self.output.touch()
        if self.fails:
            raise steps.StepError("half-way")


@pytest.mark.parametrize(("meanwhile", "times"), [
    pytest.param(lambda _: None,                                   1, id="nothing changed"),
    pytest.param(lambda recipe: recipe.source.write_text("other"), 2, id="an input changed"),
    pytest.param(lambda recipe: recipe.source.unlink(),            2, id="an input has gone"),
    pytest.param(lambda recipe: recipe.output.unlink(),            2, id="its output has gone"),
])  # fmt: skip
def test_a_step_is_done_again_only_where_it_must(
    project: Path, meanwhile: Callable[[Recipe], object], times: int
) -> None:
    recipe = Recipe(project)
    recipe.source.write_text("one")
    recipe.run()
    meanwhile(recipe)

    recipe.run()

    assert recipe.times == times


def test_a_step_that_failed_half_way_is_done_again(project: Path) -> None:
    recipe = Recipe(project, fails=True)
    with pytest.raises(steps.StepError):
        recipe.run()
    recipe.fails = False

    recipe.run()

    assert recipe.times == 2


def test_a_step_that_leaves_no_output_has_failed(project: Path) -> None:
    with pytest.raises(steps.StepError, match="promised is missing"):
        steps.step("x", "X", inputs="", outputs=[project / "promised"], do=lambda: None)


def test_chains_of_steps_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)  # who comes alone waits in vain

    def comes() -> None:
        meeting.wait()

    steps.side_by_side(comes, comes)


def test_one_chain_that_fails_is_told_once_the_other_is_done() -> None:
    failed, done = threading.Event(), threading.Event()

    def fails() -> None:
        failed.set()
        message = "half-way"
        raise steps.StepError(message)

    def goes_on() -> None:
        assert failed.wait(timeout=30)
        done.set()

    with pytest.raises(steps.StepError, match="half-way"):
        steps.side_by_side(fails, goes_on)

    assert done.is_set()


def test_a_build_does_not_outdate_itself(project: Path) -> None:
    (project / "web" / "src").mkdir(parents=True)
    (project / "web" / "src" / "app.ts").write_text("1")
    before = steps.fingerprint(project / "web")

    for produced in ("web/dist/app.js", "web/node_modules/x/x.js", "web/src/routes.gen.ts"):
        (project / produced).parent.mkdir(parents=True, exist_ok=True)
        (project / produced).write_text("2")

    assert steps.fingerprint(project / "web") == before
    (project / "web" / "src" / "app.ts").write_text("3")
    assert steps.fingerprint(project / "web") != before


@pytest.mark.parametrize(("script", "sentence", "shown"), [
    pytest.param("echo 'getaddrinfo EAI_AGAIN registry' >&2; exit 1",
                 "Fetching needs the network", False, id="no network: one sentence, no noise"),
    pytest.param("echo 'syntax error'; exit 3",
                 "Fetching failed with status 3", True, id="anything else: with its output"),
])  # fmt: skip
@pytest.mark.usefixtures("project")
def test_a_failing_command_says_why(
    capsys: pytest.CaptureFixture[str], script: str, sentence: str, *, shown: bool
) -> None:
    with pytest.raises(steps.StepError, match=sentence):
        steps.command("sh", "-c", script, what="Fetching")

    assert ("syntax error" in capsys.readouterr().err) is shown


def test_a_long_command_is_seen_at_work_at_a_terminal_and_leaves_no_line() -> None:
    code = (
        "import sys; from tools import steps; steps.TICK_SECONDS = 0.0001; "
        "steps.command(sys.executable, '-c', '', what='Building')"
    )
    terminal, theirs = pty.openpty()

    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=theirs) as running:
        os.close(theirs)
        shown = "".join(_read_terminal(terminal))
    os.close(terminal)

    assert running.returncode == 0
    assert shown.startswith("\r    Building: 0 s")
    assert shown.endswith("\r\x1b[K")


def _read_terminal(terminal: int) -> Iterator[str]:
    with suppress(OSError):  # Linux' way to say that nobody writes any more
        while piece := os.read(terminal, 4096):
            yield piece.decode()


@pytest.mark.usefixtures("project")
def test_a_missing_program_is_named() -> None:
    with pytest.raises(steps.StepError, match="Building needs `no-such-program`"):
        steps.command("no-such-program", what="Building")


def test_a_python_that_is_too_old_is_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    # What an old one makes of `sys.version_info < (3, 11)`, and of the question which it is.
    old.write_text("#!/bin/sh\ncase $2 in *exit*) exit 1 ;; *) printf ', python3 is 3.9' ;; esac\n")
    old.chmod(0o755)

    ended = subprocess.run(
        [ROOT / "tools" / "python", "-m", "tools.setup"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Batonpass needs Python 3.11 or later (here, python3 is 3.9):")
    assert ended.stderr.count("\n") == 1


def test_no_python_at_all_is_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [ROOT / "tools" / "python", "-m", "tools.setup"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Batonpass needs Python 3.11 or later (here, there is none):")
    assert ended.stderr.count("\n") == 1


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None

    shown = subprocess.run(
        ["make", "help"],  # noqa: S607 - the make that the person would call
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE) == phony[1].split()


def test_the_lock_holds_all_that_pyproject_asks_for() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = metadata["project"]
    asked = [*metadata["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        asked += extra
    locked = {canonicalize_name(p.name): p.version for p in audit.python_packages(ROOT)}

    missing = [
        text
        for text in asked
        if (wanted := Requirement(text)).name != "batonpass"
        and not wanted.specifier.contains(locked.get(canonicalize_name(wanted.name), "0"))
    ]

    assert missing == [], "`make lock` writes requirements/dev.txt anew"


@pytest.mark.parametrize(("output", "closing"), [
    pytest.param("....\n\x1b[32m\x1b[1m4 passed\x1b[0m in 0.1s\x1b[0m\n", "4 passed in 0.1s",
                 id="pytest, in colour"),
    pytest.param("=== 1 failed, 3 passed in 2s ===\n", "1 failed, 3 passed in 2s", id="pytest"),
    pytest.param(" Test Files  1 passed (1)\n      Tests  12 passed (12)\n   Duration  2s\n",
                 "Tests  12 passed (12)", id="vitest"),
    pytest.param("npm error Missing script\n\n", "npm error Missing script", id="no tests at all"),
    pytest.param("", "it said nothing", id="silence"),
])  # fmt: skip
def test_the_closing_line_of_a_runner(output: str, closing: str) -> None:
    assert runners.closing_line(output) == closing


def test_every_runner_runs_even_where_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        make_test,
        "RUNNERS",
        {
            "first": lambda: (Outcome.FAILED, "1 failed"),
            "second": lambda: (Outcome.PASSED, "2 passed"),
            "third": lambda: (Outcome.SKIPPED, "no tests yet"),
        },
    )

    status = make_test.main([])

    assert status == 1
    closing = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert [(sign, name) for sign, name, *_ in closing] == [
        ("✗", "first"),
        ("✓", "second"),
        ("–", "third"),
    ]


@contextmanager
def osv(*, vulnerable: str) -> Iterator[str]:
    """Serve OSV's batch route for one vulnerable package, as its documentation says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            names = [query["package"]["name"] for query in body["queries"]]
            found = {"vulns": [{"id": "GHSA-planted", "modified": "2026-01-01T00:00:00Z"}]}
            answer = {"results": [found if name == vulnerable else {} for name in names]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """Give a project with one package of each kind in its lock files."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text(
        "# made by make lock\n"
        "uvicorn[standard]==1.2.3 ; sys_platform != 'x' \\\n"
        "    --hash=sha256:0\n"
    )
    (tmp_path / "requirements" / "peers.txt").write_text("django==1.0 \\\n    --hash=sha256:0\n")
    packages = {
        "": {"name": "ours"},
        "packages/client": {"name": "@ours/client", "version": "0.1.0"},
        "node_modules/@ours/client": {"resolved": "packages/client", "link": True},
        "node_modules/a/node_modules/@b/c": {"version": "2.0.0"},
    }
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
    return tmp_path


def test_the_audit_asks_about_what_is_locked_and_nothing_of_ours(locked: Path) -> None:
    asked = [*audit.python_packages(locked), *audit.node_packages(locked)]

    assert asked == [
        Package(ecosystem="PyPI", name="uvicorn", version="1.2.3"),
        Package(ecosystem="npm", name="@b/c", version="2.0.0"),
    ]


@pytest.mark.parametrize(("vulnerable", "outcome"), [
    pytest.param("uvicorn", Outcome.FAILED, id="a Python package"),
    pytest.param("@b/c",    Outcome.FAILED, id="a Node package"),
    pytest.param("other",   Outcome.PASSED, id="none of ours"),
])  # fmt: skip
def test_a_known_vulnerability_fails_the_audit(
    locked: Path, vulnerable: str, outcome: Outcome
) -> None:
    with osv(vulnerable=vulnerable) as url:
        assert audit.audit(locked, url)[0] is outcome


def test_without_network_the_audit_is_skipped_and_says_so(locked: Path) -> None:
    with osv(vulnerable="uvicorn") as url:
        gone = url

    outcome, closing = audit.audit(locked, gone)

    assert outcome is Outcome.SKIPPED
    assert closing.startswith("skipped")


def test_the_node_lock_gets_every_platform(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    ours = {"version": "1.0.0", "integrity": "sha512-ours", "optional": True}
    builds = ("@b/linux-x64", "@b/darwin-arm64", "b-linux-arm64-musl")
    asking = {"dev": True, "optionalDependencies": dict.fromkeys(builds, "1.0.0") | {"c": "1"}}
    packages = {"node_modules/b": asking, "node_modules/@b/linux-x64": ours}
    lock.write_text(json.dumps({"packages": packages}))

    added = node_lock.complete(lock)

    completed = json.loads(lock.read_text())["packages"]
    assert added == ["node_modules/@b/darwin-arm64", "node_modules/b-linux-arm64-musl"]
    assert completed["node_modules/@b/linux-x64"] == ours
    assert completed["node_modules/b-linux-arm64-musl"] == {
        "version": "1.0.0",
        "cpu": ["arm64"],
        "dev": True,
        "libc": ["musl"],
        "optional": True,
        "os": ["linux"],
    }
    assert node_lock.complete(lock) == []


def test_our_own_node_lock_has_every_platform(tmp_path: Path) -> None:
    lock = ROOT / "package-lock.json"
    copy = tmp_path / lock.name
    copy.write_bytes(lock.read_bytes())

    assert node_lock.complete(copy) == [], "`make lock` completes it"


def test_what_is_run_may_keep_what_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each process that a test starts compiles all its packages anew."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SOMETHING_ELSE", "1")

    assert "PYTHONDONTWRITEBYTECODE" not in steps.environment()
    assert steps.environment()["SOMETHING_ELSE"] == "1"
