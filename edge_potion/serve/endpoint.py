"""One endpoint: the body of a request -> what it asks -> the answer, on the event loop or in a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from .answer import Answer, answer_early
from .errors import error_answer
from .limits import Gone, Limits, Unread, check_time
from .schema import read

__all__ = ["Endpoint", "Page"]

SMALL_BYTES = 4096  # of a body that is worked on at once: a thread would take longer to begin


@dataclass(frozen=True)
class Endpoint:
    """Answers POST, as an ASGI app.

    Attributes:
        asked: the type of what its body says.
        work: the answer to that, which is worked out before a time in monotonic seconds.
        limits: of this process.
        deadline_s: from a request's head to its answer.
        always_in_thread: because a small body may ask for long work.
    """

    asked: type[BaseModel]
    work: Callable[[Any, float], Answer]
    limits: Limits
    deadline_s: float
    always_in_thread: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        until = monotonic() + self.deadline_s
        try:
            body = await self.limits.body(dict(scope["headers"]), receive, until)
        except Gone:
            return
        except Unread as error:
            await answer_early(error_answer(scope["path"], error), receive, send)
            return

        def answer() -> Answer:
            check_time(until)
            return self.work(read(body, self.asked), until)

        is_long = self.always_in_thread or len(body) > SMALL_BYTES
        await (await self.limits.in_thread(answer, len(body), until) if is_long else answer())(scope, receive, send)


@dataclass(frozen=True)
class Page:
    """Answers GET, as an ASGI app: `work` is called with what stands for the placeholders of the path."""

    work: Callable[..., Answer]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.work(**scope["path_params"])(scope, receive, send)
