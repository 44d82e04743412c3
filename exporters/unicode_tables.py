"""Tables by code point, as pages of 256 of which equal ones are kept once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer

from edge_potion.errors import ModelFormatError

from .text_characters import LAST_CODE_POINT, PAGE, SURROGATES
from .unigram_tables import LEAVE_OUT

__all__ = ["ITSELF", "STEP", "entries_of", "entry_of", "map_tables", "normalizer_of", "paged_table", "value_of"]

CODE_POINTS = [code for code in range(1, LAST_CODE_POINT + 1) if code not in SURROGATES]
ITSELF, STEP = -1, 32  # an entry is -1, or where its code points begin * STEP + how many they are


def normalizer_of(part: Mapping[str, Any]) -> Normalizer:
    """The normalizer that a tokenizer.json tells so."""
    model = {"type": "WordLevel", "vocab": {}, "unk_token": ""}
    content = {"version": "1.0", "added_tokens": [], "normalizer": part, "model": model}
    return Tokenizer.from_str(json.dumps(content)).normalizer


def map_tables(normalize: Callable[[str], str]) -> Mapping[str, np.ndarray]:
    """`page_of`, `entries` and `codes` int32 of what `normalize` makes of each code point by itself."""
    codes: list[int] = []
    entries = entries_of(normalize, codes)
    page_of, pages = paged_table(entries)
    return {"page_of": page_of, "entries": pages, "codes": np.array(codes or [0], np.int32)}


def entries_of(normalize: Callable[[str], str], codes: list[int]) -> np.ndarray:
    """(1114112,) int32 entries; what they lead to is added to `codes`.

    Raises:
        ModelFormatError: a code point becomes more characters than an entry has room for.
    """
    entries = np.full(LAST_CODE_POINT + 1, ITSELF, np.int32)
    seen: dict[str, int] = {}
    for code in CODE_POINTS:
        character = chr(code)
        became = normalize(character)
        if became == character:
            continue
        if became not in seen:
            seen[became] = entry_of(became, codes, f"U+{code:04X}")
        entries[code] = seen[became]
    return entries


def entry_of(became: str, codes: list[int], told: str) -> int:
    """The entry of some characters, which are added to `codes`."""
    if len(became) >= STEP or "\0" in became:
        raise ModelFormatError(f"the normalizer makes {len(became)} characters or a NUL of {told}; {LEAVE_OUT}")
    codes.extend(map(ord, became))
    return (len(codes) - len(became)) * STEP + len(became)


def paged_table(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(4352,) int32 the page of each 256 of `values` (1114112,) int32, and (pages * 256,) int32 the distinct ones."""
    numbers: dict[bytes, int] = {}
    page_of = [numbers.setdefault(page.tobytes(), len(numbers)) for page in values.reshape(-1, PAGE)]
    return np.array(page_of, np.int32), np.frombuffer(b"".join(numbers), np.int32)


def value_of(page_of: np.ndarray, pages: np.ndarray, code: int) -> int:
    """What the table holds of one code point."""
    return int(pages[page_of[code // PAGE] * PAGE + code % PAGE])
