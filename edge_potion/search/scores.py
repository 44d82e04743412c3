"""A query's scores of every row -> the rows that fit it best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_potion.scan import highest, scan
from edge_potion.search.fusion import Standard, fused, sampled_rows, standard_of
from edge_potion.search.graph import NEAREST
from edge_potion.search.postings import Weights
from edge_potion.search.segment import Segment
from edge_potion.search.state import State

__all__ = ["best_rows", "meaning_scores", "ordering_scores", "word_scores"]

NOTHING = np.float32(-np.inf)  # the score of a row that is not to be found
ROWS_TOGETHER = 2**14  # so that what is computed of them stays in the cache: new memory costs more than the scan
CANDIDATES_A_HIT = 10  # at least, of each kind: what is best by both may be far down by each


def meaning_scores(vector: np.ndarray, state: State, words: np.ndarray | None, top: int) -> np.ndarray:
    """The cosine of rows to a query: exactly, and of all of them but where a segment has a graph.

    There, it is that of the rows that the graph finds near, those whose words score most, and the sample by which
    cosines are standardized: these can be found, and no others.

    Args:
        vector: (D,) of the query; zeros where the model knows no token of it.
        state: what is searched.
        words: (N,) float32, the scores of words; None where they do not count.
        top: how many rows are to be found.

    Returns:
        (N,) float32; NaN where no look was taken.
    """
    count = max(NEAREST, CANDIDATES_A_HIT * top)
    sample = sampled_rows(state.rows, state.deleted)
    parts: list[np.ndarray] = []
    first = 0  # row of a segment
    for segment in state.segments:
        rows = segment.entry.rows
        near = _near(segment, vector, count)
        if near is None:
            parts.append(scan(segment.values, segment.scales, vector))
        else:
            candidates = [near, sample[slice(*np.searchsorted(sample, (first, first + rows)))] - first]
            if words is not None:
                candidates.append(_best_by_words(words[first : first + rows], count, segment.deleted))
            looked_at = np.unique(np.concatenate(candidates))
            parts.append(np.full(rows, np.nan, np.float32))
            parts[-1][looked_at] = scan(segment.values[looked_at], segment.scales[looked_at], vector)
        first += rows
    return _joined(parts)


def _near(segment: Segment, vector: np.ndarray, count: int) -> np.ndarray | None:
    """(n,) rows of a segment near a query, `count` or more; None where all are to be looked at."""
    if not vector.any() or segment.graph is None:
        return None
    return segment.graph.nearest(vector, count, segment.deleted)


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
        meaning: (N,) float32 of each row, NaN where no look was taken, or None where it does not count.
        words: (N,) float32 likewise.
        weights: of the query's words.
        deleted: (N,) bool, which rows are; None where none is.

    Returns:
        (N,) float32; NaN as in `meaning`.
    """
    standard = None if meaning is None or words is None else standard_of(meaning, deleted)
    kinds = (meaning, words, deleted)
    scores = np.empty(max(len(kind) for kind in kinds if kind is not None), np.float32)
    for begin in range(0, len(scores), ROWS_TOGETHER):
        some = slice(begin, begin + ROWS_TOGETHER)
        of_meaning, of_words, of_deleted = (None if kind is None else kind[some] for kind in kinds)
        scores[some] = _ordering_scores(of_meaning, of_words, of_deleted, weights, standard)
    return scores


def _ordering_scores(
    meaning: np.ndarray | None,
    words: np.ndarray | None,
    deleted: np.ndarray | None,
    weights: Weights,
    standard: Standard | None,
) -> np.ndarray:
    """Those of some rows."""
    if meaning is None:
        assert words is not None
        scores, is_nothing = words, words <= 0
    elif words is None:
        scores, is_nothing = meaning, meaning == 0  # the model knows no token of the row, or of the query
    else:
        assert standard is not None
        scores, is_nothing = fused(meaning, words, weights, standard), (meaning == 0) & (words <= 0)
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


def _best_by_words(words: np.ndarray, count: int, deleted: np.ndarray | None) -> np.ndarray:
    """The rows of the `count` highest scores of words (R,) that are not deleted, best first; not those of none."""
    rows = np.flatnonzero(words > 0 if deleted is None else (words > 0) & ~deleted)
    return rows[highest(words[rows], count)]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
