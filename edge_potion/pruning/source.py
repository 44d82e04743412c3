"""The model that is pruned: open, with its table as its files hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_potion.find import BUILT_IN, find_folder
from edge_potion.head import Head
from edge_potion.model_folder import read_model, static_home
from edge_potion.model_table import PIECES, PIECES_AND_PHRASES, ST_PIECES, TABLE, tensors_of
from edge_potion.phrases import Phrases
from edge_potion.pruning.pieces import Vocabulary
from edge_potion.pruning.tokenizer import tokenizer_of
from edge_potion.st_pipeline import read_pipeline
from edge_potion.static_model import StaticModel
from edge_potion.table_in_graph import graph_with_table

__all__ = ["Pieces", "Source"]

WITHOUT_A_TRACE = ("Normalize", "Dropout")  # modules behind a table that change nothing in its rows


@dataclass(frozen=True)
class Pieces:
    """A model of some pieces of another, and its tensors as `Source` has them."""

    model: StaticModel
    tensors: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """A model and the folder that it was read from.

    Attributes:
        folder: where it lies.
        model: open.
        tensors: `embeddings` (V + P, D), or (R, D) with `mapping` (V,), and `weights` (V + P,), as its file has them;
            float32 alone where modules are folded into its rows, or its table lies in a graph.
        table_bytes, tokenizer_bytes: sizes of its files.
    """

    folder: Path
    model: StaticModel
    tensors: Mapping[str, np.ndarray]
    table_bytes: int
    tokenizer_bytes: int

    @classmethod
    def opened(cls, name: str | Path | None, revision: str | None = None) -> Source:
        """A model by its folder, hub id or built-in name.

        Raises:
            InputError, ModelFormatError: those of `StaticModel.from_pretrained`.
        """
        folder = find_folder(name, revision)
        parts = read_model(folder, name=str(name or BUILT_IN))
        model = StaticModel(parts.table, parts.tokenizer, parts.card, parts.head, parts.phrases)
        home = static_home(folder)
        table = home / TABLE if (home / TABLE).is_file() else graph_with_table(folder)
        assert table is not None  # as it was read
        sizes = table.stat().st_size, (home / "tokenizer.json").stat().st_size
        return cls(folder, model, _tensors(folder, table, model), *sizes)

    def with_pieces(self, vocabulary: Vocabulary, kept: np.ndarray) -> Pieces:
        """Model and tensors with the tokens `kept` (K,) int64 alone, as 0..K-1; phrases and a head lose the others'."""
        model = self.model
        number_of = np.full(model.pieces, -1, np.int64)  # (V,) what becomes of each token
        number_of[kept] = np.arange(len(kept))
        phrases, stay = _phrases(model.phrases, number_of, len(kept))
        rows = np.concatenate([kept, model.pieces + stay])  # (K + P',)
        tokenizer = tokenizer_of(vocabulary, kept)
        table, head = model.table[rows], _head(model.head, number_of)
        smaller = StaticModel(table, tokenizer, model.card, head, phrases)
        return Pieces(smaller, _rows_of(self.tensors, rows))


def _tensors(folder: Path, table: Path, model: StaticModel) -> dict[str, np.ndarray]:
    pipeline = read_pipeline(folder)
    if (
        table.name != TABLE
        or pipeline.truncate_dim is not None
        or any(step.kind not in WITHOUT_A_TRACE for step in pipeline.steps[1:])
    ):
        return {PIECES: model.table}
    held = tensors_of(table)
    name = next(each for each in (PIECES_AND_PHRASES, ST_PIECES, PIECES) if each in held)  # as `read_table` looks
    return {PIECES: held[name], **{each: held[each] for each in ("weights", "mapping") if each in held}}


def _rows_of(tensors: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of some rows; those of a table with a mapping that none of them needs are gone."""
    found = {"weights": tensors["weights"][rows]} if "weights" in tensors else {}
    if (mapping := tensors.get("mapping")) is None:
        return {PIECES: tensors[PIECES][rows], **found}
    used, places = np.unique(mapping[rows], return_inverse=True)
    return {PIECES: tensors[PIECES][used], "mapping": places.astype(mapping.dtype), **found}


def _phrases(phrases: Phrases | None, number_of: np.ndarray, pieces: int) -> tuple[Phrases | None, np.ndarray]:
    """The phrases of which both tokens stay, and which of all they were."""
    if phrases is None:
        return None, np.empty(0, np.int64)
    pairs = number_of[phrases.pairs]  # (P, 2)
    stay = np.flatnonzero((pairs >= 0).all(axis=1))
    return (Phrases(pairs[stay].astype(np.int32), pieces) if len(stay) else None), stay


def _head(head: Head | None, number_of: np.ndarray) -> Head | None:
    """The head with the grams of which all tokens stay: of a text that is cut as before, no other gram is found."""
    if head is None:
        return None
    alone = head.grams < 0  # ALONE, in the place of a second token
    grams = np.where(alone, head.grams, number_of[np.where(alone, 0, head.grams)])  # (R, 2)
    stay = (alone | (grams >= 0)).all(axis=1)
    return replace(head, grams=grams[stay].astype(np.int32), rows=head.rows[stay])
