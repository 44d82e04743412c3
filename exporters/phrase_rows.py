"""Phrases in a graph: a grid of piece ids -> the same, with the rows of each text's phrases behind its pieces.

Two ids that stand side by side are one key, as a gram of a head is, and a perfect hash leads from it to a row
(`text_hash`). A row number is all that joins the grid: what sums its rows needs to know nothing of phrases.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from edge_potion.phrases import Phrases
from edge_potion.phrases_in_graph import pair_keys

from .graph_builder import GraphBuilder
from .text_hash import HashTable, hash_table, looked_up, neighbours

__all__ = ["phrase_table", "rows_in_place", "with_phrases"]


def phrase_table(phrases: Phrases) -> HashTable:
    """Where the row of each phrase is found; always the same for the same ones."""
    rows = np.arange(phrases.pieces, phrases.pieces + len(phrases), dtype=np.int32)
    return hash_table(pair_keys(phrases.pairs).view(np.uint64), rows)


def with_phrases(graph: GraphBuilder, table: HashTable, grid: str, pad: int, dtype: int) -> str:
    """(B, L + K) of row numbers from a grid (B, L) of ids, where K is the most phrases of a text; `pad` where none is.

    Few pairs are phrases: what is done for each of them is done for those that were found alone. `dtype` is the grid's
    (TensorProto's).
    """
    keys = neighbours(graph, grid)  # (B, L - 1)
    slots, is_there = looked_up(graph, "phrase", table, graph.op("Reshape", keys, graph.int64([-1])))
    places = graph.places_of(is_there)  # (F,)
    rows = graph.take(graph.table("phrase_rows", lambda: table.ids), graph.take(slots, places))
    sizes = graph.op("Shape", keys)
    texts, width = (graph.op("Slice", sizes, *map(graph.int64, ([side], [side + 1]))) for side in (0, 1))
    width = graph.op("Max", width, graph.int64(1))  # of texts of one token: no place, and nothing over 0
    text = graph.op("Div", places, width)  # (F,) in which each stands, in order
    ones = graph.filled(graph.op("Shape", places), value=1)
    counts = graph.op("ScatterElements", graph.filled(texts), text, ones, reduction="add")  # (B,)
    begins = graph.take(graph.sums(counts, exclusive=1), text)
    rank = graph.op("Sub", graph.sums(ones, exclusive=1), begins)  # (F,) in its text
    # With one 0 more, there is a maximum when there is no text.
    most = graph.op("ReduceMax", graph.op("Pad", counts, graph.int64([0, 1]), graph.constant(0, np.int32)), keepdims=1)
    most = graph.cast(most, TensorProto.INT64)  # (1,) K
    at = graph.op("Add", graph.op("Mul", text, most), graph.cast(rank, TensorProto.INT64))
    blank = graph.filled(graph.op("Mul", texts, most), value=pad)
    behind = graph.op("ScatterElements", blank, at, rows)
    # allowzero: a 0 in the shape is no text or no phrase, and not "as the input has it", which Reshape takes it for.
    behind = graph.op("Reshape", behind, graph.op("Concat", texts, most, axis=0), allowzero=1)
    return graph.op("Concat", grid, graph.cast(behind, dtype), axis=1)


def rows_in_place(graph: GraphBuilder, table: HashTable, grid: str, pad: int, dtype: int) -> str:
    """(B, L - 1) of row numbers from a grid (B, L) of ids: of the phrase that each two neighbours are, or `pad`.

    For graphs of fixed shape, in which nothing is as many as are found; and for vectors of tokens.
    """
    keys = neighbours(graph, grid)
    slots, is_there = looked_up(graph, "phrase", table, graph.op("Reshape", keys, graph.int64([-1])))
    rows = graph.take(graph.table("phrase_rows", lambda: table.ids), slots)
    rows = graph.op("Where", is_there, rows, graph.constant(pad, np.int32))
    return graph.cast(graph.op("Reshape", rows, graph.op("Shape", keys), allowzero=1), dtype)
