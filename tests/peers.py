"""Peers' environments, as `make test` builds them: where they are, and what they run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_potion.benchmarks.speed import environments

from .models import CHECKOUT, made_once

BUILT = CHECKOUT / ".venvs" / "cache"
DISTILL = CHECKOUT / "benchmarks" / "studies" / "model2vec_distill.py"
OLDEST = CHECKOUT / "tests" / "exporters" / "oldest_onnxruntime.py"


@pytest.fixture
def built(monkeypatch) -> None:
    """The cache in which `make test` builds the environments."""
    monkeypatch.setenv("EDGE_POTION_CACHE", str(BUILT))


@pytest.fixture(scope="session")
def peer_distilled_folder(teacher_folder) -> Path:
    """all-MiniLM-L6-v2 distilled by model2vec itself; kept until the script that does it changes."""
    return made_once("model2vec-distilled", [DISTILL], lambda out: run_script(DISTILL, str(teacher_folder), str(out)))


def built_javascript(name: str = environments.JAVASCRIPT) -> Path:
    """The folder with ONNX Runtime's JavaScript packages, or transformers.js; skips the test where they are not."""
    with _built_cache():
        try:
            return environments.javascript_folder(name)
        except environments.Missing as reason:
            pytest.skip(f"{reason} (`make test` does it where node and npm are)")


def run_in_peer(name: str, code: str, *arguments: str) -> str:
    """stdout of Python code run in the environment of a runner."""
    with _built_cache():
        python = environments.python_of(name)
    return _stdout_of([str(python), "-c", code, *arguments])


def run_script(script: Path, *arguments: str) -> str:
    """stdout of a script run in the environment that its header names."""
    with _built_cache():
        command = environments.script_command(str(script))
    return _stdout_of([*command, *arguments])


@contextmanager
def _built_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        yield


def _stdout_of(command: Sequence[str]) -> str:
    # The environments hold no edge-potion; beside it in the checkout lies nothing that they would import instead.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
