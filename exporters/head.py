"""The head of a classifier in a graph: a vector and a grid of token ids -> logits, probabilities and labels.

All of it is whole numbers up to one rounding, so that every machine gives the same logits, bit for bit, and so the same
labels. The vector is rounded to steps of 2^-14, and the layer on it to int16: their products and sums are exact in
float64 in any order, and fit int32, too. The rows of grams are int8 with a weight a row. They are found by a perfect
hash of two token ids (`text_hash`). What is done in float64 then is done in one order: products, a quotient, two sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edge_potion.grams import ALONE
from edge_potion.head import NONE_OF_THESE, Head
from edge_potion.phrases_in_graph import BASE, SALT, pair_keys

from .graph_builder import GraphBuilder
from .quantize import LARGEST_INT8, LARGEST_ROW_WEIGHT
from .text_hash import HashTable, hash_table, looked_up

__all__ = ["VECTOR_STEPS", "PackedHead", "labels_of", "logits_of", "pack_head", "probabilities_of"]

VECTOR_STEPS = 2**14  # to which the values of a vector of unit length are rounded
LARGEST_INT16 = 2**15 - 1
# Of a column of the layer: |its product with a vector| <= 2^14 * 2^17, less what rounding adds, is then within int32.
LONGEST_COLUMN = 2**17 * 0.99


@dataclass(frozen=True)
class PackedHead:
    """A head as a graph holds it. Its temperature is in the scales and the bias.

    logits = ((u @ dense) * dense_scale + (row_weights[g] @ rows[g]) * row_scale / sqrt(n)) + bias, in float64, where u
    are the whole numbers nearest to the vector times VECTOR_STEPS, and g the places of the text's grams.

    Attributes:
        dense: (D, C) int16.
        rows: (R + 1, C) int8; the last one is zeros, of a gram without a row.
        row_weights: (R + 1,) uint8 in 0..127.
        dense_scale, row_scale, bias: (C,) float64.
        grams: where each gram is found; None where there is none.
        labels, multi_label, threshold: as Head has them.
    """

    dense: np.ndarray
    rows: np.ndarray
    row_weights: np.ndarray
    dense_scale: np.ndarray
    row_scale: np.ndarray
    bias: np.ndarray
    grams: HashTable | None
    labels: tuple[str, ...]
    multi_label: bool
    threshold: float | None


def pack_head(head: Head) -> PackedHead:
    """Round a head to whole numbers."""
    temperature = np.float64(head.temperature)
    dense = head.dense.astype(np.float64)
    steps = np.maximum(
        np.abs(dense).max(axis=0) / LARGEST_INT16, np.linalg.norm(dense, axis=0) / LONGEST_COLUMN
    )  # (C,)
    steps[steps == 0] = 1
    rows = head.rows.astype(np.float64)
    largest = np.abs(rows).max(axis=0, initial=0)  # (C,)
    largest[largest == 0] = 1
    shares = rows / largest  # (R, C) in -1..1
    # 1e-9: rounding must not make the largest row need a step more than there are.
    row_weights = np.ceil(np.abs(shares).max(axis=1, initial=0) * LARGEST_ROW_WEIGHT * (1 - 1e-9))  # (R,)
    units = shares * (LARGEST_ROW_WEIGHT * LARGEST_INT8) / np.maximum(row_weights, 1)[:, None]
    return PackedHead(
        np.rint(dense / steps).astype(np.int16),
        np.vstack([np.rint(units).clip(-LARGEST_INT8, LARGEST_INT8), np.zeros((1, rows.shape[1]))]).astype(np.int8),
        np.append(row_weights, 0).astype(np.uint8),
        steps / VECTOR_STEPS / temperature,
        largest / (LARGEST_ROW_WEIGHT * LARGEST_INT8) / temperature,
        head.bias.astype(np.float64) / temperature,
        hash_table(_keys(head.grams), np.arange(len(rows), dtype=np.int32)) if len(rows) else None,
        head.labels,
        head.multi_label,
        head.threshold,
    )


def _keys(grams: np.ndarray) -> np.ndarray:
    """(R,) uint64, as the graph computes them."""
    return pair_keys(grams - [0, ALONE]).view(np.uint64)


def logits_of(graph: GraphBuilder, packed: PackedHead, vector: str, grid: str, pad: int) -> str:
    """(B, C) float32 from vectors (B, D) float32 of unit length, and a grid (B, L) of ids, `pad` where no token is."""
    steps = graph.op("Mul", graph.cast(vector, TensorProto.DOUBLE), graph.constant(VECTOR_STEPS, np.float64))
    dense = graph.table("head_dense", lambda: packed.dense.astype(np.float64))  # MatMul takes no int16
    scores = graph.op("MatMul", graph.op("Round", steps), dense)  # (B, C) whole numbers
    scores = graph.op("Mul", scores, graph.table("head_dense_scale", lambda: packed.dense_scale))
    if packed.grams is not None:
        sums = _row_sums(graph, packed, packed.grams, graph.cast(grid, TensorProto.INT64))
        sums = graph.op("Mul", sums, graph.table("head_row_scale", lambda: packed.row_scale))
        scores = graph.op("Add", scores, graph.op("Div", sums, _root_of_tokens(graph, grid, pad)))
    scores = graph.op("Add", scores, graph.table("head_bias", lambda: packed.bias))
    return graph.cast(scores, TensorProto.FLOAT)


def _row_sums(graph: GraphBuilder, packed: PackedHead, table: HashTable, grid: str) -> str:
    """(B, C) float64, whole numbers: the rows of a text's grams."""
    ends = [graph.int64([0]), graph.int64([-1]), graph.int64([1])]  # all but the last column
    begins = [graph.int64([1]), graph.int64([np.iinfo(np.int64).max]), graph.int64([1])]  # all but the first
    one = graph.int64(1)
    firsts = graph.op("Mul", graph.op("Add", grid, one), graph.int64(int(BASE.view(np.int64))))  # (B, L)
    seconds = graph.op("Mul", graph.op("Add", grid, graph.int64(1 - ALONE)), graph.int64(int(SALT.view(np.int64))))
    alone = graph.op("Add", firsts, graph.int64(int(SALT.view(np.int64))))
    pairs = graph.op("Add", graph.op("Slice", firsts, *ends), graph.op("Slice", seconds, *begins))
    keys = graph.op("Concat", alone, pairs, axis=1)  # (B, 2 L - 1)
    slots, is_there = looked_up(graph, "head", table, graph.op("Reshape", keys, graph.int64([-1])))
    places = graph.take(graph.table("head_places", lambda: table.ids), slots)
    places = graph.op("Where", is_there, places, graph.constant(len(packed.rows) - 1, np.int32))
    weights = graph.take(graph.table("head_row_weights", lambda: packed.row_weights), places)
    # allowzero: a 0 in the shape is no text, and not "as the input has it", which Reshape would take it for.
    square = graph.op("Shape", keys)
    weights = graph.op("Unsqueeze", graph.op("Reshape", weights, square, allowzero=1), graph.int64([1]))
    rows = graph.op(
        "Gather", graph.table("head_rows", lambda: packed.rows), graph.op("Reshape", places, square, allowzero=1)
    )
    sums = graph.op("MatMulInteger", weights, rows)  # (B, 1, C) int32
    return graph.cast(graph.op("Squeeze", sums, graph.int64([1])), TensorProto.DOUBLE)


