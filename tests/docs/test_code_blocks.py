"""What the pages show is what happens: the app of the README runs, its curl lines are answered.

The README's server story is played against the real server's app; its diagram, by the real rules.
"""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response

from batonpass import Batonpass, Clock
from batonpass.http.edge import Edge
from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.settings import load_settings
from tests.docs.pages import DOCS, ROOT, code_blocks, files_of, languages_of, pages
from tests.docs.terminal import Shell, commands_of, matches, serving
from tests.support.families import GRACE, POLICY, T0
from tests.support.logins import Login
from tools.steps import environment

README = ROOT / "README.md"
SECRET = "6f1d8e90b3a75c24d1e8f7a6059b3c42e7d60a91f58c2b34d0e96a7f1b83c5d2"
PASSWORD = "a long walk at noon"
SETTLED = 2 * GRACE + timedelta(seconds=1)

# Pages with Python, each run by a test here or beside it; another must be given its test.
RUN_HERE = {
    README,
    DOCS / "coming-from.md",
    DOCS / "tutorial.md",
    DOCS / "how-to" / "another-origin.md",
    DOCS / "how-to" / "behind-nginx.md",
    DOCS / "how-to" / "existing-app.md",
    DOCS / "how-to" / "fastapi-users.md",
    DOCS / "how-to" / "former-tokens.md",
    DOCS / "how-to" / "impersonation.md",
    DOCS / "how-to" / "native-apps.md",
    DOCS / "how-to" / "roles-and-claims.md",
    DOCS / "how-to" / "several-services.md",
    DOCS / "how-to" / "sqlmodel.md",
    DOCS / "how-to" / "testing.md",
    DOCS / "how-to" / "watching.md",  # in tests/contrib
}
# And how blocks of other languages are: as commands, as types, as what a parser takes, or not run.
LANGUAGES = {
    "console", "diff", "html", "ini", "js", "mermaid", "nginx", "py", "python", "sh", "text", "ts",
    "tsx", "",
}  # fmt: skip


# --- the app of the README ---------------------------------------------------------------------


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run the README's Python as its reader does, in an empty folder; give the app's names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    *app, first_user = code_blocks(README, "python")
    (tmp_path / "app.py").write_text("".join(app))
    (tmp_path / "first_user.py").write_text(first_user)
    importlib.import_module("first_user")
    names = vars(sys.modules["app"])
    yield names
    names["engine"].dispose()
    for name in ("app", "first_user"):
        del sys.modules[name]


async def test_the_app_of_the_readme_logs_in_refreshes_and_finds_the_thief(
    readme: dict[str, Any],
) -> None:
    auth: Batonpass[Any] = readme["auth"]
    async with serving(readme["app"]) as client:
        form = {"username": "ada@example.com", "password": PASSWORD}
        logged_in = await client.post("/auth/token", data=form)
        stolen = dict(client.cookies)
        assert logged_in.status_code == 200
        assert (await client.get("/me", headers=_bearer(logged_in))).json() == "ada@example.com"

        renewed = await client.post("/auth/refresh")
        assert (await client.get("/me", headers=_bearer(renewed))).json() == "ada@example.com"
        auth.clock.follow(auth.clock.now() + SETTLED)
        assert (await client.post("/auth/refresh")).json()["generation"] == 2

        client.cookies.clear()
        client.cookies.update(stolen)
        replayed = await client.post("/auth/refresh")

        assert (replayed.status_code, replayed.json()["code"]) == (401, "refresh_reused")
        refused = await client.get("/me", headers=_bearer(renewed))
        assert (refused.status_code, refused.json()["reason"]) == (401, "reused")


@pytest.mark.parametrize("form", [
    pytest.param({"username": "ada@example.com", "password": "wrong"}, id="a wrong password"),
    pytest.param({"username": "eve@example.com", "password": PASSWORD}, id="an unknown name"),
    pytest.param({"username": "eve@example.com", "password": "nobody's password"},
                 id="an unknown name with the password that nobody has"),
])  # fmt: skip
async def test_the_app_of_the_readme_lets_nobody_else_in(
    readme: dict[str, Any], form: dict[str, str]
) -> None:
    async with serving(readme["app"]) as client:
        refused = await client.post("/auth/token", data=form)

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")


def test_it_is_ten_lines() -> None:
    block = code_blocks(README, "python")[1]
    ours = block.partition('@app.get("/me")')[0]

    lines = [line for line in ours.splitlines() if line.strip() and "import" not in line]

    assert len(lines) <= 10


def test_every_page_with_python_has_its_test() -> None:
    assert {page for page in pages() if code_blocks(page, "python")} == RUN_HERE


def test_every_language_of_a_page_is_one_that_is_tested() -> None:
    assert {language for page in pages() for language in languages_of(page)} <= LANGUAGES


