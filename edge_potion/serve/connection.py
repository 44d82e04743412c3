"""A connection, as uvicorn speaks HTTP on it by httptools; and closed where the other side takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import RequestError, error_answer

__all__ = ["Connection"]

PATIENCE_S = 30.0  # for the head of a request, and for some of an answer to be taken
LARGEST_HEAD = 65_536  # bytes


class Connection(HttpToolsProtocol):
    """uvicorn's own would wait for ever for the rest of a head, and for an answer to be taken.

    What is no HTTP is told in the shape of other errors.
    """

    _in_head = _in_body = False
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._for_head, self._for_reader = _Timer(self.loop), _Timer(self.loop)
        self._for_head.start(transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_answered = self.cycle is None or self.cycle.response_complete
        if not (self._in_head or is_answered):
            self._for_head.stop()
            return
        # A head that is not whole, empty lines before one, or what is left of the body of a request that was refused.
        self._for_head.start(self.transport.abort)
        self._head_bytes += 0 if self._in_body else len(data)
        if self._head_bytes > LARGEST_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._for_reader.start(self._look_at_reader, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._for_reader.stop()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # to close it would wait until that is taken
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        self._for_head.stop()
        self._for_reader.stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        answer = error_answer("", RequestError(400, msg, code="invalid_http"))
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (answer.kind, len(answer.body)) + answer.body)
        self.transport.close()

    def _look_at_reader(self, before_bytes: int) -> None:
        """Go on as long as some of the answer is taken."""
        now_bytes = self.transport.get_write_buffer_size()
        if now_bytes < before_bytes:
            self._for_reader.stop()
            self._for_reader.start(self._look_at_reader, now_bytes)
        else:
            self.transport.abort()


class _Timer:
    """Does something when PATIENCE_S are over, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Unless it runs already."""
        if self._handle is None:
            self._handle = self._loop.call_later(PATIENCE_S, action, *arguments)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
