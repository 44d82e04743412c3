"""Unigram's unknown characters in a graph: those beside each other are one token, which may be a piece again, or bytes.

Shapes: T nodes of the lattice, R tokens when those of the unknown piece are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from .graph_builder import GraphBuilder
from .unigram_lattice import Segments
from .unigram_tables import UnigramPieces
from .unigram_walk import whole

__all__ = ["Tokens", "joined"]

INT32 = TensorProto.INT32


@dataclass(frozen=True)
class Tokens:
    """Nodes of the lattice.

    Attributes:
        cut: where they lie.
        word: (T,) int32, ascending.
        symbols: (M,) int64.
        code_of: from names of characters (k,) int32 to their code points (k,) int32.
    """

    cut: Segments
    word: str
    symbols: str
    code_of: Callable[[str], str]


def joined(graph: GraphBuilder, pieces: UnigramPieces, tokens: Tokens) -> tuple[str, str]:
    """Ids and words of the tokens, int32 both."""
    unknown = graph.constant(pieces.unknown, np.int32)
    ids = graph.take("trie_ids", tokens.cut.nodes)  # (T,), -1 for a character that is no piece
    is_named = graph.op("Equal", ids, unknown)  # the unknown piece by its own name
    is_unknown = graph.op("Or", graph.op("Less", ids, graph.constant(0, np.int32)), is_named)
    before = graph.op("Concat", graph.constant([-1], np.int32), graph.but_last(tokens.word), axis=0)
    before_it = graph.op("Concat", graph.constant([False], np.bool_), graph.but_last(is_unknown), axis=0)
    goes_on = graph.op("And", graph.op("And", is_unknown, before_it), graph.op("Equal", tokens.word, before))
    kept = graph.op("Not", goes_on)
    words = graph.op("Compress", tokens.word, kept, axis=0)
    found = graph.op("Compress", graph.op("Max", ids, graph.constant(-1, np.int32)), kept, axis=0)
    is_run = graph.op("Compress", is_unknown, kept, axis=0)
    found = graph.op("Where", is_run, unknown, found)  # (R,)
    if not pieces.joins and pieces.byte_ids is None:
        return found, words

    def resolved() -> list[str]:
        count = graph.cast(graph.op("Shape", ids), INT32)
        first = graph.op("Compress", graph.numbers32(count), kept, axis=0)  # (R,) of T
        last = graph.op("Sub", graph.op("Concat", graph.but_first(first), count, axis=0), graph.constant(1, np.int32))
        runs = graph.op("Compress", graph.numbers32(graph.cast(graph.op("Shape", first), INT32)), is_run, axis=0)
        first, last = graph.take(first, runs), graph.take(last, runs)  # (U,)
        begins = graph.op("Sub", graph.take(tokens.cut.last, first), graph.take(tokens.cut.before, first))
        stops = graph.op("Add", graph.take(tokens.cut.last, last), graph.constant(1, np.int32))
        values = _as_pieces(graph, pieces, tokens, first, last, begins, stops, ids)
        if pieces.byte_ids is None:
            values = graph.op("Where", graph.op("Less", values, graph.constant(0, np.int32)), unknown, values)
            return [graph.op("ScatterElements", found, runs, values), words]
        return _with_bytes(graph, pieces, tokens, found, words, runs, begins, stops, values)

    ids, words = graph.either(_any(graph, is_run), resolved, lambda: [found, words], [(INT32, 1)] * 2)
    return ids, words


def _as_pieces(
    graph: GraphBuilder,
    pieces: UnigramPieces,
    tokens: Tokens,
    first: str,
    last: str,
    begins: str,
    stops: str,
    ids: str,
) -> str:
    """(U,) int32: of a run of nodes the id of the piece that they make, or -1."""
    is_one = graph.op("Equal", first, last)
    # A node alone is a piece by its name, or none.
    values = graph.op("Where", is_one, graph.take(ids, first), graph.constant(-1, np.int32))
    if not pieces.joins:
        return values
    numbers = graph.numbers32(graph.cast(graph.op("Shape", first), INT32))
    several = graph.op("Compress", numbers, graph.op("Not", is_one), axis=0)
    made = whole(
        graph, pieces, tokens.symbols, graph.take(begins, several), graph.take(stops, several), None, "trie_ids"
    )
    return graph.op("ScatterElements", values, several, made)


def _with_bytes(
    graph: GraphBuilder,
    pieces: UnigramPieces,
    tokens: Tokens,
    found: str,
    words: str,
    runs: str,
    begins: str,
    stops: str,
    values: str,
) -> list[str]:
    """Ids and words, where runs of value -1 are the tokens of their bytes, if there is one for each of them."""
    none = graph.constant(0, np.int32)
    numbers = graph.numbers32(graph.cast(graph.op("Shape", runs), INT32))
    open_runs = graph.op("Compress", numbers, graph.op("Less", values, none), axis=0)  # (O,)
    values = graph.op("Where", graph.op("Less", values, none), graph.constant(pieces.unknown, np.int32), values)
    found = graph.op("ScatterElements", found, runs, values)
    run, inside = graph.spread(graph.take(graph.op("Sub", stops, begins), open_runs))  # of characters
    code = tokens.code_of(graph.op("Add", graph.take(graph.take(begins, open_runs), run), inside))
    size = graph.constant(1, np.int32)
    for least in (0x80, 0x800, 0x10000):
        longer = graph.op("GreaterOrEqual", code, graph.constant(least, np.int32))
        size = graph.op("Add", size, graph.cast(longer, INT32))
    character, place = graph.spread(size)  # of bytes
    run, code, size = (graph.take(each, character) for each in (run, code, size))
    behind = graph.op("Sub", graph.op("Sub", size, graph.constant(1, np.int32)), place)
    shifted = graph.op("Div", code, graph.take(graph.constant([1, 1 << 6, 1 << 12, 1 << 18], np.int32), behind))
    lead = graph.op("Add", shifted, graph.take(graph.constant([0, 0, 0xC0, 0xE0, 0xF0], np.int32), size))
    follows = graph.op(
        "Add", graph.op("BitwiseAnd", shifted, graph.constant(0x3F, np.int32)), graph.constant(0x80, np.int32)
    )
    byte_ids = graph.take("byte_ids", graph.op("Where", graph.op("Equal", place, none), lead, follows))
    blank = graph.filled(graph.op("Shape", open_runs))
    lacking = graph.cast(graph.op("Less", byte_ids, none), INT32)
    lacks = graph.op("ScatterElements", blank, run, lacking, reduction="max")  # (O,)
    has_all = graph.op("Equal", graph.take(lacks, run), none)
    run, byte_ids = (graph.op("Compress", each, has_all, axis=0) for each in (run, byte_ids))
    ones = graph.filled(graph.op("Shape", run), value=1)
    sizes = graph.op("ScatterElements", blank, run, ones, reduction="add")  # (O,), 0 where a byte has no token
    sizes = graph.op("Max", sizes, graph.constant(1, np.int32))
    of = graph.take(runs, open_runs)  # (O,) of R
    run_token = graph.take(of, run)
    every = graph.op("ScatterElements", graph.filled(graph.op("Shape", found), value=1), of, sizes)
    token, _ = graph.spread(every)
    # Bytes come in the order of their tokens.
    ids = graph.take(found, token)
    is_byte = graph.take(graph.op("ScatterElements", graph.filled(graph.op("Shape", found)), run_token, ones), token)
    is_byte = graph.cast(is_byte, TensorProto.BOOL)
    places = graph.op("Compress", graph.numbers32(graph.cast(graph.op("Shape", token), INT32)), is_byte, axis=0)
    return [graph.op("ScatterElements", ids, places, byte_ids), graph.take(words, token)]


def _any(graph: GraphBuilder, flags: str) -> str:
    return graph.op("Greater", graph.op("ReduceSum", graph.cast(flags, INT32), keepdims=0), graph.constant(0, np.int32))
