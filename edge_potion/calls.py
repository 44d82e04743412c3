"""Texts -> ONNX Runtime calls: windows that fit in memory, calls of like lengths, and what each graph is fed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from edge_potion.tokens import TokenIds, refuse_surrogates

__all__ = ["FEEDS", "calls_of", "joined", "windows"]

# Texts are sorted by length within a window, so that those which share a call waste no padding. A window is small
# enough to hold in memory as `tokenizers` encodings (about 150 bytes a token).
WINDOW_TEXTS = 8192
WINDOW_CHARACTERS = 2_000_000


def joined(texts: Sequence[str], window: Sequence[str], first: int) -> np.ndarray:
    """(bytes,) uint8: the texts in UTF-8, with NUL between them and none inside."""
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        joined = "\0".join([text.replace("\0", "") for text in texts])
    try:
        return np.frombuffer(joined.encode("utf-8"), np.uint8)
    except UnicodeEncodeError:
        refuse_surrogates(window, first)
        raise


def windows(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of bounded size, in their order."""
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


def calls_of(lengths: np.ndarray, batch_size: int, tokens_per_call: int) -> Iterator[tuple[int, int]]:
    """Cut texts of rising `lengths` into calls (begin, end) of at most that many texts and padded tokens."""
    begin = 0
    while begin < len(lengths):
        ahead = lengths[begin : begin + batch_size]
        padded = np.arange(1, len(ahead) + 1) * (ahead + 1)  # tokens of a call that ends with each text
        end = begin + max(1, int(np.searchsorted(padded, tokens_per_call, side="right")))
        yield begin, end
        begin = end


def _bag_feed(ids: TokenIds, places: np.ndarray) -> dict[str, np.ndarray]:
    part = ids.take(places)
    return {"input_ids": part.flat, "offsets": part.starts}


def _tokens_feed(ids: TokenIds, places: np.ndarray) -> dict[str, np.ndarray]:
    lengths = ids.lengths[places]
    columns = np.arange(lengths.max(initial=0))  # (L,)
    mask = (columns < lengths[:, None]).astype(np.int64)  # (B, L)
    # Where the mask is 0 stands whatever comes next in `flat`: writing a pad there would cost twice the time.
    grid = ids.flat.take(ids.starts[places, None] + columns, mode="clip")  # (B, L)
    return {"input_ids": grid, "attention_mask": mask}


# What a graph that starts from ids is fed: the texts at `places` of `ids`.
FEEDS: dict[str, Callable[[TokenIds, np.ndarray], dict[str, np.ndarray]]] = {"bag": _bag_feed, "tokens": _tokens_feed}
