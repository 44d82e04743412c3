"""A classifier that was just trained, and rows that it has not learnt from -> its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_potion.classifier import TextClassifier
from edge_potion.errors import InputError
from edge_potion.labelled import Labelled, TrainAndTest
from edge_potion.trainer.folds import same_text

from .decisions import Report, decisions_of
from .decisions_words import listed

__all__ = ["Unseen", "judge", "unseen"]


@dataclass(frozen=True)
class Unseen:
    """Rows of a test without the texts that are learnt from.

    Attributes:
        texts, labels: N of them.
        where: the file.
        remarks: what was left out.
    """

    texts: Sequence[str]
    labels: Sequence[str | list[str]]
    where: str
    remarks: Sequence[str]


def unseen(rows: TrainAndTest) -> Unseen | None:
    """What of the test may be judged by; None where there is no test. For asking before the training.

    Raises:
        InputError: every text of it is learnt from.
    """
    test = rows.test
    if test is None:
        return None
    learnt = {same_text(text) for text in rows.train.texts}
    kept = [place for place, text in enumerate(test.texts) if same_text(text) not in learnt]
    if not kept:
        raise InputError(f"{test.where}: every text is learnt from too, so nothing is left to judge by")
    texts, labels = [test.texts[place] for place in kept], [test.labels[place] for place in kept]
    return Unseen(texts, labels, test.where, _twice(test, kept))


def judge(classifier: TextClassifier, test: Unseen | None) -> Report:
    """The report of a classifier that was just fitted: on a test, or else on what fitting held out."""
    assert classifier.training_ is not None and classifier.held_out_ is not None, "it was not fitted here"
    labels, training, held_out = classifier.head_.labels, classifier.training_, classifier.held_out_
    asked = classifier.precision_at_least
    if test is None:
        truth, shares, texts = held_out.truth, held_out.probabilities, held_out.texts
        return decisions_of(labels, truth, shares, texts, training, precision_asked=asked)
    shares = classifier.predict_proba(test.texts)
    if classifier.multi_label:  # a label that was not learnt is never given: each row that has it lacks one
        unknown = _not_learnt(test.labels, labels)
        labels = (*labels, *unknown)
        shares = np.pad(shares, ((0, 0), (0, len(unknown))))
    report = decisions_of(
        labels,
        _numbers(test.labels, labels, classifier.multi_label),
        shares,
        test.texts,
        training,
        rows_of=f"rows of {Path(test.where).name}",
        is_chosen_by=False,
        precision_asked=asked,
    )
    return replace(report, remarks=[*test.remarks, *_strange(test.labels, classifier.head_.labels)])


def _numbers(given: Sequence[str | list[str]], labels: Sequence[str], multi_label: bool) -> np.ndarray:
    """(N,) numbers of labels, -1 for one that was not learnt; or (N, C) of 0 and 1."""
    number_of = {label: number for number, label in enumerate(labels)}
    if not multi_label:
        return np.array([number_of.get(str(label), -1) for label in given])
    truth = np.zeros((len(given), len(labels)), dtype=int)
    for row, several in enumerate(given):
        truth[row, [number_of[label] for label in several if label in number_of]] = 1
    return truth


def _twice(test: Labelled, kept: Sequence[int]) -> list[str]:
    left_out = sorted(set(range(len(test.texts))) - set(kept))
    if not left_out:
        return []
    first = f"the first is {test.at(left_out[0])}"
    return [
        f"{len(left_out):,} of {len(test.texts):,} rows have a text that is learnt from too, and are left out: {first}"
    ]


def _strange(given: Sequence[str | list[str]], labels: Sequence[str]) -> list[str]:
    strange = _not_learnt(given, labels)
    return [f"Labels that were not learnt: {listed(strange)}"] if strange else []


def _not_learnt(given: Sequence[str | list[str]], labels: Sequence[str]) -> list[str]:
    told = [label for each in given for label in ([each] if isinstance(each, str) else each)]
    return list(dict.fromkeys(label for label in told if label not in set(labels)))
