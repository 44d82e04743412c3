"""Vectors and grams with labels -> the head of a classifier: which kind, how it was chosen, how sure it may be.

A layer on the vector alone is hard to beat with a few rows a label, rows for grams beside it with many. How much grams
may count is a number (`STRENGTHS`), chosen on rows that were held out: in five folds, or a fifth of many rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_potion.calibration import calibration_error, temperature_of, threshold_for
from edge_potion.errors import InputError
from edge_potion.head import Head
from edge_potion.training import HeldOut, Training

from .candidates import STRENGTHS, TABLE, Fitted, Rows, fit_candidates, fit_table
from .compare import Compared, compare

__all__ = ["FittedHead", "fit_head"]


@dataclass(frozen=True)
class FittedHead:
    """A head, how it was made, and what it was judged by.

    Attributes:
        head: of the classifier.
        table: (V, D) float32, where it was trained too.
        training, held_out: what is told of it.
    """

    head: Head
    table: np.ndarray | None
    training: Training
    held_out: HeldOut


def fit_head(
    rows: Rows,
    labels: Sequence[str],
    table: np.ndarray | None = None,
    *,
    kind: str = "auto",
    tune: str = "head",
    class_weight: Mapping[str, float] | str | None = None,
    precision_at_least: float | None = None,
    seed: int = 0,
    remarks: Sequence[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> FittedHead:
    """Fit the head of a classifier.

    Args:
        rows: what it is fitted to.
        labels: C names, in the order of the targets' columns.
        table: (V, D) of the model, where it may be trained too.
        kind: "vector", "hybrid", or "auto" for the one that is better on rows that were held out.
        tune: "head", "table", or "auto".
        class_weight: what a row of each label counts for: "balanced", or by label; None for one alike.
        precision_at_least: choose a threshold of probability at which so large a share of the answers is right.
        seed: of the folds.
        remarks: for what is told of the training.
        told: called with a line for each step.

    Raises:
        InputError: no threshold reaches that precision on held-out rows, or no rows can be held out.
    """
    begun = time.perf_counter()
    random = np.random.default_rng(seed)
    names = [name for name in STRENGTHS if kind == "auto" or name.startswith(kind)]
    weights = _row_weights(rows, labels, class_weight)
    compared = compare(rows, weights, names, table if tune != "head" else None, tune, random, told)
    told(f"fitting {compared.chosen} to {len(rows.texts):,} rows")
    fitted = _last(rows, weights, compared, names, table, random)
    logits, truth = compared.logits[compared.chosen], compared.truth
    temperature = temperature_of(logits, truth, rows.multi_label)
    head = _head_of(fitted, labels, rows.multi_label, temperature)
    raw, even = (head.probabilities(logits / each) for each in (1.0, temperature))
    at = None if precision_at_least is None else threshold_for(even, truth, precision_at_least)
    if at and at.threshold is None:  # to answer always, where a guard was asked for, would be the worst of all
        raise InputError(f"{at.reason}; ask for less, give it more rows, or leave precision_at_least out")
    threshold = at.threshold if at else None
    training = Training(
        head="hybrid" if len(head.rows) else "vector",
        tune="table" if fitted.tuned else "head",
        why=_why(compared, kind, tune, rows.multi_label),
        candidates={name: round(share, 5) for name, share in compared.shares.items()},
        rows=len(rows.texts),
        held_out=len(truth),
        grams=len(head.rows),
        temperature=temperature,
        ece_before=calibration_error(raw, truth),
        ece_after=calibration_error(even, truth),
        threshold=0.5 if rows.multi_label and threshold is None else threshold,
        threshold_precision=at.precision if at else None,
        coverage=at.coverage if at else None,
        seconds=time.perf_counter() - begun,
        remarks=tuple(remarks),
    )
    held_out = HeldOut(compared.texts, truth, even, raw)
    tuned = fitted.tuned.table if fitted.tuned else None
    return FittedHead(replace(head, threshold=training.threshold), tuned, training, held_out)


def _last(
    rows: Rows,
    weights: np.ndarray,
    compared: Compared,
    names: Sequence[str],
    table: np.ndarray | None,
    random: np.random.Generator,
) -> Fitted:
    """What was chosen, fitted to all rows."""
    if compared.chosen != TABLE:
        return fit_candidates(rows, weights, [compared.chosen], compared.start)[compared.chosen]
    assert table is not None  # or it would not have been compared
    name = compared.start.name if compared.start else max(names, key=lambda name: compared.shares[name])
    begun = fit_candidates(rows, weights, [name])[name]
    return fit_table(table, rows, weights, begun, random, passes=compared.passes)


def _head_of(fitted: Fitted, labels: Sequence[str], multi_label: bool, temperature: float) -> Head:
    weights, space = fitted.weights, fitted.space
    rows = weights.rows * space.weights[:, None]
    return Head(tuple(labels), weights.dense, weights.bias, space.grams, rows, multi_label, temperature)


def _row_weights(rows: Rows, labels: Sequence[str], class_weight: Mapping[str, float] | str | None) -> np.ndarray:
    """(N,) float32, 1 on average; of a row of several labels the mean of theirs."""
    if class_weight is None:
        return np.ones(len(rows.texts), np.float32)
    counts = rows.targets.sum(axis=0)  # (C,)
    balanced = counts.sum() / np.maximum(counts, 1) / len(labels)
    by_label = balanced if isinstance(class_weight, str) else [class_weight.get(label, 1.0) for label in labels]
    many = np.maximum(rows.targets.sum(axis=1), 1)
    weights = np.where(rows.targets.any(axis=1), rows.targets @ np.asarray(by_label) / many, 1)
    return np.asarray(weights / weights.mean(), np.float32)


def _why(compared: Compared, kind: str, tune: str, multi_label: bool) -> str:
    measure = f"{'micro F1' if multi_label else 'accuracy'} on {len(compared.truth):,} held-out rows"
    shares, chosen = compared.shares, compared.chosen
    told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    if len(shares) == 1:
        return f"head={kind!r} was asked for; {measure}: {told}"
    if tune == "table":
        return f"tune={tune!r} was asked for; {measure}: {told}"
    if shares[chosen] < max(shares.values()):
        return f"{chosen}: none is clearly better by {measure} ({told})"
    return f"{chosen} has the best {measure}: {told}"
