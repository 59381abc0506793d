"""Asks OSV, the open vulnerability database, about every version that we lock (S-SUP-1).

One request for both lock files. Where OSV cannot be reached, the audit is skipped and says so: a
check must not depend on the network. A finding that does not concern us stands in ACCEPTED, with
the reason.

Source: https://google.github.io/osv.dev/post-v1-querybatch/
"""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tools.runners import Outcome
from tools.steps import ROOT

OSV = "https://api.osv.dev/v1/querybatch"
TIMEOUT_SECONDS = 10
BATCH = 1000  # the most queries that OSV takes in one request

# Measured beside us by who asks for it, and what is old on purpose: nothing of ours runs on it.
NOT_OURS = frozenset({"peers.txt", "oldest.txt"})
# python-jose brings it: its timing (CVE-2024-23342) will not be mended, and tests have no secrets.
NOT_ASKED = frozenset({"ecdsa"})

ACCEPTED: Mapping[str, str] = {}  # vulnerability id -> why it does not concern us

LOCKED = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)(?P<below>.*(?:\n .*)*)",
    re.MULTILINE,
)
_HASH = re.compile(r"--hash=(\w+:[0-9a-f]+)")
_ASKED_BY = re.compile(r"^ +#(?: via|  ) +([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One locked package.

    Attributes:
        ecosystem: OSV's name of the registry, "PyPI" or "npm".
        name: As the lock file writes it.
        version: The one that is installed.
        hashes: Of its files, as the lock file writes them: `sha256:` in hex, `sha512-` in base64.
        asked_by: The packages that want it; only Python's lock says so.
    """

    ecosystem: str
    name: str
    version: str
    hashes: tuple[str, ...] = field(default=(), compare=False)
    asked_by: tuple[str, ...] = field(default=(), compare=False)


def audit(root: Path = ROOT, osv: str = OSV) -> tuple[Outcome, str]:
    """Look up everything that the lock files under `root` name."""
    locked = {*python_packages(root), *node_packages(root)}
    packages = sorted(
        (package for package in locked if package.name not in NOT_ASKED),
        key=lambda package: package.name,
    )
    try:
        found = [
            finding
            for start in range(0, len(packages), BATCH)
            for finding in _ask(osv, packages[start : start + BATCH])
        ]
    except (OSError, HTTPException, ValueError):
        return Outcome.SKIPPED, "skipped: the vulnerability database (osv.dev) cannot be reached"
    for package, vulnerability in found:
        print(f"{package.name} {package.version}: https://osv.dev/vulnerability/{vulnerability}")
    if found:
        return Outcome.FAILED, f"{len(found)} known vulnerabilities; they stand above"
    return Outcome.PASSED, f"{len(packages)} packages, none with a known vulnerability"


def python_packages(root: Path) -> Iterator[Package]:
    """Yield what requirements/*.txt lock, but for what is NOT_OURS."""
    for path in sorted((root / "requirements").glob("*.txt")):
        if path.name in NOT_OURS:
            continue
        for found in LOCKED.finditer(path.read_text()):
            yield Package(
                ecosystem="PyPI",
                name=found["name"],
                version=found["version"],
                hashes=tuple(_HASH.findall(found["below"])),
                asked_by=tuple(_ASKED_BY.findall(found["below"])),
            )


def node_packages(root: Path) -> Iterator[Package]:
    """Yield what package-lock.json locks; our own workspaces are links, without a version."""
    for place, entry in node_lock(root).items():
        if "node_modules/" in place and "version" in entry:
            yield node_package(place, entry)


def node_lock(root: Path) -> dict[str, dict[str, Any]]:  # npm's, of many shapes
    """Read package-lock.json: what is installed at each place."""
    path = root / "package-lock.json"
    packages: dict[str, dict[str, Any]] = {}
    if path.exists():
        packages = json.loads(path.read_text())["packages"]
    return packages


def node_package(place: str, entry: Mapping[str, Any]) -> Package:
    """Read one entry of package-lock.json."""
    name = place.rpartition("node_modules/")[2]
    return Package(
        ecosystem="npm",
        name=entry.get("name", name),
        version=entry["version"],
        hashes=tuple(entry.get("integrity", "").split()),
    )


def _ask(osv: str, packages: list[Package]) -> list[tuple[Package, str]]:
    queries = [
        {
            "package": {"ecosystem": package.ecosystem, "name": package.name},
            "version": package.version,
        }
        for package in packages
    ]
    request = urllib.request.Request(  # noqa: S310 - https, or a test's own server
        osv,
        data=json.dumps({"queries": queries}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - see above
        results = json.load(answer)["results"]
    return [
        (package, vulnerability["id"])
        for package, result in zip(packages, results, strict=True)
        for vulnerability in result.get("vulns", ())
        if vulnerability["id"] not in ACCEPTED
    ]
