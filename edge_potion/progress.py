"""Progress bars on stderr that never end the work: where there is no stream, or it takes nothing, there is no bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TextIO, TypeVar, cast

__all__ = ["Unfailing", "counted", "progress_bar", "unfailing_stderr"]

Item = TypeVar("Item")

BROKEN = (OSError, ValueError, AttributeError)  # a full disk; a closed stream; one that has no flush


def progress_bar(show: bool, **options: Any) -> Any:
    """A bar to use in a `with` block: `tqdm(**options)`, or one that shows nothing.

    It shows nothing unless `show`, where stderr is None (a windowed Python, a closed console), and where tqdm is not
    installed. What stderr refuses (closed, a full disk, a terminal that went away) is lost in silence.
    """
    if not show or sys.stderr is None:
        return _Unseen(**options)
    try:
        from tqdm import tqdm
    except ImportError:  # an edge device does without
        return _Unseen(**options)
    return tqdm(file=Unfailing(sys.stderr), **options)


def counted(
    items: Iterable[Item], show: bool, size: Callable[[Item], int] = lambda _: 1, **options: Any
) -> Iterator[Item]:
    """`items`, with a bar that counts each by its `size` when it is there."""
    with progress_bar(show, **options) as bar:
        for item in items:
            bar.update(size(item))
            yield item


@contextmanager
def unfailing_stderr() -> Iterator[None]:
    """Within it, what libraries show on stderr (bars, warnings, log lines) cannot fail; also a decorator."""
    before = sys.stderr
    if isinstance(before, Unfailing):
        yield
        return
    with nullcontext(before) if before is not None else open(os.devnull, "w") as stream:  # noqa: PTH123
        sys.stderr = cast(TextIO, Unfailing(stream))
        try:
            yield
        finally:
            sys.stderr = before


class Unfailing:
    """A text stream of which writes and flushes cannot fail. Everything else is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(*BROKEN):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with suppress(*BROKEN):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Unseen:
    """As much of tqdm as is used here."""

    def __init__(self, total: int | None = None, initial: int = 0, **_: Any) -> None:
        self.total = total
        self.n = initial

    def update(self, n: int = 1) -> None:
        self.n += n

    def set_postfix(self, **_: Any) -> None:
        pass

    def set_postfix_str(self, _: str) -> None:
        pass

    def __enter__(self) -> _Unseen:
        return self

    def __exit__(self, *_: object) -> None:
        pass
