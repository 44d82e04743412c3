"""What is sent back: bytes, their type and a status, as a small ASGI app."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from starlette.types import Message, Receive, Scope, Send

__all__ = ["Answer", "answer_early", "json_answer"]

JSON = b"application/json"
SECONDS_READ_ON = 2  # of a body after its answer
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


async def answer_early(answer: Answer, receive: Receive, send: Send) -> None:
    """Answer before the body was read, and drop for a moment what still comes.

    Who is busy sending would see a broken connection, and no answer, else.
    """

    async def send_unfinished(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await answer({}, receive, send_unfinished)
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS_READ_ON):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
