"""The labels of a classifier: what config.json says of them, and logits -> probabilities -> labels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_potion.errors import ModelFormatError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HEAD_FORMAT", "MOST_LABELS", "NONE_OF_THESE", "PROBLEMS", "Labels", "is_classifier", "is_name", "labels_in"]

HEAD_FORMAT = 1
NONE_OF_THESE = -1  # the label of a text of which no label is likely enough
MOST_LABELS = 1024  # more would be free text in the wrong column
SURROGATE = re.compile(r"[\ud800-\udfff]")
PROBLEMS = {False: "single_label_classification", True: "multi_label_classification"}  # transformers' words


@dataclass(frozen=True)
class Labels:
    """What a classifier answers with. C labels.

    Attributes:
        names: C of them, in the order of the columns; each once.
        multi_label: whether a text has any number of labels, each with a probability of its own.
        threshold: the probability below which the answer is none of these; None for never.
    """

    names: tuple[str, ...]
    multi_label: bool = False
    threshold: float | None = None

    @property
    def fault(self) -> str:
        """What is wrong with them; "" where nothing is."""
        count = len(self.names)
        if not 2 - self.multi_label <= count <= MOST_LABELS or len(set(self.names)) < count:
            return f"it has {count} labels, of which {len(set(self.names))} differ; from 2 to {MOST_LABELS:,} expected"
        if not all(map(is_name, self.names)):
            return "its labels are not all names"
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            return f"its threshold is {self.threshold!r}"
        return ""

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(B, C) float32 in 0..1 of logits (B, C); of one label a text they add up to 1."""
        import numpy as np  # which a folder that is only looked at needs nothing of

        wide = logits.astype(np.float64)
        if self.multi_label:
            return np.asarray(0.5 * (1 + np.tanh(0.5 * wide)), np.float32)
        shares = np.exp(wide - wide.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def decided(self, logits: np.ndarray) -> np.ndarray:
        """(B,) int64: the number of the likeliest label, NONE_OF_THESE where it is below the threshold."""
        import numpy as np

        best = logits.argmax(axis=1).astype(np.int64)
        if self.threshold is None:
            return best
        enough = self.probabilities(logits)[np.arange(len(best)), best] >= np.float32(self.threshold)
        return np.where(enough, best, NONE_OF_THESE)


def is_name(name: object) -> bool:
    """Whether it can stand in a file: some text, without NUL and lone surrogates."""
    return isinstance(name, str) and name != "" and "\0" not in name and not SURROGATE.search(name)


def is_classifier(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a classifier of ours."""
    return "classifier" in config


def labels_in(config: Mapping[str, Any], file: Path) -> Labels | None:
    """What the config.json that was read from `file` says of labels; None where its model is no classifier.

    Raises:
        ModelFormatError: it is of another format, or damaged.
    """
    if not is_classifier(config):
        return None
    told = config["classifier"]
    try:
        if told["format"] != HEAD_FORMAT:
            raise ModelFormatError(
                f"{file}: its head is of format {json.dumps(told['format'])}; {HEAD_FORMAT} was expected"
            )
        names = tuple(config["id2label"][str(number)] for number in range(len(config["id2label"])))
        multi_label = {name: flag for flag, name in PROBLEMS.items()}[config["problem_type"]]
        if config["label2id"] != {name: number for number, name in enumerate(names)}:
            raise ModelFormatError(f"{file}: label2id is not the inverse of id2label")
        threshold = told["threshold"]
        labels = Labels(names, multi_label, None if threshold is None else float(threshold))
        fault = labels.fault
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise ModelFormatError(
            f"{file}: what it says of the head is damaged ({failure!r}); train it again"
        ) from failure
    if fault:
        raise ModelFormatError(f"{file}: the head of the classifier is damaged: {fault}")
    return labels
