"""Where a native client keeps its tokens between two requests, and between two runs.

A refresh saves the successor here before anybody may use the access token that came with it: who is
interrupted in between finds the old token, which the server still takes for a lost answer. Once an
access token has been used, the old one would be taken for a thief's.

Source: docs/security.md, "Settled".
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_PATIENCE_SECONDS = 20.0  # longer than a refresh takes, with its second try
_LOOK_AGAIN_SECONDS = 0.02
_OWNER_ONLY = 0o600
_OWNERS_FOLDER = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a token answer brought. Its `repr` shows no token.

    Attributes:
        server: The auth routes that it came from; it goes nowhere else.
        access_token: A JWT.
        refresh_token: The current one.
        expires_in: Seconds that the access token lives, from `received_at` on.
        received_at: When it was asked for, by this device's clock.
    """

    server: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: float
    received_at: datetime


class TokenStore(Protocol):
    """What an app's own store (a keyring, a database) does.

    It may block: it is never asked in an event loop's thread. What it raises reaches whoever waits
    for a token.
    """

    def load(self) -> Tokens | None:
        """Return what was saved last; None: nobody is logged in."""

    def save(self, tokens: Tokens | None) -> None:
        """Keep these, durably, in place of all before; None: forget them."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep others that share the store out until the block ends.

        A store that no second process shares needs none: `contextlib.nullcontext()`.
        """


class MemoryStore:
    """Keeps the tokens for as long as the process lives: for a service, or a test.

    Two processes with one token would be owner and thief to the server: each logs in for itself.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()

    def load(self) -> Tokens | None:
        """Return what was saved last."""
        return self._tokens

    def save(self, tokens: Tokens | None) -> None:
        """Keep these, or nothing."""
        self._tokens = tokens

    def locked(self) -> AbstractContextManager[None]:
        """Keep another session on the same store out."""
        return _held(self._lock)


class FileStore:
    """Keeps the tokens in a file that its owner alone may read; several processes may share it.

    A file is replaced, never written into: whoever reads sees the old one or the new one, after a
    power cut too. Processes wait for each other at a lock file beside it. One that does not come
    back (suspended, on a dead network drive) holds nobody up for ever: the others go on without the
    lock, and the server's grace absorbs it, for both are then answered the same successor.

    On Windows the file has the permissions of its folder: put it into the user's profile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Use the file at `path`, which need not exist; "~" is the user's home."""
        self._path = Path(path).expanduser()
        self._lock_path = self._path.with_name(self._path.name + ".lock")

    def __repr__(self) -> str:
        """Say where it is."""
        return f"FileStore({str(self._path)!r})"

    def load(self) -> Tokens | None:
        """Read the file; None where there is none, or it holds no tokens of ours.

        Raises:
            OSError: It cannot be read.
        """
        try:
            return _read(self._path.read_bytes())
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens | None) -> None:
        """Replace the file, and return once it is on the disk; None removes it.

        Raises:
            OSError: It cannot be written; what was there is still there.
        """
        if tokens is None:
            self._path.unlink(missing_ok=True)
        else:
            self._replace(_written(tokens))
        _sync_folder(self._path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out until the block ends, as far as they can be waited for.

        Raises:
            OSError: The folder cannot be written to.
        """
        self._path.parent.mkdir(mode=_OWNERS_FOLDER, parents=True, exist_ok=True)
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        try:
            _wait_until(lambda: _try_lock(descriptor), LOCK_PATIENCE_SECONDS)
            yield
        finally:
            os.close(descriptor)  # and the lock with it

    def _replace(self, content: bytes) -> None:
        # mkstemp: mode 0600 from the first moment on, whatever the umask.
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise


def _written(tokens: Tokens) -> bytes:
    content = asdict(tokens) | {"received_at": tokens.received_at.isoformat()}
    return json.dumps(content, indent=1).encode()


def _read(content: bytes) -> Tokens | None:
    try:
        found = json.loads(content)
        return Tokens(
            server=_text(found, "server"),
            access_token=_text(found, "access_token"),
            refresh_token=_text(found, "refresh_token"),
            expires_in=float(found["expires_in"]),
            received_at=datetime.fromisoformat(_text(found, "received_at")).astimezone(UTC),
        )
    except (ValueError, KeyError, TypeError):  # somebody else's file, or a hand's work
        return None


def _text(found: Any, name: str) -> str:  # JSON that may be anything
    value = found[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _wait_until(is_so: Callable[[], bool], patience_seconds: float) -> None:
    """Look again and again: a lock of another process tells nobody when it is free."""
    never = threading.Event()
    for _ in range(int(patience_seconds / _LOOK_AGAIN_SECONDS)):
        if is_so():
            return
        never.wait(_LOOK_AGAIN_SECONDS)


@contextmanager
def _held(lock: threading.Lock) -> Iterator[None]:
    with lock:
        yield


if sys.platform == "win32":

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _sync_folder(folder: Path) -> None:
        """Windows cannot, and need not: NTFS keeps a journal of names."""

else:

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
