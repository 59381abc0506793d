"""What we install and what we ship: locked, listed, and nothing in it that nobody asked for.

Source: docs/security.md, S-SUP-1; CycloneDX 1.6.
"""

import base64
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution, requires
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema_rs
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.servers import SECRET_KEY
from tools import audit, sbom
from tools.steps import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
SCHEMAS = Path(cyclonedx.schema.__file__).with_name("_res")
RUN_AT_INSTALL = {"preinstall", "install", "postinstall", "prepare", "prepublish", "prepack"}
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}")


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """Return what `make sbom` writes of this project."""
    read: dict[str, Any] = json.loads(sbom.written(ROOT))
    return read


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build the wheel that would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


# --- what is installed -------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_s_sup_1_each_python_package_is_locked_to_one_version_with_hashes(lock: Path) -> None:
    text = lock.read_text()
    found = list(audit.LOCKED.finditer(text))
    starts = [line for line in text.splitlines() if line and line[0] not in " #"]

    assert len(found) == len(starts) > 0, "every line that is no comment is name==version"
    for package in found:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", package["below"]), package["name"]
    assert "://" not in re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE), "and from no address"


def test_s_sup_1_each_node_package_is_locked_to_one_version_with_a_hash() -> None:
    installed = {
        place: entry
        for place, entry in audit.node_lock(ROOT).items()
        if "node_modules/" in place and not entry.get("link")
    }

    assert len(installed) > 100
    for place, entry in installed.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", entry["version"]), place
        if "integrity" not in entry:  # another platform's build of a tool: see tools/node_lock.py
            assert {"dev", "optional", "cpu"} <= set(entry), place
            continue
        algorithm, _, digest = entry["integrity"].partition("-")
        assert algorithm == "sha512", place
        assert len(base64.b64decode(digest)) == 64, place


def test_s_sup_1_no_node_package_runs_a_script_while_it_is_installed() -> None:
    settings = dict(
        line.split("=", 1)
        for line in (ROOT / ".npmrc").read_text().splitlines()
        if line and not line.startswith("#")
    )
    asking = [place for place, e in audit.node_lock(ROOT).items() if e.get("hasInstallScript")]
    manifests = [ROOT / "package.json", *(ROOT / p / "package.json" for p in sbom.OUR_PACKAGES)]

    assert asking, "some packages would: so it matters that npm is told not to"
    assert settings["ignore-scripts"] == "true"
    assert "--ignore-scripts" in (ROOT / "tools" / "setup.py").read_text()
    for path in manifests:
        assert not RUN_AT_INSTALL & set(json.loads(path.read_text()).get("scripts", {})), path


# --- what ships --------------------------------------------------------------------------------


def test_s_sup_1_the_bill_of_materials_is_cyclonedx(bill: dict[str, Any]) -> None:
    schemas = {
        path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.SNAPSHOT.schema.json")
    }
    beside = jsonschema_rs.Registry(
        [(f"http://cyclonedx.org/schema/{name}", schema) for name, schema in schemas.items()]
    )
    validator = jsonschema_rs.validator_for(
        schemas["bom-1.6.SNAPSHOT.schema.json"], registry=beside
    )

    assert [str(error) for error in validator.iter_errors(bill)] == []
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/batonpass@0.1.0"


def test_s_sup_1_every_package_that_the_wheel_brings_is_in_the_bill(bill: dict[str, Any]) -> None:
    """What is installed here, followed from the wheel's own metadata, is another way to count."""
    listed = {one["purl"]: one for one in bill["components"]}
    locked = {canonicalize_name(one.name): one for one in audit.python_packages(ROOT)}
    brought = set(_brought_by("batonpass", set(sbom.SHIPPING_EXTRAS)))

    assert {"fastapi", "starlette", "cryptography", "cffi", "argon2-cffi-bindings"} < brought
    for name in brought:
        package = locked[canonicalize_name(name)]
        purl = f"pkg:pypi/{canonicalize_name(name)}@{package.version}"
        assert listed[purl]["version"] == package.version
        hashes = {f"sha256:{one['content']}" for one in _hashes(listed[purl])}
        assert hashes == set(package.hashes) != set(), name


