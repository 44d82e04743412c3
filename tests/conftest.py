"""What every test has: a cache of its own, disks to fill, and the models and environments of the files beside."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
    other_tokenizer,
    run_folder,
    sentences,
    shared,
    shared_sentences,
    small_teacher,
    teacher_folder,
    tiny_run,
)
from .peers import built, peer_distilled_folder  # noqa: F401


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


@pytest.fixture
def in_process(monkeypatch, capfd):
    """A command in this process, its exit code and its error: a start costs a second, and torch two more."""
    from edge_potion.cli import main

    def run(*words: object) -> tuple[int, str]:
        streams, handler = (sys.stdout, sys.stderr), signal.getsignal(signal.SIGTERM)
        handlers = list(logging.root.handlers)
        monkeypatch.setattr(sys, "argv", ["edge-potion", *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as done:
            code = done.code
        finally:
            (sys.stdout, sys.stderr), logging.root.handlers = streams, handlers
            signal.signal(signal.SIGTERM, handler)
        capfd.readouterr()
        return (1, code) if isinstance(code, str) else (int(code or 0), "")

    return run
