"""The parts of a graph of ours, cut out of its bytes: its table, and the file without it.

So the table is in memory once, and a model that is open needs its folder no more: what its graph does not take goes
through `second_half`, with the same table. `check_onnx` has looked at the bytes before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from mmap import mmap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge_potion.phrases_in_graph import GraphPhrases

__all__ = [
    "VECTORS",
    "GraphParts",
    "coded",
    "cut_graph",
    "fields",
    "message",
    "metadata",
    "phrases_in",
    "tensors_of_graph",
]

TABLE_TENSOR = b"table_rows"  # the name that exporters/pooling.py gives it
PHRASE_TENSORS = (b"phrase_keys", b"phrase_rows")  # those of exporters/phrase_rows.py
VECTORS = "sentence_embedding"  # the output of every graph
HELD = b"held"  # where the table "lies": ONNX Runtime wants a name
# Numbers of fields in onnx.proto, and of types.
MODEL_GRAPH, MODEL_METADATA, GRAPH_INITIALIZER = 7, 14, 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 10: np.float16}
VARINT, FIXED64, BYTES = 0, 1, 2  # protobuf's wire types


@dataclass(frozen=True)
class GraphParts:
    """A graph whose table is held apart.

    Attributes:
        content: the .onnx file.
        graph: which one it holds, "text", "bag" or "tokens".
        table: (V + P + 1, D) of its own dtype, the last row zeros, where it lies in `content`, at any address (ONNX
            Runtime copies rows out of it, and reads nothing else); None where the file holds none under our name.
        rest: `content` without the table, which is marked as lying elsewhere; `content` where `table` is None.
    """

    content: bytes
    graph: str
    table: np.ndarray | None
    rest: bytes

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """What `rest` lacks, by name."""
        return {} if self.table is None else {TABLE_TENSOR.decode(): self.table}


def cut_graph(content: bytes, graph: str) -> GraphParts:
    """Find the table in an .onnx file; `graph` is the one that it holds."""
    found = _tensor(content, TABLE_TENSOR)
    if found is None or found[3].ndim != 2:
        return GraphParts(content, graph, None, content)
    whole, tensor, raw, table = found
    elsewhere = message(TENSOR_EXTERNAL, message(1, b"location") + message(2, HELD))
    elsewhere += coded(TENSOR_LOCATION << 3 | VARINT) + coded(1)
    inside = b"".join(
        [
            content[whole[2] : tensor[1]],
            message(GRAPH_INITIALIZER, content[tensor[2] : raw[1]] + content[raw[3] : tensor[3]] + elsewhere),
            content[tensor[3] : whole[3]],
        ]
    )
    return GraphParts(content, graph, table, content[: whole[1]] + message(MODEL_GRAPH, inside) + content[whole[3] :])


def tensors_of_graph(content: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of the named tables that an .onnx file holds, where they lie in `content`."""
    found = {name: _tensor(content, name.encode()) for name in names}
    return {name: each[3] for name, each in found.items() if each is not None}


Field = tuple[int, int, int, int]  # its number, where its key and its value begin, and where it ends


def phrases_in(content: bytes) -> GraphPhrases | None:
    """The phrases that an .onnx file holds; None where there are none, or none under our names."""
    keys, rows = (None if (found := _tensor(content, name)) is None else found[3] for name in PHRASE_TENSORS)
    if keys is None or rows is None or keys.shape != rows.shape or keys.dtype != np.int64 or rows.dtype != np.int32:
        return None
    from edge_potion.phrases_in_graph import GraphPhrases  # for what starts from row numbers alone

    return GraphPhrases.of(keys, rows)


def _tensor(content: bytes, called: bytes) -> tuple[Field, Field, Field, np.ndarray] | None:
    """The graph, in it the tensor of that name, in it its data, and these as an array."""
    whole = next(each for each in fields(content, 0, len(content)) if each[0] == MODEL_GRAPH)
    for tensor in fields(content, *whole[2:]):
        if tensor[0] != GRAPH_INITIALIZER:
            continue
        inner = list(fields(content, *tensor[2:]))
        by_number = {each[0]: each for each in inner}
        name, kind, raw = (by_number.get(number) for number in (TENSOR_NAME, TENSOR_TYPE, TENSOR_RAW))
        if name is None or content[name[2] : name[3]] != called:
            continue
        dims = [_varint(content, each[2])[0] for each in inner if each[0] == TENSOR_DIMS]
        dtype = None if kind is None else DTYPES.get(_varint(content, kind[2])[0])
        if raw is None or dtype is None:
            return None
        return whole, tensor, raw, np.frombuffer(content, dtype, prod(dims), raw[2]).reshape(dims)
    return None


def metadata(content: bytes | mmap) -> dict[str, str]:
    """metadata_props of an .onnx file."""
    stated = {}
    for number, _, begin, end in fields(content, 0, len(content)):
        if number == MODEL_METADATA:
            entry = {
                field: content[at:to].decode("utf-8", "replace") for field, _, at, to in fields(content, begin, end)
            }
            stated[entry.get(1, "")] = entry.get(2, "")
    return stated


def fields(content: bytes | mmap, begin: int, end: int) -> Iterator[Field]:
    """The fields of a protobuf message that is well formed."""
    while begin < end:
        key, value = _varint(content, begin)
        wire = key & 7
        if wire == VARINT:
            stop = _varint(content, value)[1]
        elif wire == BYTES:
            size, value = _varint(content, value)
            stop = value + size
        else:
            stop = value + (8 if wire == FIXED64 else 4)
        yield key >> 3, begin, value, stop
        begin = stop


def message(number: int, value: bytes) -> bytes:
    """A field of bytes, a string or a message."""
    return coded(number << 3 | BYTES) + coded(len(value)) + value


def coded(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _varint(content: bytes | mmap, at: int) -> tuple[int, int]:
    """A whole number, and where the next byte is."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
