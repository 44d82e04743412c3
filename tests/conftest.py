"""What every test has: a cache of its own, disks to fill, the models of models.py and the peers' environments."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_potion.benchmarks.speed import environments

from .hub import LoopbackHub, hub_environment, run_script, served  # noqa: F401  # for tests that import them from here
from .models import (  # noqa: F401  # fixtures, which tests name as arguments
    CHECKOUT,
    DATA,
    bert_teacher,
    bert_tokenizer,
    bits,
    bundle,
    distilled,
    distilled_folder,
    hand_bundle,
    hand_folder,
    hand_model,
    hand_table,
    hand_tokenizer,
    made_once,
    other_tokenizer,
    run_folder,
    sentences,
    shared,
    shared_sentences,
    small_teacher,
    teacher_folder,
    tiny_run,
)

BUILT = CHECKOUT / ".venvs" / "cache"  # where `make test` builds the benchmark's environments


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("EDGE_POTION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A real file system of 150 kB, to be filled; `mount -o remount,size=...` makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a file system, and nothing but a full one says ENOSPC as a full disk does")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)  # lazily: arrays may still be mapped from it


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    """Mounts something at a folder or file until the test is over."""
    mounted: list[Path] = []

    def mount(at: Path, *how: str | Path) -> Path:
        done = subprocess.run(["mount", *how, at], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(at)
        return at

    yield mount
    for at in reversed(mounted):
        subprocess.run(["umount", "-l", at], check=True)


@pytest.fixture(scope="session")
def peer_distilled_folder(teacher_folder) -> Path:
    """The same teacher distilled by model2vec itself, in its own virtual environment."""
    script = (
        "import sys; from model2vec.distill import distill; "
        "distill(sys.argv[1], pca_dims=256, quantize_to='float32', device='cpu').save_pretrained(sys.argv[2])"
    )
    sources = [CHECKOUT / "tests" / "peers" / "model2vec-distill.txt"]
    return made_once(
        "model2vec-distilled",
        sources,
        lambda out: run_in_peer("model2vec-distill", script, str(teacher_folder), str(out)),
    )


@pytest.fixture
def built(monkeypatch) -> None:
    """The cache in which `make test` builds the benchmark's environments."""
    monkeypatch.setenv("EDGE_POTION_CACHE", str(BUILT))


def built_javascript() -> Path:
    """The folder with ONNX Runtime's JavaScript packages; skips the test where they are not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        try:
            return environments.javascript_folder()
        except environments.Missing as reason:
            pytest.skip(f"{reason} (`make test` does it where node and npm are)")


def run_in_peer(name: str, script: str, *arguments: str) -> str:
    """stdout of a Python script run in a peer's virtual environment, which `make test` sets up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POTION_CACHE", str(BUILT))
        home = environments.environment_folder(name) if name in environments.PYTHONS else CHECKOUT / ".venvs" / name
    python = home / "bin" / "python"
    assert python.exists(), f"{python.relative_to(CHECKOUT)} is missing; run the tests with `make test`"
    # The environments hold no edge-potion; beside it in the checkout lies nothing that they would import instead.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [python, "-c", script, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
