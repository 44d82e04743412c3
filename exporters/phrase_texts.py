"""Golden texts that hold phrases of a model, made of its own pairs: those that ship may hold few of them, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edge_potion.phrases import Phrases
from edge_potion.static_model import StaticModel
from edge_potion.tokens import TokenIds, tokenize

__all__ = ["phrase_texts"]

MOST_TRIED, MOST_SAID = 400, 12  # pairs
UNKNOWN = "\u2603"  # a snowman: [UNK] to most vocabularies, and to none a part of a word


def phrase_texts(model: StaticModel) -> list[str]:
    """Texts of phrases; none where the model has none, or none that a text is known to have.

    Each phrase alone, then phrases over and over, parted by what is no piece, and cut by the model's limit.
    """
    if model.phrases is None:
        return []
    said = list(_said(model, model.phrases))[:MOST_SAID]
    if not said:
        return []
    texts = [*said, *(f"{text} {text}" for text in said[:3]), " ".join(said), f" {UNKNOWN} ".join(said)]
    texts += [text.replace(" ", f" {UNKNOWN} ") for text in said if " " in text][:3]
    if model.card.max_tokens is not None:
        texts += [_cut_inside(model, text, model.card.max_tokens) for text in said[:2]]
    return list(dict.fromkeys(text for text in texts if "\0" not in text))


def _said(model: StaticModel, phrases: Phrases) -> Iterator[str]:
    """Texts that hold a phrase each, of pairs from all over the table."""
    for number in np.random.default_rng(0).permutation(len(phrases))[:MOST_TRIED].tolist():
        row = phrases.pieces + number
        for text in _candidates(model, phrases.pairs[number].tolist()):
            if row in _found(model, [text]).flat:
                yield text
                break


def _candidates(model: StaticModel, pair: Sequence[int]) -> Iterator[str]:
    """What may be cut into the two pieces of a pair."""
    prefix = getattr(model.tokenizer.model, "continuing_subword_prefix", None) or ""
    first, second = (str(model.tokenizer.id_to_token(piece)) for piece in pair)
    goes_on = bool(prefix) and second.startswith(prefix)
    yield first.removeprefix(prefix) + ("" if goes_on else " ") + second.removeprefix(prefix)
    yield str(model.tokenizer.decode(list(pair), skip_special_tokens=False))


def _found(model: StaticModel, texts: Sequence[str]) -> TokenIds:
    assert model.phrases is not None  # nobody asks otherwise
    return model.phrases.found(tokenize(model.tokenizer, texts, model.card.max_tokens))


def _cut_inside(model: StaticModel, text: str, limit: int) -> str:
    """A text whose last phrase begins with its last token, where the words of `text` are a token each."""
    word = text.split(" ")[0]
    return f"{word} " * (limit - 1) + text
