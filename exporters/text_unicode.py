"""The text graph's words beyond ASCII: UTF-8 bytes -> code points -> normalized items, by shifts and tables."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .graph_builder import GraphBuilder
from .text_characters import PAGE, WORD, Characters

__all__ = ["decoded", "normalized"]

END = np.iinfo(np.int64).max
REPLACEMENT = 0xFFFD  # what stands for bytes that are no UTF-8


def decoded(graph: GraphBuilder, codes: str) -> str:
    """(n,) int32 code points of UTF-8 bytes; U+FFFD for a longest bad part, as Python's errors="replace" has it."""
    table = graph.table("utf8", _utf8_table)
    need, low, high, offset = (
        graph.op(
            "GatherElements",
            graph.op("Slice", table, *map(graph.int64, ([256 * part], [256 * part + 256], [0]))),
            codes,
        )
        for part in range(4)
    )
    after = []
    for ahead in (1, 2, 3):
        beyond = graph.op("Slice", codes, *map(graph.int64, ([ahead], [END], [0])))
        beyond = graph.op("Concat", beyond, graph.constant([0] * ahead, np.int32), axis=0)
        # Fewer codes than `ahead` (one NUL alone) would make it too long.
        after.append(graph.op("Slice", beyond, graph.int64([0]), graph.op("Shape", codes), graph.int64([0])))
    good = graph.op(
        "And", graph.op("GreaterOrEqual", after[0], low), graph.op("LessOrEqual", after[0], high)
    )  # never where one byte is enough
    length = graph.op("Add", graph.cast(good, TensorProto.INT32), graph.constant(1, np.int32))
    value = graph.op("Where", good, _with_six_bits(graph, codes, after[0]), codes)
    for ahead in (2, 3):
        top = graph.op("BitwiseAnd", after[ahead - 1], graph.constant(0xC0, np.int32))
        goes_on = graph.op("Equal", top, graph.constant(0x80, np.int32))
        longer = graph.op("Greater", need, graph.constant(ahead, np.int32))
        good = graph.op("And", good, graph.op("And", goes_on, longer))
        length = graph.op("Add", length, graph.cast(good, TensorProto.INT32))
        value = graph.op("Where", good, _with_six_bits(graph, value, after[ahead - 1]), value)
    whole = graph.op("Equal", length, need)
    points = graph.op("Where", whole, graph.op("Sub", value, offset), graph.constant(REPLACEMENT, np.int32))
    inside = None
    for back in (1, 2, 3):  # is this byte inside a character that began so many bytes before?
        reach = graph.op("Greater", length, graph.constant(back, np.int32))
        reach = graph.op("Concat", graph.constant([False] * back, np.bool_), reach, axis=0)
        reach = graph.op("Slice", reach, graph.int64([0]), graph.op("Shape", codes), graph.int64([0]))
        inside = graph.op("Or", inside, reach) if inside else reach
    assert inside is not None
    return graph.op("Compress", points, graph.op("Not", inside), axis=0)


def normalized(graph: GraphBuilder, points: str, characters: Characters) -> str:
    """(n,) int32 items of code points; what is dropped is gone."""
    high = graph.op("Div", points, graph.constant(PAGE, np.int32))
    page = graph.op("GatherElements", graph.table("page_of", lambda: characters.page_of), high)
    low = graph.op("BitwiseAnd", points, graph.constant(PAGE - 1, np.int32))
    entry = graph.op("Add", graph.op("Mul", page, graph.constant(PAGE, np.int32)), low)
    slots = graph.op("Gather", graph.table("slots", lambda: characters.slots), entry)  # (n, 3)
    items = graph.op("Add", slots, graph.op("Unsqueeze", points, graph.int64([1])))
    flat = graph.op("Reshape", items, graph.int64([-1]))
    there = graph.cast(graph.op("Reshape", slots, graph.int64([-1])), TensorProto.BOOL)
    kept = graph.op("Compress", flat, there, axis=0)
    is_space = graph.op("Less", kept, graph.constant(WORD, np.int32))
    return graph.op("Where", is_space, graph.constant(0, np.int32), kept)


def _with_six_bits(graph: GraphBuilder, value: str, byte: str) -> str:
    return graph.op("Add", graph.op("Mul", value, graph.constant(64, np.int32)), byte)


def _utf8_table() -> np.ndarray:
    """(4 * 256,) int32, by lead byte: bytes of the character (0 for none), least and greatest second byte, and what is
    taken from the sum of the bytes by six bits each (Unicode, table 3-7)."""
    need, low, high, offset = (np.zeros(256, np.int32) for _ in range(4))
    low[:] = 256  # no second byte
    need[:0x80] = 1
    for begin, end, count, least, greatest in (
        (0xC2, 0xE0, 2, 0x80, 0xBF),
        (0xE0, 0xE1, 3, 0xA0, 0xBF),
        (0xE1, 0xED, 3, 0x80, 0xBF),
        (0xED, 0xEE, 3, 0x80, 0x9F),
        (0xEE, 0xF0, 3, 0x80, 0xBF),
        (0xF0, 0xF1, 4, 0x90, 0xBF),
        (0xF1, 0xF4, 4, 0x80, 0xBF),
        (0xF4, 0xF5, 4, 0x80, 0x8F),
    ):
        need[begin:end], low[begin:end], high[begin:end] = count, least, greatest
        offset[begin:end] = {2: 0x3080, 3: 0xE2080, 4: 0x3C82080}[count]
    return np.concatenate([need, low, high, offset])
