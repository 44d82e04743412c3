"""Texts -> which of them are kept, and which are duplicates of these: equal to one, or like one in meaning."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.calls import cores
from edge_potion.checked_texts import TextError, check_texts, refuse_surrogates
from edge_potion.errors import InputError
from edge_potion.leaders import Leaders, Placed
from edge_potion.progress import progress_bar

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["THRESHOLD", "Duplicates", "check_threshold", "find_duplicates"]

THRESHOLD = 0.9
DIGEST_BYTES = 16  # no two texts have the same of so many
GATHERED_ROWS = 8192  # vectors, of which the first tell how all are turned


@dataclass(frozen=True)
class Duplicates:
    """Which texts are kept, and which of these stand for the others. A text is told by its place, from 0.

    Attributes:
        leaders: (N,) int64: of each text the kept one that stands for it; itself, where it is kept.
        cosines: (N,) float64: to that one; 1 where it is kept, or equal.
        exact: how many of the texts are equal to one before them.
    """

    leaders: np.ndarray
    cosines: np.ndarray
    exact: int

    @property
    def kept(self) -> np.ndarray:
        """(K,) int64, ascending."""
        return np.flatnonzero(self.leaders == np.arange(len(self.leaders)))

    @property
    def near(self) -> int:
        """How many of the texts are duplicates, and not equal to one before them."""
        return len(self.leaders) - len(self.kept) - self.exact

    def groups(self) -> Iterator[np.ndarray]:
        """(G,) int64 of each kept text that has duplicates: itself, and these in their order."""
        order = np.argsort(self.leaders, kind="stable")
        begins = np.flatnonzero(np.diff(self.leaders[order], prepend=-1))
        return (group for group in np.split(order, begins[1:]) if len(group) > 1)


def find_duplicates(
    model: EdgeModel,
    texts: Iterable[str],
    threshold: float = THRESHOLD,
    *,
    threads: int | None = None,
    show_progress: bool = False,
) -> Duplicates:
    """The duplicates among any number of texts, of which none is held.

    Texts are gone through in their order. One that is equal to a text before it goes where that one went. One whose
    vector has a cosine of at least the threshold to that of a kept text is a duplicate of the nearest such (of equally
    near ones, of the first). Any other is kept. `leaders.py` says by which numbers a cosine is told. The vector of a
    text without a token that the model knows is zeros, and like no other.

    Raises:
        InputError: the threshold is not within (0, 1], or a text is none.
    """
    check_threshold(threshold)
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
    different = DifferentTexts(texts)
    parts = [Placed(np.empty(0, np.int64), np.empty(0))]
    total = len(texts) if isinstance(texts, Sized) else None
    with (
        progress_bar(show_progress, desc="dedupe", unit="texts", total=total) as progress,
        Leaders(threshold, threads or cores()) as leaders,
    ):
        for vectors in _gathered(batch.vectors for batch in model.stream(different)):
            parts.append(leaders.place(vectors))
            progress.update(different.first[leaders.count - 1] + 1 - progress.n)
        progress.update(len(different.number) - progress.n)
    leading, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))  # (U,), of the different texts
    first = np.asarray(different.first, np.int64)  # (U,)
    number = np.asarray(different.number, np.int64)  # (N,)
    return Duplicates(first[leading[number]], cosines[number], len(number) - len(first))


def check_threshold(threshold: Any) -> None:
    """Raise InputError unless it is a number above 0 and at most 1."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number) or not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold!r}; a cosine above 0 and at most 1 was expected")


class DifferentTexts:
    """The texts of an iterable, each once: those that are equal, byte for byte, are told by a hash.

    Attributes:
        number: of each text that was read, which of the different ones it is.
        first: of each of these, the place of the first text that it is.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.number, self.first = array("q"), array("q")

    def __iter__(self) -> Iterator[str]:
        seen: dict[bytes, int] = {}
        for place, text in enumerate(self._texts):
            try:
                check_texts([text])
                refuse_surrogates([text])
            except TextError as error:
                raise error.behind(place) from None
            digest = blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
            number = seen.setdefault(digest, len(seen))
            self.number.append(number)
            if number == len(self.first):
                self.first.append(place)
                yield text


def _gathered(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(b, D) float32 with GATHERED_ROWS rows or more, but for the last."""
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= GATHERED_ROWS:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
