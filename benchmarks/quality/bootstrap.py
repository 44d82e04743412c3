"""How sure is a difference? Rows that were scored are drawn again, the same for every model (paired bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .scoring import SEED

__all__ = ["CONFIDENCE", "RESAMPLES", "Answer", "Interval", "interval_of", "means", "resampled"]

RESAMPLES = 1000
CONFIDENCE = 0.95
HELD = 2**22  # weights at once


@dataclass(frozen=True)
class Answer:
    """What a model scores, and how that would change with the rows.

    Attributes:
        seeds: of each metric, its value with each seed; shares, 0..1.
        units: U, the rows (or queries) that can be drawn again.
        weighted: (r, U) float64, how often each was drawn -> of each metric (r,), its mean over the seeds.
    """

    seeds: Mapping[str, Sequence[float]]
    units: int
    weighted: Callable[[np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Interval:
    """Where a difference lies, in CONFIDENCE of the draws."""

    low: float
    high: float


def resampled(answer: Answer) -> dict[str, np.ndarray]:
    """(RESAMPLES,) float64 of each metric: its value where as many rows are drawn anew, some of them more than once."""
    random = np.random.default_rng(SEED)  # the same draws for every model: what they share falls out of a difference
    at_once = max(1, HELD // answer.units)
    parts = []
    for begin in range(0, RESAMPLES, at_once):
        drawn = random.integers(answer.units, size=(min(at_once, RESAMPLES - begin), answer.units))
        weights = np.array([np.bincount(rows, minlength=answer.units) for rows in drawn], np.float64)
        parts.append(answer.weighted(weights))
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in answer.seeds}


def interval_of(first: np.ndarray, other: np.ndarray) -> Interval:
    """Of what another model has more than the first, by their values in the same draws."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(other - first, (tail, 100 - tail))
    return Interval(float(low), float(high))


def means(values: Mapping[str, np.ndarray]) -> Answer:
    """The answer whose metrics are means of a value (U,) a row."""
    return Answer(
        {metric: [float(each.mean())] for metric, each in values.items()},
        len(next(iter(values.values()))),
        lambda weights: {metric: weights @ each / weights.sum(axis=1) for metric, each in values.items()},
    )
