"""Canonical composition in a graph (Unicode 3.11, D117): segments side by side, a Loop over their characters.

A segment begins at a starter that is never the second of a pair, so that nothing composes across its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from edge_potion.phrases_in_graph import BASE

from .graph_builder import GraphBuilder
from .text_hash import looked_up, table_of
from .text_paged import paged
from .unicode_passes import Pass

__all__ = ["composed"]

INT32, INT64, BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
RANKS, SECOND = 255, 256  # of a class: the combining class, and whether it is the second of some pair
NONE_KEPT = -1  # no character stands between the starter and this one


def composed(graph: GraphBuilder, points: str, step: Pass, prefix: str) -> str:
    """(m,) int32 of code points (n,) in canonical order."""
    classes = paged(graph, prefix, "class_page_of", "classes", points)
    seconds = graph.cast(graph.op("BitwiseAnd", classes, graph.int32(SECOND)), BOOL)
    any_second = graph.any(seconds)
    return graph.either(
        any_second,
        lambda: [_by_segments(graph, points, classes, seconds, step, prefix)],
        lambda: [points],
        [(INT32, 1)],
    )[0]


def _by_segments(graph: GraphBuilder, points: str, classes: str, seconds: str, step: Pass, prefix: str) -> str:
    zero, one = graph.int32(0), graph.int32(1)
    ranks = graph.op("BitwiseAnd", classes, graph.int32(RANKS))
    begins = graph.op("Equal", classes, zero)
    begins = graph.op("Concat", graph.constant([True], np.bool_), graph.but_first(begins), axis=0)
    count = graph.cast(graph.op("Shape", points), INT32)  # (1,)
    first = graph.op("Compress", graph.numbers32(count), begins, axis=0)
    stop = graph.op("Concat", graph.but_first(first), count, axis=0)
    so_far = graph.op("Concat", graph.int32([0]), graph.sums(graph.cast(seconds, INT32)), axis=0)
    has_second = graph.op("Greater", graph.take(so_far, stop), graph.take(so_far, graph.op("Add", first, one)))
    first, stop = (graph.op("Compress", each, has_second, axis=0) for each in (first, stop))  # (K,)
    # One more, which has a place and is none.
    codes = graph.op("Concat", points, graph.int32([0]), axis=0)
    kept = graph.filled(graph.op("Shape", codes), value=1)
    table = table_of(step.tables, "pair")
    factors = [graph.int64(int(np.uint64(pow(int(BASE), power, 2**64)).view(np.int64))) for power in (1, 2)]

    def turn(number: str, states: Sequence[str]) -> tuple[str, Sequence[str]]:
        codes, kept, starter, composite, last = states
        at = graph.op("Add", graph.op("Add", first, one), graph.cast(number, INT32))
        is_there = graph.op("Less", at, stop)
        at = graph.op("Where", is_there, at, count)  # (K,)
        safe = graph.op("Min", at, graph.op("Sub", count, one))
        code, rank = graph.take(points, safe), graph.take(ranks, safe)
        is_open = graph.op("And", is_there, graph.op("Less", last, rank))
        key = graph.op(
            "Add",
            *(
                graph.op("Mul", graph.cast(each, INT64), factor)
                for each, factor in zip((composite, code), factors, strict=True)
            ),
        )
        slot, is_pair = looked_up(graph, f"{prefix}pair", table, key)
        joins = graph.op("And", is_pair, is_open)
        both = graph.take(f"{prefix}pair_values", slot)
        codes = graph.op("ScatterElements", codes, graph.op("Where", joins, starter, count), both)
        none = graph.filled(graph.op("Shape", first))
        kept = graph.op("ScatterElements", kept, graph.op("Where", joins, at, count), none)
        is_starter = graph.op("Equal", rank, zero)
        stays = graph.op("And", is_there, graph.op("Not", joins))
        anew = graph.op("And", stays, is_starter)
        kept_rank = graph.op("Where", is_starter, graph.int32(NONE_KEPT), rank)
        following = [
            codes,
            kept,
            graph.op("Where", anew, at, starter),
            graph.op("Where", joins, both, graph.op("Where", anew, code, composite)),
            graph.op("Where", stays, kept_rank, last),
        ]
        return "", following

    none_kept = graph.filled(graph.op("Shape", first), value=NONE_KEPT)
    lengths = graph.op("Concat", graph.int32([1]), graph.op("Sub", stop, first), axis=0)
    longest = graph.op("ReduceMax", lengths, keepdims=0)
    turns = graph.cast(graph.op("Sub", longest, one), INT64)
    states = [codes, kept, first, graph.take(points, first), none_kept]
    codes, kept, *_ = graph.loop(turn, states, [(INT32, 1)] * 5, turns)
    is_kept = graph.cast(graph.but_last(kept), BOOL)
    return graph.op("Compress", graph.but_last(codes), is_kept, axis=0)
