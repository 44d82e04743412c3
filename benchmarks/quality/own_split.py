"""Own rows -> what is learnt from and what is scored: stratified, and no text is on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.errors import InputError
from edge_potion.labelled import Labelled, TrainAndTest

from .scoring import SEED

__all__ = ["Split", "drawn", "split_of"]

TEST_SHARE = 0.2  # of the rows of a label, where there is no test
SHOWN = 3  # rows and labels in a remark
LETTERS = 40  # of a text in it


@dataclass(frozen=True)
class Split:
    """Rows that are learnt from, and rows that are scored.

    Attributes:
        train, test: the rows.
        duplicates: what was left out of the test, because it is learnt from.
        rule: where the test is from.
        remarks: what people must know of it, a line each.
    """

    train: Labelled
    test: Labelled
    duplicates: Labelled
    rule: str
    remarks: Sequence[str]


def split_of(rows: TrainAndTest) -> Split:
    """Split the rows where there is no test of their own, and take out of the test what is learnt from.

    Raises:
        InputError: nothing would be left to score.
    """
    if rows.test is not None:
        train, test, rule = rows.train, rows.test, "the test has rows of its own"
        remarks = []
    else:
        chosen = _held_out(rows.train)
        train, test = _some(rows.train, ~chosen), _some(rows.train, chosen)
        rule = f"the test is {100 * TEST_SHARE:g} % of the rows of each label"
        remarks = _about_alone(rows.train)
    learnt = set(map(_key, train.texts))
    twice = np.array([_key(text) in learnt for text in test.texts])
    if twice.all():
        raise InputError(f"{test.where}: every text to score is learnt from too, so nothing is left to score")
    duplicates, kept = _some(test, twice), _some(test, ~twice)
    remarks += [*_about_duplicates(duplicates, len(twice)), *_about_strange(train, kept)]
    return Split(train, kept, duplicates, rule, remarks)


def drawn(labels: Sequence[str], count: Callable[[int], int], random: np.random.Generator) -> np.ndarray:
    """(n,) int64: of the rows of each label, `count` of how many there are, in their order."""
    order = random.permutation(len(labels))
    by_label: dict[str, list[int]] = {}
    for row in order:
        by_label.setdefault(labels[row], []).append(row)
    return np.sort([row for rows in by_label.values() for row in rows[: count(len(rows))]])


def _held_out(rows: Labelled) -> np.ndarray:
    """(N,) bool: the rows of the test; of a label with two rows or more, one at least is there, and one is not."""
    labels = list(map(str, rows.labels))
    if len(set(labels)) == len(labels):
        raise InputError(f"{rows.where}: no label has two rows, one to learn from and one to score; name a test file")
    chosen = np.zeros(len(labels), bool)
    chosen[drawn(labels, lambda n: min(max(1, round(TEST_SHARE * n)), n - 1), np.random.default_rng(SEED))] = True
    return chosen


def _some(rows: Labelled, chosen: np.ndarray) -> Labelled:
    places = np.flatnonzero(chosen)
    return Labelled(
        [rows.texts[place] for place in places],
        [str(rows.labels[place]) for place in places],
        rows.where,
        [rows.numbers[place] for place in places],
    )


def _key(text: str) -> str:
    """What texts have in common that a person would call the same."""
    return " ".join(text.casefold().split())


def _about_alone(rows: Labelled) -> list[str]:
    alone = [label for label, count in Counter(map(str, rows.labels)).items() if count == 1]
    told = f"{len(alone):,} labels have" if len(alone) > 1 else "one label has"
    return [f"{told} a single row, which is learnt from and never scored: {_listed(alone)}"] if alone else []


def _about_strange(train: Labelled, test: Labelled) -> list[str]:
    known = set(map(str, train.labels))
    strange = [label for label in map(str, test.labels) if label not in known]
    told = f"{len(strange):,} of {len(test.texts):,} rows of the test have a label that is not learnt"
    return [f"{told}, and count as missed: {_listed(list(dict.fromkeys(strange)))}"] if strange else []


def _about_duplicates(rows: Labelled, of: int) -> list[str]:
    named = [
        f"{text if len(text) <= LETTERS else f'{text[:LETTERS]}...'!r} ({rows.at(place)})"
        for place, text in enumerate(rows.texts)
    ]
    told = f"{len(named):,} of {of:,} rows of the test have a text that is learnt from too, and are left out"
    return [f"{told}: {_listed(named)}"] if named else []


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
