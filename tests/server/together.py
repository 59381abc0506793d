"""Real processes that do one thing at the same moment."""

import os
import subprocess
import sys
from collections.abc import Sequence

PROCESSES = 6
_PATIENCE_SECONDS = 60

# Each imports what it needs, says so, and waits until all may go.
_CHILD = """
import sys
{prepare}
print("ready", flush=True)
sys.stdin.read()
{deed}
"""


def run_together(prepare: str, deed: str, arguments: Sequence[str]) -> list[str]:
    """Run `deed` in PROCESSES processes at once, and return what each printed.

    Args:
        prepare: Python that runs before anybody begins: the imports.
        deed: Python that runs at the same moment in all.
        arguments: sys.argv[1:].
    """
    may_go, go = os.pipe()
    code = _CHILD.format(prepare=prepare, deed=deed)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=may_go,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    os.close(may_go)
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    os.close(go)
    said = [process.communicate(timeout=_PATIENCE_SECONDS) for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, [e for _, e in said]
    return [output for output, _ in said]
