"""Any iterable of texts -> batches of vectors: arguments are checked once, texts as a window of them is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from edge_potion.checked_texts import TextError, check_texts
from edge_potion.errors import InputError
from edge_potion.progress import counted
from edge_potion.tokens import Unset, check_count
from edge_potion.unit_length import shortened

__all__ = ["Batch", "Encode", "Says", "all_vectors", "batches", "options"]

# Texts are sorted by length within a window, so that those which share a call waste no padding. A window is small
# enough to hold in memory as `tokenizers` encodings (about 150 bytes a token).
WINDOW_TEXTS = 8192
WINDOW_CHARACTERS = 2_000_000

# What every way from texts to vectors does: of texts that were checked, at most `batch_size` a call and each cut at
# `max_tokens` (None: never), (b, D) float32.
Encode = Callable[[Sequence[str], int, int | None], np.ndarray]


class Says(Protocol):
    """What a bundle or a card says of its model."""

    @property
    def max_tokens(self) -> int | None: ...
    @property
    def normalize(self) -> bool: ...
    @property
    def prompt(self) -> str: ...


class Batch(NamedTuple):
    """Some texts and their vectors.

    Attributes:
        texts: as they came, without a prompt.
        vectors: (b, D) float32, one a text.
    """

    texts: list[str]
    vectors: np.ndarray


def options(
    batch_size: int, max_tokens: int | Unset | None, truncate_dim: int | None, prompt: str | None, show_progress: bool
) -> dict[str, Any]:
    """What `encode` and `stream` were given beside their texts, by name, as `batches` takes it."""
    return {
        "batch_size": batch_size,
        "max_tokens": max_tokens,
        "truncate_dim": truncate_dim,
        "prompt": prompt,
        "show_progress": show_progress,
    }


def all_vectors(
    texts: str | Iterable[str], stream: Callable[..., Iterator[Batch]], dim: int, asked: Mapping[str, Any]
) -> np.ndarray:
    """(D,) float32 of a single text, (B, D) of some: all that `stream` gives for what was asked, in one array."""
    if isinstance(texts, str):
        return all_vectors([texts], stream, dim, {**asked, "show_progress": False})[0]
    parts = [batch.vectors for batch in stream(texts, **asked)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty((0, asked["truncate_dim"] or dim), np.float32), *parts])


def batches(
    texts: Iterable[str],
    encode: Encode,
    says: Says,
    dim: int,
    *,
    batch_size: int,
    max_tokens: int | Unset | None,
    truncate_dim: int | None,
    prompt: str | None,
    show_progress: bool,
) -> Iterator[Batch]:
    """A window at a time, by `encode` of a model of `dim` dimensions; the arguments are those of `EdgeModel.encode`.

    Raises:
        InputError: an argument is out of range; and, while it goes on, TextError with the text's number.
    """
    if isinstance(texts, str | bytes):
        raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
    limit = says.max_tokens if isinstance(max_tokens, Unset) else max_tokens
    check_count("max_tokens", limit)
    check_count("truncate_dim", truncate_dim, dim)
    if batch_size is None:
        raise InputError("batch_size is None; a whole number of at least 1 expected")
    check_count("batch_size", batch_size)
    try:
        items = texts if isinstance(texts, list | tuple) else iter(texts)
    except TypeError as failure:
        raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected") from failure
    if not isinstance(prompt, str | None):
        raise InputError(f"prompt is {type(prompt).__name__}; a str, or None for the model's own, was expected")
    before_each = says.prompt if prompt is None else prompt

    def vectors_of(window: list[str]) -> np.ndarray:
        check_texts(window)
        vectors = encode([before_each + text for text in window] if before_each else window, batch_size, limit)
        return shortened(vectors, truncate_dim, says.normalize)

    found = _embedded(items, vectors_of)
    return counted(found, show_progress, lambda batch: len(batch.texts), desc="encode", unit=" texts")


def _embedded(texts: Iterable[str], vectors_of: Callable[[list[str]], np.ndarray]) -> Iterator[Batch]:
    before = 0  # texts that were done
    for window in _windows(texts):
        try:
            vectors = vectors_of(window)
        except TextError as error:
            raise error.behind(before) from None
        before += len(window)
        yield Batch(window, vectors)


def _windows(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of bounded size, in their order; of an iterator no more is read than the next list needs."""
    if not isinstance(texts, list | tuple):
        yield from _windows_of_any(texts)
        return
    for begin in range(0, len(texts), WINDOW_TEXTS):
        some = texts[begin : begin + WINDOW_TEXTS]
        window = list(some) if isinstance(some, tuple) else some
        if _characters(window) < WINDOW_CHARACTERS:
            yield window
        else:
            yield from _windows_of_any(window)


def _characters(texts: list[str]) -> int:
    """Without a loop over the texts; what has no length is refused later."""
    try:
        return sum(map(len, texts))
    except TypeError:
        return 0


def _windows_of_any(texts: Iterable[str]) -> Iterator[list[str]]:
    window: list[str] = []
    characters = 0
    for text in texts:
        window.append(text)
        characters += len(text) if isinstance(text, str) else 0  # what is no str is refused later
        if len(window) == WINDOW_TEXTS or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window
