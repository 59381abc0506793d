"""`make sbom`: writes what ships with us, package by package, into build/sbom.cdx.json.

That is what the wheel's extras bring, as requirements/dev.txt locks it, and what the web app in the
wheel is bundled from, as package-lock.json locks it. What only tests and tools need is left out.
The two npm packages depend on nothing but what their app has anyway.

Source: CycloneDX 1.6 (ECMA-424); docs/security.md, S-SUP-1.
"""

import json
import re
import sys
import tomllib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.audit import Package, node_lock, node_package, python_packages
from tools.steps import ROOT, explained

SBOM = ROOT / "build" / "sbom.cdx.json"
SHIPPING_EXTRAS = ("postgres", "otel", "httpx", "server")
# Web's build copies two of its files as they are; what it asks for itself is not among them.
COPIED = frozenset({"swagger-ui-dist"})
OUR_WEB_APP = "web"
OUR_PACKAGES = ("packages/client", "packages/react", OUR_WEB_APP)

_TYPES = {"PyPI": "pypi", "npm": "npm"}  # of a purl
_PAGES = {"PyPI": "https://pypi.org/project/{}/{}/", "npm": "https://www.npmjs.com/package/{}/v/{}"}
_ALGORITHMS = {"sha256": HashAlgorithm.SHA_256, "sha512": HashAlgorithm.SHA_512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A package that ships.

    Attributes:
        package: Which one.
        needs: The places of those that it needs.
    """

    package: Package
    needs: tuple[str, ...]


def main() -> int:
    """Write the file, and say where it is."""
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(written(ROOT), encoding="utf-8")
    print(f"{SBOM.relative_to(ROOT)}: {len(json.loads(SBOM.read_text())['components'])} packages")
    return 0


def written(root: Path) -> str:
    """Return the bill of materials of the project in a folder, as CycloneDX JSON."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    ours = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        purl=PackageURL("pypi", None, project["name"], project["version"]),
    )
    python, node = shipped_python(root), shipped_node(root)
    own = {place: _our_own(place, entry) for place, entry in _own_entries(root)}
    made = {place: _component(one.package) for place, one in (*python.items(), *node.items())}
    made |= own
    bom = Bom(components=made.values(), serial_number=uuid5(NAMESPACE_URL, _locks(root)))
    bom.metadata.component = ours
    roots = [made[name] for name in _asked_for(project) if name in python]
    bom.register_dependency(ours, [*roots, own[OUR_WEB_APP]])
    for place, one in (*python.items(), *node.items()):
        bom.register_dependency(made[place], [made[need] for need in one.needs])
    for place, entry in _own_entries(root):
        wanted = {**entry.get("dependencies", {}), **_wanted_peers(entry)}
        needs = [_place_of(name, place, {*node, *_links(root)}) for name in wanted]
        copied = [f"node_modules/{name}" for name in COPIED] if place == OUR_WEB_APP else []
        found = [_links(root).get(need, need) for need in (*needs, *copied) if need is not None]
        bom.register_dependency(own[place], [made[need] for need in found])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def shipped_python(root: Path) -> dict[str, Shipped]:
    """Return what the wheel asks for with all its extras, and what that asks for, by name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    locked: dict[str, Package] = {canonicalize_name(one.name): one for one in python_packages(root)}
    asked_by: dict[str, set[str]] = {
        name: {canonicalize_name(by) for by in one.asked_by} for name, one in locked.items()
    }
    ships = {name for name in _asked_for(project) if name in locked}
    before = 0
    while len(ships) > before:
        before = len(ships)
        ships |= {name for name, by in asked_by.items() if by & ships}
    return {
        name: Shipped(
            package=locked[name],
            needs=tuple(sorted(other for other in ships if name in asked_by[other])),
        )
        for name in sorted(ships)
    }


def shipped_node(root: Path) -> dict[str, Shipped]:
    """Return what the web app is bundled from, by its place in package-lock.json."""
    places = {
        place: entry
        for place, entry in node_lock(root).items()
        if "node_modules/" in place and "version" in entry and _ships(place, entry)
    }
    return {
        place: Shipped(
            package=node_package(place, entry),
            needs=tuple(
                sorted(
                    found
                    for name in entry.get("dependencies", {})
                    if (found := _place_of(name, place, places)) is not None
                )
            ),
        )
        for place, entry in sorted(places.items())
    }


def _ships(place: str, entry: Mapping[str, Any]) -> bool:
    is_copied = place.removeprefix("node_modules/") in COPIED
    return is_copied or not (entry.get("dev") or entry.get("devOptional"))


def _asked_for(project: Mapping[str, Any]) -> list[str]:
    asked: list[str] = [*project["dependencies"]]
    for extra in SHIPPING_EXTRAS:
        asked += project.get("optional-dependencies", {}).get(extra, ())
    names = {canonicalize_name(Requirement(text).name) for text in asked}
    return sorted(names - {canonicalize_name(project["name"])})


def _own_entries(root: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lock = node_lock(root)
    yield from ((place, lock[place]) for place in OUR_PACKAGES)


def _links(root: Path) -> dict[str, str]:
    """Return where our own packages are linked from, as others find them, and where they are."""
    return {
        place: entry["resolved"] for place, entry in node_lock(root).items() if entry.get("link")
    }


def _wanted_peers(entry: Mapping[str, Any]) -> dict[str, str]:
    optional = entry.get("peerDependenciesMeta", {})
    peers: dict[str, str] = entry.get("peerDependencies", {})
    return {name: version for name, version in peers.items() if name not in optional}


def _place_of(name: str, asker: str, places: Iterable[str]) -> str | None:
    """Look a package up as Node.js does: beside who asks, then one folder up, and so on."""
    known = set(places)
    folders = [asker, *(str(parent) for parent in Path(asker).parents)]
    for folder in folders:
        place = f"{folder}/node_modules/{name}".removeprefix("./")
        if place in known:
            return place
    return None


def _component(package: Package) -> Component:
    kind = _TYPES[package.ecosystem]
    group, _, name = package.name.rpartition("/")
    purl = PackageURL(kind, group or None, name, package.version)
    page = _PAGES[package.ecosystem].format(package.name, package.version)
    # Python's lock names every file's hash, so they are the downloads', not the package's own.
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION, url=XsUri(page), hashes=_hashes(package.hashes)
    )
    return Component(
        name=name,
        group=group or None,
        version=package.version,
        bom_ref=str(purl),
        purl=purl,
        external_references=[files],
    )


def _our_own(place: str, entry: Mapping[str, Any]) -> Component:
    group, _, name = str(entry["name"]).rpartition("/")
    purl = PackageURL("npm", group or None, name, entry["version"])
    return Component(name=name, group=group, version=entry["version"], bom_ref=place, purl=purl)


def _hashes(texts: Sequence[str]) -> Iterator[HashType]:
    for text in texts:
        algorithm, content = re.split("[:-]", text, maxsplit=1)
        is_hex = ":" in text
        yield HashType(
            alg=_ALGORITHMS[algorithm],
            content=content if is_hex else b64decode(content).hex(),
        )


def _locks(root: Path) -> str:
    """Return all that the bill is made from: the same locks have the same serial number."""
    names = ("pyproject.toml", "package-lock.json", "requirements/dev.txt")
    return "".join((root / name).read_text() for name in names)


if __name__ == "__main__":
    with explained():
        sys.exit(main())
