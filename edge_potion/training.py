"""What is told of the training of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["HeldOut", "Training"]


@dataclass(frozen=True)
class HeldOut:
    """Rows that the classifier was not fitted to, by models like it. N rows, C labels.

    Attributes:
        texts: N of them.
        truth: (N,) int64, numbers of labels; (N, C) bool where a text may have several.
        probabilities: (N, C) float32, after temperature.
        raw: (N, C) float32, before it.
    """

    texts: Sequence[str]
    truth: np.ndarray
    probabilities: np.ndarray
    raw: np.ndarray


@dataclass(frozen=True)
class Training:
    """How a classifier was made.

    Attributes:
        head: "vector", or "hybrid", which has rows for grams beside the layer on the vector.
        tune: "head" where the table stayed as it was, "table" where it was trained too.
        why: how that was chosen, in a sentence.
        candidates: accuracy on rows that were held out, 0..1, by what was tried (of several labels a text, micro F1).
        rows: how many it was trained on.
        held_out: on how many of them candidates were compared, by models that had not seen them.
        grams: how many have rows in its head.
        temperature: what logits are divided by.
        ece_before, ece_after: expected calibration error on held-out rows, 0..1, without temperature and with it.
        threshold: of probability, below which the answer is none of these; None for no threshold.
        threshold_precision, coverage: at that threshold, of held-out rows: the share of answers that is right, and the
            share of rows that is answered.
        remarks: a line each, what is odd about the rows.
        seconds: how long it took; not in its folder, which is the same for the same rows and seed.
    """

    head: str
    tune: str
    why: str
    candidates: Mapping[str, float]
    rows: int
    held_out: int
    grams: int
    temperature: float
    ece_before: float
    ece_after: float
    threshold: float | None
    threshold_precision: float | None
    coverage: float | None
    remarks: Sequence[str] = field(default_factory=tuple)
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def of_json(cls, told: Any) -> Training | None:
        """What config.json told; None where it tells nothing, or another version wrote it."""
        try:
            return cls(**{**told, "remarks": tuple(told["remarks"])})
        except (TypeError, KeyError):
            return None

    def as_json(self) -> dict[str, Any]:
        """For config.json."""
        told = {**asdict(self), "candidates": dict(self.candidates), "remarks": list(self.remarks)}
        del told["seconds"]
        return told
