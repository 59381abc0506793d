"""Asks OSV, the open vulnerability database, about every version that we lock for ourselves.

One request for both lock files. Where OSV cannot be reached, the audit is skipped and says so: a
check must not depend on the network. A finding that does not concern us stands in ACCEPTED, with
the reason.

Source: https://google.github.io/osv.dev/post-v1-querybatch/
"""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

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

LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One locked package: `ecosystem` is OSV's name of the registry, "PyPI" or "npm"."""

    ecosystem: str
    name: str
    version: str


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
        for name, version in LOCKED.findall(path.read_text()):
            yield Package(ecosystem="PyPI", name=name, version=version)


def node_packages(root: Path) -> Iterator[Package]:
    """Yield what package-lock.json locks; our own workspaces are links, without a version."""
    path = root / "package-lock.json"
    if not path.exists():
        return
    for place, entry in json.loads(path.read_text())["packages"].items():
        _, inside, name = place.rpartition("node_modules/")
        if inside and "version" in entry:
            yield Package(ecosystem="npm", name=entry.get("name", name), version=entry["version"])


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
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        results = json.load(answer)["results"]
    return [
        (package, vulnerability["id"])
        for package, result in zip(packages, results, strict=True)
        for vulnerability in result.get("vulns", ())
        if vulnerability["id"] not in ACCEPTED
    ]
