"""`make fix`: let the linters repair what they can, then format."""

import sys

from tools.runners import run
from tools.steps import ROOT, VENV, explained


def main() -> int:
    """Run every repairer; the exit status says whether something is left that needs a person."""
    ruff = str(VENV / "bin" / "ruff")
    commands = [(ruff, "check", "--fix", "."), (ruff, "format", ".")]
    if (ROOT / "package.json").exists():
        commands.append(("npm", "run", "--silent", "fix"))
    return max(run(*command).status for command in commands)


if __name__ == "__main__":
    with explained():
        sys.exit(main())
