"""A task's score: its rows and a model's vectors of them in, MTEB's numbers out; and the means over tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_potion.errors import ModelFormatError

from .scoring import NoScore, classification_scores, draws, pair_scores, sts_scores
from .suite import Rows, Task

__all__ = ["KINDS", "TaskScore", "averages", "encoded", "refuse_alike", "rows_digest", "score_task", "vectors_of"]

KINDS = ("STS", "Classification", "PairClassification", "Retrieval", "BitextMining")
Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class TaskScore:
    """A model's scores on one task, or why it has none.

    Attributes:
        task: its title.
        kind, half: of the task.
        rows: how many there are to score; 0 where mteb does not say, or they cannot be read.
        sha256: which rows exactly: of those, and of the training rows that were drawn; or the revision of mteb's data.
        scores: by MTEB's protocol, finite numbers; `main` is the one that counts. Empty where there is a reason.
        note: what differs from MTEB's task.
        reason: why there is no score; None where there is one.
    """

    task: str
    kind: str
    half: str
    rows: int
    sha256: str
    scores: dict[str, Any]
    note: str
    reason: str | None = None


def score_task(task: Task, rows: Rows, encode: Encode) -> TaskScore:
    """One task's score; each text is encoded once.

    Raises:
        ModelFormatError: a vector holds NaN or inf.
        NoScore: nothing can be told from the vectors.
    """
    if task.kind == "Classification":
        chosen = draws([row["label"] for row in rows.train], task.examples)
        union = sorted(set().union(*chosen))
        place_of = {row: place for place, row in enumerate(union)}
        train = vectors_of([rows.train[row]["text"] for row in union], encode)
        test = vectors_of([row["text"] for row in rows.test], encode)
        refuse_alike(train, test)
        sets = [(train[[place_of[row] for row in draw]], [rows.train[row]["label"] for row in draw]) for draw in chosen]
        scores = classification_scores(sets, test, [row["label"] for row in rows.test])
    else:
        first, second = (vectors_of([row[side] for row in rows.test], encode) for side in ("sentence1", "sentence2"))
        refuse_alike(first, second)
        if task.kind == "STS":
            scores = sts_scores(first, second, [row["score"] for row in rows.test])
        else:
            scores = pair_scores(first, second, [row["label"] for row in rows.test])
    return TaskScore(task.title, task.kind, task.half, len(rows.test), rows_digest(task, rows), scores, task.note)


def averages(scores: Sequence[TaskScore]) -> dict[str, dict[str, float]]:
    """For each half: the mean main score of each kind, in points of 100, and CatAVG, the mean of these.

    Over the tasks that have a score; a half without any is left out.
    """
    result: dict[str, dict[str, float]] = {}
    scored = [score for score in scores if score.reason is None]
    for half in dict.fromkeys(score.half for score in scored):
        means = {}
        for kind in KINDS:
            mains = [score.scores["main"] for score in scored if (score.half, score.kind) == (half, kind)]
            if mains:
                means[kind] = 100 * float(np.mean(mains))
        result[half] = {**means, "CatAVG": float(np.mean(list(means.values())))}
    return result


def rows_digest(task: Task, rows: Rows) -> str:
    """Twelve hex digits of the rows that a score comes of: those of the test, and the training rows that are drawn."""
    used = list(rows.test)
    if task.kind == "Classification":
        chosen = draws([row["label"] for row in rows.train], task.examples)
        used += [rows.train[row] for row in sorted(set().union(*chosen))]
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:12]


def vectors_of(texts: Sequence[str], encode: Encode) -> np.ndarray:
    """(N, D) float32; a text that comes twice is encoded once.

    Raises:
        ModelFormatError: a vector holds NaN or inf.
    """
    place_of = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return encoded(list(place_of), encode)[[place_of[text] for text in texts]]


def encoded(texts: Sequence[str], encode: Encode) -> np.ndarray:
    """(N, D) float32: a finite vector a text.

    Raises:
        ModelFormatError: the model gives anything else.
    """
    vectors = encode(texts)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ModelFormatError(f"the model gives an array of shape {vectors.shape} for {len(texts)} texts")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ModelFormatError(f"the model gives NaN or inf for {texts[int(np.argmin(finite))][:60]!r}")
    return vectors


def refuse_alike(*arrays: np.ndarray) -> None:
    """Some numbers could still be computed of vectors that are all the same, and none would mean anything."""
    first = arrays[0][0]
    if all((vectors == first).all() for vectors in arrays):
        raise NoScore(
            "the model knows no token of its texts: all vectors are zeros"
            if not first.any()
            else "the model gives one and the same vector for all of its texts"
        )
