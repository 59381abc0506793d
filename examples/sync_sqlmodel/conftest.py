"""Which tests are whose: the app's own run from this folder, test_sync_sqlmodel.py runs them."""

from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the app's tests to their own configuration, and all of it to where SQLModel is."""
    if config.rootpath == HERE:
        return True if collection_path.parent == HERE and collection_path.suffix else None
    is_apps = collection_path == HERE / "app"
    is_ours = collection_path.parent == HERE and find_spec("sqlmodel") is None
    return True if is_apps or is_ours else None
