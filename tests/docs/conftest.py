"""What the tests of pages ask for."""

from pathlib import Path

import pytest

from tests.docs.apps import OLD_SECRET, SECRET


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the reader's folder, and the environment that the pages want."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("OLD_SECRET", OLD_SECRET)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///app.db")
    return tmp_path
