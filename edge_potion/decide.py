"""Texts -> probabilities, whoever runs the head: the native engine, the text graph in ONNX Runtime, or numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_potion.batches import Encode
from edge_potion.grams import grams_of
from edge_potion.head import Head
from edge_potion.runtime import EdgeModel
from edge_potion.tokens import tokenize_checked

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ByNumpy", "logits_way_of", "way_of"]


@dataclass(frozen=True)
class ByNumpy:
    """The reference: for a classifier that has no graph yet, and for texts that its graph does not take.

    Attributes:
        head: of the classifier.
        tokenizer: of its model.
        vectors_of: its model.
    """

    head: Head
    tokenizer: Tokenizer
    vectors_of: Callable[[Sequence[str]], np.ndarray]

    def encode(self, texts: Sequence[str], _: int, max_tokens: int | None) -> np.ndarray:
        """(b, C) float32 of texts that were checked, each cut at `max_tokens`."""
        ids = tokenize_checked(self.tokenizer, texts, max_tokens)
        return self.head.probabilities(self.head.logits(self.vectors_of(texts), grams_of(ids)))


def logits_way_of(model: EdgeModel) -> Encode | None:
    """How texts become logits (b, C) float32, of which the largest is the label's; None where only a graph runs it."""
    engine = model.native
    if engine is None or not engine.labels:
        return None
    return lambda texts, _, max_tokens: engine.classify(texts, max_tokens)[0]


def way_of(model: EdgeModel, head: Head) -> Encode:
    """How texts become probabilities (b, C) float32, by what runs the model."""
    if logits_of := logits_way_of(model):
        return lambda *asked: head.probabilities(logits_of(*asked))
    opened = model.on_provider
    by_numpy = ByNumpy(head, model.tokenizer, lambda texts: model.encode(texts, prompt=""))
    if opened is None or model.graph != "text":
        return by_numpy.encode
    from edge_potion.from_text import FromText  # who has the engine needs nothing of it

    gives = replace(opened.open_graph, output="probabilities", dim=len(head.labels))
    return FromText(opened, by_numpy, gives).encode
