"""What a text graph says of itself for the native engine, which reads its tables and not its nodes."""

from __future__ import annotations

import hashlib

import onnx

from .text_pieces import Pieces

__all__ = ["engine_facts"]

# Of the tables' layout. The second has those of phrases too, without which an engine would give other vectors.
TABLES_FORMAT, WITH_PHRASES = 1, 2


def engine_facts(model: onnx.ModelProto, pieces: Pieces, *, has_phrases: bool) -> dict[str, str]:
    """Of metadata_props, by what the native engine (native/src/model_file.cpp) reads the tables; max_tokens is there.

    `structure` is a digest of the nodes, the small constants, inputs and outputs: a graph that another program changed
    is refused there, and not misread.
    """
    graph, digest = model.graph, hashlib.sha256()
    constants = (tensor for tensor in graph.initializer if tensor.name.startswith("constant_"))
    for part in (*graph.node, *constants, *graph.input, *graph.output):  # in the order of a file
        digest.update(part.SerializeToString())
    return {
        "text_tables": str(WITH_PHRASES if has_phrases else TABLES_FORMAT),
        "longest_piece": str(pieces.longest),
        "longest_word": str(pieces.longest_word),
        "unknown_id": str(pieces.unknown),
        "structure": digest.hexdigest(),
    }
