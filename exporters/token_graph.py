"""Graphs that start from token ids: `bag` (flat, with offsets), `tokens` (padded, with a mask), `fixed` (one text)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from .graph_builder import GraphBuilder
from .head import PackedHead, logits_of
from .pooling import Pooling, take_grid

__all__ = ["bag_graph", "fixed_graph", "tokens_graph"]


def bag_graph(pooling: Pooling, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """EmbeddingBag: `input_ids` int64 (T,), `offsets` int64 (B,) -> `sentence_embedding` float32 (B, D).

    Text i is input_ids[offsets[i]:offsets[i + 1]], the last one goes to the end. The texts are laid out in a padded
    grid inside: a flat sum by ScatterND(add) would be twice as fast in float32 on one thread, and ONNX Runtime's
    races on two (wrong sums in 256 of 300 runs, 1.32).
    """
    graph = GraphBuilder()
    total = graph.op("Shape", "input_ids")  # (1,)
    padded_ids = graph.op("Concat", "input_ids", graph.int64([pooling.pad]), axis=0)  # (T + 1,)
    ends = graph.op("Concat", "offsets", total, axis=0)  # (B + 1,)
    ends = graph.op("Slice", ends, graph.int64([1]), graph.int64([np.iinfo(np.int32).max]), graph.int64([0]))  # (B,)
    lengths = graph.op("Sub", ends, "offsets")  # (B,)
    # Pad with one 0, so that there is a maximum when B = 0 (and not by Concat, which OpenVINO then misreads).
    longest = graph.op("ReduceMax", graph.op("Pad", lengths, graph.int64([0, 1]), graph.int64(0)), keepdims=0)
    columns = graph.op("Range", graph.int64(0), graph.op("Max", longest, graph.int64(1)), graph.int64(1))  # (L,)
    inside = graph.op("Less", columns, graph.op("Unsqueeze", lengths, graph.int64([1])))  # (B, L)
    places = graph.op("Add", columns, graph.op("Unsqueeze", "offsets", graph.int64([1])))  # (B, L)
    grid = take_grid(graph, padded_ids, graph.op("Where", inside, places, total))  # (B, L), PAD where nothing is
    graph.output(pooling.sentence_embedding(graph, grid), "sentence_embedding")
    return graph.finish(
        "edge_potion_bag",
        {"input_ids": ["tokens"], "offsets": ["texts"]},
        {"sentence_embedding": ["texts", pooling.dim]},
        metadata,
    )


def tokens_graph(
    pooling: Pooling, metadata: Mapping[str, str], *, token_embeddings: bool, head: PackedHead | None = None
) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` int64 (B, L) -> `sentence_embedding` float32 (B, D).

    What fastembed and transformers.js feed. With a head of C labels `logits` float32 (B, C) come first, which
    transformers.js takes by this name. With `token_embeddings` there is an output of that name, float32
    (B, L, D), whose masked mean has the direction of the sentence embedding where no token is [UNK].
    """
    graph = GraphBuilder()
    taken = graph.cast("attention_mask", TensorProto.BOOL)
    ids = graph.op("Where", taken, "input_ids", graph.int64(pooling.pad))  # (B, L)
    grid = graph.op("Pad", ids, graph.int64([0, 0, 0, 1]), graph.int64(pooling.pad))  # (B, L + 1)
    outputs = _outputs(graph, pooling, grid, "texts", head)
    if token_embeddings:
        graph.output(pooling.token_embeddings(graph, grid), "token_embeddings")
        outputs["token_embeddings"] = ["texts", "tokens", pooling.dim]
    return graph.finish(
        "edge_potion_tokens",
        {"input_ids": ["texts", "tokens"], "attention_mask": ["texts", "tokens"]},
        outputs,
        metadata,
    )


def fixed_graph(
    pooling: Pooling, metadata: Mapping[str, str], max_tokens: int, *, head: PackedHead | None = None
) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` int32 (1, L) with L = `max_tokens` -> `sentence_embedding` float32 (1, D).

    NNAPI takes neither dynamic shapes nor int64 indices. With a head `logits` float32 (1, C) come first.
    """
    graph = GraphBuilder()
    taken = graph.cast("attention_mask", TensorProto.BOOL)
    grid = graph.op("Where", taken, "input_ids", graph.constant(pooling.pad, np.int32))  # (1, L)
    outputs = _outputs(graph, pooling, grid, 1, head)
    inputs = {"input_ids": [1, max_tokens], "attention_mask": [1, max_tokens]}
    return graph.finish(
        "edge_potion_fixed",
        inputs,
        outputs,
        metadata,
        dict.fromkeys(inputs, TensorProto.INT32),
    )


def _outputs(
    graph: GraphBuilder, pooling: Pooling, grid: str, texts: str | int, head: PackedHead | None
) -> dict[str, list[str | int]]:
    """What a grid of ids (B, L) gives, with the shape of each: logits where there is a head, and vectors."""
    outputs: dict[str, list[str | int]] = {}
    if head:
        logits = logits_of(graph, head, pooling.unit_vector(graph, grid), grid, pooling.pad)
        graph.output(logits, "logits")
        outputs["logits"] = [texts, len(head.labels)]
    graph.output(pooling.sentence_embedding(graph, grid), "sentence_embedding")
    outputs["sentence_embedding"] = [texts, pooling.dim]
    return outputs
