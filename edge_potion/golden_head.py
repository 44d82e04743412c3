"""What a classifier should answer to the golden texts, by the oracle; and holding other answers to it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from edge_potion.errors import ParityError
from edge_potion.labels import NONE_OF_THESE, Labels

__all__ = [
    "STRAYS",
    "GoldenHead",
    "check_decisions",
    "head_as_bytes",
    "head_as_json",
    "head_from_bytes",
    "head_from_json",
]

# By how much a probability may be off, by the precision of the table. The head is rounded at all of them, and alike. Of
# 144 heads trained on nine tasks, the furthest off was 0.021, 0.021 and 0.045, on these texts and 300 of each task.
STRAYS = {"float32": 0.05, "float16": 0.05, "int8": 0.1}
WORST_SHOWN = 3
SIZES = struct.Struct("<2If")  # labels, 1 where a text has any number of them, the threshold
NOT_ASKED = -1.0


@dataclass(frozen=True)
class GoldenHead:
    """The oracle's answers of a classifier. N texts, C labels.

    Attributes:
        labels: what it answers with.
        probabilities: (N, C) float32.
        decided: (N,) int64, numbers of labels, or NONE_OF_THESE.
        strays: by how much a probability may be off, by precision.
    """

    labels: Labels
    probabilities: np.ndarray
    decided: np.ndarray
    strays: Mapping[str, float]

    def at(self, places: Sequence[int]) -> GoldenHead:
        """Those of the texts at `places` alone."""
        return replace(self, probabilities=self.probabilities[places], decided=self.decided[places])

    @property
    def fault(self) -> str:
        """What is wrong with it; "" where nothing is."""
        shape = (len(self.decided), len(self.labels.names))
        if fault := self.labels.fault:
            return fault
        if self.probabilities.shape != shape or not bool(((self.probabilities >= 0) & (self.probabilities <= 1)).all()):
            return "its probabilities are no such"
        if not bool(((self.decided >= NONE_OF_THESE) & (self.decided < shape[1])).all()):
            return "it tells of labels that it does not have"
        if not all(type(stray) is float and 0 <= stray <= 1 for stray in self.strays.values()):
            return "its bounds are no numbers in 0..1"
        return ""


def check_decisions(
    golden: GoldenHead, texts: Sequence[str], outputs: Mapping[str, np.ndarray], precision: str, where: str
) -> float:
    """Hold what a graph with a head gave for `texts` to the oracle's; how far the probability furthest off is.

    A label may differ where the oracle is undecided within the bound: between two labels, or about the threshold.

    Args:
        outputs: of a graph, by name: `logits`, or `probabilities` and `label`.

    Raises:
        ParityError: they stray; names `where`, and the worst texts.
    """
    if "logits" in outputs:
        probabilities = golden.labels.probabilities(outputs["logits"])
        decided = golden.labels.decided(outputs["logits"])
    else:
        probabilities, decided = outputs["probabilities"], outputs["label"]
    if probabilities.shape != golden.probabilities.shape or decided.shape != golden.decided.shape:
        raise ParityError(
            f"{where}: probabilities of shape {probabilities.shape}; {golden.probabilities.shape} expected"
        )
    bound = golden.strays[precision]
    strays = np.abs(probabilities.astype(np.float64) - golden.probabilities).max(axis=1)  # (N,)
    others = (decided != golden.decided) & ~_undecided(golden, bound)  # (N,)
    if not strays.max() <= bound or others.any():  # a NaN is not within it
        worst = np.argsort(-strays if not strays.max() <= bound else -others.astype(int), kind="stable")[:WORST_SHOWN]
        named = ", ".join(f"{texts[at][:40]!r} (off by {strays[at]:.2g})" for at in worst)
        hint = "; export with --quantize float16" if precision == "int8" else ""
        raise ParityError(
            f"{where} strays from the oracle: a probability is off by {strays.max():.2g}, where {bound:g} is allowed, "
            f"and {int(others.sum())} labels are others; worst {named}{hint}"
        )
    return float(strays.max())


def _undecided(golden: GoldenHead, bound: float) -> np.ndarray:
    """(N,) bool: whether probabilities that are off by no more than `bound` may lead to another label."""
    best = np.sort(golden.probabilities.astype(np.float64), axis=1)[:, ::-1]
    close = np.zeros(len(best), bool)
    if best.shape[1] > 1:
        close |= best[:, 0] - best[:, 1] <= 2 * bound
    if golden.labels.threshold is not None:
        close |= np.abs(best[:, 0] - golden.labels.threshold) <= bound
    return close


def head_as_json(golden: GoldenHead, precisions: Sequence[str]) -> dict[str, Any]:
    """What golden.json holds under `classifier`."""
    return {
        "labels": list(golden.labels.names),
        "multi_label": golden.labels.multi_label,
        "threshold": golden.labels.threshold,
        "tolerance": {precision: golden.strays[precision] for precision in precisions},
        "label": golden.decided.tolist(),
        "probabilities": [[float(f"{value:.8g}") for value in row] for row in golden.probabilities],
    }


def head_from_json(content: Mapping[str, Any]) -> GoldenHead:
    """What `head_as_json` made; KeyError, TypeError or ValueError where it is no such."""
    threshold = content["threshold"]
    labels = Labels(tuple(content["labels"]), content["multi_label"], None if threshold is None else float(threshold))
    probabilities = np.array(content["probabilities"], np.float32)  # (N, C)
    head = GoldenHead(labels, probabilities, np.array(content["label"], np.int64), dict(content["tolerance"]))
    return _sound(head)


def head_as_bytes(golden: GoldenHead, precisions: Sequence[str]) -> bytes:
    """What golden.bin holds of it, as `edge_potion.golden_binary` says."""
    labels, names = golden.labels, [name.encode("utf-8") for name in golden.labels.names]
    parts = [
        SIZES.pack(len(names), labels.multi_label, NOT_ASKED if labels.threshold is None else labels.threshold),
        np.array([golden.strays[precision] for precision in precisions], "<f4").tobytes(),
        golden.decided.astype("<i4").tobytes(),
        golden.probabilities.astype("<f4").tobytes(),
        np.cumsum([0, *(len(name) + 1 for name in names)]).astype("<u4").tobytes(),
        b"\0".join(names),
    ]
    return b"".join(parts)


def head_from_bytes(content: bytes, begin: int, texts: int, precisions: Sequence[str]) -> GoldenHead:
    """What `head_as_bytes` made, at `begin`; ValueError or struct.error where it is no such."""
    count, multi_label, threshold = SIZES.unpack_from(content, begin)
    at = begin + SIZES.size

    def numbers(kind: str, amount: int) -> np.ndarray:
        nonlocal at
        found = np.frombuffer(content, kind, amount, at)
        at += found.nbytes
        return found

    strays = {
        name: round(float(bound), 9) for name, bound in zip(precisions, numbers("<f4", len(precisions)), strict=True)
    }
    decided = numbers("<i4", texts).astype(np.int64)
    probabilities = numbers("<f4", texts * count).reshape(texts, count).astype(np.float32)
    starts = numbers("<u4", count + 1).tolist()
    names = tuple(content[at + one : at + other - 1].decode("utf-8") for one, other in pairwise(starts))
    told = None if threshold == NOT_ASKED else float(threshold)
    return _sound(GoldenHead(Labels(names, bool(multi_label), told), probabilities, decided, strays))


def _sound(head: GoldenHead) -> GoldenHead:
    if head.fault:
        raise ValueError(head.fault)
    return head
