"""What a tokenizer does to each code point and each piece, as arrays: what the text graph looks things up in.

They are generated from the model's own `tokenizers` object, code point by code point, so the tables are the tokenizer.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from edge_potion.errors import ModelFormatError

__all__ = ["CHANGED", "CODES", "KINDS", "NUL", "PAGE", "WORD", "Characters", "Pieces", "characters_of", "pieces_of"]

# An item is a code point and its class: BertPreTokenizer splits at spaces, and sets punctuation apart.
CODES = (1 << 22) - 1
SPACE, WORD, ISOLATED = 0, 1 << 22, 2 << 22
KINDS = WORD | ISOLATED
NUL = ISOLATED  # a character of code 0, which ends a text
CHANGED = 4 << 22  # flag of a byte whose word is not its bytes, one code each: it goes through the code point tables
SLOTS = 3  # most characters that a code point is normalized to: Hangul syllables are three jamo
LAST_CODE_POINT = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
PAGE = 256
BLANK = 32  # the code of every space
BLOCK = 16384  # code points probed at once
RUN = 64  # of them, characters that are letters all if the pre-tokenizer leaves them whole
# What stands between code points that are probed: no normalizer changes it, or moves anything across it. The first
# block holds the letter itself.
MARK, LONG_MARK = "q", "q7q"
# Into how many parts the pre-tokenizer cuts a character between two letters.
CLASS_BY_PARTS = np.array([-1, WORD, SPACE, ISOLATED], np.int32)


@dataclass(frozen=True)
class Characters:
    """What becomes of bytes and code points.

    Attributes:
        bytes: (256,) int32, the item of an ASCII byte, and CHANGED where a word with it needs `slots`. NUL, which
            separates texts, is an isolated character of code 0.
        page_of: (4352,) int32, the page of the code points of each 256.
        slots: (pages * 256, 3) int32: the items of up to three characters, less the code point; 0 is none, and stands
            for the blank itself too, which is never looked up here.
    """

    bytes: np.ndarray
    page_of: np.ndarray
    slots: np.ndarray


@dataclass(frozen=True)
class Pieces:
    """The vocabulary as sequences of codes.

    Attributes:
        codes: of each piece without its prefix.
        continues: (P,) bool, whether each goes on in a word.
        ids: (P,) int32.
        longest: characters of the longest piece.
        longest_word: words with more characters are [UNK].
        unknown: id of [UNK].
    """

    codes: Sequence[Sequence[int]]
    continues: np.ndarray
    ids: np.ndarray
    longest: int
    longest_word: int
    unknown: int


_PROBED: dict[str, Characters] = {}  # by the settings of a tokenizer; the same in every thread that makes it


def pieces_of(tokenizer: Tokenizer) -> Pieces:
    """The pieces of a WordPiece tokenizer.

    Raises:
        ModelFormatError: it is another one, or splits texts otherwise than BERT does; names what is supported.
    """
    content = json.loads(tokenizer.to_str())
    model = tokenizer.model
    parts = [type(each).__name__ for each in (model, tokenizer.normalizer, tokenizer.pre_tokenizer)]
    plain_added = all(each["special"] for each in content["added_tokens"])
    if (
        not isinstance(model, WordPiece)
        or not isinstance(tokenizer.normalizer, BertNormalizer)
        or not isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        or not plain_added
        or model.unk_token not in content["model"]["vocab"]
    ):
        added = "" if plain_added else ", and added words"
        raise ModelFormatError(
            "the text graph is for WordPiece with BertNormalizer and BertPreTokenizer, and this tokenizer is "
            f"{parts[0]} with {parts[1]} and {parts[2]}{added}; leave the graph out (--graphs bag,tokens)"
        )
    prefix = str(model.continuing_subword_prefix)
    if not prefix or len(tokenizer.pre_tokenizer.pre_tokenize_str(f"q{prefix}q")) == 1:
        raise ModelFormatError(
            f"the text graph is for pieces whose prefix no word can hold, such as ##, and here it is {prefix!r}; "
            "leave the graph out (--graphs bag,tokens)"
        )
    if model.max_input_chars_per_word < 1:
        raise ModelFormatError("the tokenizer takes every word for unknown (max_input_chars_per_word is 0)")
    # No word is empty or holds a NUL.
    vocabulary = {text: number for text, number in content["model"]["vocab"].items() if text and "\0" not in text}
    _refuse_reordered(tokenizer, sorted(set("".join(vocabulary))))
    continues = [text.startswith(prefix) and len(text) > len(prefix) for text in vocabulary]
    texts = [text[len(prefix) :] if inside else text for text, inside in zip(vocabulary, continues, strict=True)]
    return Pieces(
        [list(map(ord, text)) for text in texts],
        np.array(continues),
        np.array(list(vocabulary.values()), np.int32),
        max(map(len, texts)),
        int(model.max_input_chars_per_word),
        content["model"]["vocab"][model.unk_token],
    )


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


def characters_of(tokenizer: Tokenizer) -> Characters:
    """Probe every code point: seconds, once for each normalizer.

    Raises:
        ModelFormatError: a code point becomes more characters than the graph has room for.
    """
    settings = json.loads(tokenizer.to_str())
    key = json.dumps([settings["normalizer"], settings["pre_tokenizer"]], sort_keys=True)
    if key not in _PROBED:
        _PROBED[key] = _probed(tokenizer)
    return _PROBED[key]


def _probed(tokenizer: Tokenizer) -> Characters:
    rows = np.zeros((LAST_CODE_POINT + 1, SLOTS), np.int32)
    class_of = np.full(LAST_CODE_POINT + 1, -1, np.int32)
    for begin in range(1, LAST_CODE_POINT + 1, BLOCK):
        block = [code for code in range(begin, min(begin + BLOCK, LAST_CODE_POINT + 1)) if code not in SURROGATES]
        mark = LONG_MARK if begin == 1 else MARK
        joined = mark + mark.join(map(chr, block)) + mark
        normalized = tokenizer.normalizer.normalize_str(joined).split(mark)[1:-1]
        if len(normalized) != len(block):
            raise ModelFormatError("the tokenizer's normalizer moves characters about; leave the text graph out")
        _learn_classes(tokenizer, "".join(normalized), class_of)
        codes = np.array(block)
        lengths = np.fromiter(map(len, normalized), np.int64, len(block))
        single = codes[lengths == 1]  # nearly all
        became = _codes("".join(text for text in normalized if len(text) == 1))
        rows[single, 0] = np.where(class_of[became] == SPACE, BLANK, became) - single + class_of[became]
        for place in np.flatnonzero(lengths > 1):
            items = _items(normalized[place], class_of)
            if len(items) > SLOTS:
                raise ModelFormatError(
                    f"U+{block[place]:04X} becomes {len(items)} characters; leave the text graph out"
                )
            rows[block[place], : len(items)] = np.array(items) - block[place]
    rows[0] = [NUL, 0, 0]
    paged = rows.reshape(-1, PAGE * SLOTS)
    numbers: dict[bytes, int] = {}  # by content, as nearly all pages are alike and np.unique would sort them all
    seen = np.array([numbers.setdefault(page.tobytes(), len(numbers)) for page in paged])
    distinct = np.array([np.frombuffer(content, np.int32) for content in numbers])
    pages, order = np.unique(distinct, axis=0, return_inverse=True)
    return Characters(_bytes(rows), order.reshape(-1)[seen].astype(np.int32), pages.reshape(-1, SLOTS))


def _codes(text: str) -> np.ndarray:
    """(characters,) int64 code points."""
    return np.frombuffer(text.encode("utf-32-le"), np.int32).astype(np.int64)


def _bytes(rows: np.ndarray) -> np.ndarray:
    """(256,) int32: ASCII that stays one character, or is a space, has its item; the rest is CHANGED."""
    items = np.full(256, CHANGED | WORD, np.int32)
    for code in range(128):
        item = int(rows[code, 0]) + code
        if code == BLANK or (rows[code, 0] and item & KINDS == SPACE):
            items[code] = 0
        elif rows[code, 0] and not rows[code, 1]:
            items[code] = item
    return items


def _learn_classes(tokenizer: Tokenizer, text: str, class_of: np.ndarray) -> None:
    """Ask the pre-tokenizer what it does to each new character of `text` between two letters."""
    new = np.unique(_codes(text))
    new = new[class_of[new] < 0]
    runs = [new[begin : begin + RUN] for begin in range(0, len(new), RUN)]
    parts_of_runs = _parts(tokenizer, ["".join(map(chr, run.tolist())) for run in runs])
    class_of[new] = WORD
    cut = [run for run, parts in zip(runs, parts_of_runs, strict=True) if parts > 1]  # few: most characters are letters
    if cut:
        asked = np.concatenate(cut)
        class_of[asked] = CLASS_BY_PARTS[_parts(tokenizer, list(map(chr, asked.tolist())))]


def _parts(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """(texts,) int64: into how many parts the pre-tokenizer cuts each text between two letters."""
    joined = " ".join(f"q{text}q" for text in texts)
    parts = tokenizer.pre_tokenizer.pre_tokenize_str(joined) if texts else []
    begins = np.fromiter((begin for _, (begin, _) in parts), np.int64, len(parts))
    starts = np.cumsum([0, *(len(text) + 3 for text in texts)])
    return np.histogram(begins, starts)[0] if texts else np.zeros(0, np.int64)


def _items(text: str, class_of: np.ndarray) -> list[int]:
    """The item of each character of a normalized code point; one between two spaces stands apart."""
    items = [code + int(class_of[code]) if class_of[code] else BLANK for code in map(ord, text)]
    if len(items) == 3 and items[0] == items[2] == BLANK:
        return [items[1] & CODES | ISOLATED] if items[1] != BLANK else [BLANK]
    return items
