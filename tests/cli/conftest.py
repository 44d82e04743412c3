"""The command in this process: two dozen starts of torch would be minutes."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, and what it wrote."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def door(monkeypatch, capfd) -> Callable[..., Ended]:
    """Runs `edge-potion WORDS` here, and puts back what it leaves behind."""
    from edge_potion.cli import main

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
