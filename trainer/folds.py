"""Rows with labels -> parts of like labels, no text on both sides; and what is odd about the rows."""

from __future__ import annotations

import reprlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["folds", "remarks_of", "same_text"]

FEW_ROWS = 5  # of a label: below it, it is named
MOST_NAMED = 3


def same_text(text: str) -> str:
    """What two texts have in common that are one text to us: case and spaces do not count."""
    return " ".join(text.casefold().split())


def folds(texts: Sequence[str], kinds: Sequence[str], count: int, random: np.random.Generator) -> np.ndarray:
    """(N,) int64, the fold 0..count-1 of each row; those of one kind are spread evenly, equal texts are in one fold.

    Two texts that differ are enough for two folds.

    Args:
        texts: of the rows.
        kinds: of the rows: their labels.
        count: of folds.
        random: shuffles the rows.
    """
    fold_of: dict[str, int] = {}
    following: dict[str, int] = defaultdict(lambda: int(random.integers(count)))
    found = np.zeros(len(texts), np.int64)
    for place in random.permutation(len(texts)).tolist():
        text, kind = same_text(texts[place]), kinds[place]
        if text not in fold_of:
            fold_of[text] = following[kind] = (following[kind] + 1) % count
        found[place] = fold_of[text]
    if len(fold_of) > 1 and found.min() == found.max():  # kinds of one text each, which began with the same fold
        number = {text: place % count for place, text in enumerate(fold_of)}
        found[:] = [number[same_text(text)] for text in texts]
    return found


def remarks_of(texts: Sequence[str], labels: Sequence[str], counts: Mapping[str, int] | None = None) -> list[str]:
    """A line each, what a person should look at in rows that can be learnt from.

    Args:
        texts, labels: of the rows; of several labels a row all of them in one string.
        counts: of the rows of each label, where a row may have several.
    """
    remarks = []
    counts = Counter(labels) if counts is None else counts
    tiny = sorted((label for label, count in counts.items() if count < FEW_ROWS), key=lambda label: counts[label])
    if tiny:
        named = ", ".join(f"{reprlib.repr(label)} ({counts[label]})" for label in tiny[:MOST_NAMED])
        more = f" and {len(tiny) - MOST_NAMED} more" if len(tiny) > MOST_NAMED else ""
        remarks.append(f"{_counted(len(tiny), 'label has', 'labels have')} fewer than {FEW_ROWS} rows: {named}{more}")
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in zip(texts, labels, strict=True):
        by_text[same_text(text)][label] += 1
    repeated = sum(sum(each.values()) - 1 for each in by_text.values())
    if repeated:
        remarks.append(
            f"{_counted(repeated, 'row repeats', 'rows repeat')} the text of another; none is on both sides of a split"
        )
    torn = [(text, each) for text, each in by_text.items() if len(each) > 1]
    if torn:
        named = "; ".join(
            f"{reprlib.repr(text)} is {' and '.join(map(reprlib.repr, list(each)[:MOST_NAMED]))}"
            for text, each in torn[:MOST_NAMED]
        )
        remarks.append(f"{_counted(len(torn), 'text has', 'texts have')} different labels in different rows: {named}")
    return remarks


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
