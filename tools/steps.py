"""A step of an installation: done once, done again when what it was made from changes.

Each step leaves a stamp, a hash of its inputs, only after it has ended well; so a second run is
quick, and one that was interrupted is taken up where it stopped.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NODE = ROOT / ".node"  # only where the machine's own Node.js does not do
STAMPS = VENV / "stamps"
TICK_SECONDS = 1.0
_NOT_PASSED_ON = frozenset({"PYTHONDONTWRITEBYTECODE"})
LOGS = ROOT / "test-artefacts"

# What pip and npm say when the network, not the project, is at fault.
NO_NETWORK = (
    "Connection refused",
    "ConnectTimeout",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ENOTFOUND",
    "ETIMEDOUT",
    "NameResolutionError",
    "Name or service not known",
    "Network is unreachable",
    "NewConnectionError",
    "Temporary failure in name resolution",
    "nodename nor servname provided",
)


class StepError(Exception):
    """A step could not be done; its text is the one sentence that the person needs."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn a `StepError` into its sentence and exit status 1, Ctrl-C into 130."""
    try:
        yield
    except StepError as error:
        print(f"\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def environment() -> dict[str, str]:
    """Return the environment that commands run in: the installed Python and Node.js come first.

    Python may keep what it compiles: many tests start processes, and compiling takes each longer
    than all that it is started for.
    """
    path = [str(VENV / "bin"), os.environ.get("PATH", os.defpath)]
    if (NODE / "bin" / "node").exists():
        path.insert(1, str(NODE / "bin"))
    given = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    return given | {
        "PATH": os.pathsep.join(path),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    }


def fingerprint(*inputs: Path | str) -> str:
    """Hash what a step is made from: files, folders (every file in them) and plain texts.

    A missing file counts as such; what a folder's own tools produce is left out.
    """
    digest = hashlib.sha256()
    for given in inputs:
        if isinstance(given, str):
            digest.update(f"text {given}\0".encode())
            continue
        for path in _files(given):
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
            digest.update(f"file {path.relative_to(ROOT)} {content}\0".encode())
    return digest.hexdigest()


PRODUCED = frozenset({"node_modules", "dist", "coverage", "__pycache__", "test-results"})


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in PRODUCED and name[0] != ".")
        for name in sorted(names):
            if not name.endswith((".gen.ts", ".tsbuildinfo")):
                yield Path(folder) / name


def step(
    name: str, title: str, *, inputs: str, outputs: Iterable[Path], do: Callable[[], None]
) -> None:
    """Do a step unless its stamp says that it was done from the same inputs and its outputs stand.

    Args:
        name: The stamp's file name.
        title: What the person at the terminal reads.
        inputs: The inputs' `fingerprint`.
        outputs: What must exist afterwards.
        do: Does it; raises StepError where it cannot.

    Raises:
        StepError: It could not be done, or an output is missing afterwards.
    """
    stamp = STAMPS / name
    wanted = list(outputs)
    if all(path.exists() for path in wanted) and _read(stamp) == inputs:
        return
    stamp.unlink(missing_ok=True)
    started = time.monotonic()
    print(f"  … {title}", flush=True)
    do()
    for path in wanted:
        if not path.exists():
            message = f"{title}: it ended well, yet {path.relative_to(ROOT)} is missing."
            raise StepError(message)
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(inputs)
    print(f"  ✓ {title}: {time.monotonic() - started:.1f} s", flush=True)


def side_by_side(*chains: Callable[[], None]) -> None:
    """Do chains of steps that do not need each other at the same time.

    Raises:
        StepError: One could not be done; the others were let finish.
    """
    with ThreadPoolExecutor(len(chains)) as threads:
        for done in [threads.submit(chain) for chain in chains]:
            done.result()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _wait(running: subprocess.Popen[bytes], what: str) -> int:
    """Wait for a command; whoever sits at a terminal sees that it is still at work."""
    started = time.monotonic()
    try:
        while True:
            try:
                return running.wait(timeout=TICK_SECONDS)
            except subprocess.TimeoutExpired:
                if sys.stdout.isatty():
                    print(f"\r    {what}: {time.monotonic() - started:.0f} s", end="", flush=True)
    finally:
        if sys.stdout.isatty():
            print("\r\x1b[K", end="", flush=True)


def command(*arguments: str | Path, what: str, extra: Mapping[str, str] | None = None) -> None:
    """Run a command of a step quietly; show what it said only where it fails.

    Args:
        arguments: The program and its arguments.
        what: What fails when it fails: the subject of a sentence.
        extra: Variables beside the `environment`.

    Raises:
        StepError: It is missing or ended with another status than 0.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    written = LOGS / f"{what.lower().replace(' ', '-')}.log"  # of its own: steps run side by side
    with written.open("w") as log:
        try:
            running = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=ROOT,
                env=environment() | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            message = f"{what} needs `{arguments[0]}`, which this machine does not have."
            raise StepError(message) from None
        with running:
            status = _wait(running, what)
    if status == 0:
        return
    said = written.read_text(errors="replace")
    if any(sign in said for sign in NO_NETWORK):
        message = (
            f"{what} needs the network, and the package registry cannot be reached "
            f"(what was tried: {written.relative_to(ROOT)})."
        )
        raise StepError(message)
    print(said, file=sys.stderr)
    message = f"{what} failed with status {status}; its output stands above."
    raise StepError(message)
