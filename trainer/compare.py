"""Candidates for a head on rows that they were not fitted to, and which of them is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.errors import InputError

from .candidates import TABLE, USUAL, Fitted, Rows, fit_candidates, fit_table
from .folds import folds
from .logistic import Examples, residuals

__all__ = ["Compared", "compare"]

FOLDS = 5
MANY_ROWS = 2500  # from here on a fifth is held out once, in the place of five folds
# Rows on which candidates are compared, of more: so many, or where labels are few so many numbers of theirs.
MOST_COMPARED = 6_000
MOST_TARGETS = 500_000


@dataclass(frozen=True)
class Compared:
    """What candidates are worth on M rows that they were not fitted to.

    Attributes:
        texts, truth: of the rows.
        logits: (M, C) float32, by candidate.
        shares: of right answers, by candidate; of several labels a text, micro F1.
        chosen: the candidate that is taken.
        start: it, as it was fitted to the other rows; None where it was fitted five times.
        passes: of its table, where that was trained.
    """

    texts: Sequence[str]
    truth: np.ndarray
    logits: Mapping[str, np.ndarray]
    shares: Mapping[str, float]
    chosen: str
    start: Fitted | None
    passes: int


def compare(
    rows: Rows,
    row_weights: np.ndarray,
    names: Sequence[str],
    table: np.ndarray | None,
    tune: str,
    random: np.random.Generator,
    told: Callable[[str], None],
) -> Compared:
    """Fit candidates to some rows, and look what they are worth on others.

    Args:
        rows: that are learnt from; of very many some are drawn.
        row_weights: (N,) float32, what each counts for.
        names: of the candidates.
        table: (V, D), where the table is to be tried too.
        tune: "table" to take it whatever it is worth, "auto" where it is clearly better.
        random: draws.
        told: called with a line for each step.
    """
    most = max(MOST_COMPARED, MOST_TARGETS // len(rows.targets[0]))
    if len(rows.texts) > most:
        drawn = np.sort(random.permutation(len(rows.texts))[:most])
        rows, row_weights = rows.at(drawn), row_weights[drawn]
    fold_of = folds(rows.texts, rows.kinds, FOLDS, random)
    if fold_of.min() == fold_of.max():
        raise InputError("all rows have the same text; two that differ are the least to tell labels apart by")
    is_many = len(rows.texts) > MANY_ROWS
    rounds = [int(fold_of.min())] if is_many else range(FOLDS)  # of few texts, fold 0 may have none
    usual = USUAL["many rows" if is_many else "few rows"]
    if tune == "auto" and not is_many:
        table = None  # too few rows to tell
    held: list[np.ndarray] = []
    fitted: dict[str, Fitted] = {}
    logits: dict[str, list[np.ndarray]] = {}
    passes: list[int] = []
    for number, fold in enumerate(rounds, 1):
        others, places = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(places) or not len(others):
            continue
        told(f"comparing {len(names)} heads, {number} of {len(rounds)}: {len(others):,} rows, {len(places):,} held out")
        rest = rows.at(others)
        places = places[~(rows.targets[places] > rest.targets.max(axis=0)).any(axis=1)]
        if not len(places):
            continue  # their labels have no other row: they tell of no classifier that knows them
        part = rows.at(places)
        fitted = fit_candidates(rest, row_weights[others], names)
        held.append(places)
        for name in names:
            logits.setdefault(name, []).append(fitted[name].logits(part))
        if table is not None:
            told("training the table with the best of them")
            best = _best({name: logits[name][-1] for name in names}, part, usual)
            fitted[TABLE] = fit_table(table, rest, row_weights[others], fitted[best], random, part)
            tuned = fitted[TABLE].tuned
            assert tuned is not None
            logits.setdefault(TABLE, []).append(tuned.logits)
            passes.append(tuned.passes)
    if not held:
        raise InputError(
            "no label has two rows with different texts, so none can be held out; give each some more, or make the "
            "classifier from its labels alone (`edge-potion classify from-labels`, TextClassifier.from_labels)"
        )
    part = rows.at(np.concatenate(held))
    joined = {name: np.concatenate(each) for name, each in logits.items()}
    chosen = TABLE if tune == "table" else _best(joined, part, usual)
    return Compared(
        part.texts,
        part.truth,
        joined,
        {name: _share(each, part) for name, each in joined.items()},
        chosen,
        fitted[chosen] if is_many else None,
        int(np.median(passes)) if passes else 0,
    )


def _best(logits: Mapping[str, np.ndarray], rows: Rows, usual: str) -> str:
    """The best; the usual one, unless that is more than one standard error better, as one may be by chance."""
    examples = Examples(rows.vectors, None, rows.targets, np.ones(len(rows.texts), np.float32), rows.multi_label)
    heads = [name for name in logits if name != TABLE]
    losses = {name: residuals(logits[name].copy(), examples)[0] for name in heads}
    best = max(heads, key=lambda name: (_share(logits[name], rows), -losses[name]))
    if usual in heads and not _is_clear(logits[best], logits[usual], rows):
        best = usual
    return TABLE if TABLE in logits and _is_clear(logits[TABLE], logits[best], rows) else best


def _is_clear(one: np.ndarray, other: np.ndarray, rows: Rows) -> bool:
    gains = _right(one, rows) - _right(other, rows)  # (M,)
    return bool(gains.mean() > gains.std() / np.sqrt(len(gains)))


def _right(logits: np.ndarray, rows: Rows) -> np.ndarray:
    """(M,) float64: 1 for a row whose answer is right; of several labels the share of those that are."""
    if rows.multi_label:
        return np.asarray(((logits > 0) == rows.truth).mean(axis=1))
    return np.asarray(logits.argmax(axis=1) == rows.truth, np.float64)


def _share(logits: np.ndarray, rows: Rows) -> float:
    """Of right answers; where a row may have several labels, micro F1."""
    if not rows.multi_label:
        return float(_right(logits, rows).mean())
    given, true = logits > 0, rows.truth
    return float(2 * (given & true).sum() / max(given.sum() + true.sum(), 1))
