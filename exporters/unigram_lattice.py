"""Unigram's best segmentation in a graph: words that are cut, character by character, all of them side by side.

Words stand in the order of falling length, so that those that have a character number j are the first so many. Steps
are taken by stages (4 characters, 4, 8, 16, ...), in each of which as many words take part as have its first
character: little is computed in vain, and nothing has to be told apart. At each step the best score up to a character
is the greatest of so many sums as a piece may have characters; scores are float64 and each is added to the best score
before it, once, so that they are the same on every machine and in `tokenizers`. Of equal sums that of the longest piece
counts, which begins first.

Shapes: K words, M characters, a 0 after each word among them, D characters of the longest piece that is found in them,
S places of stages, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, numpy_helper

from .graph_builder import GraphBuilder
from .unigram_tables import UnigramPieces
from .unigram_walk import Reached, reached

__all__ = ["CutWords", "Segments", "segments"]

FIRST_STAGE, LAST_STAGE = 4, 4096  # characters; from there on stages grow no more
AT_A_TURN = 4  # steps, as a turn has a price of its own
INT32, INT64, DOUBLE = TensorProto.INT32, TensorProto.INT64, TensorProto.DOUBLE


@dataclass(frozen=True)
class CutWords:
    """Words one after another, with a 0 after each.

    Attributes:
        symbols: (M,) int64; 0 after a word, too.
        is_end: (M,) bool, whether it is that 0.
        word: (M,) int32, of which word a character is, in the order of falling length.
        offset: (M,) int32, which character of the word it is.
        lengths: (K,) int32 characters, that 0 included, falling.
    """

    symbols: str
    is_end: str
    word: str
    offset: str
    lengths: str


@dataclass(frozen=True)
class Segments:
    """What words are cut into, word after word.

    Attributes:
        last: (T,) int32, place of a token's last character.
        before: (T,) int32, its characters before that one.
        nodes: (T,) int32, the node at which it ends; one without a piece where the character is unknown.
    """

    last: str
    before: str
    nodes: str


@dataclass(frozen=True)
class _Laid:
    """Values of stages one after another, a row of so many a step.

    Attributes:
        begins: (C,) int64, where each stage begins.
        total: (1,) int64, how many values there are.
        place: (M,) int64, of each character: where the value of its word lies, the first of its row.
    """

    begins: str
    total: str
    place: str


@dataclass(frozen=True)
class _Stages:
    """C stages.

    Attributes:
        count: scalar int64, C.
        widths: (C,) int64, words that take part.
        steps: (C,) int64, a multiple of AT_A_TURN.
        depths: (C,) int64, characters of the longest piece that may end there.
        width: (M,) int64, words beside each character.
        ones: a value a word and step.
        scores: `depths` values a word and step: of a piece that ends there, those of one character side by side, then
            those of two ...
    """

    count: str
    widths: str
    steps: str
    depths: str
    width: str
    ones: _Laid
    scores: _Laid


def segments(graph: GraphBuilder, pieces: UnigramPieces, words: CutWords) -> Segments:
    """Cut words, of which there is one at least."""
    found = reached(graph, pieces, words.symbols)
    stages = _stages(graph, words, found.most)
    backs = _best(graph, _scores(graph, found, stages, words), stages)
    before = graph.take(graph.cast(backs, INT32), stages.ones.place)  # (M,)
    size = graph.cast(graph.op("Shape", words.symbols), INT32)  # (1,) M
    here = graph.numbers32(size)
    is_last = _on_path(graph, here, before, words.is_end)
    last = graph.op("Compress", here, is_last, axis=0)
    before = graph.op("Compress", before, is_last, axis=0)
    at = graph.op("Add", graph.cast(last, INT64), graph.op("Mul", graph.cast(before, INT64), graph.cast(size, INT64)))
    room = graph.op("Mul", found.most, graph.cast(size, INT64))
    nodes = graph.op("ScatterElements", graph.filled(room), found.at, graph.cast(found.nodes, INT32))
    return Segments(last, before, graph.take(nodes, at))


def _stages(graph: GraphBuilder, words: CutWords, most: str) -> _Stages:
    sizes = [FIRST_STAGE * 2**number for number in range((LAST_STAGE // FIRST_STAGE).bit_length())]
    begins = np.array([0, *sizes])  # the last is LAST_STAGE
    stage_of = np.searchsorted(begins, np.arange(LAST_STAGE + 1), side="right") - 1
    longest_known = graph.constant(LAST_STAGE, np.int32)

    def stage(offsets: str) -> str:
        known = graph.op("Min", offsets, longest_known)
        more = graph.op("Div", graph.op("Sub", offsets, known), longest_known)
        return graph.op("Add", graph.take(graph.constant(stage_of, np.int32), known), more)

    of_last = stage(graph.op("Sub", words.lengths, graph.constant(1, np.int32)))  # (K,)
    count = graph.cast(graph.op("Add", graph.upto(of_last, graph.int64([1])), graph.constant(1, np.int32)), INT64)
    ones = graph.filled(graph.op("Shape", of_last), value=1)
    ending = graph.op("ScatterElements", graph.filled(count), of_last, ones, reduction="add")  # (C,) words
    widths = graph.cast(graph.op("CumSum", ending, graph.int64(0), reverse=1), INT64)
    number = graph.numbers(graph.op("Squeeze", count))
    known = graph.op("Min", number, graph.int64(len(begins) - 1))
    more = graph.op("Mul", graph.op("Sub", number, known), graph.int64(LAST_STAGE))
    first = graph.op("Add", graph.take(graph.constant(begins, np.int64), known), more)  # (C,) characters before it
    longest = graph.cast(graph.upto(words.lengths, graph.int64([1])), INT64)
    turns = graph.op("Div", graph.op("Add", longest, graph.int64(AT_A_TURN - 1)), graph.int64(AT_A_TURN))
    stop = graph.op("Concat", graph.but_first(first), graph.op("Mul", turns, graph.int64(AT_A_TURN)), axis=0)
    steps = graph.op("Sub", stop, first)
    depths = graph.op("Min", most, graph.op("Add", stop, graph.int64(1)))
    of_character = stage(words.offset)
    offset, word = graph.cast(words.offset, INT64), graph.cast(words.word, INT64)

    def laid(row: str) -> _Laid:
        sizes = graph.op("Mul", steps, row)
        begins = graph.sums(sizes, exclusive=1)
        shift = graph.take(graph.op("Sub", begins, graph.op("Mul", first, row)), of_character)
        place = graph.op("Add", shift, graph.op("Mul", offset, graph.take(row, of_character)))
        return _Laid(begins, graph.op("ReduceSum", sizes, keepdims=1), graph.op("Add", place, word))

    width = graph.take(widths, of_character)
    both = laid(widths), laid(graph.op("Mul", widths, depths))
    return _Stages(graph.op("Squeeze", count), widths, steps, depths, width, *both)


def _scores(graph: GraphBuilder, found: Reached, stages: _Stages, words: CutWords) -> str:
    """Of each stage (steps, depth, words) float64, flat: the score of the piece that ends there; -inf for none."""
    size = graph.op("Shape", words.symbols)
    before = graph.op("Div", found.at, size)  # (A,)
    last = graph.op("Sub", found.at, graph.op("Mul", before, size))
    further = graph.op("Mul", before, graph.take(stages.width, last))
    at = graph.op("Add", graph.take(stages.scores.place, last), further)
    unknown = graph.op("Expand", "unknown_score", size)  # where a piece of one character is, it has more
    at = graph.op("Concat", stages.scores.place, at, axis=0)
    scores = graph.op("Concat", unknown, graph.take("trie_scores", found.nodes), axis=0)
    none = graph.op("ConstantOfShape", stages.scores.total, value=_double(-np.inf))
    return graph.op("ScatterElements", none, at, scores, reduction="max")


def _best(graph: GraphBuilder, scores: str, stages: _Stages) -> str:
    """(S,) int64: characters before the last one of the piece that ends there in the best segmentation up to it."""

    def steps_of(window: str, scores: str) -> tuple[str, str]:
        backs = []
        for number in range(AT_A_TURN):
            sums = graph.op("Add", window, graph.op("Gather", scores, graph.int64(number), axis=0))  # (depth, words)
            backs.append(graph.op("ArgMax", sums, axis=0, keepdims=1, select_last_index=1))
            best = graph.op("ReduceMax", sums, graph.int64([0]), keepdims=1)
            window = graph.op("Concat", best, graph.but_last(window), axis=0)
        return window, graph.op("Concat", *backs, axis=0)

    def stage(turn: str, states: list[str]) -> tuple[str, list[str]]:
        window, backs = states
        number = graph.op("Unsqueeze", turn, graph.int64([0]))
        width, steps, depth, begin = (
            graph.take(each, number) for each in (stages.widths, stages.steps, stages.depths, stages.scores.begins)
        )
        turns = graph.op("Div", steps, graph.int64(AT_A_TURN))
        shape = graph.op("Concat", turns, graph.int64([AT_A_TURN]), depth, width, axis=0)
        end = graph.op("Add", begin, graph.op("Mul", graph.op("Mul", steps, depth), width))
        own = graph.op("Reshape", graph.op("Slice", scores, begin, end, graph.int64([0])), shape)
        window = graph.op("Slice", window, graph.int64([0]), width, graph.int64([1]))
        rows = graph.op("Slice", graph.op("Shape", window), graph.int64([0]), graph.int64([1]), graph.int64([0]))
        more = graph.op("Concat", graph.op("Sub", depth, rows), width, axis=0)
        none = graph.op("ConstantOfShape", more, value=_double(-np.inf))
        window = graph.op("Concat", window, none, axis=0)
        window, made = graph.scan(steps_of, window, own, ((DOUBLE, 2), (DOUBLE, 3), (INT64, 2)))
        return "", [window, graph.op("Concat", backs, graph.op("Reshape", made, graph.int64([-1])), axis=0)]

    shape = graph.op("Concat", graph.int64([1]), graph.upto(stages.widths, graph.int64([1])), axis=0)
    # Best scores so many characters ago, a row each: there is the one of no character yet.
    window = graph.op("ConstantOfShape", shape, value=_double(0))
    start = [window, graph.constant(np.zeros(0, np.int64))]
    return graph.loop(stage, start, [(DOUBLE, 2), (INT64, 1)], stages.count)[1]


def _on_path(graph: GraphBuilder, here: str, before: str, is_end: str) -> str:
    """(M,) bool: whether a token of the best segmentation ends at a character.

    From a token's last character a jump leads to that of the token before it. All jumps are taken at once, and each
    round they lead twice as far. Character c is number c + 1 here; number 0, where a word's first jump leads, stays.
    """
    start = graph.op("Sub", here, before)  # number of the character before its token
    start = graph.op("Where", is_end, graph.constant(0, np.int32), start)
    jumps = graph.op("Concat", graph.constant([0], np.int32), start, axis=0)  # (M + 1,)
    numbers = graph.op("Compress", here, is_end, axis=0)  # of the last characters of words: their places, and 1

    def further(_: str, states: list[str]) -> tuple[str, list[str]]:
        numbers, jumps = states
        ahead = graph.take(jumps, numbers)
        ahead = graph.op("Compress", ahead, graph.op("Greater", ahead, graph.constant(0, np.int32)), axis=0)
        is_any = graph.op("Greater", graph.op("Squeeze", graph.op("Shape", ahead)), graph.int64(0))
        return is_any, [graph.op("Concat", numbers, ahead, axis=0), graph.take(jumps, jumps)]

    numbers = graph.loop(further, [numbers, jumps], [(INT32, 1)] * 2)[0]
    places = graph.op("Sub", numbers, graph.constant(1, np.int32))
    ones = graph.filled(graph.op("Shape", places), value=1)
    seen = graph.op("ScatterElements", graph.filled(graph.op("Shape", here)), places, ones)
    return graph.op("And", graph.cast(seen, TensorProto.BOOL), graph.op("Not", is_end))


def _double(value: float) -> TensorProto:
    return numpy_helper.from_array(np.array([value], np.float64))
