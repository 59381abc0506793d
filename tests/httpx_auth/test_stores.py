"""A file of tokens: its owner's alone, never half written, shared by processes that wait in turn.

The processes are real ones, forked warm, before a real server.
"""

import multiprocessing
import os
import signal
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batonpass.httpx_auth import BatonpassAuth, FileStore, Tokens, stores
from tests.httpx_auth.conftest import Device
from tests.support.bad_lines import CERTIFICATES
from tests.support.live_server import PATIENCE_SECONDS, LiveServer

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PROCESSES = 4
BEFORE_A_REFRESH = 2  # the first time a run reads the access token
TOKENS = Tokens(
    server="https://api.example/auth",
    access_token="eyJ0",
    refresh_token="bpr_1",
    expires_in=1800,
    received_at=datetime(2026, 11, 28, 12, tzinfo=UTC),
)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such modes")

warm = multiprocessing.get_context("forkserver")
warm.set_forkserver_preload(["tests.support.shell"])  # the others' too: there is one forkserver


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "session.json"


def save(store: FileStore, tokens: Tokens | None) -> None:
    with store.locked():
        store.save(tokens)


# --- the file ----------------------------------------------------------------------------------


def test_what_is_saved_is_loaded_by_the_next_run(path: Path) -> None:
    assert FileStore(path).load() is None

    save(FileStore(path), TOKENS)
    assert FileStore(path).load() == TOKENS

    save(FileStore(path), None)
    assert FileStore(path).load() is None


