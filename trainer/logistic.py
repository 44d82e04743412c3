"""Logistic regression on dense and sparse features side by side: multinomial, or one of two for each label.

scikit-learn's takes one matrix: with the vectors in a sparse one, or the grams in a dense one, it takes five times as
long. So the loss is written out here, in float32, and scipy's L-BFGS-B does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Examples", "Weights", "regress", "residuals", "scores"]

MEMORY = 6  # of L-BFGS, in steps
TOLERANCE = 1e-6  # of the loss, relative


@dataclass(frozen=True)
class Examples:
    """What is learnt from. N rows, C labels.

    Attributes:
        vectors: (N, D) float32.
        grams: scipy CSR (N, F) float32; F may be 0.
        targets: (N, C) float32, 1 where a row has a label.
        weights: (N,) float32, what each row counts for; 1 on average.
        multi_label: whether each label is a question of its own.
    """

    vectors: np.ndarray
    grams: Any
    targets: np.ndarray
    weights: np.ndarray
    multi_label: bool

    def with_grams(self, grams: Any) -> Examples:
        """The same rows with other grams."""
        return Examples(self.vectors, grams, self.targets, self.weights, self.multi_label)


@dataclass(frozen=True)
class Weights:
    """Of a regression.

    Attributes:
        dense: (D, C) float32.
        bias: (C,) float32.
        rows: (F, C) float32.
    """

    dense: np.ndarray
    bias: np.ndarray
    rows: np.ndarray


def scores(weights: Weights, vectors: np.ndarray, grams: Any) -> np.ndarray:
    """(N, C) float32: the logits."""
    dense = vectors @ weights.dense + weights.bias
    return dense + grams @ weights.rows if grams.shape[1] else dense


def residuals(logits: np.ndarray, examples: Examples) -> tuple[float, np.ndarray]:
    """The mean loss, and (N, C) float32 its gradient by the logits, which is written into them."""
    count, targets = len(logits), examples.targets
    if examples.multi_label:
        losses = (np.logaddexp(0, logits) - targets * logits).sum(axis=1)
        shares = np.tanh(logits * np.float32(0.5), out=logits)
        shares += 1
        shares *= np.float32(0.5)
    else:
        logits -= logits.max(axis=1, keepdims=True)
        chosen = np.einsum("ij,ij->i", logits, targets)
        shares = np.exp(logits, out=logits)
        sums = shares.sum(axis=1)
        losses = np.log(sums) - chosen
        shares /= sums[:, None]
    shares -= targets
    shares *= (examples.weights / np.float32(count))[:, None]
    return float((losses * examples.weights).mean(dtype=np.float64)), shares


def regress(
    examples: Examples, dense_penalty: float, rows_penalty: float, iterations: int, start: Weights | None = None
) -> Weights:
    """Weights that make the mean loss and half of each penalty times the squared weights small.

    Args:
        examples: what is learnt from.
        dense_penalty, rows_penalty: of the weights of vectors and of grams; the bias has none.
        iterations: most steps.
        start: where to begin; zeros unless given. Its rows are as many as the grams.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    width, grams, labels = examples.vectors.shape[1], examples.grams.shape[1], examples.targets.shape[1]
    by_gram = examples.grams.T.tocsr() if grams else None
    penalties = np.concatenate([np.full(width, dense_penalty), [0], np.full(grams, rows_penalty)])
    penalties = penalties.astype(np.float32)[:, None]
    scale = _scale(examples, penalties)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(-1, labels).astype(np.float32) * scale
        weights = Weights(table[:width], table[width], table[width + 1 :])
        mean, shares = residuals(scores(weights, examples.vectors, examples.grams), examples)
        gradient = penalties * table
        penalty = float(np.einsum("ij,ij->", gradient, table, dtype=np.float64)) / 2
        gradient[:width] += examples.vectors.T @ shares
        gradient[width] += shares.sum(axis=0)
        if by_gram is not None:
            gradient[width + 1 :] += by_gram @ shares
        return mean + penalty, (gradient * scale).ravel().astype(np.float64)

    begin = np.zeros((width + 1 + grams, labels))
    if start is not None:
        begin[:width], begin[width], begin[width + 1 :] = start.dense, start.bias, start.rows
    begin /= scale
    options = {"maxiter": iterations, "maxcor": MEMORY, "ftol": TOLERANCE, "gtol": 0}
    # Matrices are narrow: two threads of numpy's BLAS, which wait for one another, take twice as long as one.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
    table = found.x.reshape(-1, labels).astype(np.float32) * scale
    return Weights(table[:width], table[width], table[width + 1 :])


def _scale(examples: Examples, penalties: np.ndarray) -> np.ndarray:
    """(D + 1 + F, 1) float32: units of the weights in which the loss is about as steep in each of them.

    Without them rare grams learn slowly: the optimizer takes three times the steps.
    """
    labels = examples.targets.shape[1]
    curvature = 0.25 if examples.multi_label else (1 - 1 / labels) / labels  # of the loss by a logit, at the start
    squares = [np.square(examples.vectors).mean(axis=0), np.ones(1, np.float32)]
    if examples.grams.shape[1]:
        squares.append(np.asarray(examples.grams.power(2).mean(axis=0)).ravel())
    return np.asarray(1 / np.sqrt(curvature * np.concatenate(squares)[:, None] + penalties), np.float32)
