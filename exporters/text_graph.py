"""The graph that starts from raw text: UTF-8 bytes -> a grid of token ids, by the tokenizer's family -> vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto

from .engine_facts import engine_facts
from .graph_builder import GraphBuilder
from .head import PackedHead, labels_of, logits_of, probabilities_of
from .pooling import Pooling
from .text_family import Family

__all__ = ["text_graph"]


def text_graph(
    pooling: Pooling,
    family: Family,
    max_tokens: int | None,
    metadata: Mapping[str, str],
    *,
    head: PackedHead | None = None,
    with_ids: bool = False,
) -> onnx.ModelProto:
    """`text` uint8 (N,) -> `sentence_embedding` float32 (B, D), B = NULs + 1.

    With a head of C labels `probabilities` float32 (B, C) and `label` int64 (B,) come first.

    Args:
        pooling: table and second half of the graph.
        family: of the tokenizer, which writes the steps up to the ids.
        max_tokens: where a text is cut; None means never.
        metadata: metadata_props.
        head: of a classifier.
        with_ids: for tests: outputs `input_ids` and `text_index` int32 (T,) as well, in the order of the texts.
    """
    graph = GraphBuilder()
    grid = family.grid(graph, "text", max_tokens, pooling.pad)
    pooling = replace(pooling, for_engine=True)
    outputs: dict[str, list[str | int]] = {}
    types: dict[str, int] = {"text": TensorProto.UINT8, "label": TensorProto.INT64}
    if head:
        logits = logits_of(graph, head, pooling.unit_vector(graph, grid), grid, pooling.pad)
        probabilities = probabilities_of(graph, head, logits)
        graph.output(probabilities, "probabilities")
        graph.output(labels_of(graph, head, logits, probabilities), "label")
        outputs |= {"probabilities": ["texts", len(head.labels)], "label": ["texts"]}
    graph.output(pooling.sentence_embedding(graph, grid), "sentence_embedding")
    outputs["sentence_embedding"] = ["texts", pooling.dim]
    if with_ids:
        there = graph.op("Not", graph.op("Equal", grid, graph.constant(pooling.pad, np.int32)))
        flat = [graph.int64([-1])]
        graph.output(
            graph.op("Compress", graph.op("Reshape", grid, *flat), graph.op("Reshape", there, *flat)), "input_ids"
        )
        rows = graph.op("Slice", graph.op("NonZero", there), graph.int64([0]), graph.int64([1]), graph.int64([0]))
        graph.output(graph.cast(graph.op("Reshape", rows, *flat), TensorProto.INT32), "text_index")
        outputs.update({"input_ids": ["tokens"], "text_index": ["tokens"]})
        types.update({"input_ids": TensorProto.INT32, "text_index": TensorProto.INT32})
    model = graph.finish("edge_potion_text", {"text": ["bytes"]}, outputs, metadata, types)
    facts = engine_facts(model, family.facts(has_phrases=pooling.phrases is not None))
    onnx.helper.set_model_props(model, {**metadata, **facts})
    return model