def test_s_sup_1_every_package_that_the_web_app_is_made_of_is_in_the_bill(
    bill: dict[str, Any],
) -> None:
    listed = {one["purl"]: one for one in bill["components"]}
    lock = audit.node_lock(ROOT)
    wanted = [name for name in lock["web"]["dependencies"] if not name.startswith("@batonpass/")]

    for name in (*wanted, "swagger-ui-dist", "scheduler"):
        entry = lock[f"node_modules/{name}"]
        one = listed[f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"]
        (digest,) = _hashes(one)
        assert digest["alg"] == "SHA-512"
        assert bytes.fromhex(digest["content"]) == base64.b64decode(entry["integrity"][7:])
    assert {"pkg:npm/%40batonpass/client@0.1.0", "pkg:npm/%40batonpass/react@0.1.0"} < set(listed)


def test_s_sup_1_what_only_tests_and_tools_need_is_not_in_the_bill(bill: dict[str, Any]) -> None:
    names = {one["name"] for one in bill["components"]}

    assert not names & {"pytest", "hatchling", "playwright", "vite", "typescript", "biome", "scarf"}


def test_s_sup_1_whatever_needs_another_is_joined_to_it(bill: dict[str, Any]) -> None:
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    reached, waiting = set(), ["batonpass", "packages/client", "packages/react"]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs[ref]

    assert reached == {"batonpass"} | {one["bom-ref"] for one in bill["components"]}


def test_s_sup_1_the_wheel_holds_no_secret_and_no_test(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    tracked = _tracked_or_built()

    assert "batonpass/family.py" in names
    for name in names:
        package, _, rest = name.partition("/")
        if package.endswith(".dist-info"):
            continue
        assert package == "batonpass"
        assert rest in tracked, f"{name}: nobody committed it, and nothing built it"
        assert not re.search(r"(^|/)(test_|conftest|\.env|\.git)|\.(db|key|pem|map)$", rest), name
    for name in names:
        content = wheel.read(name)
        assert SECRET_KEY.encode() not in content, name
        assert not PRIVATE_KEY.search(content), name


def _brought_by(name: str, extras: set[str]) -> Iterator[str]:
    """Name what a package asks for on this machine, and what that asks for."""
    seen: set[tuple[str, str]] = set()
    waiting = [(name, extra) for extra in (*extras, "")]
    while waiting:
        asker, extra = waiting.pop()
        if (asker, extra) in seen:
            continue
        seen.add((asker, extra))
        if asker != name:
            yield asker
        for text in _asks(asker):
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                found = distribution(wanted.name).metadata["Name"]
                waiting += [(found, one) for one in (*wanted.extras, "")]


def _asks(name: str) -> list[str]:
    if name != "batonpass":
        return requires(name) or []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        *project["dependencies"],
        *(
            f"{text}; extra == '{extra}'"
            for extra, texts in project["optional-dependencies"].items()
            for text in texts
            if not text.startswith("batonpass[")
        ),
    ]


def _hashes(component: dict[str, Any]) -> list[dict[str, str]]:
    (files,) = component["externalReferences"]
    found: list[dict[str, str]] = files["hashes"]
    return found


def _tracked_or_built() -> set[str]:
    """Name the files below src/batonpass that are committed, and what the web app's build made."""
    said = subprocess.run(
        ["git", "ls-files", "--cached", "src/batonpass"],  # noqa: S607 - the git of who tests
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    package = ROOT / "src" / "batonpass"
    built = (path for path in (package / "server" / "static").rglob("*") if path.is_file())
    return {str(Path(line).relative_to("src/batonpass")) for line in said.splitlines()} | {
        str(path.relative_to(package)) for path in built
    }
