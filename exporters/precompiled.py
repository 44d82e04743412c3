"""SentencePiece's charsmap as `tokenizers` applies it, as tables: what becomes of code points and of short graphemes.

A grapheme of fewer than six bytes is looked up whole, by the first of its keys that it begins with, so that what
follows may be swallowed; others character by character. The charsmap is a double array (darts-clone) and the texts that
its values point to.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from tokenizers.normalizers import Normalizer

from edge_potion.errors import ModelFormatError
from edge_potion.phrases_in_graph import BASE

from .text_characters import LAST_CODE_POINT
from .text_hash import hash_table
from .unicode_tables import ITSELF, entries_of, entry_of, normalizer_of, paged_table
from .unigram_tables import LEAVE_OUT

__all__ = ["charsmap_of", "grapheme_tables"]

FEW_BYTES = 5  # of a grapheme that is looked up whole
# Bits of a class.
JOINS, PREPEND, CONTROL, PICTURE, ZWJ, EXTEND, CONSONANT, LINKER, INDIC = 1, 2, 4, 8, 16, 32, 64, 128, 256
L, V, T, LV, LVT, CR, LF = 512, 1024, 2048, 4096, 8192, 16384, 32768
LEAF, VALUE = 1 << 8, 1 << 31
MOST_TOGETHER = 3  # characters of a grapheme of two at least, of fewer than six bytes
# What stands for itself in the charsmap that classes are asked with, and what it becomes there.
LETTER, SIGN, CONSONANT_OF, BELOW = "a", "\u2122", "\u0915", "\u0323"
JOINER, MARK, PICTOGRAPH, VIRAMA = "\u200d", "\u0301", "\u00a9", "\u094d"
BECOMES = {LETTER: "W", SIGN: "X", CONSONANT_OF: "Y", BELOW: "Z"}
LOOKED_AT = [*range(1, 0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)]
HANGUL = ((L, (0x1100, 0x1160), (0xA960, 0xA97D)), (V, (0x1160, 0x11A8), (0xD7B0, 0xD7C7)))
HANGUL_TAILS = ((0x11A8, 0x1200), (0xD7CB, 0xD7FC))
SYLLABLES = range(0xAC00, 0xD7A4)


def grapheme_tables(charsmap: str, normalizer: Normalizer) -> Mapping[str, np.ndarray]:
    """Tables of a pass "graphemes", from a charsmap in base64 and its object.

    Raises:
        ModelFormatError: the charsmap holds what is no text in UTF-8.
    """
    codes: list[int] = []
    entries = entries_of(normalizer.normalize_str, codes)
    sequences: dict[str, int] = {}
    for key, value in _pairs_of(base64.b64decode(charsmap)):
        if len(key) == 1 and entries[ord(key)] == ITSELF:  # itself, and what follows is swallowed all the same
            entries[ord(key)] = entry_of(value, codes, f"U+{ord(key):04X}")
        elif 1 < len(key) <= MOST_TOGETHER and len(key.encode()) <= FEW_BYTES:
            sequences[key] = entry_of(value, codes, repr(key))
    page_of, pages = paged_table(entries)
    class_page_of, classes = paged_table(_classes())
    tables = {"page_of": page_of, "entries": pages, "codes": np.array(codes or [0], np.int32)}
    tables |= {"class_page_of": class_page_of, "classes": classes}
    if sequences:
        table = hash_table(
            np.array(list(map(_key, sequences)), np.uint64), np.array(list(sequences.values()), np.int32)
        )
        tables |= {"sequence_multipliers": table.multipliers, "sequence_keys": table.keys, "sequence_values": table.ids}
    return tables


def _key(characters: str) -> int:
    return sum(ord(each) * pow(int(BASE), place + 1, 2**64) for place, each in enumerate(characters)) % 2**64


def _pairs_of(content: bytes) -> Iterator[tuple[str, str]]:
    """Keys and what they become, of a charsmap."""
    size = struct.unpack("<I", content[:4])[0]
    units, texts = np.frombuffer(content[4 : 4 + size], "<u4").tolist(), content[4 + size :]
    left = [(_offset(units[0]), b"")]
    while left:
        base, key = left.pop()
        for byte in range(1, 256):
            at = base ^ byte
            if at >= len(units) or units[at] & (VALUE | 0xFF) != byte:
                continue
            below, longer = at ^ _offset(units[at]), key + bytes([byte])
            left.append((below, longer))
            if units[at] & LEAF:
                begin = units[below] & (VALUE - 1)
                try:
                    yield longer.decode(), texts[begin : texts.index(b"\0", begin)].decode()
                except ValueError as failure:
                    raise ModelFormatError(
                        f"the charsmap of the normalizer Precompiled holds what is no text in UTF-8; {LEAVE_OUT}"
                    ) from failure


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 512) >> 6)


@cache
def _classes() -> np.ndarray:
    """(1114112,) int32: of each code point what UAX #29 asks, by a charsmap in which swallowing shows boundaries."""
    asked = {"type": "Precompiled", "precompiled_charsmap": charsmap_of(BECOMES)}
    normalize = normalizer_of(asked).normalize_str

    def swallows(text: str) -> bool:
        """Whether the last of BECOMES in a text, which MARK follows, is a grapheme's first character."""
        return not normalize(text + MARK).endswith(MARK)

    classes = np.zeros(LAST_CODE_POINT + 1, np.int32)
    for code in LOOKED_AT:
        each, found = chr(code), 0
        if normalize(LETTER + each) == BECOMES[LETTER]:
            found |= JOINS
            found |= 0 if swallows(PICTOGRAPH + each + JOINER + SIGN) else EXTEND
            found |= 0 if swallows(CONSONANT_OF + each + CONSONANT_OF) else LINKER
            found |= 0 if swallows(CONSONANT_OF + each + VIRAMA + CONSONANT_OF) else INDIC
        else:
            found |= 0 if swallows(each + SIGN) else PREPEND
            found |= 0 if swallows(each + JOINER + SIGN) else PICTURE
            found |= 0 if swallows(each + VIRAMA + CONSONANT_OF) else CONSONANT
            found |= CONTROL if each not in BECOMES and swallows(each + BELOW) else 0
        classes[code] = found
    classes[ord(JOINER)] = JOINS | ZWJ | INDIC
    classes[0] = CONTROL
    classes[[0xD, 0xA]] = [CONTROL | CR, CONTROL | LF]
    for bit, *ranges in HANGUL:
        _set(classes, bit, ranges)
    _set(classes, T, HANGUL_TAILS)
    syllables = np.arange(SYLLABLES.start, SYLLABLES.stop)
    classes[syllables] |= np.where((syllables - SYLLABLES.start) % 28 == 0, LV, LVT).astype(np.int32)
    return classes


def _set(classes: np.ndarray, bit: int, ranges: Iterable[tuple[int, int]]) -> None:
    for begin, end in ranges:
        classes[begin:end] |= bit


def charsmap_of(pairs: Mapping[str, str]) -> str:
    """A charsmap in base64 with these keys (no key begins with another), for Precompiled."""
    texts = b""
    nodes: dict[int | None, Any] = {}
    for key, becomes in pairs.items():
        at = nodes
        for byte in key.encode():
            at = at.setdefault(byte, {})
        at[None] = len(texts)
        texts += becomes.encode() + b"\0"
    units = [0] * 256  # a block of 256 for the children of each node, the root's first

    def write(node: dict[int | None, Any], own: int, block: int) -> None:
        for byte, child in node.items():
            if byte is None:
                units[own ^ _offset(units[own])] = VALUE | int(child)
                continue
            below = len(units)
            units.extend([0] * 256)
            at = block ^ byte
            units[at] = byte | (LEAF if None in child else 0) | (at ^ below) << 10
            write(child, at, below)

    write(nodes, 0, 0)
    content = struct.pack("<I", 4 * len(units)) + np.array(units, "<u4").tobytes() + texts
    return base64.b64encode(content).decode()
