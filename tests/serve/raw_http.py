"""HTTP by plain sockets, as no client library would speak it; nothing waits without end."""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_S = 60  # far more than it takes: the machine may be busy
EMBEDDINGS = "/v1/embeddings"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # by any case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """A socket, and the answers that come from it in turn."""

    def __init__(self, port: int, timeout_s: float = ANSWER_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def answer(self) -> Answer | None:
        """The next answer; None where the other side has closed the connection instead."""
        try:
            line = self.stream.readline()
            if not line:
                return None
            status = int(line.split()[1])
            headers = http.client.parse_headers(self.stream)
            return Answer(status, headers, self._body(headers))
        except (ConnectionResetError, BrokenPipeError):
            return None

    def has_answer(self) -> bool:
        """Whether something has come that was not read yet, be it the end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.stream.read(int(headers.get("content-length", 0)))
        parts = []
        while size := int(self.stream.readline().split(b";")[0], 16):
            parts.append(self.stream.read(size))
            self.stream.readline()
        self.stream.readline()
        return b"".join(parts)

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def vanish(self) -> None:
        """Closed as by a cable that was cut: RST, whatever is on its way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def request(
    body: bytes | None = None, path: str = EMBEDDINGS, method: str = "POST", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request; its Content-Length is the body's unless another one is told, or Transfer-Encoding."""
    lines = {"Host": "localhost", "Content-Type": "application/json", **(headers or {})}
    if body is not None and not {"Content-Length", "Transfer-Encoding"} & set(lines):
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def asked(input: Any, **others: Any) -> bytes:
    """The body of a question for embeddings."""
    return json.dumps({"input": input, **others}).encode()


def ask(port: int, content: bytes, timeout_s: float = ANSWER_S) -> Answer | None:
    """The first answer to some bytes on a connection of their own."""
    with Connection(port, timeout_s) as connection:
        connection.send(content)
        return connection.answer()
