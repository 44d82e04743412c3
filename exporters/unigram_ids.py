"""Unigram's token ids in a graph: words -> whole ones by one walk each, the others cut, what is unknown joined.

Shapes: n code points, W words, K of them that are cut, M their characters and a 0 after each, T tokens of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from .graph_builder import GraphBuilder
from .unigram_lattice import CutWords, segments
from .unigram_tables import BLANK, UnigramPieces
from .unigram_unknown import Tokens, joined
from .unigram_walk import symbols_of, whole
from .unigram_words import UnigramWords

__all__ = ["UnigramIds", "unigram_ids"]

INT32 = TensorProto.INT32


@dataclass(frozen=True)
class UnigramIds:
    """Tokens of words.

    Attributes:
        whole: (W,) int32, the one id of a word; -1 where it is cut.
        counts: (W,) int32 tokens of each.
        ids: (T,) int32, of words that are cut.
        word: (T,) int32, of which word each is.
        rank: (T,) int32, which token of it.
    """

    whole: str
    counts: str
    ids: str
    word: str
    rank: str


def unigram_ids(graph: GraphBuilder, pieces: UnigramPieces, words: UnigramWords) -> UnigramIds:
    """The ids of all words."""
    symbols = symbols_of(graph, words.codes)
    found = whole(graph, pieces, symbols, words.first, words.stop, words.has_blank, "trie_words")  # (W,)
    is_cut = graph.op("Less", found, graph.constant(0, np.int32))
    size = graph.op("Shape", found)
    rest = graph.op("Compress", graph.numbers32(graph.cast(size, INT32)), is_cut, axis=0)  # (K,)

    def cut() -> list[str]:
        return _cut(graph, pieces, words, symbols, rest)

    def none() -> list[str]:
        return [graph.filled(size, value=1), rest, rest, rest]  # of which there are none

    is_any = graph.op("Greater", graph.op("Squeeze", graph.op("Shape", rest)), graph.int64(0))
    return UnigramIds(found, *graph.either(is_any, cut, none, [(INT32, 1)] * 4))


def _cut(graph: GraphBuilder, pieces: UnigramPieces, words: UnigramWords, symbols: str, rest: str) -> list[str]:
    """counts, ids, word and rank of UnigramIds, where K is 1 or more."""
    one = graph.constant(1, np.int32)
    lengths = graph.op("Add", graph.op("Sub", words.stop, words.first), one)  # (W,)
    if words.has_blank:
        lengths = graph.op("Add", lengths, words.has_blank)
    lengths = graph.take(lengths, rest)  # (K,)
    order = graph.order(lengths)
    lengths, own = graph.take(lengths, order), graph.take(rest, order)
    word, offset = graph.spread(lengths)  # (M,)
    first = graph.take(words.first, own)
    begins = graph.sums(lengths, exclusive=1)
    ends = graph.op("Sub", graph.op("Add", begins, lengths), one)
    beginning, at_first = first, graph.take(symbols, first)
    if words.has_blank:
        blanks = graph.take(words.has_blank, own)
        beginning = graph.op("Sub", first, blanks)  # where a ▁ that stands nowhere would stand
        blank = graph.int64(pieces.symbol_of(BLANK))
        at_first = graph.op("Where", graph.cast(blanks, TensorProto.BOOL), blank, at_first)
    # A place before all others is read as the last one, and written over.
    places = graph.op("Add", graph.take(graph.op("Sub", beginning, begins), word), graph.numbers32(_count(graph, word)))
    own_symbols = graph.take(symbols, places)
    zeros = graph.op("Mul", at_first, graph.int64(0))
    own_symbols = graph.op(
        "ScatterElements",
        own_symbols,
        graph.op("Concat", begins, ends, axis=0),
        graph.op("Concat", at_first, zeros, axis=0),
    )
    is_end = graph.op("Equal", offset, graph.take(graph.op("Sub", lengths, one), word))
    cut = segments(graph, pieces, CutWords(own_symbols, is_end, word, offset, lengths))

    def code_of(characters: str) -> str:
        """Code points of characters (k,) int32 of M."""
        place = graph.take(places, characters)
        codes = graph.take(words.codes, place)
        if not words.has_blank:
            return codes
        is_blank = graph.op("Less", place, graph.take(first, graph.take(word, characters)))
        return graph.op("Where", is_blank, graph.constant(ord(BLANK), np.int32), codes)

    ids, of = joined(graph, pieces, Tokens(cut, graph.take(word, cut.last), own_symbols, code_of))
    before = graph.op("Concat", graph.constant([-1], np.int32), graph.but_last(of), axis=0)
    is_first = graph.op("Greater", of, before)
    count = _count(graph, of)
    numbers = graph.numbers32(count)
    begins = graph.op("Compress", numbers, is_first, axis=0)  # (K,), as each word has a token
    counts = graph.op("Sub", graph.op("Concat", graph.but_first(begins), count, axis=0), begins)
    rank = graph.op("Sub", numbers, graph.take(begins, of))
    ones = graph.filled(graph.op("Shape", words.first), value=1)
    return [graph.op("ScatterElements", ones, own, counts), ids, graph.take(own, of), rank]


def _count(graph: GraphBuilder, values: str) -> str:
    """(1,) int32: how many there are."""
    return graph.cast(graph.op("Shape", values), INT32)
