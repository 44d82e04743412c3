"""The second half of every graph: a grid of row numbers -> one vector a text.

The grid is (B, L) int64 with L >= 1, because MatMulInteger over zero columns returns uninitialized memory (ONNX
Runtime 1.32). It holds PAD, the number of a row of zeros behind the table, wherever there is no token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edge_potion.providers import KEY_NODES
from edge_potion.static_model import NORM_EPS

from .graph_builder import GraphBuilder
from .quantize import PackedTable

__all__ = ["Pooling", "take"]

TABLE_NODE, POOL_NODE = KEY_NODES


@dataclass(frozen=True)
class Pooling:
    """What the second half is made from.

    Attributes:
        packed: the table at the precision of this graph, (V, D).
        dropped: ids that count for nothing in a mean ([UNK], [PAD]); their rows are zero.
        normalize: whether vectors get unit length.
    """

    packed: PackedTable
    dropped: tuple[int, ...]
    normalize: bool

    @property
    def pad(self) -> int:
        """V, the row number of PAD."""
        return len(self.packed.rows)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.packed.rows.shape[1])

    def rows(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L, D) table rows, at the table's own dtype."""
        zeros = np.zeros((1, self.dim), self.packed.rows.dtype)
        table = graph.table("table_rows", lambda: np.concatenate([self.packed.rows, zeros]))
        return graph.op("Gather", table, grid, name=TABLE_NODE)

    def weights(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L) uint8 row weights of an int8 table."""
        weights = graph.table("row_weights", lambda: np.append(self.packed.row_weights, np.uint8(0)))
        return take(graph, weights, grid)

    def sentence_embedding(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32: normalized, or the mean over the known tokens."""
        is_int8 = self.packed.precision == "int8"
        sums = self._int_sums(graph, grid) if is_int8 else self._float_sums(graph, grid)
        if self.normalize:
            return _unit_length(graph, sums, exact=is_int8)
        means = graph.op("Div", sums, self._known_tokens(graph, grid))
        return graph.op("Mul", means, graph.constant(self.packed.scale, np.float32))

    def token_embeddings(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L - 1, D) float32: the row of each token, without the PAD column."""
        first = [graph.int64([0]), graph.int64([-1]), graph.int64([1])]  # all but the last column
        rows = graph.cast(graph.op("Slice", self.rows(graph, grid), *first), TensorProto.FLOAT)
        if self.packed.precision == "int8":
            weights = graph.cast(graph.op("Slice", self.weights(graph, grid), *first), TensorProto.FLOAT)
            rows = graph.op("Mul", rows, graph.op("Unsqueeze", weights, graph.int64([2])))
        return graph.op("Mul", rows, graph.constant(self.packed.column_weights * np.float32(self.packed.scale)))

    def _int_sums(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32, whole numbers: exact sums, rounded once, so the bits are the same on every machine."""
        weights = graph.op("Unsqueeze", self.weights(graph, grid), graph.int64([1]))  # (B, 1, L) u8
        sums = graph.op("MatMulInteger", weights, self.rows(graph, grid), name=POOL_NODE)  # (B, 1, D) i32
        sums = graph.cast(graph.op("Squeeze", sums, graph.int64([1])), TensorProto.FLOAT)
        return graph.op("Mul", sums, graph.constant(self.packed.column_weights, np.float32))

    def _float_sums(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32. The rows of [UNK] and PAD are zero, so no mask is needed."""
        rows = self.rows(graph, grid)
        if self.packed.precision != "float32":
            rows = graph.cast(rows, TensorProto.FLOAT)  # after the Gather: before it, the whole table would expand
        return graph.op("ReduceSum", rows, graph.int64([1]), keepdims=0, name=POOL_NODE)

    def _known_tokens(self, graph: GraphBuilder, grid: str) -> str:
        """(B, 1) float32: how many rows the mean is over, at least 1."""
        known = np.ones(self.pad + 1, np.int32)
        known[[*self.dropped, self.pad]] = 0
        flags = take(graph, graph.table("is_known", lambda: known), grid)
        count = graph.op("ReduceSum", flags, graph.int64([1]), keepdims=1)
        return graph.cast(graph.op("Max", count, graph.constant(1, np.int32)), TensorProto.FLOAT)


def take(graph: GraphBuilder, values: str, places: str) -> str:
    """(B, L): `values` (N,) at `places` (B, L). GatherElements copies single values four times as fast as Gather."""
    flat = graph.op("Reshape", places, graph.int64([-1]))
    return graph.op("Reshape", graph.op("GatherElements", values, flat), graph.op("Shape", places), allowzero=1)


def _unit_length(graph: GraphBuilder, sums: str, *, exact: bool) -> str:
    """`sums` (B, D) float32 over its norm; zeros stay zeros.

    `exact` is for whole numbers: their squares add up in float64 without rounding below 2^53, in whatever order a
    machine adds them, so that every machine gives the same bits. Beyond (hundreds of heavy tokens) orders may differ
    in the last bit of a float64, which the rounding to float32 hides but for about one norm in 10^8.
    """
    if exact:
        wide = graph.cast(sums, TensorProto.DOUBLE)
        squares = graph.op("ReduceSum", graph.op("Mul", wide, wide), graph.int64([1]), keepdims=1)
        norm = graph.cast(graph.op("Sqrt", squares), TensorProto.FLOAT)
    else:
        norm = graph.op("ReduceL2", sums, graph.int64([1]), keepdims=1)
    return graph.op("Div", sums, graph.op("Max", norm, graph.constant(NORM_EPS, np.float32)))