@pytest.mark.parametrize("page", [page for page in pages() if code_blocks(page, "sh")], ids=str)
def test_the_commands_of_a_page_are_ones_that_a_shell_reads(page: Path) -> None:
    read = subprocess.run(
        ["sh", "-n"],  # noqa: S607 - the reader's own
        input="\n".join(code_blocks(page, "sh")),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (read.returncode, read.stderr) == (0, "")


# --- "Steal a token yourself" ------------------------------------------------------------------


async def test_the_curl_lines_of_ones_own_app_are_answered_as_the_readme_says(
    readme: dict[str, Any],
) -> None:
    own = list(commands_of(code_blocks(README, "console")[:1]))
    assert len(own) == 4

    async with serving(readme["app"]) as client:
        shell = Shell(client, readme["auth"].clock)
        for command, printed in own:
            assert matches(answered := await shell.run(command), printed), (command, answered)


@pytest.fixture
async def shell(sqlite_url: str) -> AsyncIterator[Shell]:
    """The server as `make run` starts it, on an empty database."""
    migrations.upgrade(sqlite_url)
    settings = load_settings(database_url=sqlite_url, BATONPASS_SECRET_KEY=SECRET, _env_file=None)
    app = build_app(settings)
    async with serving(app) as client:
        yield Shell(client, _clock_of(app))


async def test_the_curl_lines_are_answered_as_the_readme_says(shell: Shell) -> None:
    told = list(commands_of(code_blocks(README, "console")[1:]))
    assert sum(command.startswith("curl") for command, _ in told) == 6

    for command, printed in told:
        answered = await shell.run(command)

        assert matches(answered, printed), f"{command}\nprints {answered}\nand not {printed}"


async def test_a_lost_answer_keeps_the_reader_of_the_readme_signed_in(shell: Shell) -> None:
    register, log_in = (
        command
        for command, _ in commands_of(code_blocks(README, "console")[1:])
        if " -d " in command
    )
    await shell.run(register)
    await shell.run(log_in)
    keep_the_jar = "curl -s -b owner.jar -X POST localhost:8000/auth/refresh"

    await shell.run(keep_the_jar)
    await shell.run(f"sleep {8 * 3600}")

    assert json.loads(await shell.run(keep_the_jar))["generation"] == 2


# --- the diagram -------------------------------------------------------------------------------


def test_the_diagram_tells_what_the_rules_do() -> None:
    (diagram,) = code_blocks(README, "mermaid")
    login = Login(POLICY, T0)
    tokens = {0: login.first_token}
    now = T0
    told = []

    for line in diagram.splitlines():
        asked = re.match(r"\s*[ABT]->>S: token (\d)(.*)", line)
        answered = re.match(r"\s*S--[>x]+[ABT]: (.*)", line)
        if asked:
            now += timedelta(hours=1) if "hour" in asked[2] else timedelta(seconds=1)
            answer = login.present(tokens[int(asked[1])], now)
            if answer.token is not None:
                tokens[answer.token.generation] = answer.token
            told.append("refused" if answer.token is None else f"token {answer.token.generation}")
        elif answered:
            expected = re.match(r"token \d", answered[1])
            assert told[-1] == (expected[0] if expected else "refused"), line

    assert told == ["token 1", "token 1", "token 2", "token 3", "refused", "refused"]


# --- the React lines ---------------------------------------------------------------------------


def test_the_page_of_the_readme_type_checks_against_the_packages(tmp_path: Path) -> None:
    (block,) = code_blocks(README, "tsx")

    assert not _mistakes({"main.tsx": block}, tmp_path)


def test_the_files_of_the_react_readme_type_check_against_the_packages(tmp_path: Path) -> None:
    files = files_of(ROOT / "packages" / "react" / "README.md", "tsx")
    assert len(files) == 5

    assert not _mistakes(files, tmp_path)


def test_the_pages_of_the_tutorial_and_the_how_tos_type_check(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for page in (page for page in pages() if page.is_relative_to(DOCS)):
        named = files_of(page, "ts", "tsx")
        files |= {f"{page.stem}/{name}": text for name, text in named.items()}
        others = [one for one in code_blocks(page, "ts") if one not in named.values()]
        files |= {f"{page.stem}/{n}.ts": f"{one}\nexport {{}};\n" for n, one in enumerate(others)}
    assert {"tutorial/main.tsx", "existing-app/session.ts", "former-tokens/0.ts"} <= set(files)

    assert not _mistakes(files, tmp_path)


def _mistakes(files: dict[str, str], folder: Path) -> str:
    """Compile the files strictly, with the packages as a reader has them; return what tsc says."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    options = "--noEmit --strict --jsx react-jsx --lib ES2023,DOM,DOM.Iterable --skipLibCheck"
    bundled = "--target ES2023 --module ESNext --moduleResolution bundler"
    done = subprocess.run(
        [
            ROOT / "node_modules/.bin/tsc",
            *options.split(),
            *bundled.split(),
            "--allowImportingTsExtensions",
            *files,
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# --- how ---------------------------------------------------------------------------------------


def _bearer(answer: Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _clock_of(app: FastAPI) -> Clock:
    edge = next(one.kwargs["edge"] for one in app.user_middleware if "edge" in one.kwargs)
    assert isinstance(edge, Edge)
    return edge.service.clock
