"""What an ONNX file from a stranger must not do: point at other files, or claim sizes that it does not have.

Reads the few protobuf fields that tell (onnx.proto, IR version 8), without the onnx package or a table in memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path

from edge_potion.errors import ModelFormatError

__all__ = ["check_onnx"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
# Numbers of fields in onnx.proto.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_ATTRIBUTE = 5
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
TENSOR_DIMS, TENSOR_TYPE, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 9, 13, 14
# Bytes of a value, by TensorProto.DataType; what is not here, no graph of ours holds.
ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
DEEPEST = 8  # graphs within graphs
LONGEST_VARINT = 10


class _Damaged(Exception):
    """The bytes are no protobuf message, or no graph of ours; says where."""


def check_onnx(file: Path) -> None:
    """Look at an ONNX file before ONNX Runtime does.

    Raises:
        ModelFormatError: it is damaged, refers to another file, or a tensor's size is not that of its data.
    """
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # A tensor in another file has that file's name under the key "location". Where the word is nowhere, as in
            # nearly every graph, only the large tensors need a look.
            deep = content.find(b"location") >= 0
            with memoryview(content) as view:
                graphs = [place for number, place in _fields(view, 0, len(view)) if number == MODEL_GRAPH]
                if len(graphs) != 1 or not isinstance(graphs[0], tuple):
                    raise _Damaged(f"it holds {len(graphs)} graphs")
                _check_graph(view, *graphs[0], deep=deep, depth=0)
    except (OSError, ValueError) as failure:  # ValueError: an empty file cannot be mapped
        raise ModelFormatError(f"{file} cannot be read ({failure})") from failure
    except _Damaged as reason:
        raise ModelFormatError(f"{file} is no graph of ours: {reason}; download or export it again") from reason


def _check_graph(view: memoryview, begin: int, end: int, *, deep: bool, depth: int) -> None:
    if depth > DEEPEST:
        raise _Damaged(f"graphs are more than {DEEPEST} deep")
    for number, place in _fields(view, begin, end):
        if number == GRAPH_INITIALIZER and isinstance(place, tuple):
            _check_tensor(view, *place)
        elif number == GRAPH_SPARSE:
            raise _Damaged("it holds a sparse tensor")
        elif number == GRAPH_NODE and deep and isinstance(place, tuple):
            _check_node(view, *place, depth=depth)


def _check_node(view: memoryview, begin: int, end: int, depth: int) -> None:
    for number, attribute in _fields(view, begin, end):
        if number != NODE_ATTRIBUTE or not isinstance(attribute, tuple):
            continue
        for kind, place in _fields(view, *attribute):
            if kind in ATTRIBUTE_TENSORS and isinstance(place, tuple):
                _check_tensor(view, *place)
            elif kind in ATTRIBUTE_GRAPHS and isinstance(place, tuple):
                _check_graph(view, *place, deep=True, depth=depth + 1)
            elif kind in ATTRIBUTE_SPARSE and isinstance(place, tuple):
                raise _Damaged("it holds a sparse tensor")


def _check_tensor(view: memoryview, begin: int, end: int) -> None:
    dims: list[int] = []
    kind, raw_bytes = 0, None
    for number, place in _fields(view, begin, end):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and place != 0):
            raise _Damaged("a tensor lies in another file")
        if number == TENSOR_DIMS:
            dims += [value for value, _ in _varints(view, *place)] if isinstance(place, tuple) else [place]
        elif number == TENSOR_TYPE and isinstance(place, int):
            kind = place
        elif number == TENSOR_RAW and isinstance(place, tuple):
            raw_bytes = place[1] - place[0]
    if kind not in ITEM_BYTES:
        raise _Damaged(f"a tensor is of type {kind}")
    expected = prod(dims) * ITEM_BYTES[kind]
    if expected > len(view) or (raw_bytes is not None and raw_bytes != expected):
        raise _Damaged(f"a tensor of {expected} bytes has {raw_bytes or 0}")


def _fields(view: memoryview, begin: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """(number, value) of each field of a message; the value of a string or message is where it lies, (begin, end)."""
    while begin < end:
        key, begin = _varint(view, begin, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, begin = _varint(view, begin, end)
            yield number, value
            continue
        size, begin = _varint(view, begin, end) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}.get(wire, -1), begin)
        if size < 0 or begin + size > end or number == 0:
            raise _Damaged(f"byte {begin} is no protobuf")
        yield number, (begin, begin + size)
        begin += size


def _varints(view: memoryview, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while begin < end:
        value, begin = _varint(view, begin, end)
        yield value, begin


def _varint(view: memoryview, begin: int, end: int) -> tuple[int, int]:
    """A whole number, and where the next byte is."""
    value = 0
    for place in range(begin, min(end, begin + LONGEST_VARINT)):
        byte = view[place]
        value |= (byte & 0x7F) << (7 * (place - begin))
        if byte < 0x80:
            return value, place + 1
    raise _Damaged(f"byte {begin} is no protobuf")
