"""The wheel of this system embeds where no compiler is; and without one the package installs without the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..models import CHECKOUT
from .built import NATIVE, run

pytestmark = pytest.mark.peers  # it takes auditwheel, and what the package needs, from an index


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """Of the checkout, as what builds a package leaves files beside it."""
    ignored = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "node_modules")
    return Path(shutil.copytree(CHECKOUT, tmp_path_factory.mktemp("wheel") / "checkout", ignore=ignored))


@pytest.fixture
def clean(tmp_path) -> tuple[Path, dict[str, str]]:
    """A new environment's Python, and variables by which it finds no compiler."""
    run(sys.executable, "-m", "venv", tmp_path / "clean")
    programs = tmp_path / "clean" / "bin"
    hidden = {"PATH": str(programs), "CC": "/nonexistent", "CXX": "/nonexistent"}
    return programs / "python", {**os.environ, **hidden}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="auditwheel is for Linux")
def test_make_wheel_gives_one_that_embeds_where_no_compiler_is(copy, clean):
    run("make", "-C", copy, "wheel", f"PYTHON={sys.executable}")
    (wheel,) = (copy / "dist").glob("*.whl")
    assert "-py3-none-manylinux_2_" in wheel.name
    python, environment = clean
    install = (python, "-m", "pip", "install", "-q", "-c", CHECKOUT / "constraints.txt", wheel)
    run(*install, env=environment)
    assert "engine='native'" in run(python, NATIVE / "installed.py", env=environment, cwd=python.parent)


def test_without_a_compiler_it_is_built_without_the_engine_and_says_so(copy, clean):
    python, environment = clean
    command = [python, "-m", "pip", "wheel", "-v", "--no-deps", "--wheel-dir", python.parent, copy]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "edge-potion was installed without its native engine" in done.stdout + done.stderr
    (wheel,) = python.parent.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
