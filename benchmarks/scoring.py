"""Scores of vectors by MTEB's protocols (mteb 2.26): arrays in, numbers out; every score is a share, 0..1 or -1..1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["EXPERIMENTS", "SEED", "classification_scores", "draws", "pair_scores", "sts_scores"]

EXPERIMENTS = 10  # draws of training examples, mteb's n_experiments
SEED = 42  # mteb's
MAX_ITER = 100  # of the logistic regression, mteb's


def sts_scores(first: np.ndarray, second: np.ndarray, gold: Sequence[float]) -> dict[str, float]:
    """Correlation of cosines with gold scores; `main` is Spearman's. Vectors are (N, D)."""
    from scipy.stats import pearsonr, spearmanr

    cosines = 1 - _cosine_distances(first, second)
    main = float(spearmanr(gold, cosines).statistic)
    return {"main": main, "cosine_spearman": main, "cosine_pearson": float(pearsonr(gold, cosines).statistic)}


def pair_scores(first: np.ndarray, second: np.ndarray, labels: Sequence[int]) -> dict[str, float]:
    """Average precision of telling pairs of one meaning by each similarity; `main` is the best of the four.

    Vectors are (N, D), labels 0 or 1.
    """
    from sklearn.metrics import average_precision_score
    from sklearn.metrics.pairwise import paired_euclidean_distances, paired_manhattan_distances

    similarities = {
        "cosine": 1 - _cosine_distances(first, second),
        "dot": np.einsum("nd,nd->n", first, second),
        "euclidean": -paired_euclidean_distances(first, second),
        "manhattan": -paired_manhattan_distances(first, second),
    }
    scores = {f"{name}_ap": float(average_precision_score(labels, each)) for name, each in similarities.items()}
    return {"main": max(scores.values()), **scores}


def draws(labels: Sequence[Any], examples: int) -> list[list[int]]:
    """The training rows of each experiment: the first `examples` of each label in an order that is shuffled again and
    again, each time by a new generator of the same seed, as mteb's `_undersample_data` does."""
    order = list(range(len(labels)))
    chosen = []
    for _ in range(EXPERIMENTS):
        np.random.RandomState(SEED).shuffle(order)
        seen: Counter[Any] = Counter()
        rows = []
        for row in order:
            if seen[labels[row]] < examples:
                seen[labels[row]] += 1
                rows.append(row)
        chosen.append(rows)
    return chosen


def classification_scores(
    train: Sequence[tuple[np.ndarray, Sequence[Any]]], test: np.ndarray, labels: Sequence[Any]
) -> dict[str, Any]:
    """Mean accuracy of a logistic regression on each experiment's training vectors (n, D) and labels; `main`."""
    from sklearn.linear_model import LogisticRegression

    gold = np.asarray(labels)
    accuracies = []
    for vectors, known in train:
        classifier = LogisticRegression(max_iter=MAX_ITER, random_state=SEED)
        classifier.fit(vectors, np.asarray(known))
        accuracies.append(float((classifier.predict(test) == gold).mean()))
    return {"main": float(np.mean(accuracies)), "accuracy": float(np.mean(accuracies)), "experiments": accuracies}


def _cosine_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from sklearn.metrics.pairwise import paired_cosine_distances

    return np.asarray(paired_cosine_distances(first, second))
