"""A query's scores of every row -> the rows that fit it best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_potion.scan import highest, scan
from edge_potion.search.fusion import fused
from edge_potion.search.postings import Weights
from edge_potion.search.state import State

__all__ = ["best_rows", "meaning_scores", "ordering_scores", "word_scores"]

NOTHING = np.float32(-np.inf)  # the score of a row that is not to be found


def meaning_scores(vector: np.ndarray, state: State) -> np.ndarray:
    """(N,) float32: the cosine of each row to a query (D,); zeros where the model knows no token of it."""
    return _joined([scan(segment.values, segment.scales, vector) for segment in state.segments])


def word_scores(weights: Weights, state: State) -> np.ndarray:
    """(N,) float32: BM25 of each row; zeros where it has no word of the query."""
    parts = []
    for segment in state.segments:
        parts.append(np.zeros(segment.entry.rows, np.float32))
        segment.postings.add_scores(weights, parts[-1])
    return _joined(parts)


def ordering_scores(
    meaning: np.ndarray | None, words: np.ndarray | None, weights: Weights, deleted: np.ndarray | None = None
) -> np.ndarray:
    """What rows are ordered by: NOTHING for those that are not to be found.

    Args:
        meaning: (N,) float32 of each row, or None where it does not count.
        words: (N,) float32 likewise.
        weights: of the query's words.
        deleted: (N,) bool, which rows are; None where none is.

    Returns:
        (N,) float32.
    """
    if meaning is None:
        assert words is not None
        scores, is_nothing = words, words <= 0
    elif words is None:
        scores, is_nothing = meaning, meaning == 0  # the model knows no token of the row, or of the query
    else:
        scores, is_nothing = fused(meaning, words, weights, deleted), (meaning == 0) & (words <= 0)
    if deleted is not None:
        is_nothing |= deleted
    return np.where(is_nothing, NOTHING, scores)


def best_rows(state: State, scores: np.ndarray, top: int) -> list[int]:
    """The rows of the `top` highest scores, best first; where documents were cut, one row of each."""
    wanted = top
    while True:
        places = [int(place) for place in highest(scores, wanted)]
        if state.manifest.chunk == "none":
            return places
        best: dict[str, int] = {}
        for place in places:
            segment, row = state.at(place)
            best.setdefault(segment.id(row), place)
        if len(best) >= top or len(places) < wanted:
            return list(best.values())[:top]
        wanted *= 4


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
