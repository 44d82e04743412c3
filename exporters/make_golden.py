"""Makes golden.json and golden.bin: the oracle's answers for the golden texts that ship with edge-potion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from edge_potion.golden import (
    GOLDEN_FILE,
    GOLDEN_FORMAT,
    LONG_TEXT,
    SHORT_LENGTH,
    SHORT_TEXT,
    TOLERANCES,
    Golden,
    Tolerance,
)
from edge_potion.golden_binary import GOLDEN_BINARY, golden_bytes
from edge_potion.golden_head import STRAYS, GoldenHead, head_as_json
from edge_potion.grams import grams_of
from edge_potion.static_model import UNSET, StaticModel, Unset
from edge_potion.tokens import tokenize

from .phrase_texts import phrase_texts

__all__ = ["golden_of", "write_golden"]


def golden_of(model: StaticModel, *, max_tokens: int | Unset | None = UNSET) -> Golden:
    """The oracle's answers, cut at the model's limit unless `max_tokens` is given.

    Of a model with phrases there are texts more, which hold some. No golden text holds NUL, so that they can be joined
    by it.
    """
    limit = model.card.max_tokens if isinstance(max_tokens, Unset) else max_tokens
    texts = json.loads(files(__package__).joinpath("golden_texts.json").read_text(encoding="ascii"))
    texts += phrase_texts(model)
    ids = tokenize(model.tokenizer, texts, limit)
    dropped = model.dropped_ids
    known = np.array([int((~np.isin(row, dropped)).sum()) for row in ids.split()], np.int64)
    golden = Golden(texts, [row.tolist() for row in ids.split()], model.pool(ids), known, model.card.normalize)
    if model.head is None:
        return golden
    logits = model.head.logits(golden.vectors, grams_of(ids))
    decisions = GoldenHead(model.head.answers, model.head.probabilities(logits), model.head.decided(logits), STRAYS)
    return replace(golden, head=decisions)


def write_golden(golden: Golden, folder: Path, precisions: Sequence[str], max_tokens: int | None) -> None:
    """Write golden.json and golden.bin for a bundle that holds `precisions` and cuts at `max_tokens`."""
    tolerance = {precision: TOLERANCES[precision] for precision in precisions}
    content = {
        "format": GOLDEN_FORMAT,
        "normalize": golden.normalize,
        "max_tokens": max_tokens,
        "short_text": SHORT_TEXT,
        "long_text": LONG_TEXT,
        "short_length": SHORT_LENGTH,
        "unit_length": golden.unit_length,
        "tolerance": {precision: _asked_for(each) for precision, each in tolerance.items()},
        "texts": list(golden.texts),
        "ids": list(golden.ids),
        "known_tokens": golden.known.tolist(),
        "vectors": [[float(f"{value:.8g}") for value in row] for row in golden.vectors],
        **({"classifier": head_as_json(golden.head, precisions)} if golden.head else {}),
    }
    (folder / GOLDEN_FILE).write_text(json.dumps(content, ensure_ascii=True) + "\n", encoding="ascii")
    (folder / GOLDEN_BINARY).write_bytes(golden_bytes(golden, tolerance, max_tokens))


def _asked_for(tolerance: Tolerance) -> Mapping[str, float]:
    return {name: bound for name, bound in asdict(tolerance).items() if bound is not None}
