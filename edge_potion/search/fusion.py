"""The scores of meaning and of words -> one: meaning in deviations from its mean, words as a share of what can be had.

    score = (cosine - mean) / deviation + 24 x BM25 / (the sum of the weights of the query's words)

Chosen on four public sets (docs/results/retrieval.md). Where a query has many words that is as good as the sum of both,
each standardized over the rows; where its words stand in few rows, these scores of words would be all outliers, and one
word that happens to stand in one row would count more than any meaning.
"""

from __future__ import annotations

import numpy as np

from edge_potion.search.postings import Weights

__all__ = ["fused", "sampled_rows"]

MOST_SAMPLED = 10_000  # rows, at even steps: mean and deviation are within 2 % of those of all
WORDS_WEIGHT = 24  # of 14 to 25 the four sets prefer none; eight others prefer more, as they ask by names
LEAST_DEVIATION = 1e-6  # below it, all rows mean the same


def fused(meaning: np.ndarray, words: np.ndarray, weights: Weights, deleted: np.ndarray | None = None) -> np.ndarray:
    """The scores of rows by both kinds.

    Args:
        meaning: (N,) float32, the cosine of each row; NaN of some that are not in the sample, which then score NaN.
        words: (N,) float32, BM25 of each row.
        weights: of the query's words.
        deleted: (N,) bool, which rows do not count; None where all do.

    Returns:
        (N,) float32.
    """
    sample = meaning[sampled_rows(len(meaning), deleted)].astype(np.float64)
    mean, deviation = (float(sample.mean()), float(sample.std())) if len(sample) else (0.0, 0.0)
    scale = 1 / deviation if deviation > LEAST_DEVIATION else 0.0
    scores = meaning * np.float32(scale)
    scores -= np.float32(mean * scale)
    if weights.most:
        scores += words * np.float32(WORDS_WEIGHT / weights.most)
    return scores


def sampled_rows(count: int, deleted: np.ndarray | None = None) -> np.ndarray:
    """(n,) int64, ascending: of so many rows, those that mean and deviation are of."""
    if deleted is None:
        return np.arange(0, count, -(-count // MOST_SAMPLED) or 1)
    live = np.flatnonzero(~deleted)
    return live[:: -(-len(live) // MOST_SAMPLED) or 1]
