"""What `pip install batonpass` brings: a server that runs without Node, and nothing that is secret.

The wheel is built from this folder and installed by pip into an empty environment. What it depends
on is linked there out of the environment that the tests run in, and nothing else: no network, and a
dependency that only `dev` names is missing as it would be missing for a user.
"""

import os
import re
import socket
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

import anyio
import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
STATIC = "batonpass/server/static/"
EMAIL, PASSWORD = "ada@example.com", "a long walk at noon"
PATIENCE_SECONDS = 60

# All that may be in it: code, its types' mark, migrations, and the web app as a browser gets it.
SUFFIXES = {".py", ".typed", ".mako"}
WEB_SUFFIXES = {".css", ".gz", ".html", ".js", ".svg", ".woff2"}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `pip install` of a clone does."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


# --- what is in it -----------------------------------------------------------------------------


def test_it_holds_code_migrations_and_the_web_app_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name: archive.getinfo(name).file_size for name in archive.namelist()}

    strange = [name for name in names if not _belongs(PurePosixPath(name))]

    assert not strange
    assert {
        "batonpass/py.typed",
        "batonpass/server/migrations/env.py",
        "batonpass/server/migrations/script.py.mako",
        "batonpass/server/migrations/versions/0001_first.py",
        f"{STATIC}index.html",
    } <= set(names)
    assert any(name.startswith(f"{STATIC}assets/") and name.endswith(".js") for name in names)
    assert {name for name in names if name.endswith(".py")} == {
        str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")
    }


def test_it_holds_no_secret_and_no_path_of_the_machine_that_built_it(wheel: Path) -> None:
    """S-SUP-1."""
    told = (str(ROOT), "PRIVATE KEY-----", "BATONPASS_SECRET_KEY=")
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            name: archive.read(name).decode("utf-8", "replace")
            for name in archive.namelist()
            if not name.endswith((".gz", ".woff2"))
        }

    found = {(name, word) for name, text in texts.items() for word in told if word in text}

    assert not found
    assert f"{STATIC}index.html" in texts


@pytest.mark.parametrize(("name", "belongs"), [
    ("batonpass/family.py", True),
    (f"{STATIC}assets/index-1.js", True),
    (f"{STATIC}assets/index-1.js.map", False),
    ("batonpass/tests/test_family.py", False),
    ("batonpass/node_modules/left-pad.js", False),
    ("batonpass/server/batonpass.key", False),
    ("batonpass/.env", False),
    ("tests/support/servers.py", False),
])  # fmt: skip
def test_what_may_be_in_it(name: str, belongs: bool) -> None:
    assert _belongs(PurePosixPath(name)) is belongs


def _belongs(path: PurePosixPath) -> bool:
    folder, *inner = path.parts
    if folder.endswith(".dist-info"):
        return "/".join(inner) in METADATA
    if folder != "batonpass" or {"tests", "node_modules"} & set(inner):
        return False
    if any(part.startswith(".") for part in inner):
        return False
    return path.suffix in (WEB_SUFFIXES if str(path).startswith(STATIC) else SUFFIXES)


# --- what it does ------------------------------------------------------------------------------


async def test_a_server_is_there_without_node_out_of_an_empty_folder(
    wheel: Path, tmp_path: Path
) -> None:
    python = _environment_with(wheel, "server", tmp_path / "venv")
    folder = tmp_path / "empty"
    folder.mkdir()

    with _served(python.parent / "batonpass", folder) as (url, server):
        async with httpx.AsyncClient(base_url=url) as client:
            await _until_ready(client, server)
            page = await client.get("/login")
            script = re.search(r'src="(/assets/[^"]+\.js)"', page.text)
            assert script is not None, page.text
            asset = await client.get(script[1])
            await client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
            form = {"username": EMAIL, "password": PASSWORD}
            logged_in = await client.post("/auth/token", data=form)
            renewed = await client.post("/auth/refresh")

    assert (page.status_code, asset.status_code) == (200, 200)
    assert asset.headers["content-type"].startswith("text/javascript")
    assert (logged_in.status_code, logged_in.json()["generation"]) == (200, 0)
    assert (renewed.status_code, renewed.json()["generation"]) == (200, 1)
    assert (folder / "batonpass.db").is_file()  # migrated: the migrations came along


@contextmanager
def _served(command: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `batonpass serve` as a user without Node does; give its address, and the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": str(command.parent), "HOME": str(folder)}
    serve = [str(command), "serve", f"--port={port}"]
    with subprocess.Popen(serve, cwd=folder, env=environment) as server:
        try:
            yield f"http://127.0.0.1:{port}", server
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)


async def _until_ready(client: httpx.AsyncClient, server: subprocess.Popen[bytes]) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            assert server.poll() is None, "it has ended"
            try:
                if (await client.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await anyio.sleep(0.05)


# --- an environment ----------------------------------------------------------------------------


def _environment_with(wheel: Path, extra: str, folder: Path) -> Path:
    """Make an environment that holds the wheel and what its extra asks for; return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python3*/site-packages")
    for needed in _needed_by(wheel, extra):
        _link(needed, packages)
    # pip holds what is there to the versions that the wheel asks for, and may fetch nothing.
    offline = ("install", "--no-index", "--isolated", "--no-compile", "--quiet")
    _run(sys.executable, "-m", "pip", "--python", python, *offline, f"{wheel}[{extra}]", cwd=folder)
    return python


def _needed_by(wheel: Path, extra: str) -> list[Distribution]:
    """Find all that pip would bring, from what the wheel and each of them says."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    own = re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(line, extra) for line in own]
    while todo:
        line, asking = todo.pop()
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": asking}):
            continue
        known = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (known, wanted) in seen:
                continue
            seen.add((known, wanted))
            if known == "batonpass":
                todo += [(one, wanted) for one in own]
                continue
            found[known] = distribution(known)
            todo += [(one, wanted) for one in found[known].requires or []]
    return list(found.values())


def _link(needed: Distribution, packages: Path) -> None:
    """Let a distribution stand in another environment, compiled files and all."""
    for name in {file.parts[0] for file in needed.files or [] if file.parts[0] != ".."}:
        link = packages / name
        if not link.is_symlink() and name != "__pycache__":  # folders may be shared
            link.symlink_to(Path(str(needed.locate_file(name))))


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
