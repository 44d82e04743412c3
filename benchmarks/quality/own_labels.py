"""Own labels -> accuracy and macro F1 of a logistic regression on a model's vectors, over seeds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .bootstrap import Answer
from .own_split import Split, drawn
from .scoring import MAX_ITER, SEED, of_others

__all__ = ["LabelQuestion", "macro_f1"]

DRAWN_SHARE = 0.9  # of the training rows of each label: what a seed learns from, where there are several seeds
REGULARIZATION = 20.0  # C: of vectors of length 1 and all rows; scikit-learn's own 1 holds the weights too short
UNKNOWN = -1  # the place of a label that is not learnt
MOST_DUPLICATES = 100  # that a report lists


@dataclass(frozen=True)
class LabelQuestion:
    """Which label has a text? C labels are learnt from n texts, and told of N others.

    Attributes:
        split: the rows.
        seeds: S, how often a regression is fitted.
    """

    split: Split
    seeds: int
    metrics = ("accuracy", "macro_f1")
    main = "accuracy"

    @property
    def remarks(self) -> list[str]:
        """What people must know of the rows."""
        return list(self.split.remarks)

    @property
    def steps(self) -> int:
        """How often `answer` says how far it is."""
        return self.seeds

    @property
    def texts(self) -> list[str]:
        """What is encoded."""
        return [*self.split.train.texts, *self.split.test.texts]

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(sorted(set(map(str, self.split.train.labels))))}

    def about_rows(self) -> dict[str, Any]:
        """What a report says of the rows."""
        left_out = self.split.duplicates
        return {
            "train": len(self.split.train.texts),
            "test": len(self.split.test.texts),
            "labels": len(self._place_of),
            "split": self.split.rule,
            "duplicates": len(left_out.texts),
            "duplicate_rows": [
                {"at": left_out.at(place), "text": text} for place, text in enumerate(left_out.texts[:MOST_DUPLICATES])
            ],
        }

    def protocol(self) -> dict[str, Any]:
        """How they are scored."""
        return {
            "classifier": "logistic regression on vectors of length 1",
            "C": REGULARIZATION,
            "max_iter": MAX_ITER,
            "seed": SEED,
            "seeds": self.seeds,
            "learnt_share": 1.0 if self.seeds == 1 else DRAWN_SHARE,
        }

    def answer(self, vectors: np.ndarray, tick: Callable[[str], None]) -> Answer:
        """The scores of vectors (n + N, D) of the texts, at unit length."""
        known = np.array([self._place_of[str(label)] for label in self.split.train.labels])  # (n,)
        gold = np.array([self._place_of.get(str(label), UNKNOWN) for label in self.split.test.labels])  # (N,)
        learnt, asked = vectors[: len(known)], vectors[len(known) :]
        told = []
        for seed in range(self.seeds):
            tick(f"seed {seed + 1} of {self.seeds}")
            rows = self.rows_of(seed)
            told.append(_predicted(learnt[rows], known[rows], asked))
        predicted = np.array(told)  # (S, N)

        def scores(weights: np.ndarray, of: np.ndarray) -> dict[str, np.ndarray]:
            hits = (of == gold).mean(axis=0)  # (N,)
            accuracy = weights @ hits / weights.sum(axis=1)
            f1 = np.mean([macro_f1(weights, gold, one, len(self._place_of)) for one in of], axis=0)
            return {"accuracy": accuracy, "macro_f1": f1}

        once = [scores(np.ones((1, len(gold))), one[None]) for one in predicted]
        seeds = {metric: [float(each[metric][0]) for each in once] for metric in self.metrics}
        return Answer(seeds, len(gold), lambda weights: scores(weights, predicted))

    def rows_of(self, seed: int) -> np.ndarray:
        """The rows that a seed learns from; a single one learns from all."""
        if self.seeds == 1:
            return np.arange(len(self.split.train.texts))
        labels = list(map(str, self.split.train.labels))
        return drawn(labels, lambda rows: max(1, int(DRAWN_SHARE * rows)), np.random.default_rng([SEED, seed]))


@of_others()
def _predicted(vectors: np.ndarray, known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(N,) places of labels."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    warnings.simplefilter("ignore", ConvergenceWarning)  # MAX_ITER is the protocol's
    classifier = LogisticRegression(C=REGULARIZATION, max_iter=MAX_ITER, random_state=SEED)
    return np.asarray(classifier.fit(vectors, known).predict(asked))


def macro_f1(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """(r,) mean of F1 over the labels that are there, on either side; those that are not learnt are one more.

    Args:
        weights: (r, N) how often each row counts.
        gold, predicted: (N,) places of labels; UNKNOWN for one that is not learnt.
        labels: C.
    """
    from scipy.sparse import csr_array

    def sums(values: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(r, C + 1) by label."""
        rows = np.arange(len(places))
        of_label = csr_array((np.ones(len(places)), (places % (labels + 1), rows)), shape=(labels + 1, len(places)))
        return np.asarray((of_label @ values.T).T)

    there = sums(weights, gold) + sums(weights, predicted)
    right = sums(weights * (gold == predicted), gold)
    return np.asarray((2 * right / np.maximum(there, 1)).sum(axis=1) / (there > 0).sum(axis=1))
