"""The scores of meaning and of words -> one: meaning in deviations from its mean, words as a share of what can be had.

    score = (cosine - mean) / deviation + 18 x BM25 / (the sum of the weights of the query's words)

Chosen on four public sets (docs/results/retrieval.md). Where a query has many words that is as good as the sum of both,
each standardized over the rows; where its words stand in few rows, these scores of words would be all outliers, and one
word that happens to stand in one row would count more than any meaning.
"""

from __future__ import annotations

import numpy as np

from edge_potion.search.postings import Weights

__all__ = ["fused", "sample_step"]

MOST_SAMPLED = 10_000  # rows, at even steps: mean and deviation are within 2 % of those of all
WORDS_WEIGHT = 18  # of 6 to 18 all are above either kind alone on each set; the most is what sets of rare words want
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
    sampled = slice(0, None, sample_step(len(meaning)))
    sample = meaning[sampled] if deleted is None else meaning[sampled][~deleted[sampled]]
    sample = sample.astype(np.float64)
    mean, deviation = (float(sample.mean()), float(sample.std())) if len(sample) else (0.0, 0.0)
    scale = 1 / deviation if deviation > LEAST_DEVIATION else 0.0
    scores = meaning * np.float32(scale)
    scores -= np.float32(mean * scale)
    if weights.most:
        scores += words * np.float32(WORDS_WEIGHT / weights.most)
    return scores


def sample_step(rows: int) -> int:
    """From one row of the sample to the next, the first of all rows being one."""
    return -(-rows // MOST_SAMPLED) or 1
