"""Heads that are compared with one another, each begun where another ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.grams import Grams
from edge_potion.tokens import TokenIds

from .gram_features import GramSpace, gram_space
from .logistic import Examples, Weights, regress, residuals, scores
from .tune_table import HeldOutRows, Tuned, tune_table

__all__ = ["HEADS", "MOST_GRAMS", "STRENGTHS", "TABLE", "USUAL", "Fitted", "Rows", "fit_candidates", "fit_table"]

HEADS = ("auto", "vector", "hybrid")
INVERSE_PENALTY = 10.0  # scikit-learn's C, for rows of unit length: from 5 to 50 it makes little difference
# How much grams may count beside the vector: the root of their inverse penalty over the vector's.
STRENGTHS = {"vector": 0.0, "hybrid, grams half": 0.5, "hybrid": 1.0, "hybrid, grams threefold": 3.0}
USUAL = {"few rows": "hybrid, grams half", "many rows": "hybrid"}  # where held-out rows do not tell clearly
TABLE = "table and head"
MOST_GRAMS = 4000  # with rows in a head: more gain nothing on the suite's tasks, and cost bytes
STEPS = {"vector": 15, "compared": 15, "first": 8, "last": 25}  # of the optimizer


@dataclass(frozen=True)
class Rows:
    """What a head is fitted to. N rows, C labels.

    Attributes:
        texts: N of them, for what is told of them.
        kinds: N strings by which rows are spread over folds: the label, or all labels of a row.
        vectors: (N, D) float32 of unit length.
        bags: rows of the model's table in each text: its tokens, [UNK] among them, and its phrases.
        grams: of the texts' tokens.
        targets: (N, C) float32, 1 where a row has a label.
        multi_label: whether a row may have several.
    """

    texts: Sequence[str]
    kinds: Sequence[str]
    vectors: np.ndarray
    bags: TokenIds
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
        bags, grams = self.bags.take(places), self.grams.take(places)
        return Rows(texts, kinds, self.vectors[places], bags, grams, self.targets[places], self.multi_label)


@dataclass(frozen=True)
class Fitted:
    """A head that was fitted.

    Attributes:
        weights: of it.
        space: the grams that its rows are of.
        name: of the candidate.
        tuned: the table with it, where that was trained.
    """

    weights: Weights
    space: GramSpace
    name: str
    tuned: Tuned | None = None

    def logits(self, rows: Rows) -> np.ndarray:
        """(M, C) float32 of other rows, by their vectors."""
        return scores(self.weights, rows.vectors, self.space.matrix(rows.grams))


def fit_candidates(
    rows: Rows, row_weights: np.ndarray, names: Sequence[str], start: Fitted | None = None
) -> dict[str, Fitted]:
    """Each of the candidates; rows are given to the grams that the vector leaves most unexplained.

    Args:
        rows: what they are fitted to.
        row_weights: (N,) float32, what each counts for.
        names: of STRENGTHS.
        start: one of the same name that was fitted to some of the rows; then these are the last steps.
    """
    space = gram_space(rows.grams)
    matrix = space.matrix(rows.grams)
    examples = Examples(rows.vectors, matrix[:, :0], rows.targets, row_weights, rows.multi_label)
    penalty, _ = _penalties(rows, "vector")
    none = space.at(np.zeros(0, np.int64))
    before = Weights(start.weights.dense, start.weights.bias, start.weights.rows[:0]) if start else None
    steps = STEPS["last" if start and names == ["vector"] else "first" if start else "vector"]
    by_vector = Fitted(regress(examples, penalty, 0, steps, before), none, "vector")
    found = {"vector": by_vector}
    if list(names) == ["vector"]:
        return found
    _, shares = residuals(by_vector.logits(rows), examples)
    unexplained = np.square(matrix.T.tocsr() @ shares).sum(axis=1)  # (F,) squared gradients of the rows
    kept = np.sort(np.argsort(-unexplained, kind="stable")[:MOST_GRAMS])
    examples, space = examples.with_grams(matrix[:, kept]), space.at(kept)
    last = _with_rows(start or by_vector, by_vector.weights, space)
    for name in names:
        if name != "vector":
            last = regress(examples, *_penalties(rows, name), STEPS["last" if start else "compared"], last)
            found[name] = Fitted(last, space, name)
    return found


def fit_table(
    table: np.ndarray,
    rows: Rows,
    row_weights: np.ndarray,
    start: Fitted,
    random: np.random.Generator,
    held_out: Rows | None = None,
    **passes: int,
) -> Fitted:
    """A table (V, D) and a head that begins where `start` ended, trained together."""
    matrix = start.space.matrix(rows.grams)
    examples = Examples(rows.vectors, matrix, rows.targets, row_weights, rows.multi_label)
    others = HeldOutRows(held_out.bags, start.space.matrix(held_out.grams), held_out.targets) if held_out else None
    penalties = _penalties(rows, start.name)
    tuned = tune_table(table, rows.bags, examples, start.weights, penalties, random, others, **passes)
    return Fitted(tuned.weights, start.space, start.name, tuned)


def _penalties(rows: Rows, name: str) -> tuple[float, float]:
    """Of the weights on vectors, and on grams."""
    penalty = 1 / (INVERSE_PENALTY * len(rows.texts))
    return penalty, penalty / STRENGTHS[name] ** 2 if STRENGTHS[name] else 0.0


def _with_rows(before: Fitted, dense: Weights, space: GramSpace) -> Weights:
    """Where a hybrid begins: the layer on the vector, and the rows that another had for the same grams."""
    begun = np.zeros((len(space.keys), len(dense.bias)), np.float32)
    _, ours, theirs = np.intersect1d(space.keys, before.space.keys, assume_unique=True, return_indices=True)
    begun[ours] = before.weights.rows[theirs]
    layer = before.weights if len(ours) else dense
    return Weights(layer.dense, layer.bias, begun)
