"""The engine as the tests in C++ need it: built by CMake, kept until its sources change."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_potion.find import find_folder

from ..models import CHECKOUT, made_once

NATIVE = CHECKOUT / "native"
MODEL = find_folder(None) / "onnx" / "text_quantized.onnx"
SOURCES = ("CMakeLists.txt", "exports.map", "include/*.h", "src/*", "tests/*.cpp")


def engine_built(name: str, *options: str) -> Path:
    """The build folder, by CMake's options; skips the test where there is nothing to build it with."""
    for tool in ("cmake", "c++"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    sources = [file for pattern in SOURCES for file in sorted(NATIVE.glob(pattern))]

    def build(folder: Path) -> None:
        run("cmake", "-S", NATIVE, "-B", folder, "-DEP_TESTS=ON", *options)
        run("cmake", "--build", folder, "--parallel", "2", "--target", "edge_potion", "test_engine")
        run("cmake", "--install", folder, "--prefix", folder / "installed")

    return made_once(f"engine-{name}", sources, build)


def run(*command: str | Path, **options: object) -> str:
    """stdout of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
