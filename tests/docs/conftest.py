"""What the tests of pages ask for."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.apps import OLD_SECRET, SECRET

if TYPE_CHECKING:
    from pwdlib import PasswordHash


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the reader's folder, and the environment that the pages want."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("OLD_SECRET", OLD_SECRET)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///app.db")
    if find_spec("pwdlib"):  # among the oldest versions it is not
        monkeypatch.setattr("pwdlib.PasswordHash.recommended", _light)
    return tmp_path


def _light() -> "PasswordHash":
    """Hash in a moment: what the true ones cost is not what pages are tested for."""
    from pwdlib import PasswordHash  # noqa: PLC0415
    from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415

    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
