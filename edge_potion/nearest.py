"""The texts that mean what a query means, out of any number of them: only the best are held."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Hit", "Search", "search", "without_tokens"]


@dataclass(frozen=True)
class Hit:
    """A text that was found.

    Attributes:
        score: cosine similarity to the query, -1..1.
        number: its place among the texts, from 1.
        text: itself.
    """

    score: float
    number: int
    text: str


@dataclass(frozen=True)
class Search:
    """What a search gave.

    Attributes:
        hits: the best first; of equal ones, the one that comes first among the texts.
        texts: how many were looked at.
        unknown: how many of them have no token that the model knows; they are never hits.
    """

    hits: list[Hit]
    texts: int
    unknown: int


def search(model: EdgeModel, query: np.ndarray, texts: Iterable[str], top: int) -> Search:
    """Find the `top` texts nearest to `query` (D,) float32, a vector of `model`; any number of texts in bounded memory.

    Raises:
        InputError: a text is none.
    """
    best: list[tuple[float, int, str]] = []  # (score, -number, text): the worst on top
    count = unknown = 0
    for window, vectors in model.stream(texts):
        scores = _cosines(vectors, query)  # (b,)
        scores[without_tokens(vectors)] = np.nan
        unknown += int(np.isnan(scores).sum())
        for place in np.argsort(-scores, kind="stable")[:top]:  # NaN comes last
            entry = (float(scores[place]), -(count + int(place) + 1), window[place])
            if np.isnan(scores[place]) or (len(best) == top and entry[:2] < best[0][:2]):
                break
            (heapq.heappushpop if len(best) == top else heapq.heappush)(best, entry)
        count += len(vectors)
    return Search([Hit(score, -number, text) for score, number, text in sorted(best, reverse=True)], count, unknown)


def without_tokens(vectors: np.ndarray) -> np.ndarray:
    """(b,) bool: which of the vectors (b, D) are zeros, as those of texts without a token that the model knows."""
    zeros = vectors[:, 0] == 0  # most are told by one value
    zeros[zeros] = ~vectors[zeros].any(axis=1)
    return zeros


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(b,) float32 in -1..1; row by row, so that equal texts have equal scores wherever they stand in a window."""
    wide = vectors.astype(np.float64)
    products = (wide * query).sum(axis=1)
    lengths = np.sqrt((wide * wide).sum(axis=1)) * np.linalg.norm(query.astype(np.float64))
    return np.clip(products / np.maximum(lengths, np.finfo(np.float64).tiny), -1, 1).astype(np.float32)
