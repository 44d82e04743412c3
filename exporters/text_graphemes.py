"""Precompiled's graphemes in a graph: one of fewer than six bytes may be replaced whole.

Boundaries are those of Unicode's extended grapheme clusters (UAX #29), but for regional indicators: two of them are
eight bytes, and one with anything else six at least.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from edge_potion.phrases_in_graph import BASE

from .graph_builder import GraphBuilder
from .precompiled import (
    CONSONANT,
    CONTROL,
    CR,
    EXTEND,
    FEW_BYTES,
    INDIC,
    JOINS,
    LF,
    LINKER,
    LV,
    LVT,
    PICTURE,
    PREPEND,
    ZWJ,
    L,
    T,
    V,
)
from .text_hash import looked_up, table_of
from .text_paged import paged
from .unicode_passes import Pass
from .unicode_tables import ITSELF

__all__ = ["entries_of_graphemes"]

INT32, INT64, BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
HANGUL = ((L, L | V | LV | LVT), (LV | V, V | T), (LVT | T, T))  # what stands before, and what joins it


def entries_of_graphemes(graph: GraphBuilder, points: str, entries: str, step: Pass, prefix: str) -> str:
    """(n,) int32: the entries (n,) of code points, where those of graphemes that are replaced whole are the grapheme's
    at its first character, and nothing's at the others."""
    classes = paged(graph, prefix, "class_page_of", "classes", points)
    before = graph.shifted(classes, np.int32)
    sizes = _bytes(graph, points)
    both = graph.op("Add", sizes, graph.op("Concat", graph.int32([8]), graph.but_last(sizes), axis=0))
    few = graph.op("Less", both, graph.int32(FEW_BYTES + 1))
    is_unsafe = graph.op("And", few, _or(graph, _has(graph, classes, JOINS | LF), _has(graph, before, PREPEND)))
    unsafe = graph.any(is_unsafe)

    def careful() -> list[str]:
        joined = _joined(graph, classes, before)
        return [_with_whole(graph, points, entries, sizes, joined, step, prefix)]

    return graph.either(unsafe, careful, lambda: [entries], [(INT32, 1)])[0]


def _joined(graph: GraphBuilder, classes: str, before: str) -> str:
    """(n,) bool: whether no boundary lies before a code point."""
    pairs = [_has(graph, classes, JOINS), _has(graph, before, PREPEND)]
    pairs += [graph.op("And", _has(graph, before, one), _has(graph, classes, other)) for one, other in HANGUL]
    pairs += [_emoji(graph, classes, before), _conjunct(graph, classes)]
    free = graph.op("Not", graph.op("Or", _has(graph, classes, CONTROL), _has(graph, before, CONTROL)))
    lines = graph.op("And", _has(graph, before, CR), _has(graph, classes, LF))
    joined = graph.op("Or", graph.op("And", _or(graph, *pairs), free), lines)
    # Nothing stands before the first.
    return graph.op("Concat", graph.constant([False], np.bool_), graph.but_first(joined), axis=0)


def _emoji(graph: GraphBuilder, classes: str, before: str) -> str:
    """A pictograph behind ZWJ, behind a pictograph and Extend* (GB11)."""
    base = graph.op("Not", _has(graph, classes, EXTEND))
    bases = graph.op("Concat", graph.int32([0]), graph.op("Compress", classes, base, axis=0), axis=0)
    last = graph.take(bases, graph.sums(graph.cast(base, INT32)))
    two_before = graph.shifted(graph.shifted(last, np.int32), np.int32)
    two_before = graph.upto(two_before, graph.op("Shape", classes))
    is_picture = graph.op("And", _has(graph, classes, PICTURE), _has(graph, two_before, PICTURE))
    return graph.op("And", is_picture, _has(graph, before, ZWJ))


