"""`make check`: what can be said of the code without running it, all of it even if one fails."""

import sys
from functools import partial

from tools import audit, site
from tools.runners import Ended, Outcome, Result, conclude, line, run, timed
from tools.steps import ROOT, VENV, explained

CHECKS = {
    "ruff": ("ruff", "check", "--quiet", "."),
    "ruff format": ("ruff", "format", "--check", "--quiet", "."),
    "mypy": ("mypy",),
    "layers": ("lint-imports", "--no-logo"),
}
# Users' code alone: ours is mypy's, and an app may have either.
PYRIGHT = (str(ROOT / "node_modules" / ".bin" / "pyright"), "--project", "tests/typing")


def main() -> int:
    """Run every check; show what a check said only where it fails."""
    results: list[Result] = []

    def note(result: Result) -> None:
        results.append(result)
        print(line(result), flush=True)

    for name, (program, *arguments) in CHECKS.items():
        note(timed(name, partial(_checked, str(VENV / "bin" / program), *arguments)))
    if (ROOT / "package.json").exists():
        note(timed("pyright", partial(_checked, *PYRIGHT)))
        note(timed("typescript", partial(_checked, "npm", "run", "--silent", "check")))
    note(timed("site", _built_site))
    note(timed("audit", audit.audit))
    return conclude(results)


def _checked(*command: str) -> tuple[Outcome, str]:
    return _judged(run(*command, quiet=True))


def _judged(ended: Ended) -> tuple[Outcome, str]:
    if ended.status == 0:
        return Outcome.PASSED, ""
    print(ended.output)
    return Outcome.FAILED, f"exit status {ended.status}; what it found stands above"


def _built_site() -> tuple[Outcome, str]:
    site.stage()
    return _judged(site.build())


if __name__ == "__main__":
    with explained():
        sys.exit(main())
