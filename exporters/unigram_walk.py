"""Walks in a trie by a graph: many side by side, a turn of a Loop for some symbols, until none goes on.

Units are read as one int64 each, base + check * 2^32, so that one look-up and one subtraction tell a child's base, or
that it is none.

Shapes: M characters, W words, A nodes that were reached; the walks of a turn are fewer and fewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class _Walks:
    """Where walks stand: (k,) int64 each."""

    nodes: str
    bases: str
    place: str


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
    here = graph.numbers(graph.op("Squeeze", size))
    nodes, bases = (graph.op("Expand", graph.int64([each]), size) for each in (0, pieces.root_base))

    def turned(_: str, states: list[str]) -> tuple[str, list[str]]:
        *standing, walked, all_nodes, all_at = states
        walks = _Walks(*standing)
        found_nodes, found_at = [all_nodes], [all_at]
        for _more in range(AT_A_TURN):
            walks = _children(graph, walks, symbols)
            found_nodes.append(walks.nodes)
            found_at.append(graph.op("Add", walks.place, walked))
            walks = replace(walks, place=graph.op("Add", walks.place, graph.int64(1)))
            walked = graph.op("Add", walked, size)
        joined = [graph.op("Concat", *each, axis=0) for each in (found_nodes, found_at)]
        return _any(graph, walks.nodes), [walks.nodes, walks.bases, walks.place, walked, *joined]

    none = graph.constant(np.zeros(0, np.int64))
    made = graph.loop(turned, [nodes, bases, here, graph.int64([0]), none, none], [(INT64, 1)] * 6)
    greatest = graph.op("ReduceMax", graph.op("Concat", made[5], graph.int64([0]), axis=0), keepdims=0)
    most = graph.op("Add", graph.op("Div", greatest, graph.op("Squeeze", size)), graph.int64(1))
    return Reached(made[4], made[5], most)


def whole(
    graph: GraphBuilder, pieces: UnigramPieces, symbols: str, first: str, stop: str, has_blank: str | None, ids: str
) -> str:
    """(W,) int32: the value in the table `ids` of the node to which each string leads; that of the root for no node.

    Args:
        graph: to which nodes are added.
        pieces: whose trie it is.
        symbols: (n,) int64.
        first: (W,) int32, where each string begins; it has one character at least, and no two share one.
        stop: (W,) int32, place of the character behind it, which there always is.
        has_blank: (W,) int32, whether a ▁ stands before it; None where none does.
        ids: (N,) int32, a table of nodes.
    """
    size = graph.op("Shape", first)
    if has_blank is None:
        nodes, bases = (graph.op("Expand", graph.int64([each]), size) for each in (0, pieces.root_base))
    else:
        roots = zip((0, pieces.root_base), pieces.blank, strict=True)
        nodes, bases = (graph.take(graph.int64(list(each)), has_blank) for each in roots)
    place = graph.cast(first, INT64)
    zeros = graph.op("Expand", graph.int64([0]), size)
    # No walk leaves its string: behind it stands a 0, where the first step from the next string reads what was there.
    ended = graph.op("ScatterElements", symbols, stop, zeros)
    begun = _children(graph, _Walks(nodes, bases, place), symbols)

    def turned(_: str, states: list[str]) -> tuple[str, list[str]]:
        *standing, all_nodes, all_places = states
        walks = _Walks(*standing)
        found, found_at = [all_nodes], [all_places]
        for _more in range(AT_A_TURN):
            ahead = replace(walks, place=graph.op("Add", walks.place, graph.int64(1)))
            walks = _children(graph, ahead, ended)
            found.append(walks.nodes)
            found_at.append(walks.place)
        joined = [graph.op("Concat", *each, axis=0) for each in (found, found_at)]
        return _any(graph, walks.nodes), [walks.nodes, walks.bases, walks.place, *joined]

    turns = graph.op("Mul", graph.op("Squeeze", size), graph.int64(pieces.longest))  # none where there is no string
    made = graph.loop(
        turned, [begun.nodes, begun.bases, begun.place, begun.nodes, begun.place], [(INT64, 1)] * 5, turns
    )
    blank = graph.op("Mul", symbols, graph.int64(0))
    nodes_at = graph.op("ScatterElements", blank, made[4], made[3])  # (n,), 0 where no walk came
    return graph.take(ids, graph.take(nodes_at, graph.op("Sub", stop, graph.constant(1, np.int32))))


def _children(graph: GraphBuilder, walks: _Walks, symbols: str) -> _Walks:
    """Those that go on, by the symbol at each place."""
    children = graph.op("Add", walks.bases, graph.take(symbols, walks.place))
    below = graph.op("Sub", graph.take("trie_units", children), graph.op("Mul", walks.nodes, graph.int64(HIGH)))
    is_child = graph.op("Equal", graph.op("BitwiseAnd", below, graph.int64(NO_BASE)), graph.int64(0))
    return _Walks(*(graph.op("Compress", each, is_child, axis=0) for each in (children, below, walks.place)))


def _any(graph: GraphBuilder, values: str) -> str:
    """Whether there is one (n,): a scalar."""
    return graph.op("Greater", graph.op("Squeeze", graph.op("Shape", values)), graph.int64(0))
