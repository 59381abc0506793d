"""The two npm packages hold all that an app needs: packed and installed as the README says.

The app is a Vite app of its own, outside of this repository. What the tarballs do not hold it does
not find; what is not ours (React, axios, Vite, TypeScript) is linked from node_modules: no network.
"""

import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code_blocks
from tools.steps import environment

README = ROOT / "README.md"
PACKAGES = ("@batonpass/client", "@batonpass/react")
MODULES = ("client", "client/axios", "client/fetch", "client/live", "react")
OTHERS = (
    "axios", "react", "react-dom", "vite", "@vitejs/plugin-react", "typescript",
    "@types/react", "@types/react-dom",
)  # fmt: skip

KEPT = "Object.assign(globalThis, { every });\n"  # else the bundler may leave them out
INDEX = '<div id="root"></div><script type="module" src="/main.tsx"></script>\n'
VITE = """import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  %s
});
"""
COMPILER = {
    "noEmit": True,
    "strict": True,
    "jsx": "react-jsx",
    "lib": ["ES2023", "DOM", "DOM.Iterable"],
    "target": "ES2023",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "types": [],
}


@pytest.fixture(scope="module")
def tarballs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `npm pack` makes of each package."""
    folder = tmp_path_factory.mktemp("packed")
    workspaces = [argument for name in PACKAGES for argument in ("-w", name)]
    said = _run("npm", "pack", "--json", "--pack-destination", folder, *workspaces, cwd=ROOT)
    packed = json.loads(said)
    entries = packed if isinstance(packed, list) else packed.values()
    return {entry["name"]: folder / entry["filename"] for entry in entries}


@pytest.fixture
def app(tarballs: dict[str, Path], tmp_path: Path) -> Path:
    """A new Vite app with both packages installed, and the README's page in it."""
    ours = {name: f"file:{path}" for name, path in tarballs.items()}
    others = {name: f"file:{ROOT / 'node_modules' / name}" for name in OTHERS}
    manifest = {"name": "app", "private": True, "type": "module", "dependencies": others | ours}
    (tmp_path / "package.json").write_text(json.dumps(manifest))
    _run("npm", "install", "--offline", "--ignore-scripts", cwd=tmp_path)

    (page,) = code_blocks(README, "tsx")
    (proxy,) = code_blocks(README, "ts")
    every = "".join(f'export * as m{n} from "@batonpass/{m}";\n' for n, m in enumerate(MODULES))
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "main.tsx").write_text(f'{page}\nimport * as every from "./every.ts";\n{KEPT}')
    (tmp_path / "every.ts").write_text(every)
    (tmp_path / "vite.config.ts").write_text(VITE % proxy.strip())
    options = COMPILER | {"allowImportingTsExtensions": True}
    config = {"compilerOptions": options, "files": ["main.tsx", "every.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    return tmp_path


def test_an_app_with_the_packed_packages_compiles_and_builds(app: Path) -> None:
    installed = app / "node_modules" / "@batonpass"
    assert not any((installed / name).is_symlink() for name in ("client", "react"))

    _run("node_modules/.bin/tsc", cwd=app)
    _run("node_modules/.bin/vite", "build", cwd=app)

    (bundle,) = (app / "dist" / "assets").glob("*.js")
    assert "session_state" in bundle.read_text()


@pytest.mark.parametrize("name", PACKAGES)
def test_s_sup_1_a_packed_package_holds_what_it_needs_no_secret_and_no_test(
    tarballs: dict[str, Path], name: str
) -> None:
    with tarfile.open(tarballs[name]) as tar:
        files = {member.name.removeprefix("package/") for member in tar}

    needed = {"LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts"}
    assert needed <= files
    others = files - needed
    assert [
        file for file in others if not re.fullmatch(r"dist/[\w.-]+\.(js|js\.map|d\.ts)", file)
    ] == []
    assert [file for file in files if re.search("test|secret|env", file)] == []


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout
