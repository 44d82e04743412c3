"""What every test has: a cache of its own, disks to fill, and the models and environments of the files beside."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .clusters import ray_cluster  # noqa: F401  # a fixture too
from .models import (  # noqa: F401  # fixtures, which tests name as arguments
    bert_teacher,
    bert_tokenizer,
    bundle,
    distilled,
    distilled_folder,
    hand_bundle,
    hand_folder,
    hand_model,
    hand_table,
    hand_tokenizer,
    other_tokenizer,
    phrase_model,
    run_folder,
    sentences,
    shared,
    shared_sentences,
    small_teacher,
    teacher_folder,
    tiny_run,
)
from .peers import built, peer_distilled_folder  # noqa: F401  # fixtures too


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


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The line on stderr that tells why it failed; "" where it did not."""
        *_, last = ["", *self.stderr.splitlines()]
        return last if last.startswith("error: ") else ""


@pytest.fixture
def door(monkeypatch, capfd) -> Callable[..., Ended]:
    """`edge-potion WORDS` in this process: a start costs a second, and torch two more."""
    from edge_potion.cli import NO_BARS, main

    for name in NO_BARS:  # so that what the command sets is gone after the test
        monkeypatch.setenv(name, "1")

    def run(*words: object) -> Ended:
        streams, handlers = (sys.stdout, sys.stderr), list(logging.root.handlers)
        handler = signal.getsignal(signal.SIGTERM)
        logging.root.handlers = []
        monkeypatch.setattr(sys, "argv", ["edge-potion", *map(str, words)])
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code
        finally:
            (sys.stdout, sys.stderr), logging.root.handlers = streams, handlers
            signal.signal(signal.SIGTERM, handler)
        stdout, stderr = capfd.readouterr()
        if isinstance(code, str):  # the interpreter would print it
            return Ended(1, stdout, f"{stderr}{code}\n")
        return Ended(int(code or 0), stdout, stderr)

    return run
