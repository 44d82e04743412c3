"""The phrases that a graph holds, found by its own tables: for what starts from row numbers, as its second half does.

A pair's key is one wrapping whole number of 64 bits, by which the perfect hash of exporters/text_hash.py finds it. The
pairs themselves stand nowhere in the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_potion.phrases import bags, rows_found
from edge_potion.tokens import TokenIds

__all__ = ["BASE", "SALT", "GraphPhrases", "pair_keys"]

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
SALT = np.uint64(0xD1B54A32D192ED03)


@dataclass(frozen=True)
class GraphPhrases:
    """The phrases of one graph.

    Attributes:
        keys: (P,) int64, in order.
        rows: (P,) int32, the row of each.
    """

    keys: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, rows: np.ndarray) -> GraphPhrases:
        """By the tables phrase_keys and phrase_rows, a slot each; a free slot has row 0, which is no phrase's."""
        held = np.flatnonzero(rows)
        order = held[np.argsort(keys[held])]
        return cls(keys[order], rows[order])

    def __len__(self) -> int:
        return len(self.keys)

    def joined(self, ids: TokenIds) -> TokenIds:
        """The bag of each text: the ids of its pieces, and behind them the rows of its phrases."""
        return bags(ids, rows_found(ids, self.keys, self.rows, pair_keys))


def pair_keys(pairs: np.ndarray) -> np.ndarray:
    """(N,) int64: a key for each pair of ids (N, 2), as graphs compute it."""
    above = (pairs.astype(np.int64) + 1).view(np.uint64)
    return np.asarray(above[:, 0] * BASE + above[:, 1] * SALT).view(np.int64)
