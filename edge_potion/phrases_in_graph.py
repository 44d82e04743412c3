"""The phrases that a graph holds, found by its own tables: for what starts from row numbers, as its second half does.

A pair's key is one wrapping whole number of 64 bits, by which the perfect hash of exporters/text_hash.py finds it.
"""

from __future__ import annotations

import numpy as np

__all__ = ["BASE", "SALT", "pair_keys"]

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
SALT = np.uint64(0xD1B54A32D192ED03)


def pair_keys(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,) int64: a key for each two ids (N,), as graphs compute it."""
    products = (first.astype(np.int64) + 1).view(np.uint64) * BASE
    products += (second.astype(np.int64) + 1).view(np.uint64) * SALT
    return products.view(np.int64)
