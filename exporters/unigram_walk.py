"""Walks in a trie by a graph: many side by side, a turn of a Loop for some symbols, until none goes on.

Units are read as one int64 each, base + check * 2^32, so that one look-up and one subtraction tell a child's base, or
that it is none.

Shapes: M characters, W words, A nodes that were reached; the walks of a turn are fewer and fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from .double_array import HIGH
from .graph_builder import GraphBuilder
from .unigram_tables import UnigramPieces

__all__ = ["Reached", "reached", "symbols_of", "whole"]

AT_A_TURN = 4  # symbols
NO_BASE = -(1 << 31)  # the bits that no base has
INT64 = TensorProto.INT64


@dataclass(frozen=True)
class Reached:
    """All nodes that walks came to.

    Attributes:
        nodes: (A,) int64.
        at: (A,) int64, place of the last character + M * the characters before it that were walked.
        most: scalar int64, most characters of a walk, at least 1.
    """

    nodes: str
    at: str
    most: str


def symbols_of(graph: GraphBuilder, codes: str) -> str:
    """(n,) int64 symbols of code points (n,) int32."""
    high = graph.op("Div", codes, graph.constant(256, np.int32))
    page = graph.take("symbol_page_of", high)
    low = graph.op("BitwiseAnd", codes, graph.constant(255, np.int32))
    entry = graph.op("Add", graph.op("Mul", page, graph.constant(256, np.int32)), low)
    return graph.cast(graph.take("symbols", entry), INT64)


def reached(graph: GraphBuilder, pieces: UnigramPieces, symbols: str) -> Reached:
    """Every node that a walk from every character comes to; a symbol 0 ends all walks, and is the last of (M,)."""
    size = graph.op("Shape", symbols)  # (1,) M
    step = graph.op("Add", size, graph.int64([1]))
    here = graph.numbers(graph.op("Squeeze", size))
    nodes = graph.op("Expand", graph.int64([0]), size)
    bases = graph.op("Expand", graph.int64([pieces.root_base]), size)

    def turned(turn: str, states: list[str]) -> tuple[str, list[str]]:
        nodes, bases, at, all_nodes, all_at = states
        found_nodes, found_at = [all_nodes], [all_at]
        for more in range(AT_A_TURN):
            depth = graph.op("Add", graph.op("Mul", turn, graph.int64(AT_A_TURN)), graph.int64(more))
            place = graph.op("Sub", at, graph.op("Mul", depth, size))
            nodes, bases, (at,) = _children(graph, nodes, bases, graph.take(symbols, place), [at])
            found_nodes.append(nodes)
            found_at.append(at)
            at = graph.op("Add", at, step)
        joined = [graph.op("Concat", *each, axis=0) for each in (found_nodes, found_at)]
        return _any(graph, nodes), [nodes, bases, at, *joined]

    none = graph.constant(np.zeros(0, np.int64))
    made = graph.loop(turned, [nodes, bases, here, none, none], [(INT64, 1)] * 5)
    greatest = graph.op("ReduceMax", graph.op("Concat", made[4], graph.int64([0]), axis=0), keepdims=0)
    most = graph.op("Add", graph.op("Div", greatest, graph.op("Squeeze", size)), graph.int64(1))
    return Reached(made[3], made[4], most)


def whole(
    graph: GraphBuilder, pieces: UnigramPieces, symbols: str, first: str, lengths: str, has_blank: str | None, ids: str
) -> str:
    """(W,) int32: the value in the table `ids` of the node to which each string leads; -1 where it leads to none.

    Args:
        graph: to which nodes are added.
        pieces: whose trie it is.
        symbols: (n,) int64.
        first: (W,) int32 or int64, where each string begins.
        lengths: (W,) int32 or int64, at least 1, with the ▁ before it.
        has_blank: (W,) int32, whether there is one; None where none has.
        ids: (N,) int32, a table of nodes.
    """
    first, left = (graph.cast(each, INT64) for each in (first, lengths))
    size = graph.op("Shape", first)
    number = graph.numbers(graph.op("Squeeze", size))
    if has_blank is None:
        nodes = graph.op("Expand", graph.int64([0]), size)
        bases = graph.op("Expand", graph.int64([pieces.root_base]), size)
    else:
        roots = [[root, blank] for root, blank in zip((0, pieces.root_base), pieces.blank, strict=True)]
        nodes, bases = (graph.take(graph.int64(each), has_blank) for each in roots)
        left = graph.op("Sub", left, graph.cast(has_blank, INT64))

    def turned(_: str, states: list[str]) -> tuple[str, list[str]]:
        nodes, bases, place, left, number, ends, owners = states
        found, found_by = [ends], [owners]
        for _more in range(AT_A_TURN):
            symbol = graph.take(symbols, place)
            nodes, bases, (place, left, number) = _children(graph, nodes, bases, symbol, [place, left, number])
            is_end = graph.op("Equal", left, graph.int64(1))
            found.append(graph.op("Compress", nodes, is_end, axis=0))
            found_by.append(graph.op("Compress", number, is_end, axis=0))
            goes_on = graph.op("Not", is_end)
            nodes, bases, place, left, number = (
                graph.op("Compress", each, goes_on, axis=0) for each in (nodes, bases, place, left, number)
            )
            place, left = graph.op("Add", place, graph.int64(1)), graph.op("Sub", left, graph.int64(1))
        joined = [graph.op("Concat", *each, axis=0) for each in (found, found_by)]
        return _any(graph, nodes), [nodes, bases, place, left, number, *joined]

    none = graph.constant(np.zeros(0, np.int64))
    made = graph.loop(turned, [nodes, bases, first, left, number, none, none], [(INT64, 1)] * 7)
    return graph.op("ScatterElements", graph.filled(size, value=-1), made[6], graph.take(ids, made[5]))


def _children(
    graph: GraphBuilder, nodes: str, bases: str, symbols: str, others: list[str]
) -> tuple[str, str, list[str]]:
    """The children of nodes by symbols, and their bases; of these and of `others` where there is a child alone."""
    places = graph.op("Add", bases, symbols)
    units = graph.take("trie_units", places)
    below = graph.op("Sub", units, graph.op("Mul", nodes, graph.int64(HIGH)))
    high = graph.op("BitwiseAnd", below, graph.int64(NO_BASE))
    is_child = graph.op("Equal", high, graph.int64(0))
    kept = [graph.op("Compress", each, is_child, axis=0) for each in (places, below, *others)]
    return kept[0], kept[1], kept[2:]


def _any(graph: GraphBuilder, values: str) -> str:
    """Whether there is one (n,): a scalar."""
    return graph.op("Greater", graph.op("Squeeze", graph.op("Shape", values)), graph.int64(0))
