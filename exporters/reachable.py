"""Which rows of a table a text can reach: what no text can, need not be right, and must not set the scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from edge_potion.static_model import StaticModel
from edge_potion.tokens import tokenize

__all__ = ["reachable_rows"]

LETTER = "q"  # before a piece that continues a word: no mark of any script joins it to another letter


def reachable_rows(model: StaticModel) -> np.ndarray:
    """(V + P,) bool: all but those of which it is sure that no text has their token, or their phrase.

    These are rows without a token, of [PAD] and [UNK], which count for nothing, of special tokens whose own name is
    cut into other tokens, and, of BERT's WordPiece, of pieces that the normalizer changes or the pre-tokenizer cuts:
    both look at each character by itself, so that what becomes of a piece alone becomes of it in any text.
    A phrase is reached where both of its tokens are.

    Raises:
        ModelFormatError: the tokenizer cannot tokenize.
    """
    tokenizer = model.tokenizer
    names = {number: name for name, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    reachable = np.zeros(len(model.table), np.bool_)
    reachable[list(names)] = True
    reachable[list(model.dropped_ids)] = False
    added = tokenizer.get_added_tokens_decoder()
    specials = {number: names[number] for number, token in added.items() if token.special and number in names}
    unheard = _not_said_by(tokenizer, specials, ("", " ", LETTER))
    if _is_bert(tokenizer) and all(token.special for token in added.values()):
        prefix = tokenizer.model.continuing_subword_prefix
        inner = {number: name for number, name in names.items() if name.startswith(prefix) and name != prefix}
        unheard += _not_said_by(tokenizer, {number: names[number] for number in names.keys() - inner.keys()}, ("",))
        unheard += [number for number, name in inner.items() if not _continues(tokenizer, name.removeprefix(prefix))]
    reachable[unheard] = False
    if model.phrases:
        reachable[model.pieces :] = reachable[model.phrases.pairs].all(axis=1)
    return reachable


def _not_said_by(tokenizer: Tokenizer, tokens: Mapping[int, str], befores: tuple[str, ...]) -> list[int]:
    """Those of `tokens` that their own name, with one of `befores` before it, does not give."""
    said = [set[int]() for _ in tokens]
    for before in befores:
        texts = [f"{before}{name}" for name in tokens.values()]
        for ids, found in zip(said, tokenize(tokenizer, texts, None).split(), strict=True):
            ids.update(found.tolist())
    return [number for number, ids in zip(tokens, said, strict=True) if number not in ids]


def _is_bert(tokenizer: Tokenizer) -> bool:
    """Whether words are made character by character, and no word holds the mark of a piece that continues one."""
    return (
        isinstance(tokenizer.model, WordPiece)
        and (tokenizer.normalizer is None or isinstance(tokenizer.normalizer, BertNormalizer))
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and bool(tokenizer.model.continuing_subword_prefix)
        and _is_one_word(tokenizer, LETTER)
        and not _is_one_word(tokenizer, f"{LETTER}{tokenizer.model.continuing_subword_prefix}{LETTER}")
    )


def _continues(tokenizer: Tokenizer, ending: str) -> bool:
    """Whether a word can go on as `ending`."""
    word = f"{LETTER}{ending}"
    is_kept = tokenizer.normalizer is None or tokenizer.normalizer.normalize_str(word) == word
    return is_kept and len(word) <= tokenizer.model.max_input_chars_per_word and _is_one_word(tokenizer, word)


def _is_one_word(tokenizer: Tokenizer, text: str) -> bool:
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] == [text]
