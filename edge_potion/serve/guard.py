"""What stands before every endpoint: the key is checked, and what comes of the request is counted and logged."""

from __future__ import annotations

from collections.abc import Collection
from hmac import compare_digest
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import AccessLog
from .answer import answer_early
from .errors import RequestError, error_answer
from .metrics import Metrics
from .settings import digest_of

__all__ = ["OPEN", "Guard"]

OPEN = frozenset({("GET", "/"), ("GET", "/health"), ("GET", "/openapi.json")})  # what needs no key
OTHER = "other"  # the path of requests to none of ours, in counts
NOT_SENT = 499  # the status of requests whose caller hung up, as others log it


class Guard:
    """An ASGI app around another.

    Args:
        app: what answers.
        keys: digests of keys of which a caller must have one; none where anyone may ask.
        paths: those that are counted by their names.
        metrics: where they are counted.
        log: where they are told; None for nowhere.
    """

    def __init__(
        self, app: ASGIApp, keys: tuple[bytes, ...], paths: Collection[str], metrics: Metrics, log: AccessLog | None
    ) -> None:
        self._app, self._keys, self._paths, self._metrics, self._log = app, keys, paths, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the server's own start and end; it speaks no websocket
            await self._app(scope, receive, send)
            return
        begin = monotonic()
        status, size_bytes = NOT_SENT, 0

        async def counted(message: Message) -> None:
            nonlocal status, size_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size_bytes += len(message.get("body", b""))
            await send(message)

        try:
            if self._keys and not self._is_known(scope):
                await answer_early(error_answer(scope["path"], _unknown()), receive, counted)
            else:
                await self._app(scope, receive, counted)
        except BaseException:
            status = 500 if status == NOT_SENT else status  # the server answers it around us
            raise
        finally:
            seconds = monotonic() - begin
            path = scope["path"]
            self._metrics.end(path if path in self._paths else OTHER, status, seconds)
            if self._log is not None:
                self._log.add(scope, status, seconds, size_bytes)

    def _is_known(self, scope: Scope) -> bool:
        if (scope["method"], scope["path"]) in OPEN:
            return True
        told = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = told.partition(b" ")
        digest = digest_of(key.strip())
        found = [compare_digest(digest, known) for known in self._keys]  # all of them, whichever it is
        return scheme.lower() == b"bearer" and any(found)


def _unknown() -> RequestError:
    return RequestError(
        401,
        "no key, or none that this server knows; send Authorization: Bearer KEY",
        code="invalid_api_key",
        headers=((b"www-authenticate", b"Bearer"),),
    )
