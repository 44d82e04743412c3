"""Phrases: pairs of pieces that stand side by side and have a row of their own, which joins the bag beside theirs.

A mean of rows cannot tell "hot dog" from a dog that is hot. A row for the pair can, and costs one lookup a token. The
rows lie behind the pieces' in the table, in the order of the pairs; where they lie is all that a bag needs to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.grams import gram_keys
from edge_potion.tokens import TokenIds

__all__ = ["MOST_PHRASES", "Phrases"]

MOST_PHRASES = 2**24


@dataclass(frozen=True)
class Phrases:
    """Which pairs of pieces have a row.

    Attributes:
        pairs: (P, 2) int32, a piece and the one after it; each pair once, and no [UNK] or [PAD] among them.
        pieces: V, how many rows of pieces the table begins with; the row of pair i is V + i.

    Raises:
        ModelFormatError: a pair is there twice, or names no piece.
    """

    pairs: np.ndarray
    pieces: int

    def __post_init__(self) -> None:
        if fault := self._fault():
            raise ModelFormatError(f"the phrases of the model are damaged: {fault}")

    def __len__(self) -> int:
        return len(self.pairs)

    def found(self, ids: TokenIds) -> TokenIds:
        """Rows of the phrases in each text, in their order; `ids` are those of its pieces, [UNK] among them.

        Two pieces are side by side where nothing stands between them, not even [UNK]; a text is cut before.
        """
        flat, owner = ids.flat.astype(np.int64), np.repeat(np.arange(len(ids.lengths)), ids.lengths)
        if not len(self) or len(flat) < 2:
            return TokenIds(np.empty(0, np.int64), np.zeros_like(ids.lengths))
        keys, rows = self._order
        wanted = gram_keys(np.stack([flat[:-1], flat[1:]], axis=1))  # (T - 1,)
        places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        is_phrase = (keys[places] == wanted) & (owner[:-1] == owner[1:])
        lengths = np.bincount(owner[:-1][is_phrase], minlength=len(ids.lengths)).astype(np.int64)
        return TokenIds(self.pieces + rows[places[is_phrase]], lengths)

    def joined(self, ids: TokenIds) -> TokenIds:
        """The bag of each text: the ids of its pieces, and behind them the rows of its phrases."""
        phrases = self.found(ids)
        lengths = ids.lengths + phrases.lengths
        starts = np.cumsum(lengths) - lengths
        flat = np.empty(int(lengths.sum()), np.int64)
        for part, begins in ((ids, starts), (phrases, starts + ids.lengths)):
            flat[np.arange(len(part.flat)) + np.repeat(begins - part.starts, part.lengths)] = part.flat
        return TokenIds(flat, lengths)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) keys of the pairs in order, and the number of each pair."""
        keys = gram_keys(self.pairs)
        order = np.argsort(keys)
        return keys[order], order

    def _fault(self) -> str:
        pairs = self.pairs
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype != np.int32 or len(pairs) > MOST_PHRASES:
            return f"their pairs are {pairs.dtype} of shape {pairs.shape}; int32 of shape (phrases, 2) was expected"
        if len(pairs) and (pairs.min() < 0 or pairs.max() >= self.pieces):
            return f"a pair names piece {int(pairs.max())}, and there are {self.pieces}"
        if len(np.unique(gram_keys(pairs))) < len(pairs):
            return "a pair is there twice"
        return ""
