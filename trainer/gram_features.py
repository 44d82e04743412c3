"""Grams of texts -> a sparse matrix: how often each stands in a text, weighed by how rare it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_potion.grams import ALONE, ID_BITS, Grams, grams_with

__all__ = ["GramSpace", "gram_space"]

FEWEST_TEXTS = {True: 1, False: 2}  # in which a token, or a pair, stands to be looked at


@dataclass(frozen=True)
class GramSpace:
    """Which grams there are, and what one of each counts for.

    Attributes:
        keys: (F,) int64 in order, as `grams_of` gives them.
        weights: (F,) float32; so scaled that a text has length 1 on average.
    """

    keys: np.ndarray
    weights: np.ndarray

    def matrix(self, grams: Grams) -> Any:
        """CSR (B, F) float32 of B texts: counts times weights over the root of the text's tokens."""
        from scipy.sparse import csr_matrix

        shape = (len(grams.tokens), len(self.keys))
        if not len(self.keys):
            return csr_matrix(shape, dtype=np.float32)
        places = np.searchsorted(self.keys, grams.keys).clip(max=len(self.keys) - 1)
        known = self.keys[places] == grams.keys
        places, text = places[known], grams.text[known]
        values = self.weights[places] / np.sqrt(grams.tokens[text])
        matrix = csr_matrix((values.astype(np.float32), (text, places)), shape=shape)
        matrix.sum_duplicates()
        return matrix

    def at(self, places: np.ndarray) -> GramSpace:
        """Some of the grams, by their places in order."""
        return GramSpace(self.keys[places], self.weights[places])

    @property
    def grams(self) -> np.ndarray:
        """(F, 2) int32, as a head has them."""
        return grams_with(self.keys)


def gram_space(grams: Grams) -> GramSpace:
    """The grams that stand in enough texts, weighed by inverse document frequency (as scikit-learn has it)."""
    texts = len(grams.tokens)
    order = np.lexsort((grams.text, grams.keys))
    keys, text = grams.keys[order], grams.text[order]
    is_first = np.ones(len(keys), bool)  # of its gram in its text
    is_first[1:] = (keys[1:] != keys[:-1]) | (text[1:] != text[:-1])
    found, counts = np.unique(keys[is_first], return_counts=True)
    alone = (found & ((1 << ID_BITS) - 1)) == ALONE + 1
    kept = counts >= np.where(alone, FEWEST_TEXTS[True], FEWEST_TEXTS[False])
    weights = np.log((1 + texts) / (1 + counts[kept])) + 1
    space = GramSpace(found[kept], weights.astype(np.float32))
    squares = space.matrix(grams).power(2).sum() / max(texts, 1)
    return GramSpace(space.keys, (space.weights / np.sqrt(squares or 1)).astype(np.float32))
