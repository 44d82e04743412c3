"""`edge-potion serve` as a process of its own, for as long as a test asks it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

HOST = "127.0.0.1"
START_S, END_S, ANSWER_S = 60, 30, 30  # far more than it takes: the machine may be busy


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of an answer that is to succeed."""
        with urlopen(Request(self.url + path, headers=headers), timeout=ANSWER_S) as answer:
            return json.load(answer)

    def post(self, path: str, asked: Any, **headers: str) -> Any:
        """The same of a question."""
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        request = Request(self.url + path, body, {"content-type": "application/json", **headers})
        with urlopen(request, timeout=ANSWER_S) as answer:
            return json.load(answer)

    def processes(self) -> list[int]:
        """It and those below it."""
        return [self.process.pid, *below(self.process.pid)]

    def workers(self) -> list[int]:
        """Those below it that serve; one of the others keeps account of what Python's processes share."""
        return [pid for pid in below(self.process.pid) if b"spawn_main" in about(pid, "cmdline")]

    def callers(self) -> set[int]:
        """The ports of those whose connections it has open, of one worker."""
        opened = {where_to(link) for link in Path(f"/proc/{self.process.pid}/fd").iterdir()}
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return {int(row[2].partition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in opened}

    def resident_kb(self) -> int:
        """Pages that are in memory and belong to no file, of all its processes: what a leak makes larger."""
        return sum(anonymous_kb(pid) for pid in self.processes())

    def stop(self) -> int:
        """Its exit code, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_S)


@contextmanager
def running(log: Path, *words: object) -> Iterator[Running]:
    """`edge-potion serve WORDS` on a free port; ended, with all that it started, when the block is left."""
    port = free_port()
    command = [sys.executable, "-m", "edge_potion", "serve", "--host", HOST, "--port", str(port), *map(str, words)]
    # One thread computes, as other tests run at the same time.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=written, stderr=written, env=environment, start_new_session=True
        )
    server = Running(process, port, log)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        _end(process)


def free_port() -> int:
    """A port that nobody listened at just now."""
    with socket.socket() as asked:
        asked.bind((HOST, 0))
        return asked.getsockname()[1]


def below(pid: int) -> list[int]:
    """Processes that one has started, and those that they have."""
    started = map(int, about(pid, f"task/{pid}/children").split())
    return [each for child in started for each in (child, *below(child))]


def anonymous_kb(pid: int) -> int:
    """RssAnon of a process."""
    lines = about(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"RssAnon:"))


def about(pid: int, what: str) -> bytes:
    """A file of /proc; empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def where_to(link: Path) -> str:
    """What an open file is; empty for one that was closed meanwhile."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _wait_until_it_answers(server: Running) -> None:
    end = time.monotonic() + START_S
    while server.process.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"{server.url}/health", timeout=ANSWER_S):
                return
        except OSError:  # nobody listens yet
            time.sleep(0.05)
    raise AssertionError(f"it did not begin to answer:\n{server.log.read_text(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """By SIGTERM; what is left then, its workers too, by SIGKILL."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(END_S)
