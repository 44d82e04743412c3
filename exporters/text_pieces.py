"""The vocabulary of WordPiece or WordLevel, as sequences of codes; and which of these the text graph can hold."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from edge_potion.errors import ModelFormatError

from .text_characters import LONG_MARK

__all__ = ["TAKES", "Pieces", "pieces_of"]

TAKES = (
    "WordPiece with BertNormalizer and BertPreTokenizer, and for WordLevel with BertNormalizer and BertPreTokenizer "
    "or WhitespaceSplit"
)

# Models, and the pre-tokenizers before them that cut at each character for itself, which the tables can tell.
# Whitespace is none of them: it keeps signs together that follow each other.
SUPPORTED = {"WordPiece": ("BertPreTokenizer",), "WordLevel": ("BertPreTokenizer", "WhitespaceSplit")}
LONGEST_WORD = 100_000  # characters, of which the native engine keeps the powers of a hash's base


@dataclass(frozen=True)
class Pieces:
    """The vocabulary as sequences of codes.

    Attributes:
        codes: of each piece without its prefix.
        continues: (P,) bool, whether each goes on in a word.
        ids: (P,) int32.
        longest: characters of the longest piece that a word may be cut into.
        longest_word: words with more characters are [UNK].
        unknown: id of [UNK].
        are_words: of WordLevel, which cuts no word: it is in the vocabulary whole, or [UNK].
    """

    codes: Sequence[Sequence[int]]
    continues: np.ndarray
    ids: np.ndarray
    longest: int
    longest_word: int
    unknown: int
    are_words: bool = False


def pieces_of(tokenizer: Tokenizer) -> Pieces | None:
    """The pieces of a WordPiece tokenizer, or the words of a WordLevel one; None where it is another one.

    Raises:
        ModelFormatError: the graph would not be exact; says why.
    """
    content = json.loads(tokenizer.to_str())
    model = tokenizer.model
    parts = [type(each).__name__ for each in (model, tokenizer.normalizer, tokenizer.pre_tokenizer)]
    if (
        parts[2] not in SUPPORTED.get(parts[0], ())
        or not isinstance(tokenizer.normalizer, BertNormalizer)
        or not all(each["special"] for each in content["added_tokens"])
        or model.unk_token not in content["model"]["vocab"]
    ):
        return None
    # No word is empty or holds a NUL.
    vocabulary = {text: number for text, number in content["model"]["vocab"].items() if text and "\0" not in text}
    _refuse_reordered(tokenizer, sorted(set("".join(vocabulary))))
    ids, unknown = np.array(list(vocabulary.values()), np.int32), content["model"]["vocab"][model.unk_token]
    if parts[0] == "WordLevel":
        return _words(list(vocabulary), ids, unknown)
    prefix = _prefix(tokenizer)
    continues = [text.startswith(prefix) and len(text) > len(prefix) for text in vocabulary]
    texts = [text[len(prefix) :] if inside else text for text, inside in zip(vocabulary, continues, strict=True)]
    longest_word = int(model.max_input_chars_per_word)
    return Pieces(_codes(texts), np.array(continues), ids, max(map(len, texts)), longest_word, unknown)


def _words(texts: Sequence[str], ids: np.ndarray, unknown: int) -> Pieces:
    """Of WordLevel. `longest` is 1: who cuts words all the same, as the engine does, finds out at the second letter."""
    longest_word = max(map(len, texts))
    if longest_word > LONGEST_WORD:
        raise ModelFormatError(
            f"the text graph is for words of at most {LONGEST_WORD:,} letters, and the vocabulary has one of "
            f"{longest_word:,}; leave the graph out (--graphs bag,tokens)"
        )
    return Pieces(_codes(texts), np.zeros(len(texts), np.bool_), ids, 1, longest_word, unknown, are_words=True)


def _codes(texts: Sequence[str]) -> Sequence[Sequence[int]]:
    return [list(map(ord, text)) for text in texts]


def _prefix(tokenizer: Tokenizer) -> str:
    """What a piece of WordPiece begins with that goes on in a word."""
    prefix = str(tokenizer.model.continuing_subword_prefix)
    if not prefix or len(tokenizer.pre_tokenizer.pre_tokenize_str(f"q{prefix}q")) == 1:
        raise ModelFormatError(
            f"the text graph is for pieces whose prefix no word can hold, such as ##, and here it is {prefix!r}; "
            "leave the graph out (--graphs bag,tokens)"
        )
    if tokenizer.model.max_input_chars_per_word < 1:
        raise ModelFormatError("the tokenizer takes every word for unknown (max_input_chars_per_word is 0)")
    return prefix


def _refuse_reordered(tokenizer: Tokenizer, characters: Sequence[str]) -> None:
    """Raise ModelFormatError where the normalizer changes the order of two marks that pieces hold (NFD does).

    The tables know one code point at a time. With other marks the word is [UNK] in either order.
    """
    marks = [each for each in characters if unicodedata.category(each).startswith("M") or unicodedata.combining(each)]
    pairs = [one + other for one in marks for other in marks]
    together, apart = (
        tokenizer.normalizer.normalize_str(LONG_MARK.join(texts))
        for texts in (pairs, [LONG_MARK.join(pair) for pair in pairs])
    )
    apart_pairs = apart.split(LONG_MARK)
    wanted = LONG_MARK.join(map("".join, zip(apart_pairs[::2], apart_pairs[1::2], strict=False)))
    if pairs and together != wanted:
        raise ModelFormatError(
            "the text graph is for vocabularies without combining marks that the normalizer re-orders, and this one "
            "has some; leave the graph out (--graphs bag,tokens)"
        )
