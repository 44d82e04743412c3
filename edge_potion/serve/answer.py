"""What is sent back: bytes, their type and a status, as a small ASGI app."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from starlette.types import Receive, Scope, Send

__all__ = ["Answer", "json_answer"]

JSON = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """Whole: nothing is sent before all of it is there.

    Attributes:
        body: what is sent.
        status: of HTTP.
        kind: the body's media type.
        headers: beside its type and length.
    """

    body: bytes | memoryview
    status: int = 200
    kind: bytes = JSON
    headers: Headers = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = b"%d" % len(self.body)
        headers = [(b"content-type", self.kind), (b"content-length", length), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    """Rows of numpy arrays are lists of the shortest numbers that are read as the same float32."""
    return Answer(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, JSON, headers)
