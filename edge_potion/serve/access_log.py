"""The access log: a JSON object a line on stderr for each request; never what a body or a query string holds."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

__all__ = ["AccessLog"]

SECONDS_HELD = 0.25  # lines wait so long for others: a write for each would cost a tenth of a request
MOST_HELD = 256  # lines
LARGEST_WRITE = 4096  # bytes that a pipe takes whole, so that lines of several workers never mix
LONGEST_PATH = 200  # characters


class AccessLog:
    """Lines of one process, which are written some at a time."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, scope: Any, status: int, seconds: float, size_bytes: int) -> None:
        """Tell of a request that was answered."""
        line = {
            "time": datetime.now(UTC),
            "client": scope["client"][0] if scope.get("client") else None,
            "method": scope["method"],
            "path": scope["path"][:LONGEST_PATH],
            "status": status,
            "ms": round(seconds * 1000, 3),
            "sent_bytes": size_bytes,
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= MOST_HELD:
            self.write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECONDS_HELD, self.write)

    def write(self) -> None:
        """Write what is held."""
        lines, self._lines = self._lines, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        some = b""
        for line in (*lines, b""):
            if not line or len(some) + len(line) > LARGEST_WRITE:
                with suppress(OSError):  # nobody reads it any more, which ends no request
                    sys.stderr.write(some.decode())
                    sys.stderr.flush()
                some = b""
            some += line
