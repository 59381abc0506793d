"""`batonpass …` in a folder of its own, as a process of its own, and Python likewise.

A command is forked from a process that has imported everything already: what takes two seconds of
each start is spent once. Arguments, environment, folder, streams and exit code are the process'
own.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batonpass.cli import main
from tests.support.servers import SECRET_KEY

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PATIENCE_SECONDS = 60
_ENCODING, _ERRORS = "utf-8", "surrogateescape"

Said = tuple[int, str, str]  # exit code, what it printed, what it complained of

_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload([__name__])


class Shell:
    """Runs commands in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Work in `folder`."""
        self.folder = folder

    def __call__(self, *words: str, stdin: str = "", **settings: str) -> Said:
        """Run a `batonpass` command."""
        with tempfile.TemporaryDirectory() as streams:
            files = [Path(streams, name) for name in ("in", "out", "err")]
            files[0].write_bytes(stdin.encode(_ENCODING, _ERRORS))
            process = start_command(words, self.folder, _environment(settings), files)
            process.join(PATIENCE_SECONDS)
            if process.exitcode is None:
                process.kill()
                message = f"batonpass {' '.join(words)} does not end"
                raise TimeoutError(message)
            out, err = (file.read_text(_ENCODING, _ERRORS) for file in files[1:])
            return process.exitcode, out, err

    def python(self, code: str, *words: str, **settings: str) -> Said:
        """Run Python as a command would be run."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.folder,
            env=_environment(settings),
            capture_output=True,
            encoding=_ENCODING,
            errors=_ERRORS,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


def start_command(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], files: Sequence[Path]
) -> "BaseProcess":
    """Start `batonpass` with `words`, as the leader of a process group of its own.

    Args:
        words: What stands behind `batonpass`.
        folder: Where it works.
        environment: All of it.
        files: What its standard input, output and error are; written at their end.
    """
    process = _warm.Process(target=_run, args=(words, folder, environment, files))
    process.start()
    return process


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "BATONPASS_" not in name}
    ours = {f"BATONPASS_{name}": value for name, value in settings.items()}
    return {**kept, "BATONPASS_SECRET_KEY": SECRET_KEY, "COLUMNS": "200", **ours}


def _run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], files: Sequence[Path]
) -> None:
    """Be the command, in the process that was forked for it."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding=_ENCODING, errors=_ERRORS)  # noqa: SIM115, PTH123 - it ends with the process
        for number, mode in enumerate(("r", "w", "w"))
    )
    sys.argv = ["batonpass", *words]
    main()
