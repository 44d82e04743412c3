"""The classification tasks of the suite, and draws of a few rows a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError

from ..quality.suite import SUITE, load_rows, tasks_there

__all__ = ["ALL", "SIZES", "LabelledTask", "Texts", "drawn", "folds", "read_tasks"]

ALL = None  # rows a label: as many as there are
SIZES = (8, 16, 64, ALL)


@dataclass(frozen=True)
class Texts:
    """Texts and the label of each."""

    texts: Sequence[str]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, rows: np.ndarray) -> Texts:
        """Those of `rows`."""
        return Texts([self.texts[row] for row in rows], [self.labels[row] for row in rows])


@dataclass(frozen=True)
class LabelledTask:
    """A task of the suite; its labels are strings."""

    name: str
    train: Texts
    test: Texts


def read_tasks(data: Path, names: Sequence[str] = ()) -> list[LabelledTask]:
    """The classification tasks of the suite in `data`, by name; of `names` where some are given.

    Raises:
        InputError: one is not there, or cannot be read.
    """
    suite = {task.name: task for task in SUITE if task.kind == "Classification"}
    if unknown := sorted(set(names) - set(suite)):
        raise InputError(
            f"there is no classification task {unknown[0]}; one of {', '.join(sorted(suite))} was expected"
        )
    tasks = []
    for task in tasks_there(data, [suite[name] for name in sorted(names or list(suite))]):
        rows = load_rows(data, task)
        train, test = (
            Texts([row["text"] for row in part], [str(row["label"]) for row in part])
            for part in (rows.train, rows.test)
        )
        tasks.append(LabelledTask(task.name, train, test))
    return tasks


def drawn(labels: Sequence[str], rows_a_label: int | None, seed: int) -> np.ndarray:
    """Which rows are trained on, in their order: `rows_a_label` of each label, drawn without putting back; or ALL."""
    if rows_a_label is ALL:
        return np.arange(len(labels))
    rng, each = np.random.default_rng(seed), np.array(labels)
    return np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(each == label))[:rows_a_label] for label in np.unique(each)])
    )


def folds(labels: Sequence[str], count: int, seed: int) -> list[np.ndarray]:
    """`count` parts of the rows, with like shares of every label in each."""
    rng, each = np.random.default_rng(seed), np.array(labels)
    part = np.empty(len(each), np.int64)  # (N,): the part of each row
    for label in np.unique(each):
        rows = rng.permutation(np.flatnonzero(each == label))
        part[rows] = np.arange(len(rows)) % count
    return [np.flatnonzero(part == number) for number in range(count)]
