"""The CLI as somebody types it, before a real server. Each command is a run of its own."""

import io
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from examples.native_client.acme import main
from tests.support.live_server import EMAIL, PASSWORD, LiveServer, running
from tests.support.servers import light_hashes

HERE = Path(__file__).parent
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    url = f"sqlite:///{tmp_path_factory.mktemp('server') / 'batonpass.db'}"
    with light_hashes(), running(url) as server:
        anyio.run(server.register)
        yield server


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "session.json"


@pytest.fixture
def acme(
    server: LiveServer,
    tokens: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Give the command: it returns exit code, what it printed, what it complained of."""
    monkeypatch.setenv("ACME_SERVER", server.url)
    monkeypatch.setenv("ACME_TOKENS", str(tokens))

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_one_stays_logged_in_from_run_to_run_until_one_logs_out(
    acme: Run, server: LiveServer, tokens: Path
) -> None:
    assert acme("login", EMAIL, stdin=f"{PASSWORD}\n") == (0, "Logged in.\n", "")
    assert acme("whoami") == (0, f"{EMAIL}\n", "")
    before = server.refreshes

    server.expire_access_tokens()
    assert acme("whoami") == (0, f"{EMAIL}\n", "")
    assert server.refreshes == before + 1
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600

    assert acme("logout") == (0, "Logged out.\n", "")
    assert not tokens.exists()
    code, _, complaint = acme("whoami")
    assert (code, complaint) == (
        1, "acme: The session is over (refresh_missing). Please log in. Run: acme login\n"
    )  # fmt: skip


def test_a_wrong_password_is_told_in_the_servers_words(acme: Run, tokens: Path) -> None:
    code, said, complaint = acme("login", EMAIL, stdin="a guess at noon\n")

    assert (code, said) == (1, "")
    assert complaint == "acme: The e-mail or the password is wrong.\n"
    assert not tokens.exists()


def test_the_session_list_names_the_cli(acme: Run, server: LiveServer) -> None:
    acme("login", EMAIL, stdin=f"{PASSWORD}\n")
    bearer = anyio.run(server.log_in_elsewhere, "curl/8.5.0")

    answer = httpx.get(f"{server.url}/auth/sessions", headers={"Authorization": f"Bearer {bearer}"})
    devices = {one["device"] for one in answer.json()}

    assert "acme-cli" in devices
    acme("logout")


def test_a_server_that_is_away_logs_nobody_out(acme: Run, server: LiveServer, tokens: Path) -> None:
    acme("login", EMAIL, stdin=f"{PASSWORD}\n")
    before = tokens.read_bytes()
    server.expire_access_tokens()
    with server.wire.losing("/auth/refresh"):
        code, _, complaint = acme("whoami")

    assert (code, complaint) == (
        1, "acme: The server cannot be reached just now; the session is kept.\n"
    )  # fmt: skip
    assert tokens.read_bytes() == before
    assert acme("whoami")[0] == 0
    acme("logout")


def test_the_readme_shows_the_commands_that_there_are() -> None:
    told = re.findall(r"^\$ python acme\.py (\w+)", (HERE / "README.md").read_text(), re.MULTILINE)

    assert sorted(told) == ["login", "logout", "whoami"]