@POSIX
def test_nobody_else_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        save(FileStore(path), TOKENS)
    finally:
        os.umask(before)

    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"session.json": 0o600, "session.json.lock": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_replaced_by_one_that_they_cannot(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)

    save(FileStore(path), TOKENS)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"7", b"\xff", b'{"access_token": "eyJ0"}', b"null",
    b'{"server": "s", "access_token": 7, "refresh_token": "r", "expires_in": 1, '
    b'"received_at": "2026-11-28"}',
])  # fmt: skip
def test_a_file_of_something_else_holds_no_session(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    assert FileStore(path).load() is None


def test_a_save_that_fails_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(path)
    save(store, TOKENS)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save(store, Tokens(**{**_fields(TOKENS), "refresh_token": "bpr_2"}))

    assert store.load() == TOKENS
    assert {one.name for one in path.parent.iterdir()} == {"session.json", "session.json.lock"}


def test_it_is_on_the_disk_before_it_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a name without a content: the session would be lost."""
    story: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        story.append("folder" if is_folder else f"{os.fstat(descriptor).st_size > 0}")
        sync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        story.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    save(FileStore(path), TOKENS)

    assert story == ["True", "replace", "folder"]


def _fields(tokens: Tokens) -> dict[str, Any]:
    return {name: getattr(tokens, name) for name in tokens.__slots__}


# --- the lock ----------------------------------------------------------------------------------


def test_one_waits_for_the_other(path: Path) -> None:
    story: list[str] = []
    has_come = Event()

    def come_second() -> None:
        has_come.set()
        with FileStore(path).locked():
            story.append("second")

    with FileStore(path).locked():
        second = Thread(target=come_second)
        second.start()
        has_come.wait(PATIENCE_SECONDS)
        second.join(5 * stores._LOOK_AGAIN_SECONDS)
        story.append("first")
    second.join(PATIENCE_SECONDS)

    assert story == ["first", "second"]


def test_who_does_not_come_back_holds_nobody_up_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "LOCK_PATIENCE_SECONDS", 0.1)

    with FileStore(path).locked():
        save(FileStore(path), TOKENS)

    assert FileStore(path).load() == TOKENS


def test_the_lock_goes_with_its_process(path: Path) -> None:
    holds = warm.Event()
    holder = warm.Process(target=hold, args=(path, holds))
    holder.start()
    assert holds.wait(PATIENCE_SECONDS)
    waiter = Thread(target=save, args=(FileStore(path), TOKENS))
    waiter.start()

    holder.kill()
    waiter.join(PATIENCE_SECONDS)

    assert FileStore(path).load() == TOKENS
    holder.join()


def hold(path: Path, holds: Any) -> None:  # an Event of multiprocessing's
    """Take the lock and keep it."""
    with FileStore(path).locked():
        holds.set()
        signal.pause()


# --- several processes before a server ---------------------------------------------------------


@pytest.fixture
def device(server: LiveServer, path: Path) -> Device:
    """Give a client that keeps its tokens in a file."""
    device = Device(server, FileStore(path))
    device.close()
    server.wire.exchanges.clear()
    return device


def test_processes_that_share_a_file_refresh_once(device: Device, path: Path) -> None:
    for _ in range(2):
        device.server.expire_access_tokens()
        device.server.wire.exchanges.clear()

        assert in_processes(ask_who_i_am, device.server.url, path) == [200] * PROCESSES

        assert device.server.refreshes == 1
    assert "refresh_token_reused" not in device.server.events()


def test_without_the_lock_grace_absorbs_the_race(device: Device, path: Path) -> None:
    device.server.expire_access_tokens()

    assert in_processes(ask_without_the_lock, device.server.url, path) == [200] * PROCESSES

    assert device.server.refreshes == PROCESSES
    assert in_processes(ask_who_i_am, device.server.url, path) == [200] * PROCESSES
    assert "refresh_token_reused" not in device.server.events()


def test_a_process_that_dies_before_it_has_stored_its_successor_loses_nothing(
    device: Device, path: Path
) -> None:
    before = device.stored
    device.server.expire_access_tokens()

    exits = in_processes(die_while_saving, device.server.url, path, processes=1)
    device.server.advance(minutes=8 * 60)
    answers = in_processes(ask_who_i_am, device.server.url, path, processes=1)

    assert exits == [-signal.SIGKILL]
    assert device.server.wire.count("POST", "/auth/refresh", 200) == 2
    assert answers == [200]
    assert device.stored.refresh_token != before.refresh_token


def in_processes(
    deed: Callable[[str, Path, Any], None], *arguments: object, processes: int = PROCESSES
) -> list[int]:
    """Have processes do something at the same moment; return the exit code of each, 0 as 200."""
    together = warm.Barrier(processes)
    running: list[BaseProcess] = [
        warm.Process(target=deed, args=(*arguments, together)) for _ in range(processes)
    ]
    for one in running:
        one.start()
    for one in running:
        one.join(PATIENCE_SECONDS)
    return [200 if one.exitcode == 0 else one.exitcode or 0 for one in running]


def ask_who_i_am(url: str, path: Path, together: Any) -> None:  # a Barrier of multiprocessing's
    """Be a run of a CLI."""
    _ask(url, FileStore(path), together)


def ask_without_the_lock(url: str, path: Path, together: Any) -> None:
    """Be one that finds the lock held by somebody who does not come back."""
    stores.LOCK_PATIENCE_SECONDS = 0.0
    all_have_read = together

    class Hasty(FileStore):
        reads = 0

        def load(self) -> Tokens | None:
            found = super().load()
            self.reads += 1
            if self.reads == BEFORE_A_REFRESH:
                all_have_read.wait(PATIENCE_SECONDS)
            return found

    _ask(url, Hasty(path), together)


def die_while_saving(url: str, path: Path, together: Any) -> None:
    """Be one that is killed between the answer and the store."""

    class Doomed(FileStore):
        def save(self, tokens: Tokens | None) -> None:  # noqa: ARG002 - it comes to nothing
            os.kill(os.getpid(), signal.SIGKILL)

    _ask(url, Doomed(path), together)


def _ask(url: str, store: FileStore, together: Any) -> None:
    together.wait(PATIENCE_SECONDS)
    own = httpx.Client(verify=CERTIFICATES)
    auth = BatonpassAuth(url, store, client=own)
    with httpx.Client(base_url=url, auth=auth, verify=CERTIFICATES) as client:
        answer = client.get("/auth/me")
    own.close()
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(answer.status_code % 256)
