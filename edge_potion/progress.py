"""Progress on stderr that never ends the work: one line that changes on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TextIO, TypeVar, cast

__all__ = ["Progress", "Unfailing", "counted", "progress_bar", "unfailing_stderr"]

Item = TypeVar("Item")

BROKEN = (OSError, ValueError, AttributeError)  # a full disk; a closed stream; one that has no flush
TERMINAL_SECONDS = 0.2  # between two looks of a line that changes
LOG_SECONDS = 10.0  # between two lines where each stays: in a file, a pipe, a notebook


def progress_bar(show: bool, *, desc: str, unit: str, **options: Any) -> Progress:
    """Progress to use in a `with` block, from the beginning of the work on; it shows nothing unless `show`.

    It shows nothing where stderr is None (a windowed Python, a closed console) either. What stderr refuses (closed, a
    full disk, a terminal that went away) is lost in silence.

    Args:
        options: of Progress.
    """
    return Progress(desc, unit, sys.stderr if show else None, **options)


def counted(
    items: Iterable[Item], show: bool, size: Callable[[Item], int] = lambda _: 1, **options: Any
) -> Iterator[Item]:
    """`items`, with progress that counts each by its `size` when it is there."""
    with progress_bar(show, **options) as progress:
        for item in items:
            progress.update(size(item))
            yield item


class Progress:
    """How far a piece of work is: "encode: 5,000 of 20,000 texts, 25 %, 49,871 texts/s, 0:00:01 left".

    Its rate is that of all the work since the beginning. Work that is done before the first line is due is never shown.

    Args:
        desc: what is done.
        unit: of what is counted, in the plural.
        stream: where to show it; None for nowhere.
        total: of how much; None where nobody knows.
        initial: how much was done before.
        clock: seconds, as of time.monotonic.
    """

    def __init__(
        self,
        desc: str,
        unit: str,
        stream: TextIO | None,
        *,
        total: int | None = None,
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.n, self.total = initial, total
        self._desc, self._unit, self._initial, self._note = desc, unit.strip(), initial, ""
        self._stream, self._clock = None if stream is None else Unfailing(stream), clock
        self._is_terminal = self._stream is not None and _is_terminal(self._stream)
        self._seconds = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        self._begin = self._shown_at = clock()
        self._shown = ""

    def update(self, n: int = 1) -> None:
        """Say that `n` more are done."""
        self.n += n
        if self._stream is not None and self._clock() - self._shown_at >= self._seconds:
            self._show()

    def set_postfix(self, **values: object) -> None:
        """What to say behind the numbers, as name=value."""
        self.set_postfix_str(", ".join(f"{name}={value}" for name, value in values.items()))

    def set_postfix_str(self, note: str) -> None:
        """What to say behind the numbers, on a terminal at once: what comes may take minutes."""
        self._note = note
        if self._is_terminal:
            self._show()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._show()
            if self._is_terminal:
                self._write("\n")

    def __str__(self) -> str:
        seconds = self._clock() - self._begin
        rate = (self.n - self._initial) / seconds if seconds > 0 else 0.0
        whole = f" of {self.total:,}" if self.total else ""
        words = [f"{self._desc}: {self.n:,}{whole} {self._unit}"]
        if self.total:
            words.append(f"{100 * self.n // self.total} %")
        if rate:
            words.append(f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{1 / rate:,.2f} s each")
        words.append(f"{_duration(seconds)} so far")
        if self.total and rate and self.n < self.total:
            words.append(f"{_duration((self.total - self.n) / rate)} left")
        return ", ".join([*words, *([self._note] if self._note else [])])

    def _show(self) -> None:
        line, self._shown_at = str(self), self._clock()
        if self._is_terminal:
            import shutil  # some milliseconds of a start

            line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{line.ljust(len(self._shown))}")
        elif line != self._shown:
            self._write(f"{line}\n")
        self._shown = line

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


def _duration(seconds: float) -> str:
    """0:00:07 of 7 seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _is_terminal(stream: Unfailing) -> bool:
    try:
        return bool(stream.isatty())
    except BROKEN:
        return False


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
