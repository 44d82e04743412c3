"""What a text graph says of itself for the native engine, which reads its tables and not its nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import onnx

__all__ = ["engine_facts"]


def engine_facts(model: onnx.ModelProto, facts: Mapping[str, str]) -> dict[str, str]:
    """Of metadata_props, by what the native engine (native/src/model_file.cpp) reads the tables; max_tokens is there.

    To the `facts` of the tokenizer's family comes `structure`, a digest of the nodes, the small constants, inputs and
    outputs: a graph that another program changed is refused there, and not misread.
    """
    graph, digest = model.graph, hashlib.sha256()
    constants = (tensor for tensor in graph.initializer if tensor.name.startswith("constant_"))
    for part in (*graph.node, *constants, *graph.input, *graph.output):  # in the order of a file
        digest.update(part.SerializeToString())
    return {**facts, "structure": digest.hexdigest()}
