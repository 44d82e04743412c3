"""Scores of vectors by MTEB's protocols (mteb 2.26): arrays in, numbers out; every score is a share, 0..1 or -1..1.

Each function raises NoScore where there is none: it never gives NaN.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = [
    "EXPERIMENTS",
    "MAX_ITER",
    "NOTHING",
    "SEED",
    "NoScore",
    "bitext_scores",
    "classification_scores",
    "draws",
    "of_others",
    "pair_scores",
    "places_of",
    "retrieval_scores",
    "rows_found",
    "sts_scores",
]

EXPERIMENTS = 10  # draws of training examples, mteb's n_experiments
SEED = 42  # mteb's
MAX_ITER = 100  # of the logistic regression, mteb's
FIRST, FOUND = 10, 100  # documents that nDCG and MRR look at, and recall
NOTHING = -1  # in the place of the row that a text finds


class NoScore(Exception):
    """Vectors have no score; says why."""


@contextmanager
def of_others() -> Iterator[None]:
    """What scipy and scikit-learn refuse is a reason; their warnings are of numbers, which are looked at afterwards."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        except (ValueError, ArithmeticError) as failure:
            said = (str(failure).strip() or type(failure).__name__).splitlines()[0]
            raise NoScore(f"it could not be computed: {said}") from failure


@of_others()
def sts_scores(first: np.ndarray, second: np.ndarray, gold: Sequence[float]) -> dict[str, float]:
    """Correlation of cosines with gold scores; `main` is Spearman's. Vectors are (N, D)."""
    from scipy.stats import pearsonr, spearmanr

    cosines = 1 - _cosine_distances(first, second)
    if len(cosines) and (cosines == cosines[0]).all():
        raise NoScore(f"all pairs have one cosine, {cosines[0]:.3g}, which correlates with nothing")
    main = float(spearmanr(gold, cosines).statistic)
    pearson = float(pearsonr(gold, cosines).statistic)
    return _numbers({"main": main, "cosine_spearman": main, "cosine_pearson": pearson})


@of_others()
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
    return _numbers({"main": max(scores.values()), **scores})


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


@of_others()
def classification_scores(
    train: Sequence[tuple[np.ndarray, Sequence[Any]]], test: np.ndarray, labels: Sequence[Any]
) -> dict[str, Any]:
    """Mean accuracy of a logistic regression on each experiment's training vectors (n, D) and labels; `main`."""
    from sklearn.linear_model import LogisticRegression

    # Labels by their place among all: an array of strings is as wide as the longest, and cuts NUL from their ends.
    place_of = {
        label: place for place, label in enumerate(sorted({*labels, *(one for _, some in train for one in some)}))
    }
    gold = np.array([place_of[label] for label in labels])
    accuracies = []
    for vectors, known in train:
        classifier = LogisticRegression(max_iter=MAX_ITER, random_state=SEED)
        classifier.fit(vectors, [place_of[label] for label in known])
        accuracies.append(float((classifier.predict(test) == gold).mean()))
    main = float(np.mean(accuracies))
    _numbers({"main": main})
    return {"main": main, "accuracy": main, "experiments": accuracies}


def retrieval_scores(found: Sequence[Sequence[str]], judged: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """nDCG@10, which is `main`, recall@100 and MRR@10: means over queries, by the definitions of trec_eval.

    Args:
        found: of each query the ids of documents, the best first.
        judged: of each query grades of documents by their id. Those above 0 answer it; a grade is its own gain.
    """
    if not judged:
        raise NoScore("no query has a judgement")
    discounts = 1 / np.log2(np.arange(2, FIRST + 2))  # (10,)
    gains, recalls, reciprocals = [], [], []
    for ids, grades in zip(found, judged, strict=True):
        answers = {document for document, grade in grades.items() if grade > 0}
        first = [max(grades.get(document, 0), 0) for document in ids[:FIRST]]
        best = sorted((grades[document] for document in answers), reverse=True)[:FIRST]
        ideal = float(discounts[: len(best)] @ best)
        gains.append(float(discounts[: len(first)] @ first) / ideal if ideal else 0.0)
        recalls.append(len(answers.intersection(ids[:FOUND])) / max(len(answers), 1))
        reciprocals.append(next((1 / rank for rank, grade in enumerate(first, 1) if grade), 0.0))
    main = float(np.mean(gains))
    means = {"recall_at_100": float(np.mean(recalls)), "mrr_at_10": float(np.mean(reciprocals))}
    return _numbers({"main": main, "ndcg_at_10": main, **means})


def bitext_scores(found: np.ndarray) -> dict[str, float]:
    """Accuracy, which is `main`, and F1, each row weighing the same, of the rows (N,) that N texts find among their
    translations: each its own, another, or NOTHING."""
    if not len(found):
        raise NoScore("there is no text")
    right = found == np.arange(len(found))
    times = np.bincount(found[found != NOTHING], minlength=len(found))  # a row is found
    # A row is a class of one text: 2 hits / (texts of it + texts that find it).
    f1, accuracy = float(np.mean(2 * right / (1 + times))), float(np.mean(right))
    return _numbers({"main": accuracy, "accuracy": accuracy, "f1": f1})


def places_of(ids: Sequence[str]) -> np.ndarray:
    """(N,) int64: where each id stands among all of them in order."""
    places = np.empty(len(ids), np.int64)
    places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return places


def rows_found(scores: np.ndarray, places: np.ndarray, count: int = FOUND) -> np.ndarray:
    """(count,) int64 or fewer: the rows of the highest scores (N,), the best first; -inf is not found.

    Of equal scores the later id stands first, as trec_eval has it; `places` are those of the ids (N,).
    """
    rows = np.flatnonzero(scores > -np.inf)
    if len(rows) > count:
        lowest = np.partition(scores[rows], -count)[-count]
        rows = rows[scores[rows] >= lowest]
    return rows[np.lexsort((places[rows], scores[rows]))[::-1][:count]]


def _numbers(scores: Mapping[str, float]) -> dict[str, float]:
    for name, score in scores.items():
        if not math.isfinite(score):
            raise NoScore(f"its {name} is {score}")
    return dict(scores)


def _cosine_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from sklearn.metrics.pairwise import paired_cosine_distances

    return np.asarray(paired_cosine_distances(first, second))
