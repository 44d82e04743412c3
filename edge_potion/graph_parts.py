"""The parts of a graph of ours, cut out of its bytes: its table, the rest, and the half that starts from ids.

Every graph of ours ends in the same half: a grid of row numbers goes into the node "table", and what comes of the rows
are the vectors. That half alone is a graph for any token ids, at the very same precision and bits. So a model that is
open needs neither its folder nor a second copy of the table, whatever is asked of it.

Nothing here reads onnx.proto beyond the fields that these cuts need; `check_onnx` has looked at the bytes before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edge_potion.errors import ModelFormatError

__all__ = ["GRID", "VECTORS", "GraphParts", "cut_graph"]

TABLE_TENSOR, TABLE_NODE = b"table_rows", b"table"  # names that exporters/pooling.py gives
VECTORS = "sentence_embedding"  # the output of every graph
GRID = "grid"  # the input of the half that starts from ids, (B, L) of the type that the table is read by
# Field numbers of onnx.proto.
MODEL_VERSION, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR = 1, 2, 3, 4
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
VARINT, FIXED64, BYTES = 0, 1, 2
FLOAT = 1  # TensorProto's numbers of types
GRID_TYPES = {"text": 6, "bag": 7, "tokens": 7}  # int32, int64
DTYPES = {1: np.float32, 3: np.int8, 10: np.float16}
HELD = b"held"  # where the table "lies": ONNX Runtime wants a name


@dataclass(frozen=True)
class GraphParts:
    """A graph whose table is held apart.

    Attributes:
        content: the .onnx file.
        graph: which one it holds, "text", "bag" or "tokens".
        table: (V + 1, D) of its own dtype, the last row zeros, where it lies in `content`, at any address (ONNX Runtime
            copies rows out of it, and reads nothing else); None where the file holds none under our name.
        rest: `content` without the table, which is marked as lying elsewhere; `content` where `table` is None.
    """

    content: bytes
    graph: str
    table: np.ndarray | None
    rest: bytes

    @property
    def table_name(self) -> str:
        """Name of the tensor that `table` is."""
        return TABLE_TENSOR.decode()

    def from_ids(self, told: str, *, as_sums: bool = False) -> bytes:
        """The half that starts from ids, as an .onnx file without the table: GRID (B, L) -> VECTORS (B, D) float32.

        L is at least 1, and the grid holds V, the row of zeros, where no token is. With `as_sums` the output is VECTORS
        before they are scaled to unit length: they add up over the parts of a text.

        Raises:
            ModelFormatError: the file is built otherwise than ours; names what it is `told` of.
        """
        half = None if self.table is None else _second_half(self.rest, GRID_TYPES[self.graph], as_sums)
        if half is None:
            raise ModelFormatError(f"{told} has no half that starts from token ids; export the bundle again")
        return half


@dataclass(frozen=True)
class _Field:
    """A field of a protobuf message: from `key` to `end`, its value from `begin`."""

    number: int
    key: int
    begin: int
    end: int


@dataclass(frozen=True)
class _Node:
    field: _Field
    name: bytes
    operator: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


def cut_graph(content: bytes, graph: str) -> GraphParts:
    """Find the table in an .onnx file that went through `check_onnx`; `graph` is the one that it holds."""
    whole = _one(content, _Field(0, 0, 0, len(content)), MODEL_GRAPH)
    for tensor in _fields(content, whole):
        if tensor.number == GRAPH_INITIALIZER and _named(content, tensor, TENSOR_NAME) == TABLE_TENSOR:
            break
    else:
        return GraphParts(content, graph, None, content)
    fields = list(_fields(content, tensor))
    dims = [_varint(content, each.begin)[0] for each in fields if each.number == TENSOR_DIMS]
    parts = {each.number: each for each in fields}
    kind, raw = parts.get(TENSOR_TYPE), parts.get(TENSOR_RAW)
    dtype = None if kind is None else DTYPES.get(_varint(content, kind.begin)[0])
    if raw is None or dtype is None or len(dims) != 2:
        return GraphParts(content, graph, None, content)
    table = np.frombuffer(content, dtype, dims[0] * dims[1], raw.begin).reshape(dims)
    elsewhere = _bytes(TENSOR_EXTERNAL, _bytes(1, b"location") + _bytes(2, HELD)) + _number(TENSOR_LOCATION, 1)
    short = content[tensor.begin : raw.key] + content[raw.end : tensor.end] + elsewhere
    inside = content[whole.begin : tensor.key] + _bytes(GRAPH_INITIALIZER, short) + content[tensor.end : whole.end]
    rest = content[: whole.key] + _bytes(MODEL_GRAPH, inside) + content[whole.end :]
    return GraphParts(content, graph, table, rest)


def _second_half(content: bytes, grid_type: int, as_sums: bool) -> bytes | None:
    """None where the graph is built otherwise than ours."""
    whole = _one(content, _Field(0, 0, 0, len(content)), MODEL_GRAPH)
    fields = list(_fields(content, whole))
    nodes = [_node(content, each) for each in fields if each.number == GRAPH_NODE]
    maker = {output: node for node in nodes for output in node.outputs}
    table = next((node for node in nodes if node.name == TABLE_NODE), None)
    goal = _before_unit_length(maker, VECTORS.encode()) if as_sums else VECTORS.encode()
    if table is None or len(table.inputs) != 2 or goal is None:
        return None
    grid = table.inputs[1]
    needed, values, open_values = set[_Field](), {grid}, [goal]
    while open_values:
        value = open_values.pop()
        if value in values or not value:
            continue
        values.add(value)
        if node := maker.get(value):
            needed.add(node.field)
            open_values += node.inputs
    inputs = {_named(content, each, 1) for each in fields if each.number == GRAPH_INPUT}
    if values & inputs:
        return None
    grid_name = GRID.encode()
    kept = [
        content[each.key : each.end]
        for each in fields
        if each in needed or (each.number == GRAPH_INITIALIZER and _named(content, each, TENSOR_NAME) in values)
    ]
    named = _bytes(NODE_INPUT, grid_name) + _bytes(NODE_OUTPUT, grid) + _bytes(NODE_OPERATOR, b"Identity")
    made = b"".join(
        [
            _bytes(GRAPH_NODE, named),
            *kept,
            _bytes(GRAPH_NAME, b"from_ids"),
            _bytes(GRAPH_INPUT, _value(grid_name, grid_type, (b"texts", b"tokens"))),
            _bytes(GRAPH_OUTPUT, _value(goal, FLOAT, (b"texts", b"dim"))),
        ]
    )
    head = b"".join(
        content[each.key : each.end]
        for each in _fields(content, _Field(0, 0, 0, len(content)))
        if each.number in (MODEL_VERSION, MODEL_OPSET)
    )
    return head + _bytes(MODEL_GRAPH, made)


def _before_unit_length(maker: dict[bytes, _Node], output: bytes) -> bytes | None:
    """The value that the last division, by a vector's length, makes `output` of."""
    node = maker.get(output)
    while node is not None and node.operator == b"Identity":
        node = maker.get(node.inputs[0])
    return node.inputs[0] if node is not None and node.operator == b"Div" else None