def _root_of_tokens(graph: GraphBuilder, grid: str, pad: int) -> str:
    """(B, 1) float64: the square root of how many tokens a text has, at least 1."""
    is_token = graph.op("Less", graph.cast(grid, TensorProto.INT64), graph.int64(pad))
    count = graph.op("ReduceSum", graph.cast(is_token, TensorProto.INT32), graph.int64([1]), keepdims=1)
    count = graph.op("Max", count, graph.constant(1, np.int32))
    return graph.op("Sqrt", graph.cast(count, TensorProto.DOUBLE))


def probabilities_of(graph: GraphBuilder, packed: PackedHead, logits: str) -> str:
    """(B, C) float32 from logits (B, C)."""
    return graph.op("Sigmoid", logits) if packed.multi_label else graph.op("Softmax", logits, axis=1)


def labels_of(graph: GraphBuilder, packed: PackedHead, logits: str, probabilities: str) -> str:
    """(B,) int64: the number of the likeliest label, NONE_OF_THESE where its probability is below the threshold."""
    best = graph.op("ArgMax", logits, axis=1, keepdims=0)
    if packed.threshold is None:
        return best
    highest = graph.op("ReduceMax", probabilities, graph.int64([1]), keepdims=0)
    enough = graph.op("GreaterOrEqual", highest, graph.constant(packed.threshold, np.float32))
    return graph.op("Where", enough, best, graph.int64(NONE_OF_THESE))
