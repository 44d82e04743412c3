"""The second half of every graph: a grid of row numbers -> one vector a text.

The grid is (B, L) int64 with L >= 1, because MatMulInteger over zero columns returns uninitialized memory (ONNX
Runtime 1.32). It holds PAD, the number of a row of zeros behind the table, wherever there is no token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from onnx import TensorProto

from edge_potion.providers import KEY_NODES
from edge_potion.static_model import NORM_EPS

from .graph_builder import GraphBuilder
from .phrase_rows import rows_in_place, with_phrases
from .quantize import DIGIT_BASE, PackedTable
from .text_hash import HashTable

__all__ = ["Pooling", "take_grid"]

TABLE_NODE, POOL_NODE = KEY_NODES


@dataclass(frozen=True)
class Pooling:
    """What the second half is made from.

    Attributes:
        packed: the table at the precision of this graph, (V + P, D).
        dropped: ids that count for nothing in a mean ([UNK], [PAD]); their rows are zero.
        normalize: whether vectors get unit length.
        phrases: where the rows of phrases are found; None where there are none.
        is_fixed: whether every shape of the graph is told when it is written.
        for_engine: whether the native engine reads the graph's tables, and so finds each by a name.
    """

    packed: PackedTable
    dropped: tuple[int, ...]
    normalize: bool
    phrases: HashTable | None = None
    is_fixed: bool = False
    for_engine: bool = False

    @property
    def pad(self) -> int:
        """V + P, the row number of PAD."""
        return len(self.packed.rows)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.packed.rows.shape[1])

    @cached_property
    def digits(self) -> int:
        """k, the digits of an int8 table's row weights: 1, but for tables of uneven rows."""
        return len(self.packed.row_digits)

    @property
    def _is_row_scaled(self) -> bool:
        """Whether the rows of a float table have powers of two of their own."""
        return self.packed.precision != "int8" and bool((self.packed.row_weights != 1).any())

    @property
    def _grid_type(self) -> int:
        """TensorProto's type of a grid."""
        return TensorProto.INT32 if self.for_engine or self.is_fixed else TensorProto.INT64

    def bag(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L + K) of row numbers: those of the ids in a grid (B, L), and of the phrases that they make."""
        if self.phrases is None:
            return grid
        if self.is_fixed:
            behind = rows_in_place(graph, self.phrases, grid, self.pad, self._grid_type)
            return graph.op("Concat", grid, behind, axis=1)
        return with_phrases(graph, self.phrases, grid, self.pad, self._grid_type)

    def rows(self, graph: GraphBuilder, grid: str, name: str | None = None) -> str:
        """(B, L, D) table rows, at the table's own dtype."""
        zeros = np.zeros((1, self.dim), self.packed.rows.dtype)
        table = graph.table("table_rows", lambda: np.concatenate([self.packed.rows, zeros]))
        return graph.op("Gather", table, grid, name=name)

    def digit(self, graph: GraphBuilder, grid: str, place: int) -> str:
        """(B, L) uint8: a digit of the row weights of an int8 table, 0 for the highest."""
        name = "row_weights" if place == 0 else f"row_weights_{place}"
        return take_grid(graph, graph.table(name, lambda: np.append(self.packed.row_digits[place], np.uint8(0))), grid)

    def factors(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L) float32: row weights that are no single digit."""
        factors = graph.table("row_factors", lambda: np.append(self.packed.row_weights, 0).astype(np.float32))
        return take_grid(graph, factors, grid)

    def sentence_embedding(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32 of a grid of ids: normalized, or the mean over the known tokens and the phrases."""
        grid = self.bag(graph, grid)
        is_int8 = self.packed.precision == "int8"
        sums = self._int_sums(graph, grid) if is_int8 else self._float_sums(graph, grid)
        if self.normalize:
            return _unit_length(graph, sums, exact=is_int8)
        means = graph.op("Div", sums, self._known_tokens(graph, grid))
        return graph.op("Mul", means, self._factor(graph, "scale", self.packed.scale))

    def unit_vector(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32 of unit length, also where the model's vectors have another; zeros stay zeros."""
        return replace(self, normalize=True).sentence_embedding(graph, grid)

    def token_embeddings(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L - 1, D) float32: the row of each token, without the PAD column.

        The row of a phrase is added to that of its second token: the mean over the tokens then has the direction of the
        sum over the bag, and another length.
        """
        vectors = self._token_rows(graph, grid)
        if self.phrases is None:
            return vectors
        behind = rows_in_place(graph, self.phrases, grid, self.pad, self._grid_type)  # (B, L - 1)
        before = graph.op("Pad", behind, graph.int64([0, 1, 0, 0]), graph.int64(self.pad))  # (B, L): none ends first
        return graph.op("Add", vectors, self._token_rows(graph, before))

    def _token_rows(self, graph: GraphBuilder, grid: str) -> str:
        """(B, L - 1, D) float32: table rows, without those of the last column."""
        first = [graph.int64([0]), graph.int64([-1]), graph.int64([1])]  # all but the last column
        rows = graph.cast(graph.op("Slice", self.rows(graph, grid), *first), TensorProto.FLOAT)
        if self.packed.precision == "int8" or self._is_row_scaled:
            has_one_digit = self.packed.precision == "int8" and self.digits == 1
            weights = self.digit(graph, grid, 0) if has_one_digit else self.factors(graph, grid)
            weights = graph.cast(graph.op("Slice", weights, *first), TensorProto.FLOAT)
            rows = graph.op("Mul", rows, graph.op("Unsqueeze", weights, graph.int64([2])))
        return graph.op("Mul", rows, graph.constant(self.packed.column_weights * np.float32(self.packed.scale)))

    def _int_sums(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32, whole numbers: exact sums, rounded once, so the bits are the same on every machine.

        Of k digits the sums are put together from the highest down, rounded once a digit. In float32, for int64 is
        narrowed by OpenVINO and unknown to WebGPU; a power of two changes no bit, and the order is fixed.
        """
        digits = [self.digit(graph, grid, place) for place in range(self.digits)]
        digits = [graph.op("Unsqueeze", digit, graph.int64([1])) for digit in digits]  # (B, 1, L) u8
        weights = digits[0] if self.digits == 1 else graph.op("Concat", *digits, axis=1)  # (B, k, L)
        parts = graph.op("MatMulInteger", weights, self.rows(graph, grid, TABLE_NODE), name=POOL_NODE)  # (B, k, D) i32
        if self.digits == 1:
            sums = graph.cast(graph.op("Squeeze", parts, graph.int64([1])), TensorProto.FLOAT)
        else:
            parts = graph.cast(parts, TensorProto.FLOAT)
            sums = graph.op("Gather", parts, graph.int64(0), axis=1)  # (B, D)
            for place in range(1, self.digits):
                sums = graph.op("Mul", sums, graph.constant(DIGIT_BASE, np.float32))
                sums = graph.op("Add", sums, graph.op("Gather", parts, graph.int64(place), axis=1))
        return graph.op("Mul", sums, self._factor(graph, "column_weights", self.packed.column_weights))

    def _factor(self, graph: GraphBuilder, name: str, values: Any) -> str:
        numbers = np.asarray(values, np.float32)
        return graph.table(name, lambda: np.atleast_1d(numbers)) if self.for_engine else graph.constant(numbers)

    def _float_sums(self, graph: GraphBuilder, grid: str) -> str:
        """(B, D) float32. The rows of [UNK] and PAD are zero, so no mask is needed."""
        rows = self.rows(graph, grid, TABLE_NODE)
        if self.packed.precision != "float32":
            rows = graph.cast(rows, TensorProto.FLOAT)  # after the Gather: before it, the whole table would expand
        if self._is_row_scaled:
            rows = graph.op("Mul", rows, graph.op("Unsqueeze", self.factors(graph, grid), graph.int64([2])))
        return graph.op("ReduceSum", rows, graph.int64([1]), keepdims=0, name=POOL_NODE)

    def _known_tokens(self, graph: GraphBuilder, grid: str) -> str:
        """(B, 1) float32: how many rows the mean is over, at least 1."""
        known = np.ones(self.pad + 1, np.int32)
        known[[*self.dropped, self.pad]] = 0
        flags = take_grid(graph, graph.table("is_known", lambda: known), grid)
        count = graph.op("ReduceSum", flags, graph.int64([1]), keepdims=1)
        return graph.cast(graph.op("Max", count, graph.constant(1, np.int32)), TensorProto.FLOAT)


def take_grid(graph: GraphBuilder, values: str, places: str) -> str:
    """(B, L): `values` (N,) at `places` (B, L). GatherElements copies single values four times as fast as Gather."""
    flat = graph.op("Reshape", places, graph.int64([-1]))
    # allowzero: a 0 in the shape is no text, and not "as the input has it", which Reshape would take it for.
    return graph.op("Reshape", graph.take(values, flat), graph.op("Shape", places), allowzero=1)


def _unit_length(graph: GraphBuilder, sums: str, *, exact: bool) -> str:
    """`sums` (B, D) float32 over its norm; zeros stay zeros.

    `exact` is for whole numbers: their squares add up in float64 without rounding below 2^53, in whatever order a
    machine adds them, so that every machine gives the same bits. Beyond (hundreds of heavy tokens, or row weights of
    several digits) orders may differ in the last bit of a float64, which the rounding to float32 hides but for about
    one norm in 10^8.
    """
    if exact:
        wide = graph.cast(sums, TensorProto.DOUBLE)
        squares = graph.op("ReduceSum", graph.op("Mul", wide, wide), graph.int64([1]), keepdims=1)
        norm = graph.cast(graph.op("Sqrt", squares), TensorProto.FLOAT)
    else:
        norm = graph.op("ReduceL2", sums, graph.int64([1]), keepdims=1)
    return graph.op("Div", sums, graph.op("Max", norm, graph.constant(NORM_EPS, np.float32)))
