"""Write an ONNX graph one line a node, and finish it: checked, shape-inferred, with metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Branch = Callable[[], Sequence[str]]
Typed = tuple[str, int, int]  # a value: its name, TensorProto type and rank
LoopBody = Callable[[str, list[str]], tuple[str, Sequence[str]]]

__all__ = ["IR_VERSION", "OPSET", "GraphBuilder"]

OPSET = 18  # ONNX Runtime 1.14 (2023) and later; Pad and the Reduce ops take axes as inputs from here on
IR_VERSION = 8  # what goes with opset 18; onnx would write its newest, which older runtimes refuse
END = np.iinfo(np.int64).max  # as the end of a slice: where the values end


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of the value it made."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._made: dict[tuple[str, tuple[str, ...], str], str] = {}
        self._names = count()

    def constant(self, value: Any, dtype: type[np.generic] | None = None) -> str:
        """A small initializer; equal ones are stored once."""
        array = np.asarray(value, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def table(self, name: str, make: Callable[[], np.ndarray]) -> str:
        """A large initializer of that name, made when it is first asked for."""
        if all(tensor.name != name for tensor in self._initializers):
            self._initializers.append(numpy_helper.from_array(make(), name))
        return name

    def int64(self, value: int | Sequence[int]) -> str:
        """An int64 initializer."""
        return self.constant(value, np.int64)

    def int32(self, value: int | Sequence[int]) -> str:
        """An int32 initializer."""
        return self.constant(value, np.int32)

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """One node with one output, made once however often asked; `name` it where someone looks for it later."""
        key = (kind, inputs, repr(sorted(attributes.items())))
        if key not in self._made:
            self._made[key] = name or f"{kind}_{next(self._names)}"
            self._nodes.append(helper.make_node(kind, inputs, [self._made[key]], name=self._made[key], **attributes))
        return self._made[key]

    def either(self, condition: str, then: Branch, otherwise: Branch, types: Sequence[tuple[int, int]]) -> list[str]:
        """What one of two branches makes, by a boolean; each adds nodes to a graph of its own and names its outputs.

        Branches see every value made before. `types` are the TensorProto type and the rank of each output.
        """
        made = [f"If_{next(self._names)}" for _ in types]
        attributes = {
            side: self._graph_within(side, branch, [], _typed([f"{side}_{name}" for name in made], types))
            for side, branch in (("then_branch", then), ("else_branch", otherwise))
        }
        self._nodes.append(helper.make_node("If", [condition], made, name=made[0], **attributes))
        return made

    def loop(
        self, body: LoopBody, states: Sequence[str], types: Sequence[tuple[int, int]], turns: str = ""
    ) -> list[str]:
        """What the values `states` are after the last turn.

        Args:
            body: from the number of a turn (scalar int64) and the states to whether there is another turn (scalar
                bool; "" for always) and the next states; it adds nodes to a graph of its own.
            states: to begin with.
            types: TensorProto type and rank of each; a shape may be another after each turn.
            turns: scalar int64, how many there are at most; "" for no bound.
        """
        number = next(self._names)
        turn, goes_on = f"turn_{number}", f"goes_on_{number}"
        inner = [f"state_{number}_{place}" for place in range(len(states))]

        def turned() -> Sequence[str]:
            another, following = body(turn, inner)
            return [another or goes_on, *following]

        outputs = [f"next_{number}_{place}" for place in range(len(states))]
        graph = self._graph_within(
            f"loop_{number}",
            turned,
            [(turn, TensorProto.INT64, 0), (goes_on, TensorProto.BOOL, 0), *_typed(inner, types)],
            [(f"another_{number}", TensorProto.BOOL, 0), *_typed(outputs, types)],
        )
        made = [f"Loop_{next(self._names)}" for _ in states]
        self._nodes.append(helper.make_node("Loop", [turns, "", *states], made, name=made[0], body=graph))
        return made

    def scan(
        self,
        body: Callable[[str, str], tuple[str, str]],
        state: str,
        rows: str,
        types: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    ) -> tuple[str, str]:
        """The last state, and what `body` made of each of `rows`, which lie along the first axis, one upon the other.

        Args:
            body: from a state and a row to the next state and what is made; its shape is always the same.
            state: to begin with.
            rows: a row of them has a rank less.
            types: TensorProto type and rank of the state, of a row, and of what is made of it.
        """
        number = next(self._names)
        inner = [f"state_{number}", f"row_{number}"]
        graph = self._graph_within(
            f"scan_{number}",
            lambda: body(*inner),
            _typed(inner, types[:2]),
            _typed([f"next_{number}", f"made_{number}"], [types[0], types[2]]),
        )
        made = [f"Scan_{next(self._names)}" for _ in range(2)]
        self._nodes.append(helper.make_node("Scan", [state, rows], made, name=made[0], body=graph, num_scan_inputs=1))
        return made[0], made[1]

    def _graph_within(
        self, name: str, branch: Branch, inputs: Sequence[Typed], outputs: Sequence[Typed]
    ) -> onnx.GraphProto:
        """A graph of the nodes that `branch` adds, from `inputs` to `outputs`."""
        outer, known = self._nodes, dict(self._made)
        self._nodes = []
        for value, (output, _, _) in zip(branch(), outputs, strict=True):
            self._nodes.append(helper.make_node("Identity", [value], [output], name=output))
        taken, given = (
            [helper.make_tensor_value_info(each, kind, [None] * rank) for each, kind, rank in side]
            for side in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, name, taken, given)
        self._nodes, self._made = outer, known  # what was made within is not seen outside
        return graph

    def cast(self, value: str, to: int) -> str:
        """`value` as another TensorProto type."""
        return self.op("Cast", value, to=to)

    def any(self, flags: str) -> str:
        """Scalar bool, of flags (n,) of which there is one at least: whether any is true."""
        most = self.op("ReduceMax", self.cast(flags, TensorProto.INT32), keepdims=0)
        return self.cast(most, TensorProto.BOOL)

    def take(self, values: str, places: str) -> str:
        """(n,): `values` at `places`, both of one axis: GatherElements copies single values faster than Gather does."""
        return self.op("GatherElements", values, places)

    def but_first(self, values: str) -> str:
        """All but the first value."""
        return self.op("Slice", values, *map(self.int64, ([1], [END], [0])))

    def but_last(self, values: str) -> str:
        """All but the last value."""
        return self.op("Slice", values, *map(self.int64, ([0], [-1], [0])))

    def upto(self, values: str, end: str) -> str:
        """The values before the place `end` (1,)."""
        return self.op("Slice", values, self.int64([0]), end, self.int64([0]))

    def beyond(self, values: str, begin: str) -> str:
        """The values from the place `begin` (1,) on."""
        return self.op("Slice", values, begin, self.int64([END]), self.int64([0]))

    def shifted(self, values: str, dtype: type[np.generic]) -> str:
        """A 0, and all values but the last."""
        return self.op("Concat", self.constant([0], dtype), self.but_last(values), axis=0)

    def places_of(self, flags: str) -> str:
        """(n,) int64: the places of what is true."""
        return self.op("Reshape", self.op("NonZero", flags), self.int64([-1]))

    def order(self, values: str) -> str:
        """(n,) int64: the places of values, the greatest first."""
        made = [f"TopK_{next(self._names)}" for _ in range(2)]
        self._nodes.append(helper.make_node("TopK", [values, self.op("Shape", values)], made, name=made[1]))
        return made[1]

    def sums(self, values: str, exclusive: int = 0) -> str:
        """Running sums; with `exclusive`, of what is before each value."""
        return self.op("CumSum", values, self.int64(0), exclusive=exclusive)

    def numbers(self, count: str) -> str:
        """(count,) int64: 0, 1, 2 ..."""
        return self.op("Range", self.int64(0), count, self.int64(1))

    def spread(self, lengths: str) -> tuple[str, str]:
        """Runs of so many places (n,) int32, at least 1 each: of which run a place is, and which of it; int32 both."""
        begins = self.sums(lengths, exclusive=1)
        total = self.op("ReduceSum", lengths, keepdims=1)
        ones = self.filled(self.op("Shape", lengths), value=1)
        marks = self.op("ScatterElements", self.filled(self.cast(total, TensorProto.INT64)), begins, ones)
        run = self.op("Sub", self.sums(marks), self.constant(1, np.int32))
        return run, self.op("Sub", self.numbers32(total), self.take(begins, run))

    def numbers32(self, count: str) -> str:
        """(count,) int32: 0, 1, 2 ... of a count (1,) int32."""
        zero, one = self.constant(0, np.int32), self.constant(1, np.int32)
        return self.op("Range", zero, self.op("Squeeze", count), one)

    def less(self, values: str, amount: int) -> str:
        """Values less a whole number, int64."""
        return self.op("Sub", values, self.int64(amount))

    def filled(self, shape: str, value: int = 0) -> str:
        """int32 of a shape, each the same."""
        return self.op("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([value], np.int32)))

    def output(self, value: str, name: str) -> None:
        """Give a value the name of a graph output."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))

    def finish(
        self,
        title: str,
        inputs: Mapping[str, Sequence[str | int]],
        outputs: Mapping[str, Sequence[str | int]],
        metadata: Mapping[str, str],
        types: Mapping[str, int] = {},
    ) -> onnx.ModelProto:
        """The model: `inputs` and `outputs` by name and shape, `metadata` as metadata_props.

        Inputs are int64 and outputs float32 but for those in `types` (TensorProto's).

        Raises:
            onnx.checker.ValidationError: the graph is not valid; a bug here.
        """
        graph = helper.make_graph(
            self._nodes,
            title,
            [
                helper.make_tensor_value_info(name, types.get(name, TensorProto.INT64), shape)
                for name, shape in inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
                for name, shape in outputs.items()
            ],
            self._initializers,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="edge-potion"
        )
        helper.set_model_props(model, dict(metadata))
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model


def _typed(names: Sequence[str], types: Sequence[tuple[int, int]]) -> list[Typed]:
    return [(name, *each) for name, each in zip(names, types, strict=True)]
