"""A normalizer's passes in a graph: UTF-8 bytes -> normalized code points.

What most texts do not need (graphemes of several characters, marks out of order, characters that compose) stands in a
branch that runs where a text of the call needs it.

Shapes: n code points, at each step those that are there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from .graph_builder import GraphBuilder
from .text_compose import composed
from .text_graphemes import entries_of_graphemes
from .text_paged import paged
from .text_unicode import decoded
from .unicode_passes import Pass, Passes
from .unicode_tables import ITSELF, STEP
from .unigram_words import is_whitespace

__all__ = ["code_points"]

INT32, INT64 = TensorProto.INT32, TensorProto.INT64
SPACE = 0x20


def code_points(graph: GraphBuilder, ended: str, passes: Passes) -> str:
    """(n,) int32 normalized code points of texts, a 0 behind each text, of which nothing else is 0.

    Args:
        graph: to which nodes are added, and the passes' tables.
        ended: name of (N,) uint8, texts in UTF-8 with a NUL behind each.
        passes: of the tokenizer.
    """
    passes.add_to(graph)
    codes = graph.cast(ended, INT32)
    is_ascii = graph.op("Less", graph.op("ReduceMax", codes, keepdims=0), graph.int32(0x80))
    points = _either(graph, is_ascii, lambda: codes, lambda: decoded(graph, codes))
    for number, step in enumerate(passes.steps):
        points = STEPS[step.kind](graph, points, step, f"pass{number}_")
    if passes.collapses:
        points = _collapsed(graph, points)
    return _stripped(graph, points, passes.strip) if passes.strip else points


def _either(graph: GraphBuilder, condition: str, then: Callable[[], str], otherwise: Callable[[], str]) -> str:
    return graph.either(condition, lambda: [then()], lambda: [otherwise()], [(INT32, 1)])[0]


def _mapped(graph: GraphBuilder, points: str, step: Pass, prefix: str) -> str:
    entries = paged(graph, prefix, "page_of", "entries", points)
    return _replaced(graph, points, entries, prefix)


def _of_graphemes(graph: GraphBuilder, points: str, step: Pass, prefix: str) -> str:
    entries = paged(graph, prefix, "page_of", "entries", points)
    entries = entries_of_graphemes(graph, points, entries, step, prefix)
    return _replaced(graph, points, entries, prefix)


def _replaced(graph: GraphBuilder, points: str, entries: str, prefix: str) -> str:
    """What the entries (n,) say of each code point: itself, nothing, or others."""
    changes = graph.op("Greater", graph.op("ReduceMax", entries, keepdims=0), graph.int32(ITSELF))

    def replaced() -> str:
        is_itself = graph.op("Equal", entries, graph.int32(ITSELF))
        one = graph.int32(1)
        lengths = graph.op("Where", is_itself, one, graph.op("BitwiseAnd", entries, graph.int32(STEP - 1)))
        is_there = graph.op("Greater", lengths, graph.int32(0))
        kept = [graph.op("Compress", each, is_there, axis=0) for each in (points, entries, is_itself, lengths)]
        here, entry, itself, length = kept
        begins = graph.op("Div", entry, graph.int32(STEP))  # 0 where it is itself
        codes = f"{prefix}codes"

        def spread() -> str:
            owner, place = graph.spread(length)
            others = graph.take(codes, graph.op("Add", graph.take(begins, owner), place))
            return graph.op("Where", graph.take(itself, owner), graph.take(here, owner), others)

        longer = graph.op("Greater", graph.op("ReduceMax", length, keepdims=0), one)
        return _either(graph, longer, spread, lambda: graph.op("Where", itself, here, graph.take(codes, begins)))

    return _either(graph, changes, replaced, lambda: points)


def _ordered(graph: GraphBuilder, points: str, step: Pass, prefix: str) -> str:
    """Marks behind a starter by their combining class, those of one class as they came."""
    classes = paged(graph, prefix, "class_page_of", "classes", points)
    before = graph.shifted(classes, np.int32)
    falls = graph.op("And", graph.op("Greater", before, classes), graph.op("Greater", classes, graph.int32(0)))

    def sorted_marks() -> str:
        is_starter = graph.op("Equal", classes, graph.int32(0))
        run = graph.sums(graph.cast(is_starter, INT64))
        key = graph.op("Add", graph.op("Mul", run, graph.int64(256)), graph.cast(classes, INT64))
        least_first = graph.op("Sub", graph.int64(0), key)
        return graph.take(points, graph.order(least_first))  # of equal ones the first comes first

    return _either(graph, graph.any(falls), sorted_marks, lambda: points)


def _collapsed(graph: GraphBuilder, points: str) -> str:
    """Of blanks that follow one another the first."""
    is_blank = graph.op("Equal", points, graph.int32(SPACE))
    before = graph.op("Concat", graph.constant([False], np.bool_), graph.but_last(is_blank), axis=0)
    return graph.op("Compress", points, graph.op("Not", graph.op("And", is_blank, before)), axis=0)


def _stripped(graph: GraphBuilder, points: str, side: str) -> str:
    """Texts without white space at their beginnings, ends or both."""
    is_blank = is_whitespace(graph, points)
    ends = graph.op("Equal", points, graph.int32(0))
    others = graph.cast(graph.op("Not", graph.op("Or", is_blank, ends)), INT32)
    so_far = graph.sums(others)
    text = graph.sums(graph.cast(ends, INT32), exclusive=1)
    at_ends = graph.op("Compress", so_far, ends, axis=0)  # (B,)
    bounds = {"left": graph.take(graph.shifted(at_ends, np.int32), text), "right": graph.take(at_ends, text)}
    sides = ("left", "right") if side == "both" else (side,)
    kept = graph.op("Not", is_blank)
    outer = [graph.op("Equal", so_far, bounds[each]) for each in sides]
    inside = graph.op("Not", graph.op("Or", *outer) if len(outer) > 1 else outer[0])
    return graph.op("Compress", points, graph.op("Or", kept, inside), axis=0)


STEPS = {"map": _mapped, "graphemes": _of_graphemes, "order": _ordered, "compose": composed}
