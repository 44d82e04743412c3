"""Canonical order and composition (Unicode 3.11) as `tokenizers` knows them, asked of its NFD and NFC.

Its Unicode may be another version than Python's: which marks have a class, and which pairs compose, is its own word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache

import numpy as np
from tokenizers.normalizers import NFC, NFD

from edge_potion.phrases_in_graph import BASE

from .text_characters import LAST_CODE_POINT
from .text_hash import hash_table
from .unicode_tables import paged_table

__all__ = ["compose_tables", "order_tables"]

SECOND = 256  # bit of a class: the second character of some pair
LAST_MARK, LAST_CLASS = "\u0345", 240  # every other mark is moved before it
# Nothing beyond has a class or is composed: letters of Han, tags, private use.
LOOKED_AT = [*range(1, 0xD800), *range(0xE000, 0x30000), *range(0xE0000, 0xE1000)]
SYLLABLES, LEADS, VOWELS, TAILS = 0xAC00, 0x1100, 0x1161, 0x11A7


def order_tables() -> Mapping[str, np.ndarray]:
    """`class_page_of` and `classes` int32: combining classes."""
    page_of, pages = paged_table(_classes())
    return {"class_page_of": page_of, "classes": pages}


def compose_tables() -> Mapping[str, np.ndarray]:
    """Those of `order_tables`, with a bit for the second of a pair, and the pairs' perfect hash."""
    pairs = _pairs()
    classes = _classes().copy()
    classes[sorted({second for _, second in pairs})] |= SECOND
    page_of, pages = paged_table(classes)
    sides = np.array(list(pairs), np.uint64)
    with np.errstate(over="ignore"):
        keys = sides[:, 0] * BASE + sides[:, 1] * (BASE * BASE)
    table = hash_table(keys, np.array(list(pairs.values()), np.int32))
    return {
        "class_page_of": page_of,
        "classes": pages,
        "pair_multipliers": table.multipliers,
        "pair_keys": table.keys,
        "pair_values": table.ids,
    }


@cache
def _classes() -> np.ndarray:
    """(1114112,) int32."""
    decompose = NFD().normalize_str
    classes = np.zeros(LAST_CODE_POINT + 1, np.int32)
    unknown = []
    for code in LOOKED_AT:
        character = chr(code)
        alone = decompose(character)
        if alone == character and decompose(LAST_MARK + character) != LAST_MARK + character:
            classes[code] = unicodedata.combining(character)
            unknown += [] if classes[code] else [character]
    classes[ord(LAST_MARK)] = LAST_CLASS
    one_of = {int(classes[code]): chr(code) for code in np.flatnonzero(classes)}
    for character in unknown:  # to Python: the class of what it changes places with neither way
        for rank, mark in one_of.items():
            if decompose(mark + character) == mark + character and decompose(character + mark) == character + mark:
                classes[ord(character)] = rank
                break
        else:
            raise AssertionError(f"U+{ord(character):04X} has a combining class of its own")
    return classes


@cache
def _pairs() -> dict[tuple[int, int], int]:
    """Composites by what they are made of, Hangul's too."""
    decompose, compose = NFD().normalize_str, NFC().normalize_str
    pairs: dict[tuple[int, int], int] = {}
    for code in LOOKED_AT:
        character = chr(code)
        parts = decompose(character)
        if parts == character or compose(parts) != character or SYLLABLES <= code < SYLLABLES + 11172:
            continue
        first, second = compose(parts[:-1]), parts[-1]
        if len(first) == 1 and compose(first + second) == character:
            pairs[ord(first), ord(second)] = code
    for number in range(11172):
        lead, vowel, tail = number // 588, number % 588 // 28, number % 28
        if tail:
            pairs[SYLLABLES + number - tail, TAILS + tail] = SYLLABLES + number
        else:
            pairs[LEADS + lead, VOWELS + vowel] = SYLLABLES + number
    return pairs
