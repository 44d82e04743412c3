"""The head of a classifier: a sentence vector and the tokens' grams -> logits; its plain numpy is every path's oracle.

A mean of token vectors has forgotten which small words stood in a text. So the head has, beside a layer on the vector,
a row for each of some grams (`edge_potion.grams`), which are summed as the tokens' vectors are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import AccessError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.grams import ALONE, Grams, gram_keys
from edge_potion.labels import HEAD_FORMAT, MOST_LABELS, NONE_OF_THESE, PROBLEMS, Labels, is_classifier, labels_in
from edge_potion.unit_length import unit_length

__all__ = [
    "HEAD_FILE",
    "MOST_LABELS",
    "MOST_TOKENS",
    "NONE_OF_THESE",
    "Head",
    "head_config",
    "is_classifier",
    "read_head",
    "write_head",
]

HEAD_FILE = "head.safetensors"
MOST_GRAMS = 2**24
MOST_TOKENS = 32_768  # where a classifier cuts a text at the latest: sums of int8 rows stay within int32
LARGEST_WEIGHT = 1e6


@dataclass(frozen=True)
class Head:
    """What a classifier has beside its model. C labels, D dimensions, R grams.

    logits = (v @ dense + (sum of the rows of a text's grams) / sqrt(its tokens) + bias) / temperature, where v is the
    text's vector at unit length.

    Attributes:
        labels: their names, in the order of the columns; each once.
        dense: (D, C) float32.
        bias: (C,) float32.
        grams: (R, 2) int32, a token and the one after it, or ALONE; each once. R is 0 for a head on the vector alone.
        rows: (R, C) float32.
        multi_label: whether a text has any number of labels, each with a probability of its own.
        temperature: what logits are divided by, so that they are right as often as they say (Guo et al., 2017).
        threshold: the probability below which the answer is none of these; None for never. Of multi-label heads the
            probability from which on a label is given.

    Raises:
        ModelFormatError: shapes do not fit each other, or a number is NaN, inf or out of range.
    """

    labels: tuple[str, ...]
    dense: np.ndarray
    bias: np.ndarray
    grams: np.ndarray
    rows: np.ndarray
    multi_label: bool = False
    temperature: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        if fault := self._fault():
            raise ModelFormatError(f"the head of the classifier is damaged: {fault}")

    @property
    def dim(self) -> int:
        """D, of the vectors that it takes."""
        return int(self.dense.shape[0])

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """(R,) keys of the grams in order, and the row of each."""
        keys = gram_keys(self.grams)
        order = np.argsort(keys)
        return keys[order], order

    def logits(self, vectors: np.ndarray, grams: Grams) -> np.ndarray:
        """(B, C) float64 of B texts by their vectors (B, D) and grams."""
        scores = unit_length(vectors.astype(np.float64)) @ self.dense.astype(np.float64)
        if len(self.rows):
            keys, rows = self._order
            places = np.searchsorted(keys, grams.keys).clip(max=len(keys) - 1)
            known = keys[places] == grams.keys
            sums = np.zeros_like(scores)
            np.add.at(sums, grams.text[known], self.rows[rows[places[known]]].astype(np.float64))
            scores += sums / np.sqrt(grams.tokens)[:, None]
        return np.asarray((scores + self.bias) / self.temperature)

    @property
    def answers(self) -> Labels:
        """What it answers with, without the tables."""
        return Labels(self.labels, self.multi_label, self.threshold)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(B, C) float32 in 0..1; of one label a text they add up to 1."""
        return self.answers.probabilities(logits)

    def decided(self, logits: np.ndarray) -> np.ndarray:
        """(B,) int64: the number of the likeliest label, NONE_OF_THESE where it is below the threshold."""
        return self.answers.decided(logits)

    def _fault(self) -> str:
        labels, grams = len(self.labels), len(self.grams)
        shapes = [array.shape for array in (self.bias, self.rows, self.grams)]
        tables = (self.dense, self.bias, self.rows)
        if fault := self.answers.fault:
            return fault
        if self.dense.ndim != 2 or self.dense.shape[1] != labels or shapes != [(labels,), (grams, labels), (grams, 2)]:
            return f"its tables are {self.dense.shape} and {shapes} for {labels} labels"
        if any(table.dtype != np.float32 for table in tables) or self.grams.dtype != np.int32 or grams > MOST_GRAMS:
            return "its tables are of other types or sizes than they should be"
        if not all(bool((np.abs(table) <= LARGEST_WEIGHT).all()) for table in tables):  # False of NaN
            return f"a weight is NaN, inf or beyond {LARGEST_WEIGHT:g}"
        if grams and (self.grams[:, 0].min() < 0 or self.grams[:, 1].min() < ALONE):
            return "its grams are of no tokens"
        if len(np.unique(gram_keys(self.grams))) < grams:
            return "a gram is there twice"
        if not 1e-3 <= self.temperature <= 1e3:
            return f"its temperature is {self.temperature!r}"
        return ""


def head_config(head: Head, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What config.json says of a head: transformers' keys, and under `classifier` ours and `facts` of its training."""
    return {
        "id2label": {str(number): label for number, label in enumerate(head.labels)},
        "label2id": {label: number for number, label in enumerate(head.labels)},
        "problem_type": PROBLEMS[head.multi_label],
        "classifier": {
            "format": HEAD_FORMAT,
            "temperature": head.temperature,
            "threshold": head.threshold,
            **({"training": dict(facts)} if facts else {}),
        },
    }


def write_head(folder: Path, head: Head) -> None:
    """Write HEAD_FILE into an existing folder; config.json is written with `head_config` in it."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    names = ("dense", "bias", "grams", "rows")
    try:
        save_file({name: np.ascontiguousarray(getattr(head, name)) for name in names}, folder / HEAD_FILE)
    except SafetensorError as failure:  # a full disk, which is no OSError there
        raise AccessError(f"cannot write the head ({failure})") from failure


def read_head(folder: Path) -> Head | None:
    """The head in a folder; None where its model is no classifier.

    Raises:
        ModelFormatError: a file is missing, truncated or foreign, or is not of the other.
    """
    file = folder / "config.json"
    config = read_json(file)
    answers = labels_in(config, file)
    if answers is None:
        if (folder / HEAD_FILE).exists():
            raise ModelFormatError(f"{folder} holds {HEAD_FILE}, of which config.json says nothing; train it again")
        return None
    from edge_potion.model_table import tensors_of

    try:
        temperature = float(config["classifier"]["temperature"])
    except (KeyError, TypeError, ValueError) as failure:
        raise ModelFormatError(
            f"{file}: what it says of the head is damaged ({failure!r}); train it again"
        ) from failure
    found = tensors_of(folder / HEAD_FILE)
    if set(found) != {"dense", "bias", "grams", "rows"}:
        raise ModelFormatError(
            f"{folder / HEAD_FILE} holds {', '.join(sorted(found))}; dense, bias, grams, rows expected"
        )
    try:
        return Head(
            answers.names,
            **found,
            multi_label=answers.multi_label,
            temperature=temperature,
            threshold=answers.threshold,
        )
    except ModelFormatError as failure:
        raise ModelFormatError(f"{folder / HEAD_FILE}: {failure}") from failure
