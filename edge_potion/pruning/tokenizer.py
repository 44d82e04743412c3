"""The tokenizer that has some of the pieces of another, numbered anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.pruning.pieces import Vocabulary
from edge_potion.tokens import plain, sound

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["tokenizer_of"]


def tokenizer_of(vocabulary: Vocabulary, kept: np.ndarray) -> Tokenizer:
    """The tokenizer whose token i is `kept[i]` of `vocabulary`, with scores and all else as they were.

    Args:
        vocabulary: of a tokenizer.
        kept: (K,) int64, in the order of `Vocabulary.in_order`.

    Raises:
        ModelFormatError: `tokenizers` would read the new file in another way than it is meant.
    """
    from tokenizers import Tokenizer

    number_of = {old: new for new, old in enumerate(kept.tolist())}
    content = {
        **vocabulary.content,
        "added_tokens": [
            {**token, "id": number_of[token["id"]]} for token in vocabulary.added if token["id"] in number_of
        ],
        "model": _model(vocabulary, number_of),
    }
    with sound("the pruned tokenizer is none that the `tokenizers` library reads"):
        made = plain(Tokenizer.from_str(json.dumps(content)))
    read = json.loads(made.to_str())
    if fault := next((name for name in ("model", "added_tokens") if read[name] != content[name]), None):
        raise ModelFormatError(
            f"the `tokenizers` library reads {fault} of the pruned tokenizer otherwise than it was written; the model "
            "cannot be pruned"
        )
    return made


def _model(vocabulary: Vocabulary, number_of: dict[int, int]) -> dict[str, Any]:
    model = dict(vocabulary.model)
    if vocabulary.family == "Unigram":
        model["vocab"] = [piece for number, piece in enumerate(model["vocab"]) if number in number_of]
        model["unk_id"] = None if model.get("unk_id") is None else number_of[model["unk_id"]]
    else:
        pieces = vocabulary.pieces.items()
        model["vocab"] = {piece: number_of[number] for number, piece in pieces if number in number_of}
    return model
