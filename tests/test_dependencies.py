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

# 150 ms where importing FastAPI takes 250. Ours took 0.33 of FastAPI's on an idle machine, 0.5 on a
# busy one; SQLAlchemy is there already, for nobody hands over an engine without it.
MOST_OF_FASTAPI = 0.6
ROUNDS = 2
COST = """
import time
marks = [time.process_time()]
import fastapi
marks.append(time.process_time())
import sqlalchemy.ext.asyncio, sqlalchemy.orm
marks.append(time.process_time())
import batonpass
marks.append(time.process_time())
print(marks[1] - marks[0], marks[3] - marks[2])
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


def test_importing_it_costs_little_beside_fastapi() -> None:
    costs = [
        [float(part) for part in subprocess.check_output([sys.executable, "-c", COST]).split()]
        for _ in range(ROUNDS)
    ]
    fastapi, ours = (min(column) for column in zip(*costs, strict=True))

    assert ours / fastapi <= MOST_OF_FASTAPI


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
