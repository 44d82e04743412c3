"""Token ids -> grams: each token by itself, and each two that follow one another; a head sums rows of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_potion.tokens import TokenIds

__all__ = ["ALONE", "ID_BITS", "Grams", "gram_keys", "grams_of", "grams_with"]

ALONE = -1  # in the place of the second token, where a gram is one token
ID_BITS = 31  # of a token; a key is first * 2^31 + second + 1, so that it is one whole number


@dataclass(frozen=True)
class Grams:
    """The grams of B texts.

    Attributes:
        keys: (G,) int64, one for each time that a gram stands in a text.
        text: (G,) int64, in which, 0..B-1.
        tokens: (B,) int64, n of each text, at least 1.
    """

    keys: np.ndarray
    text: np.ndarray
    tokens: np.ndarray

    def take(self, places: np.ndarray) -> Grams:
        """Of the texts at `places` (b,), in that order."""
        begins = np.searchsorted(self._in_order[1], np.arange(len(self.tokens) + 1))  # (B + 1,)
        counts = np.diff(begins)[places]
        source = np.repeat(begins[places] - (np.cumsum(counts) - counts), counts)
        source += np.arange(len(source))
        return Grams(self._in_order[0][source], np.repeat(np.arange(len(places)), counts), self.tokens[places])

    @cached_property
    def _in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys and texts, by text."""
        order = np.argsort(self.text, kind="stable")
        return self.keys[order], self.text[order]


def gram_keys(grams: np.ndarray) -> np.ndarray:
    """(R,) int64: a whole number for each gram (R, 2) of a first token and a second, or ALONE."""
    wide = grams.astype(np.int64)
    return np.asarray((wide[:, 0] << ID_BITS) + wide[:, 1] + 1)


def grams_with(keys: np.ndarray) -> np.ndarray:
    """(R, 2) int32: the grams that `gram_keys` gave these keys (R,) for."""
    return np.stack([keys >> ID_BITS, (keys & ((1 << ID_BITS) - 1)) - 1], axis=1).astype(np.int32)


def grams_of(ids: TokenIds) -> Grams:
    """The grams of texts, [UNK] among their tokens; first the tokens by themselves, then the pairs."""
    flat = ids.flat.astype(np.int64)
    text = np.repeat(np.arange(len(ids.lengths)), ids.lengths)  # (T,)
    follows = text[1:] == text[:-1]  # (T - 1,)
    pairs = ((flat[:-1] << ID_BITS) + flat[1:] + 1)[follows]
    keys = np.concatenate([(flat << ID_BITS) + ALONE + 1, pairs])
    return Grams(keys, np.concatenate([text, text[1:][follows]]), np.maximum(ids.lengths, 1).astype(np.int64))
