"""/v1/classify: texts -> labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_potion.classifier import TextClassifier

from .answer import Answer, json_answer
from .embeddings import TEXTS_AT_ONCE, listed, usage_of
from .limits import check_time
from .schema import ClassifyRequest
from .served import Served, named

__all__ = ["classify"]


def classify(served: Served, most_texts: int, asked: ClassifyRequest, until: float) -> Answer:
    """What `TextClassifier.decide` says of each text, and the probabilities of the likeliest labels."""
    name, classifier = named(served.classifiers, asked.model, "model", "classifier")
    texts = listed(asked.input, most_texts, "input")
    data: list[dict[str, Any]] = []
    for begin in range(0, len(texts), TEXTS_AT_ONCE):
        check_time(until)
        shares = classifier.predict_proba(texts[begin : begin + TEXTS_AT_ONCE])  # (b, C) f32
        for place, row in enumerate(shares, begin):
            data.append({"object": "classification", "index": place, **_told(classifier, row, asked.top)})
    return json_answer({"object": "list", "data": data, "model": name, "usage": usage_of(texts)})


def _told(classifier: TextClassifier, shares: np.ndarray, top: int) -> dict[str, Any]:
    head = classifier.head_
    order = np.argsort(-shares, kind="stable")
    least = np.float32(head.threshold or 0)
    likely = [head.labels[place] for place in (order if head.multi_label else order[:1]) if shares[place] >= least]
    return {
        "label": likely[0] if likely else None,
        "probability": shares[order[0]],
        "labels": likely,
        "probabilities": {head.labels[place]: shares[place] for place in order[:top]},
    }
