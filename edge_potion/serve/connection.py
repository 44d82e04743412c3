"""A connection, as uvicorn speaks HTTP on it by httptools; and closed where the other side takes its time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import RequestError, error_answer

__all__ = ["PATIENCE_S", "Connection"]

PATIENCE_S = 30.0  # for the head of a request, and for an answer to be taken
LARGEST_HEAD = 65_536  # bytes


class Connection(HttpToolsProtocol):
    """uvicorn's own would wait for ever for the rest of a head, and keep an answer that nobody reads.

    What is no HTTP is told in the shape of other errors.
    """

    _timer: asyncio.TimerHandle | None = None
    _has_head = False
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._has_head:
            self._stop_timer()
            return
        self._head_bytes += len(data)
        if self._head_bytes > LARGEST_HEAD:
            self.transport.abort()
        elif self._timer is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        self._has_head, self._head_bytes = False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_head = True
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        answer = error_answer("", RequestError(400, msg, code="invalid_http"))
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (answer.kind, len(answer.body)) + answer.body)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.timeout_keep_alive_task = self.loop.call_later(PATIENCE_S, self.transport.abort)
        else:
            super().timeout_keep_alive_handler()

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
