"""A normalizer's passes in a graph: UTF-8 bytes -> normalized code points."""

from __future__ import annotations

from onnx import TensorProto

from .graph_builder import GraphBuilder
from .text_unicode import decoded
from .unicode_passes import Passes

__all__ = ["code_points"]


def code_points(graph: GraphBuilder, ended: str, passes: Passes) -> str:
    """(n,) int32 normalized code points of texts, a 0 behind each text, of which nothing else is 0.

    Args:
        graph: to which nodes are added, and the passes' tables.
        ended: name of (N,) uint8, texts in UTF-8 with a NUL behind each.
        passes: of the tokenizer.
    """
    return decoded(graph, graph.cast(ended, TensorProto.INT32))
