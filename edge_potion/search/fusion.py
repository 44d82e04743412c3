"""The scores of meaning and of words -> one: meaning in deviations from its mean, words as a share of what can be had.

    score = (cosine - mean) / deviation + 24 x BM25 / (the sum of the weights of the query's words)

Chosen on four public sets (docs/results/retrieval.md). Where a query has many words that is as good as the sum of both,
each standardized over the rows; where its words stand in few rows, these scores of words would be all outliers, and one
word that happens to stand in one row would count more than any meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_potion.search.postings import Weights

__all__ = ["Standard", "fused", "sampled_rows", "standard_of"]

MOST_SAMPLED = 10_000  # rows, at even steps: mean and deviation are within 2 % of those of all
WORDS_WEIGHT = 24  # of 14 to 25 the four sets prefer none; eight others prefer more, as they ask by names
LEAST_DEVIATION = 1e-6  # below it, all rows mean the same


class Standard(NamedTuple):
    """What makes cosines scores of meaning: `scale` times what they are above the mean."""

    mean: float
    scale: float


def standard_of(meaning: np.ndarray, deleted: np.ndarray | None = None) -> Standard:
    """That of rows by a sample of them.

    Args:
        meaning: (N,) float32, the cosine of each row; those that are not in the sample do not count.
        deleted: (N,) bool, which rows do not count; None where all do.
    """
    sample = meaning[sampled_rows(len(meaning), deleted)].astype(np.float64)
    if not len(sample) or sample.std() <= LEAST_DEVIATION:
        return Standard(0.0, 0.0)
    return Standard(float(sample.mean()), 1 / float(sample.std()))


def fused(meaning: np.ndarray, words: np.ndarray, weights: Weights, standard: Standard) -> np.ndarray:
    """The scores of rows by both kinds.

    Args:
        meaning: (n,) float32, the cosine of each row; NaN gives NaN.
        words: (n,) float32, BM25 of each row.
        weights: of the query's words.
        standard: of the cosines of all rows.

    Returns:
        (n,) float32.
    """
    scores = meaning * np.float32(standard.scale)
    scores -= np.float32(standard.mean * standard.scale)
    if weights.most:
        scores += words * np.float32(WORDS_WEIGHT / weights.most)
    return scores


def sampled_rows(count: int, deleted: np.ndarray | None = None) -> np.ndarray:
    """(n,) int64, ascending: of so many rows, those that mean and deviation are of."""
    if deleted is None:
        return np.arange(0, count, -(-count // MOST_SAMPLED) or 1)
    live = np.flatnonzero(~deleted)
    return live[:: -(-len(live) // MOST_SAMPLED) or 1]
