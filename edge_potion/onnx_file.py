"""What an ONNX file from a stranger must not do: point at other files, lie about sizes, bring operators of its own, or
make work of constants alone, which ONNX Runtime would do while it loads the file.

Reads the few protobuf fields that tell (onnx.proto, IR version 8), without the onnx package or a table in memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_potion.errors import ModelFormatError

__all__ = ["OPERATORS", "check_onnx"]

# Operators of ONNX's own domain that our graphs are made of; a test holds the list to what is exported.
OPERATORS = frozenset(
    b"Add And ArgMax BitShift BitwiseAnd Cast Clip Compress Concat ConstantOfShape CumSum Div Equal Expand Gather "
    b"GatherElements Greater GreaterOrEqual Identity If Less LessOrEqual Loop MatMul MatMulInteger Max Min Mul NonZero "
    b"Not Or Pad Range ReduceL2 ReduceMax ReduceSum Reshape Round Scan ScatterElements Shape Sigmoid Slice Softmax "
    b"Sqrt Squeeze Sub TopK Unsqueeze Where".split()
)
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
# Numbers of fields in onnx.proto.
MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_SPARSE = 1, 5, 11, 15
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
VALUE_NAME = 1
# What protobuf's own readers take for these fields; with another wire type they skip what we would have read.
MODEL = dict.fromkeys((MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS), (BYTES,))
GRAPH = dict.fromkeys((GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_SPARSE), (BYTES,))
NODE = dict.fromkeys((NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN), (BYTES,))
ATTRIBUTE = dict.fromkeys((*ATTRIBUTE_TENSORS, *ATTRIBUTE_GRAPHS, *ATTRIBUTE_SPARSE), (BYTES,))
TENSOR = {
    TENSOR_DIMS: (VARINT, BYTES),
    TENSOR_TYPE: (VARINT,),
    TENSOR_NAME: (BYTES,),
    TENSOR_RAW: (BYTES,),
    TENSOR_EXTERNAL: (BYTES,),
    TENSOR_LOCATION: (VARINT,),
}
# Bytes of a value, by TensorProto.DataType; what is not here, no graph of ours holds.
ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
DEEPEST = 8  # graphs within graphs
MOST_DIMS = 8
MOST_FIELDS = 200_000  # ours have some thousands
MOST_NODES = 4_000  # ours have some hundreds
# Of what is made of constants alone, ours have Slices of a table of 4 kB; a Slice is never larger than what it cuts.
MOST_CONSTANT_SLICES = 16
LONGEST_VARINT = 10
LARGEST_KEY = 2**32  # protobuf's own readers drop the bits above, and would see another field than we do


class _Damaged(Exception):
    """The bytes are no protobuf message, or no graph of ours; says where."""


def check_onnx(file: Path, content: bytes | None = None) -> None:
    """Look at an ONNX file before ONNX Runtime does.

    Args:
        file: where it lies, which errors name.
        content: what was read of it, where it was.

    Raises:
        ModelFormatError: it is damaged, refers to another file, holds foreign operators, a tensor's size is not that
            of its data, or nodes that constants alone feed would be computed while it is loaded.
    """
    try:
        if content is not None:
            _Graphs(content).check()
            return
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            _Graphs(mapped).check()
    except (OSError, ValueError) as failure:  # ValueError: an empty file cannot be mapped
        raise ModelFormatError(f"{file} cannot be read ({failure})") from failure
    except _Damaged as reason:
        raise ModelFormatError(f"{file} is no graph of ours: {reason}; download or export it again") from reason


class _Graphs:
    """The graphs of a model, read field by field."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self.content = content
        self.fields_left = MOST_FIELDS
        self.nodes_left = MOST_NODES
        self.constant_slices_left = MOST_CONSTANT_SLICES

    def check(self) -> None:
        graphs = 0
        for number, begin, end in self._fields(0, len(self.content), MODEL):
            if number == MODEL_GRAPH:
                graphs += 1
                self._check_graph(begin, end, frozenset(), frozenset(), 0)
            elif number in (MODEL_TRAINING, MODEL_FUNCTIONS):
                raise _Damaged("it holds functions of its own")
        if graphs != 1:
            raise _Damaged(f"it holds {graphs} graphs")

    def _check_graph(
        self, begin: int, end: int, outer_fed: frozenset[bytes], outer_constants: frozenset[bytes], depth: int
    ) -> None:
        """`outer_fed`: values outside that hang on an input of the model; `outer_constants`: initializers there."""
        if depth > DEEPEST:
            raise _Damaged(f"graphs are more than {DEEPEST} deep")
        nodes: list[tuple[int, int]] = []
        inputs: set[bytes] = set()
        constants = set(outer_constants)
        for number, inner, outer in self._fields(begin, end, GRAPH):
            if number == GRAPH_NODE:
                nodes.append((inner, outer))
            elif number == GRAPH_INITIALIZER:
                constants.add(self._check_tensor(inner, outer))
            elif number == GRAPH_INPUT:
                values = self._fields(inner, outer, {VALUE_NAME: (BYTES,)})
                inputs.update(self.content[at:to] for field, at, to in values if field == VALUE_NAME)
            elif number == GRAPH_SPARSE:
                raise _Damaged("it holds a sparse tensor")
        fed = (outer_fed | inputs) - constants
        for inner, outer in nodes:  # in their order, in which each comes behind what feeds it
            fed |= self._check_node(inner, outer, fed, frozenset(constants), depth)

    def _check_node(
        self, begin: int, end: int, fed: frozenset[bytes], constants: frozenset[bytes], depth: int
    ) -> set[bytes]:
        """Names of the values that it makes of an input of the model."""
        self.nodes_left -= 1
        if self.nodes_left < 0:
            raise _Damaged(f"it holds more than {MOST_NODES:,} nodes")
        operator, inputs, outputs = b"", set(), set()
        for number, inner, outer in self._fields(begin, end, NODE):
            if number == NODE_INPUT:
                inputs.add(self.content[inner:outer])
            elif number == NODE_OUTPUT:
                outputs.add(self.content[inner:outer])
            elif number == NODE_OPERATOR:
                operator = self.content[inner:outer]
            elif number == NODE_ATTRIBUTE:
                self._check_attribute(inner, outer, fed, constants, depth)
            elif number == NODE_DOMAIN and inner != outer:
                raise _Damaged(f"it holds an operator of {self.content[inner:outer][:40]!r}")
        if operator not in OPERATORS:
            raise _Damaged(f"it holds the operator {operator[:40].decode(errors='replace')!r}")
        if inputs & fed:
            return outputs
        self.constant_slices_left -= 1
        if operator != b"Slice" or not inputs <= constants or self.constant_slices_left < 0:
            raise _Damaged(f"no input of the model reaches a node of it ({operator.decode()})")
        return set()

    def _check_attribute(
        self, begin: int, end: int, fed: frozenset[bytes], constants: frozenset[bytes], depth: int
    ) -> None:
        tensors = 0
        for number, inner, outer in self._fields(begin, end, ATTRIBUTE):
            if number in ATTRIBUTE_TENSORS:
                tensors += 1
                if tensors > 1:  # of one attribute: protobuf merges them, and their sizes
                    raise _Damaged("an attribute holds two tensors")
                self._check_tensor(inner, outer)
            elif number in ATTRIBUTE_GRAPHS:
                self._check_graph(inner, outer, fed, constants, depth + 1)
            elif number in ATTRIBUTE_SPARSE:
                raise _Damaged("it holds a sparse tensor")

    def _check_tensor(self, begin: int, end: int) -> bytes:
        """Its name."""
        values, dims, kind, raw_bytes, name = 1, 0, 0, None, b""
        for number, inner, outer in self._fields(begin, end, TENSOR):
            if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and inner):
                raise _Damaged("a tensor lies in another file")
            if number == TENSOR_DIMS:
                for size in (inner,) if outer < 0 else self._varints(inner, outer):
                    dims += 1
                    values *= size
                    if dims > MOST_DIMS or values > len(self.content):
                        raise _Damaged("a tensor claims more values than the file has bytes")
            elif number == TENSOR_TYPE:
                kind = inner
            elif number == TENSOR_NAME:
                name = self.content[inner:outer]
            elif number == TENSOR_RAW:
                raw_bytes = outer - inner
        if kind not in ITEM_BYTES:
            raise _Damaged(f"a tensor is of type {kind}")
        expected = values * ITEM_BYTES[kind]
        if expected > len(self.content) or (raw_bytes is not None and raw_bytes != expected):
            raise _Damaged(f"a tensor of {expected} bytes has {raw_bytes or 0}")
        return name

    def _fields(self, begin: int, end: int, wires: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, int, int]]:
        """(number, begin, end) of each field of a message; of a number (its field's number, the value, -1).

        `wires`: the wire types that a field may have, by its number.
        """
        content = self.content
        while begin < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise _Damaged(f"it holds more than {MOST_FIELDS:,} fields")
            key, begin = (content[begin], begin + 1) if content[begin] < 0x80 else self._varint(begin, end)
            number, wire = key >> 3, key & 7
            if number == 0 or key >= LARGEST_KEY or wire not in wires.get(number, (wire,)):
                raise _Damaged(f"byte {begin} is no protobuf")
            if wire == VARINT:
                value, begin = self._varint(begin, end)
                yield number, value, -1
                continue
            if wire == BYTES:
                size, begin = self._varint(begin, end)
            else:
                size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
            if size < 0 or begin + size > end:
                raise _Damaged(f"byte {begin} is no protobuf")
            yield number, begin, begin + size
            begin += size

    def _varints(self, begin: int, end: int) -> Iterator[int]:
        while begin < end:
            value, begin = self._varint(begin, end)
            yield value

    def _varint(self, begin: int, end: int) -> tuple[int, int]:
        """A whole number, and where the next byte is."""
        value = 0
        for place in range(begin, min(end, begin + LONGEST_VARINT)):
            byte = self.content[place]
            value |= (byte & 0x7F) << (7 * (place - begin))
            if byte < 0x80:
                return value, place + 1
        raise _Damaged(f"byte {begin} is no protobuf")
