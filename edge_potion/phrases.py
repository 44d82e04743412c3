"""Phrases: pairs of pieces that stand side by side and have a row of their own, which joins the bag beside theirs.

A mean of rows cannot tell "hot dog" from a dog that is hot. A row for the pair can, and costs one lookup a token. The
rows lie behind the pieces' in the table, in the order of the pairs; where they lie is all that a bag needs to know.

In a folder PHRASES_FILE holds the pairs, and the table has another name than one of pieces alone: who knows nothing of
phrases finds no table there, and gives no other vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge_potion.errors import AccessError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.grams import gram_keys
from edge_potion.phrases_told import MOST_PHRASES, phrases_told
from edge_potion.tokens import TokenIds

__all__ = ["PHRASES_FILE", "Phrases", "bags", "read_phrases", "rows_found", "write_phrases"]

PHRASES_FILE = "phrases.safetensors"


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
        keys, numbers = self._order
        return rows_found(ids, keys, self.pieces + numbers, gram_keys)

    def joined(self, ids: TokenIds) -> TokenIds:
        """The bag of each text: the ids of its pieces, and behind them the rows of its phrases."""
        return bags(ids, self.found(ids))

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


def rows_found(
    ids: TokenIds, keys: np.ndarray, rows: np.ndarray, key_of: Callable[[np.ndarray], np.ndarray]
) -> TokenIds:
    """The rows of what neighbours in each text are found under.

    Args:
        ids: of the texts.
        keys: (P,) int64, in order.
        rows: (P,), the row of each.
        key_of: pairs (N, 2) -> their keys.
    """
    flat, owner = ids.flat.astype(np.int64), np.repeat(np.arange(len(ids.lengths)), ids.lengths)
    if not len(keys) or len(flat) < 2:
        return TokenIds(np.empty(0, np.int64), np.zeros_like(ids.lengths))
    wanted = key_of(np.stack([flat[:-1], flat[1:]], axis=1))  # (T - 1,)
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    is_phrase = (keys[places] == wanted) & (owner[:-1] == owner[1:])
    lengths = np.bincount(owner[:-1][is_phrase], minlength=len(ids.lengths)).astype(np.int64)
    return TokenIds(rows[places[is_phrase]].astype(np.int64), lengths)


def bags(ids: TokenIds, phrases: TokenIds) -> TokenIds:
    """The ids of each text, and behind them the rows of its phrases."""
    lengths = ids.lengths + phrases.lengths
    starts = np.cumsum(lengths) - lengths
    flat = np.empty(int(lengths.sum()), np.int64)
    for part, begins in ((ids, starts), (phrases, starts + ids.lengths)):
        flat[np.arange(len(part.flat)) + np.repeat(begins - part.starts, part.lengths)] = part.flat
    return TokenIds(flat, lengths)


def write_phrases(folder: Path, phrases: Phrases) -> None:
    """Write PHRASES_FILE into an existing folder; config.json tells how many there are."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({"pairs": np.ascontiguousarray(phrases.pairs)}, folder / PHRASES_FILE)
    except SafetensorError as failure:  # a full disk, which is no OSError there
        raise AccessError(f"cannot write the phrases ({failure})") from failure


def read_phrases(folder: Path, rows: int, *, has_rows: bool) -> Phrases | None:
    """The phrases in a model folder; None where its model has none.

    Args:
        folder: holds PHRASES_FILE and config.json.
        rows: of the whole table.
        has_rows: whether the table's name says that rows of phrases are in it.

    Raises:
        ModelFormatError: pairs, rows and config.json are not of the same model.
    """
    file, config_file = folder / PHRASES_FILE, folder / "config.json"
    told = phrases_told(read_json(config_file), config_file) if config_file.is_file() else 0
    if not file.is_file():
        if has_rows or told:
            said = "model.safetensors holds rows of phrases" if has_rows else f"config.json tells of {told:,} phrases"
            raise ModelFormatError(f"{file} is missing, and {said}; download or train the model again")
        return None
    if not has_rows:
        raise ModelFormatError(
            f"{folder} holds {PHRASES_FILE}, and model.safetensors rows of pieces alone; download or train the model "
            f"again, or remove {PHRASES_FILE} where the table was made without them"
        )
    from edge_potion.model_table import tensors_of

    found = tensors_of(file)
    if set(found) != {"pairs"}:
        raise ModelFormatError(f"{file} holds {', '.join(sorted(found)) or 'no tensor'}; 'pairs' was expected")
    pairs = found["pairs"]
    if len(pairs) != told or not 0 < told < rows:
        raise ModelFormatError(
            f"{file} holds {len(pairs):,} phrases, config.json tells of {told:,}, and the table has {rows:,} rows of "
            "pieces and phrases; they are of different models: download or train it again"
        )
    try:
        return Phrases(pairs, rows - told)
    except ModelFormatError as failure:
        raise ModelFormatError(f"{file}: {failure}") from failure