def _node(content: bytes, field: _Field) -> _Node:
    parts: dict[int, list[bytes]] = {}
    for each in _fields(content, field):
        parts.setdefault(each.number, []).append(content[each.begin : each.end])
    name, operator = (parts.get(number, [b""])[-1] for number in (NODE_NAME, NODE_OPERATOR))
    inputs, outputs = (tuple(parts.get(number, ())) for number in (NODE_INPUT, NODE_OUTPUT))
    return _Node(field, name, operator, inputs, outputs)


def _named(content: bytes, field: _Field, number: int) -> bytes:
    names = (content[each.begin : each.end] for each in _fields(content, field) if each.number == number)
    return next(names, b"")


def _one(content: bytes, field: _Field, number: int) -> _Field:
    return next(each for each in _fields(content, field) if each.number == number)


def _fields(content: bytes, message: _Field) -> Iterator[_Field]:
    at = message.begin
    while at < message.end:
        key, begin = _varint(content, at)
        wire = key & 7
        if wire == VARINT:
            end = _varint(content, begin)[1]
        elif wire == BYTES:
            size, begin = _varint(content, begin)
            end = begin + size
        else:
            end = begin + (8 if wire == FIXED64 else 4)
        yield _Field(key >> 3, at, begin, end)
        at = end


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A whole number, and where the next byte is."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _coded(value: int) -> bytes:
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def _number(field: int, value: int) -> bytes:
    return _coded(field << 3 | VARINT) + _coded(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _coded(field << 3 | BYTES) + _coded(len(value)) + value


def _value(name: bytes, kind: int, dims: Iterable[bytes]) -> bytes:
    """A ValueInfoProto: a tensor of such dimensions, by name."""
    shape = b"".join(_bytes(1, _bytes(2, dim)) for dim in dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))
