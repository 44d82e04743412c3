"""Vectors and grams with labels -> the head of a classifier: which kind, how it was chosen, how sure it may be.

A layer on the vector alone is hard to beat with a few rows a label, rows for grams beside it with many. How much grams
may count is a number (`STRENGTHS`), chosen on rows that were held out: in five folds, or a fifth of many rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.calibration import calibration_error, temperature_of, threshold_for
from edge_potion.grams import Grams
from edge_potion.head import Head
from edge_potion.training import HeldOut, Training

from .folds import folds
from .gram_features import GramSpace, gram_space
from .logistic import Examples, Weights, regress, residuals, scores

__all__ = ["HEADS", "FittedHead", "Rows", "fit_head"]

HEADS = ("auto", "vector", "hybrid")

INVERSE_PENALTY = 10.0  # scikit-learn's C, for rows of unit length: from 5 to 50 it makes little difference
# How much grams may count beside the vector: the root of their inverse penalty over the vector's.
STRENGTHS = {"vector": 0.0, "hybrid, grams half": 0.5, "hybrid": 1.0, "hybrid, grams threefold": 3.0}
USUAL = "hybrid, grams half"  # where rows are too few to tell
MOST_GRAMS = 4000  # with rows in a head: more gain nothing on the suite's tasks, and cost bytes
FOLDS = 5
MANY_ROWS = 2500  # from here on a fifth is held out once, in the place of five folds
MOST_COMPARED = 6_000  # rows: candidates are compared on so many, of more
STEPS = {"vector": 30, "compared": 25, "first": 10, "last": 35}  # of the optimizer


@dataclass(frozen=True)
class Rows:
    """What a head is fitted to. N rows, C labels.

    Attributes:
        texts: N of them, for what is told of them.
        kinds: N strings by which rows are spread over folds: the label, or all labels of a row.
        vectors: (N, D) float32 of unit length.
        grams: of the texts.
        targets: (N, C) float32, 1 where a row has a label.
        multi_label: whether a row may have several.
    """

    texts: Sequence[str]
    kinds: Sequence[str]
    vectors: np.ndarray
    grams: Grams
    targets: np.ndarray
    multi_label: bool

    @property
    def truth(self) -> np.ndarray:
        """(N,) int64 numbers of labels, or (N, C) bool."""
        return self.targets > 0 if self.multi_label else self.targets.argmax(axis=1)

    def at(self, places: np.ndarray) -> Rows:
        """Some of the rows."""
        texts, kinds = ([each[place] for place in places.tolist()] for each in (self.texts, self.kinds))
        grams = self.grams.take(places)
        return Rows(texts, kinds, self.vectors[places], grams, self.targets[places], self.multi_label)


@dataclass(frozen=True)
class FittedHead:
    """A head, how it was made, and what it was judged by."""

    head: Head
    training: Training
    held_out: HeldOut


def fit_head(
    rows: Rows,
    labels: Sequence[str],
    *,
    kind: str = "auto",
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
        kind: "vector", "hybrid", or "auto" for the one that is better on rows that were held out.
        class_weight: what a row of each label counts for: "balanced", or by label; None for one alike.
        precision_at_least: choose a threshold of probability at which so large a share of the answers is right.
        seed: of the folds.
        remarks: for what is told of the training.
        told: called with a line for each step.
    """
    begun = time.perf_counter()
    names = [name for name in STRENGTHS if kind == "auto" or name.startswith(kind)]
    weights = _row_weights(rows, labels, class_weight)
    compared = _compared(rows, weights, names, seed, told)
    chosen = _chosen(compared, names)
    told(f"fitting {chosen} to {len(rows.texts):,} rows")
    fitted = _fitted(rows, weights, [chosen], compared.starts.get(chosen))[chosen]
    temperature = temperature_of(compared.logits[chosen], compared.truth, rows.multi_label)
    head = _head_of(fitted, labels, rows.multi_label, temperature)
    raw, even = (head.with_(temperature=t).probabilities(compared.logits[chosen] / t) for t in (1.0, temperature))
    at = None if precision_at_least is None else threshold_for(even, compared.truth, precision_at_least)
    remarks = [*remarks, *([at.reason] if at and at.reason else [])]
    threshold = 0.5 if rows.multi_label and (at is None or at.threshold is None) else at.threshold if at else None
    training = Training(
        head="hybrid" if len(head.rows) else "vector",
        tune="head",
        why=_why(compared, chosen, kind, rows.multi_label),
        candidates={name: round(compared.shares[name], 5) for name in names},
        rows=len(rows.texts),
        held_out=len(compared.truth),
        grams=len(head.rows),
        temperature=temperature,
        ece_before=calibration_error(raw, compared.truth),
        ece_after=calibration_error(even, compared.truth),
        threshold=threshold,
        threshold_precision=at.precision if at else None,
        coverage=at.coverage if at else None,
        seconds=time.perf_counter() - begun,
        remarks=tuple(remarks),
    )
    return FittedHead(head.with_(threshold=threshold), training, HeldOut(compared.texts, compared.truth, even, raw))


