"""What a tokenizer does to each code point, as arrays: asked of it one by one, so that the arrays are the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from edge_potion.errors import ModelFormatError

__all__ = ["CHANGED", "CODES", "KINDS", "LONG_MARK", "NUL", "PAGE", "WORD", "Characters", "characters_of"]

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


def characters_of(tokenizer: Tokenizer) -> Characters:
    """Probe every code point: seconds, once for each pair of normalizer and pre-tokenizer.

    Raises:
        ModelFormatError: a code point becomes more characters than the graph has room for.
    """
    alone = Tokenizer(WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    alone.normalizer, alone.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    return _probed(alone.to_str())


@cache
def _probed(settings: str) -> Characters:
    """By a tokenizer's settings without its vocabulary: most models share them, and a process may export many."""
    tokenizer = Tokenizer.from_str(settings)
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
