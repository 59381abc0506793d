"""The app that a page has its reader write: written into a folder, imported, and forgotten."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

SECRET = "6f1d8e90b3a75c24d1e8f7a6059b3c42e7d60a91f58c2b34d0e96a7f1b83c5d2"
OLD_SECRET = "a secret of the app before, 32 bytes"
EMAIL, PASSWORD = "ada@example.com", "a long walk at noon"
FORM = {"username": EMAIL, "password": PASSWORD}


@contextmanager
def written(files: dict[str, str], folder: Path) -> Iterator[dict[str, Any]]:
    """Write a page's files and import its app; give the app's names."""
    for name, text in files.items():
        (folder / name).write_text(text)
    importlib.invalidate_caches()
    modules = [name.removesuffix(".py") for name in files]
    try:
        names = vars(importlib.import_module("app"))
        yield names
        if isinstance(names["engine"], Engine):  # whoever has an async one disposes of it
            names["engine"].dispose()
    finally:
        for module in modules:
            sys.modules.pop(module, None)


def create_user(user: Any, names: Mapping[str, Any]) -> None:
    """Give a page's app its tables and its first user; `names` are those of the app."""
    user.metadata.create_all(names["engine"])
    with Session(names["engine"]) as db:
        db.add(user(email=EMAIL, password_hash=names["passwords"].hash(PASSWORD)))
        db.commit()
