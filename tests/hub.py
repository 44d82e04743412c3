"""A model hub on this machine, and processes that talk to it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class LoopbackHub(BaseHTTPRequestHandler):
    """A model hub on this machine, as none is reached from here; what it answers is in its subclasses."""

    asked: list[str]
    endpoint: str

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(hub: type[LoopbackHub]) -> Iterator[type[LoopbackHub]]:
    """Listen at `hub.endpoint`, and keep the paths of what is asked in `hub.asked`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), hub) as server:
        hub.asked, hub.endpoint = [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


def hub_environment(endpoint: str, tmp_path: Path, **more: str) -> dict[str, str]:
    """Environment of a process whose huggingface-hub talks to `endpoint`, with a cache and a token of its own.

    For a new process only: the client reads most of it when it is imported.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    ours = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    return {**others, **ours, **more}


def run_script(script: str, environment: dict[str, str]) -> str:
    """stdout of a Python script that succeeds."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