def _conjunct(graph: GraphBuilder, classes: str) -> str:
    """A consonant behind a consonant and what extends it, of which one is a linker (GB9c)."""
    base = graph.op("Not", _has(graph, classes, LINKER | INDIC))
    linkers = graph.sums(graph.cast(_has(graph, classes, LINKER), INT32))
    place = graph.sums(graph.cast(base, INT32))

    def last(values: str) -> str:
        """Of the last base up to each code point."""
        return graph.take(
            graph.op("Concat", graph.int32([0]), graph.op("Compress", values, base, axis=0), axis=0), place
        )

    linked = graph.op("And", _has(graph, last(classes), CONSONANT), graph.op("Greater", linkers, last(linkers)))
    linked = graph.op("Concat", graph.constant([False], np.bool_), graph.but_last(linked), axis=0)
    return graph.op("And", linked, _has(graph, classes, CONSONANT))


def _with_whole(
    graph: GraphBuilder, points: str, entries: str, sizes: str, joined: str, step: Pass, prefix: str
) -> str:
    starts = graph.op("Not", joined)
    count = graph.cast(graph.op("Shape", points), INT32)  # (1,)
    first = graph.op("Compress", graph.numbers32(count), starts, axis=0)  # (G,) of each grapheme
    stop = graph.op("Concat", graph.but_first(first), count, axis=0)
    so_far = graph.op("Concat", graph.int32([0]), graph.sums(sizes), axis=0)
    size = graph.op("Sub", graph.take(so_far, stop), graph.take(so_far, first))
    length = graph.op("Sub", stop, first)
    is_asked = graph.op(
        "And",
        graph.op("Less", size, graph.int32(FEW_BYTES + 1)),
        graph.op("Greater", length, graph.int32(1)),
    )
    asked = graph.places_of(is_asked)  # (K,)
    at, lengths = graph.take(first, asked), graph.take(length, asked)
    whole = graph.take(entries, at)
    if "sequence_keys" in step.tables:
        whole = _of_sequences(graph, points, whole, at, lengths, step, prefix)
    nowhere = graph.filled(graph.op("Shape", first), value=ITSELF)
    found = graph.op("ScatterElements", nowhere, asked, whole)
    grapheme = graph.op("Sub", graph.sums(graph.cast(starts, INT32)), graph.int32(1))
    each = graph.take(found, grapheme)
    replaced = graph.op("Where", starts, each, graph.int32(0))
    return graph.op("Where", graph.op("Greater", each, graph.int32(ITSELF)), replaced, entries)


def _of_sequences(graph: GraphBuilder, points: str, whole: str, at: str, lengths: str, step: Pass, prefix: str) -> str:
    """(K,) entries: where the first character has none, of the first two, or else of three."""
    table = table_of(step.tables, "sequence")
    last = graph.op("Sub", graph.cast(graph.op("Shape", points), INT32), graph.int32(1))
    key, factor = None, 1
    for place in range(3):
        factor = factor * int(BASE) % 2**64
        there = graph.op("Min", graph.op("Add", at, graph.int32(place)), last)
        code = graph.cast(graph.take(points, there), INT64)
        term = graph.op("Mul", code, graph.int64(int(np.uint64(factor).view(np.int64))))
        key = graph.op("Add", key, term) if key else term
        if not place:
            continue
        slot, is_held = looked_up(graph, f"{prefix}sequence", table, key)
        value = graph.take(f"{prefix}sequence_values", slot)
        is_long = graph.op("Greater", lengths, graph.int32(place))
        is_free = graph.op("Equal", whole, graph.int32(ITSELF))
        whole = graph.op("Where", graph.op("And", graph.op("And", is_held, is_long), is_free), value, whole)
    return whole


def _bytes(graph: GraphBuilder, points: str) -> str:
    """(n,) int32, 1 to 4: of each code point in UTF-8."""
    size = graph.int32(1)
    for least in (0x80, 0x800, 0x10000):
        more = graph.cast(graph.op("GreaterOrEqual", points, graph.int32(least)), INT32)
        size = graph.op("Add", size, more)
    return size


def _has(graph: GraphBuilder, classes: str, bits: int) -> str:
    return graph.cast(graph.op("BitwiseAnd", classes, graph.int32(bits)), BOOL)


def _or(graph: GraphBuilder, *flags: str) -> str:
    found = flags[0]
    for each in flags[1:]:
        found = graph.op("Or", found, each)
    return found
