"""What probabilities are worth: a temperature that makes them honest, how far off they are, where to answer "none".

Letters: N rows, C labels. `truth` is (N,) with the number of each row's label, or (N, C) of 0 and 1 where a row may
have several. A row of one label is judged by its likeliest label; a row of several by each of its C probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = [
    "BINS",
    "Bin",
    "PrecisionByLevel",
    "Threshold",
    "calibration_error",
    "precision_by_level",
    "reliability",
    "temperature_of",
    "threshold_for",
]

BINS = 15  # of the calibration error, as papers have it since Guo et al., 2017
LEAST, MOST = 0.05, 20.0  # of a temperature: beyond them the rows tell nothing of it
HALVINGS = 40  # of what lies between them, on a logarithmic scale: to the twelfth digit


def temperature_of(logits: np.ndarray, truth: np.ndarray, multi_label: bool = False) -> float:
    """What to divide logits (N, C) by, so that the truth is likeliest; from 0.05 to 20.

    The likelihood is log-concave in 1/T, so its slope has one zero, which is halved in. A little of each row's truth,
    one row's worth in all, is spread over the labels: without it, rows that are all right would ask for certainty.
    """
    scores = np.asarray(logits, dtype=np.float64)  # (N, C)
    if not scores.size:
        return 1.0
    slope = _slope_of_labels(scores, truth) if multi_label else _slope_of_rows(scores, truth)
    coldest, hottest = np.log(1 / LEAST), np.log(1 / MOST)  # of 1/T; half way between is T = 1
    for _ in range(HALVINGS):
        middle = (coldest + hottest) / 2
        steep = slope(float(np.exp(middle)))
        if steep == 0:  # logits that are all alike: any temperature gives the same
            break
        coldest, hottest = (middle, hottest) if steep > 0 else (coldest, middle)
    return float(np.clip(np.exp(-(coldest + hottest) / 2), LEAST, MOST))


def _slope_of_rows(scores: np.ndarray, truth: np.ndarray) -> Callable[[float], float]:
    """Of the negative log-likelihood of one label a row, by 1/T: what the softmax expects, less what is true."""
    scores = scores - scores.max(axis=1, keepdims=True)  # (N, C), at most 0
    spread = 1 / (len(scores) + 1)
    true = (1 - spread) * scores[np.arange(len(scores)), truth] + spread * scores.mean(axis=1)  # (N,)

    def slope(sharpness: float) -> float:
        weights = np.exp(sharpness * scores)  # (N, C)
        expected = (weights * scores).sum(axis=1) / weights.sum(axis=1)  # (N,)
        return float((expected - true).sum())

    return slope


def _slope_of_labels(scores: np.ndarray, truth: np.ndarray) -> Callable[[float], float]:
    """Likewise where each label is a question of its own."""
    spread = 1 / (len(scores) + 1)
    true = (1 - spread) * np.asarray(truth) + spread / 2  # (N, C)

    def slope(sharpness: float) -> float:
        expected = 0.5 + 0.5 * np.tanh(sharpness * scores / 2)  # (N, C): the sigmoid, without overflow
        return float(((expected - true) * scores).sum())

    return slope


@dataclass(frozen=True)
class Bin:
    """The answers whose probability lies above `low` and not above `high`."""

    low: float
    high: float
    count: int
    confidence: float  # the mean of their probabilities; the middle of the bin where there are none
    accuracy: float  # the share of them that is right; 0 where there are none


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Answers by their probability, in bins of equal width: where `accuracy` is `confidence`, one may believe it."""
    confidence, is_right = _answers(probabilities, truth)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)  # (bins,)
    sums = np.bincount(place, weights=confidence, minlength=bins)
    right = np.bincount(place, weights=is_right, minlength=bins)
    return [
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            count=int(count),
            confidence=float(sums[number] / count) if count else (number + 0.5) / bins,
            accuracy=float(right[number] / count) if count else 0.0,
        )
        for number, count in enumerate(counts)
    ]


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: how far accuracy is from confidence, over bins by their count; 0 of no rows."""
    curve = reliability(probabilities, truth, bins)
    rows = sum(each.count for each in curve)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in curve) / max(rows, 1)


@dataclass(frozen=True)
class Threshold:
    """The probability from which on an answer is given."""

    threshold: float | None  # None where no probability is high enough; `reason` says why
    precision: float  # the share of the answers that is right; where there is no threshold, the best that one reaches
    coverage: float  # the share of the rows that are answered; 0 where there is no threshold
    reason: str = ""


def threshold_for(probabilities: np.ndarray, truth: np.ndarray, precision: float) -> Threshold:
    """The smallest threshold above which at least the share `precision` of the answers is right.

    It lies half way between the lowest probability that is answered and the highest that is not, so that what
    another machine or precision adds to a probability turns neither; and it is a float32, as the graphs compare.
    """
    curve = precision_by_level(probabilities, truth)
    if not len(curve.levels):
        return Threshold(None, 0.0, 0.0, "there are no rows to choose a threshold by")
    enough = np.flatnonzero(curve.precision >= precision)
    if not len(enough):
        best = float(curve.precision.max())
        reason = f"no threshold reaches a precision of {precision:.1%}; the best is {best:.1%}"
        return Threshold(None, best, 0.0, reason)
    last = int(enough[-1])
    threshold = 0.0  # where all are answered
    if last + 1 < len(curve.levels):
        answered, other = float(curve.levels[last]), float(curve.levels[last + 1])
        middle = float(np.float32((answered + other) / 2))
        threshold = middle if other < middle <= answered else answered
    return Threshold(threshold, float(curve.precision[last]), float(curve.coverage[last]))


@dataclass(frozen=True)
class PrecisionByLevel:
    """What becomes of answers, by the probability from which on they are given. L levels, from the highest on.

    Rows of one probability are answered together. Where a row may have several labels, an answer is a label that is
    given, and a row is covered when it has one.
    """

    levels: np.ndarray  # (L,) float64, each once
    precision: np.ndarray  # (L,) the share of the answers that is right
    coverage: np.ndarray  # (L,) the share of the rows that has an answer


def precision_by_level(probabilities: np.ndarray, truth: np.ndarray) -> PrecisionByLevel:
    """Precision and coverage at every threshold that makes a difference."""
    confidence, is_right = _answers(probabilities, truth)
    levels, place = np.unique(-confidence, return_inverse=True)
    right = np.cumsum(np.bincount(place, weights=is_right, minlength=len(levels)))
    given = np.cumsum(np.bincount(place, minlength=len(levels)))
    best = np.sort(-np.asarray(probabilities, dtype=np.float64).max(axis=1, initial=0.0))  # (N,)
    covered = np.searchsorted(best, levels, side="right")
    return PrecisionByLevel(-levels, right / given, covered / max(len(best), 1))


def _answers(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each answer its probability, float64, and whether it is right: (N,), or (N * C,) where rows have several."""
    shares, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    if truth.ndim == 2:
        return shares.ravel(), truth.ravel().astype(bool)
    if not len(shares):
        return np.zeros(0), np.zeros(0, dtype=bool)
    return shares.max(axis=1), shares.argmax(axis=1) == truth