@dataclass(frozen=True)
class _Fitted:
    """Weights, and the grams that their rows are of."""

    weights: Weights
    space: GramSpace


@dataclass(frozen=True)
class _Compared:
    """What candidates are worth on M rows that they were not fitted to."""

    texts: Sequence[str]
    truth: np.ndarray
    logits: Mapping[str, np.ndarray]  # (M, C) float32, by candidate
    shares: Mapping[str, float]  # right answers, or micro F1
    losses: Mapping[str, float]
    starts: Mapping[str, _Fitted]  # of one fold, where there was one alone


def _compared(
    rows: Rows, weights: np.ndarray, names: Sequence[str], seed: int, told: Callable[[str], None]
) -> _Compared:
    random = np.random.default_rng(seed)
    if len(rows.texts) > MOST_COMPARED:
        drawn = np.sort(random.permutation(len(rows.texts))[:MOST_COMPARED])
        rows, weights = rows.at(drawn), weights[drawn]
    fold_of = folds(rows.texts, rows.kinds, FOLDS, random)
    rounds = [0] if len(rows.texts) > MANY_ROWS else range(FOLDS)
    held: list[np.ndarray] = []
    logits: dict[str, list[np.ndarray]] = {name: [] for name in names}
    starts: Mapping[str, _Fitted] = {}
    for number, fold in enumerate(rounds, 1):
        others, places = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(places) or not len(others):
            continue
        told(f"comparing {len(names)} heads, {number} of {len(rounds)}: {len(others):,} rows, {len(places):,} held out")
        fitted = _fitted(rows.at(others), weights[others], names)
        part = rows.at(places)
        held.append(places)
        for name in names:
            matrix = fitted[name].space.matrix(part.grams)
            logits[name].append(scores(fitted[name].weights, part.vectors, matrix))
        starts = fitted if len(rounds) == 1 else {}
    order = np.concatenate(held)
    part = rows.at(order)
    joined = {name: np.concatenate(each) for name, each in logits.items()}
    examples = Examples(part.vectors, None, part.targets, np.ones(len(order), np.float32), rows.multi_label)
    shares = {name: _share(each, part) for name, each in joined.items()}
    losses = {name: residuals(each.copy(), examples)[0] for name, each in joined.items()}
    return _Compared(part.texts, part.truth, joined, shares, losses, starts)


def _chosen(compared: _Compared, names: Sequence[str]) -> str:
    """The best, unless it is no more than one standard error better than USUAL, as one of few rows is by chance."""
    best = max(names, key=lambda name: (compared.shares[name], -compared.losses[name]))
    if USUAL not in names:
        return best
    gains = _right(compared.logits[best], compared.truth) - _right(compared.logits[USUAL], compared.truth)  # (M,)
    return best if gains.mean() > gains.std() / np.sqrt(len(gains)) else USUAL


