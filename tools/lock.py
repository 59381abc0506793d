"""`make lock`: write requirements/*.txt anew, the newest versions that pyproject.toml allows.

One file serves Python 3.11 to 3.14 on Linux and macOS (`--universal`), with every
file's hash, and names no registry.
"""

import sys
import tempfile
from pathlib import Path

from tools.steps import command, explained

REQUIREMENTS = Path("requirements")
COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--upgrade",
    "--custom-compile-command=make lock",
)


def main() -> None:
    """Compile the files with uv, which is installed for the purpose and thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        command(sys.executable, "-m", "venv", folder, what="Making room for uv")
        command(python, "-m", "pip", "install", "--quiet", "uv", what="Installing uv")
        uv = Path(folder, "bin", "uv")
        for target, *sources in (
            ("dev.txt", "pyproject.toml", "--extra=server", "--extra=dev"),
            ("node.txt", "requirements/node.in"),
            ("oldest.txt", "requirements/oldest.in"),
            ("peers.txt", "requirements/peers.in"),
        ):
            output = f"--output-file={REQUIREMENTS / target}"
            command(uv, *COMPILE, *sources, output, what=f"Locking {target}")
            print(f"  ✓ {(REQUIREMENTS / target).as_posix()}")


if __name__ == "__main__":
    with explained():
        main()
