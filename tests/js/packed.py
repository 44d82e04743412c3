"""The npm package as npm packs it, and what tests run it with: Node, Vite, TypeScript."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from edge_potion.benchmarks.speed import environments

from ..models import CHECKOUT
from ..peers import BUILT

PACKAGE = CHECKOUT / "js"
ENGINE = PACKAGE / "dist" / "edge_potion.wasm"
CHROMIUM = os.environ.get("EDGE_POTION_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def install_package(folder: Path) -> Path:
    """Packs the package and unpacks it into `folder`, for scripts in there to import; its own folder."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    if not ENGINE.is_file():
        pytest.skip("js/dist/edge_potion.wasm is not built: `make wasm`")
    packed = folder / "packed"
    packed.mkdir(parents=True)
    done = run("npm", "pack", "--json", "--pack-destination", packed, cwd=PACKAGE)
    (about,) = json.loads(done.stdout)
    installed = folder / "node_modules" / "edge-potion"
    with tarfile.open(packed / about["filename"]) as archive:
        archive.extractall(packed, filter="data")
    installed.parent.mkdir()
    return (packed / "package").rename(installed)


def built_tools() -> Path:
    """The folder of Vite's and TypeScript's programs; skips the test where they are not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        name = str(CHECKOUT / "tests" / "js" / "package.json")
        folder = environments.environment_folder(name)
    if not (folder / environments.DONE).is_file():
        pytest.skip(f"Vite is not installed: python -m edge_potion.benchmarks.speed.environments {name}")
    return folder / "node_modules" / ".bin"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that is to succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
