"""Runs a benchmark's runner in a process of its own, on pinned cores, and ends all that it started."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["answer_of", "pinned", "without_folders"]

STOP_SECONDS = 5  # for a process that was asked to stop, before it is killed


def answer_of(command: Sequence[str], threads: int, cores: int, seconds: float) -> dict[str, Any]:
    """The last JSON object that a runner prints, on pinned cores; one that prints none, or cannot start, has failed.

    Raises:
        subprocess.TimeoutExpired: it took longer than `seconds`; it and its children were ended.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "HF_HUB_OFFLINE": "1",  # nobody looks for a newer version while the clock runs
        "PYTHONDONTWRITEBYTECODE": "",
    }
    try:
        with pinned(cores):  # the process inherits it
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
                start_new_session=True,  # Ctrl-C is for us; we stop it, and all that it has started
            )
    except OSError as failure:  # an interpreter that was moved away, or is not to be run
        return {"failed": f"{Path(command[0]).name} could not be started: {failure.strerror}"}
    try:
        said, complaint = process.communicate(timeout=seconds)
    except BaseException:
        _stop(process)
        raise
    for line in reversed(said.splitlines()):  # a library may have the last word
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    why = complaint.strip().splitlines()[-1:] or [f"it ended with exit code {process.returncode}, and no answer"]
    return {"failed": why[0][:500]}


def without_folders(reason: str) -> str:
    """A reason that may be shown to others: the last part of every path in it; a machine's folders are its own."""
    return re.sub(r"(?<![\w./:])(?:(?:/|\b[A-Za-z]:\\)[^\s'\"/\\]+)+[/\\](?=[^\s'\"/\\])", "", reason)


@contextmanager
def pinned(count: int) -> Iterator[None]:
    """The last `count` of our cores for what is started inside; the first takes what else the machine does."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process and its children: a browser's are many."""
    for how in ("SIGTERM", "SIGKILL"):
        try:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, getattr(signal, how))
            else:
                process.kill()
            process.communicate(timeout=STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
