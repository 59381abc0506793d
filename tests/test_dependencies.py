"""What an app gets that installs the library alone, without an extra."""

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Imports the library as if nothing but its dependencies were installed.
IMPORT = """
import importlib.abc, sys

class Others(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

hidden = set(sys.argv[1:])
sys.meta_path.insert(0, Others())
import batonpass
from sqlalchemy import MetaData, create_engine
create_engine("sqlite://").connect().close()
"""


def test_the_library_imports_with_its_own_dependencies_alone() -> None:
    installed = _installed_with("batonpass")
    hidden = {
        module
        for module, owners in packages_distributions().items()
        if installed.isdisjoint(map(canonicalize_name, owners))
    }

    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *sorted(hidden)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert {"pytest", "typer", "asyncpg"} <= hidden
    assert done.returncode == 0, done.stderr


def _installed_with(name: str) -> set[str]:
    """Return all that pip installs for a distribution, extras only where one asks for them."""
    found: set[str] = set()
    todo = [(canonicalize_name(name), "")]
    seen = set()
    while todo:
        asked = todo.pop()
        if asked in seen:
            continue
        seen.add(asked)
        owner, extra = asked
        found.add(owner)
        for line in distribution(owner).requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(wanted.name), extra) for extra in ("", *wanted.extras)]
    return found
