"""How much is taken in and worked on at once: bodies under a limit and in time, long work in few threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import Any

from starlette.types import Receive

from .answer import Answer, Headers
from .errors import RequestError
from .settings import Settings

__all__ = ["Gone", "Limits", "Unread", "check_time"]

RETRY = ((b"retry-after", b"1"),)
TOO_MUCH = "too many long requests are here at once; try again soon"
CLOSE = ((b"connection", b"close"),)  # as what is left of the body would be taken for the next request


class Gone(Exception):
    """The caller hung up before the request was whole: there is nobody to answer."""


class Unread(RequestError):
    """A body that was not read to its end."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(status, message, headers=headers + CLOSE)


def check_time(until: float) -> None:
    """Raise RequestError where it is later than `until`, in monotonic seconds: called between parts of long work."""
    if monotonic() > until:
        raise _too_late()


class Limits:
    """The limits of one process.

    Args:
        settings: what they are.
        told: called with 1 and -1 as requests begin to wait for a thread, and have left it.
    """

    def __init__(self, settings: Settings, told: Callable[[int], None]) -> None:
        self._settings, self._told = settings, told
        self._threads = ThreadPoolExecutor(settings.threads, "edge-potion")
        self._held_bytes = 0
        self._lock = Lock()
        self._waiting = 0  # requests that are at work in threads, or wait for one

    def close(self) -> None:
        """Begin nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def body(self, headers: Mapping[bytes, bytes], receive: Receive, until: float) -> bytes:
        """A request's body, refused before all of it is read where it is too large.

        Raises:
            Unread: it is too large, or does not come in time; or too many come at once.
            RequestError: it is packed.
            Gone: the caller hung up.
        """
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestError(415, "the body is packed; send it as it is, without Content-Encoding")
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > self._settings.max_body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(until - monotonic()):
                message = await receive()
                if message["type"] == "http.request" and not message.get("more_body"):
                    body = message["body"]
                    if len(body) > self._settings.max_body_bytes:
                        raise self._too_large()
                    return body
                return await self._long_body(message, receive)
        except TimeoutError:
            seconds = self._settings.deadline_s
            raise Unread(408, f"the body did not come within {seconds:g} seconds") from None

    async def _long_body(self, message: Any, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        try:
            while message["type"] == "http.request":
                part = message["body"]
                parts.append(part)
                size_bytes += len(part)
                self._hold(len(part))
                if size_bytes > self._settings.max_body_bytes:
                    raise self._too_large()
                if self._held_bytes > self._settings.max_held_bytes:
                    raise Unread(429, TOO_MUCH, RETRY)
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
        finally:
            self._hold(-size_bytes)
        raise Gone

    def _hold(self, size_bytes: int) -> None:
        with self._lock:
            self._held_bytes += size_bytes

    def _too_large(self) -> Unread:
        most = self._settings.max_body_bytes
        return Unread(413, f"the body is larger than {most:,} bytes; send fewer texts a call")

    async def in_thread(self, work: Callable[[], Answer], size_bytes: int, until: float) -> Answer:
        """What `work` gives, which runs in a thread as soon as one is free, and holds so many bytes of a body.

        Raises:
            RequestError: too much waits already, or it is not done in time.
        """
        with self._lock:
            if self._waiting >= self._settings.max_waiting:
                raise RequestError(429, f"{self._waiting} requests are waiting already; try again soon", headers=RETRY)
            if self._held_bytes + size_bytes > self._settings.max_held_bytes:
                raise RequestError(429, TOO_MUCH, headers=RETRY)
            self._waiting += 1
            self._held_bytes += size_bytes
        self._told(1)
        job = self._threads.submit(work)
        # When the thread is free again, which may be after the answer:
        job.add_done_callback(lambda _: self._leave(size_bytes))
        try:
            async with asyncio.timeout(until - monotonic()):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise _too_late() from None

    def _leave(self, size_bytes: int) -> None:
        with self._lock:
            self._waiting -= 1
            self._held_bytes -= size_bytes
        self._told(-1)


def _too_late() -> RequestError:
    return RequestError(503, "the answer was not worked out in time; ask for less, or later", headers=RETRY)
