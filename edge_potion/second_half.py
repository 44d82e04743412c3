"""The half of a graph of ours that starts from the numbers of rows, of tokens and phrases, cut out of its bytes.

Every graph of ours ends in the same half: a grid of row numbers goes into the node "table", and what comes of the rows
are the vectors. That half alone is a graph for any token ids, with the same table, precision and bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_potion.errors import ModelFormatError
from edge_potion.graph_parts import VECTORS, GraphParts, coded, fields, message
from edge_potion.providers import KEY_NODES

__all__ = ["GRID", "second_half"]

GRID = "grid"  # the input: (B, L) of the type that the table is read by
TABLE_NODE = KEY_NODES[0].encode()
# Numbers of fields in onnx.proto, and of types.
MODEL_VERSION, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR = 1, 2, 3, 4
TENSOR_NAME, VALUE_NAME = 8, 1
FLOAT, INT32, INT64 = 1, 6, 7
GRID_TYPES = {"text": INT32, "bag": INT64, "tokens": INT64}


@dataclass(frozen=True)
class _Node:
    begin: int
    operator: bytes
    name: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


def second_half(parts: GraphParts, told: str, *, as_sums: bool = False) -> bytes:
    """An .onnx file that lacks what `parts.rest` lacks: GRID (B, L) -> (B, D) float32.

    L is at least 1, and the grid holds V + P, the row of zeros, where no token or phrase is; no phrase is found. With
    `as_sums` the output is what is scaled to unit length at the end: it adds up over the parts of a text.

    Raises:
        ModelFormatError: the graph is built otherwise than ours; names what it is `told` of.
    """
    half = None if parts.table is None else _cut(parts.rest, GRID_TYPES[parts.graph], as_sums)
    if half is None:
        raise ModelFormatError(f"{told} has no half that starts from token ids; export the bundle again")
    return half


def _cut(content: bytes, grid_type: int, as_sums: bool) -> bytes | None:
    """None where the graph is built otherwise than ours."""
    model = list(fields(content, 0, len(content)))
    _, _, begin, end = next(each for each in model if each[0] == MODEL_GRAPH)
    graph = list(fields(content, begin, end))
    nodes = [_node(content, *each[1:]) for each in graph if each[0] == GRAPH_NODE]
    maker = {output: node for node in nodes for output in node.outputs}
    table = next((node for node in nodes if node.name == TABLE_NODE), None)
    goal = _before_unit_length(maker, VECTORS.encode()) if as_sums else VECTORS.encode()
    if table is None or len(table.inputs) != 2 or goal is None:
        return None
    grid = table.inputs[1]

    # Back from the goal to the grid.
    needed, values, ahead = set[int](), {grid}, [goal]
    while ahead:
        value = ahead.pop()
        if value in values:
            continue
        values.add(value)
        if node := maker.get(value):
            needed.add(node.begin)
            ahead += node.inputs
    if any(each[0] == GRAPH_INPUT and _named(content, each[2], each[3], VALUE_NAME) in values for each in graph):
        return None
    named = message(NODE_INPUT, GRID.encode()) + message(NODE_OUTPUT, grid) + message(NODE_OPERATOR, b"Identity")
    made = [message(GRAPH_NAME, b"second_half"), message(GRAPH_NODE, named)]
    for number, key, value_at, stop in graph:
        is_needed_tensor = number == GRAPH_INITIALIZER and _named(content, value_at, stop, TENSOR_NAME) in values
        if is_needed_tensor or (number == GRAPH_NODE and key in needed):
            made.append(content[key:stop])
    made.append(message(GRAPH_INPUT, _value(GRID.encode(), grid_type, (b"texts", b"tokens"))))
    made.append(message(GRAPH_OUTPUT, _value(goal, FLOAT, (b"texts", b"dim"))))
    head = [content[key:stop] for number, key, _, stop in model if number in (MODEL_VERSION, MODEL_OPSET)]
    return b"".join(head) + message(MODEL_GRAPH, b"".join(made))


def _before_unit_length(maker: dict[bytes, _Node], output: bytes) -> bytes | None:
    """The value that the last division, by a vector's length, makes `output` of."""
    node = maker.get(output)
    while node is not None and node.operator == b"Identity":
        node = maker.get(node.inputs[0])
    return node.inputs[0] if node is not None and node.operator == b"Div" else None


def _node(content: bytes, key: int, begin: int, end: int) -> _Node:
    parts: dict[int, list[bytes]] = {}
    for number, _, at, stop in fields(content, begin, end):
        if number <= NODE_OPERATOR:  # not the attributes, which hold whole branches
            parts.setdefault(number, []).append(content[at:stop])
    operator, name = (parts.get(number, [b""])[-1] for number in (NODE_OPERATOR, NODE_NAME))
    inputs, outputs = (tuple(parts.get(number, ())) for number in (NODE_INPUT, NODE_OUTPUT))
    return _Node(key, operator, name, inputs, outputs)


def _named(content: bytes, begin: int, end: int, number: int) -> bytes:
    return next((content[at:stop] for found, _, at, stop in fields(content, begin, end) if found == number), b"")


def _value(name: bytes, kind: int, dims: tuple[bytes, ...]) -> bytes:
    """A ValueInfoProto: a tensor of such a type and dimensions, these by name."""
    shape = b"".join(message(1, message(2, dim)) for dim in dims)
    return message(1, name) + message(2, message(1, coded(1 << 3) + coded(kind) + message(2, shape)))
