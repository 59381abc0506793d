"""`make lock`, the npm half: package-lock.json as the package.json files ask, for every platform.

npm leaves out the optional packages that its registry did not give it (a mirror that keeps one
platform's), and `npm ci` then refuses the lock everywhere. Version and platform are known without
the registry: from the package that asks for them, and from their names. Their hashes are not: such
a build is installed unchecked on its platform until `make lock` runs against a full registry.
"""

import json
import re
from pathlib import Path
from typing import Any

from tools import setup
from tools.steps import ROOT, command, explained

SYSTEMS = r"aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32"
MACHINES = r"arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64"
ABIS = r"gnu|gnueabihf|musl|musleabihf|msvc|eabi"
PLATFORM = re.compile(rf"\b(?:({SYSTEMS})-({MACHINES})(?:-({ABIS}))?|wasm32-wasi)$")
LIBC = {"musl": "musl", "gnu": "glibc"}  # the others say nothing that npm knows

Entry = dict[
    str, Any
]  # npm's own form; https://docs.npmjs.com/cli/configuring-npm/package-lock-json


def main() -> None:
    """Bring the project's own lock file up to date, and complete it."""
    if not (ROOT / "package.json").exists():
        return
    setup.make_venv()
    setup.install_node()
    npm = ("npm", "install", "--package-lock-only", "--ignore-scripts")
    command(*npm, what="Locking the Node packages")
    for place in complete(ROOT / "package-lock.json"):
        print(f"  + {place}, without a hash")
    print("  ✓ package-lock.json")


def complete(path: Path) -> list[str]:
    """Add to a lock file what is missing of other platforms, and return their places in it."""
    lock = json.loads(path.read_text())
    packages: dict[str, Entry] = lock["packages"]
    added = {
        f"node_modules/{name}": _entry(version, platform, asking)
        for asking in packages.values()
        for name, version in asking.get("optionalDependencies", {}).items()
        if (platform := PLATFORM.search(name)) and not _is_locked(packages, name)
    }
    if added:
        lock["packages"] = dict(sorted((packages | added).items()))
        path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")
    return sorted(added)


def _is_locked(packages: dict[str, Entry], name: str) -> bool:
    return any(place.endswith(f"node_modules/{name}") for place in packages)


def _entry(version: str, platform: re.Match[str], asking: Entry) -> Entry:
    system, machine, libc = platform.groups()
    entry: Entry = {"version": version, "cpu": [machine or "wasm32"]}
    if asking.get("dev"):
        entry["dev"] = True
    if libc in LIBC:
        entry["libc"] = [LIBC[libc]]
    entry["optional"] = True
    if system is not None:
        entry["os"] = [system]
    return entry


if __name__ == "__main__":
    with explained():
        main()