def _right(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(M,) float64: 1 for a row whose answer is right; of several labels the share of those that are."""
    if truth.ndim == 2:
        return np.asarray(((logits > 0) == truth).mean(axis=1))
    return np.asarray(logits.argmax(axis=1) == truth, np.float64)


def _share(logits: np.ndarray, rows: Rows) -> float:
    """Of right answers; where a row may have several labels, micro F1."""
    if not rows.multi_label:
        return float((logits.argmax(axis=1) == rows.truth).mean())
    given, true = logits > 0, rows.targets > 0
    return float(2 * (given & true).sum() / max(given.sum() + true.sum(), 1))


def _fitted(rows: Rows, weights: np.ndarray, names: Sequence[str], start: _Fitted | None = None) -> dict[str, _Fitted]:
    """Each candidate, begun where another ended; the grams are those that the vector leaves most unexplained."""
    space = gram_space(rows.grams)
    matrix = space.matrix(rows.grams)
    examples = Examples(rows.vectors, matrix[:, :0], rows.targets, weights, rows.multi_label)
    penalty = 1 / (INVERSE_PENALTY * len(rows.texts))
    none = GramSpace(space.keys[:0], space.weights[:0])
    is_last = start is not None
    before = start.weights if start else None
    alone = before and Weights(before.dense, before.bias, before.rows[:0])
    by_vector = regress(examples, penalty, 0, STEPS["first" if is_last else "vector"], alone)
    found = {"vector": _Fitted(by_vector, none)}
    if names == ["vector"]:
        steps = STEPS["last"] if is_last else STEPS["vector"]
        return {"vector": _Fitted(regress(examples, penalty, 0, steps, by_vector), none)}
    _, shares = residuals(scores(by_vector, rows.vectors, matrix[:, :0]), examples)
    unexplained = np.square(matrix.T.tocsr() @ shares).sum(axis=1)  # (F,) squared gradients of the rows
    kept = np.sort(np.argsort(-unexplained, kind="stable")[:MOST_GRAMS])
    examples, kept_space = examples.with_grams(matrix[:, kept]), space.at(kept)
    last = _with_rows(start or found["vector"], by_vector, kept_space)
    for name in names:
        if name != "vector":
            rows_penalty = penalty / STRENGTHS[name] ** 2
            last = regress(examples, penalty, rows_penalty, STEPS["last" if is_last else "compared"], last)
            found[name] = _Fitted(last, kept_space)
    return found


def _with_rows(before: _Fitted, dense: Weights, space: GramSpace) -> Weights:
    """Where a hybrid begins: the layer on the vector, and the rows that another had for the same grams."""
    begun = np.zeros((len(space.keys), len(dense.bias)), np.float32)
    _, ours, theirs = np.intersect1d(space.keys, before.space.keys, assume_unique=True, return_indices=True)
    begun[ours] = before.weights.rows[theirs]
    layer = before.weights if len(ours) else dense
    return Weights(layer.dense, layer.bias, begun)


def _head_of(fitted: _Fitted, labels: Sequence[str], multi_label: bool, temperature: float) -> Head:
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


def _why(compared: _Compared, chosen: str, kind: str, multi_label: bool) -> str:
    measure = "micro F1" if multi_label else "accuracy"
    told = ", ".join(f"{name} {share:.1%}" for name, share in compared.shares.items())
    if len(compared.shares) == 1:
        return f"head={kind!r} was asked for; {measure} on {len(compared.truth):,} held-out rows: {told}"
    best = max(compared.shares, key=lambda name: compared.shares[name])
    if compared.shares[best] > compared.shares[chosen]:
        return f"{chosen}: none is clearly better by {measure} on {len(compared.truth):,} held-out rows ({told})"
    return f"{chosen} has the best {measure} on {len(compared.truth):,} held-out rows: {told}"
