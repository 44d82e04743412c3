"""The graphs of a bundle: who builds each, where its file lies, and what a lone file says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx

import edge_potion
from edge_potion.bundle import GRAPHS, PRECISIONS, graph_file
from edge_potion.errors import ModelFormatError
from edge_potion.head_in_graph import HEAD_GRAPHS, head_facts
from edge_potion.origin import origin_of
from edge_potion.ort_files import FIXED, MOBILE
from edge_potion.static_model import StaticModel

from .head import PackedHead
from .pooling import Pooling
from .quantize import PackedTable
from .text_family import Family
from .text_graph import text_graph
from .text_hash import HashTable
from .token_graph import bag_graph, fixed_graph, tokens_graph

__all__ = ["BUILDERS", "Plan", "build_graph", "file_of"]

LARGEST_GRAPH_BYTES = 2**31 - 2**24  # protobuf's limit, less room for the nodes: every graph is one file


@dataclass(frozen=True)
class Plan:
    """What a bundle is to hold.

    Attributes:
        model: as it ships, under a name of its own.
        precisions: in the order that was asked for; model.safetensors holds the first.
        graphs: names as in BUILDERS; with FIXED among them, there is a folder `mobile/`.
        family: of the model's tokenizer; None where the text graph is not among them.
        phrases: where the rows of phrases are found; None where the model has none.
        head: of a classifier.
        token_embeddings: whether the tokens graph gives the vector of each token, too.
        fixed_tokens: how many tokens the graph of fixed shape takes.
        remarks: a line each, what the bundle lacks that one might think it has.
    """

    model: StaticModel
    precisions: Sequence[str]
    graphs: Sequence[str]
    family: Family | None
    phrases: HashTable | None
    head: PackedHead | None
    token_embeddings: bool
    fixed_tokens: int
    remarks: Sequence[str]


Builder = Callable[[Plan, Pooling, Mapping[str, str]], onnx.ModelProto]


def build_graph(plan: Plan, graph: str, packed: PackedTable) -> onnx.ModelProto:
    """The graph of that name over a table at its precision.

    Raises:
        ModelFormatError: it would be too large for a file.
    """
    if packed.rows.nbytes > LARGEST_GRAPH_BYTES:
        raise ModelFormatError(
            f"a {packed.precision} table of {packed.rows.nbytes / 1e9:.1f} GB does not fit into one ONNX file (2 GB); "
            "export at int8 or float16, or with fewer dimensions"
        )
    pooling = Pooling(packed, plan.model.dropped_ids, plan.model.card.normalize, plan.phrases, is_fixed=graph == FIXED)
    metadata = _metadata(plan.model, graph, packed.precision)
    if plan.model.head and graph in (*HEAD_GRAPHS, FIXED):
        metadata |= head_facts(plan.model.head.answers)
    return BUILDERS[graph](plan, pooling, metadata)


def file_of(graph: str, precision: str) -> str:
    """Path of a graph in a bundle's folder."""
    return graph_file(graph, precision) if graph in GRAPHS else f"{MOBILE}/{graph}{PRECISIONS[precision]}.onnx"


def _metadata(model: StaticModel, graph: str, precision: str) -> dict[str, str]:
    """The card, as metadata_props."""
    origin = origin_of(model.card.config)
    return {
        "name": model.card.name,
        **{key: origin.get(key, "") for key in ("teacher", "teacher_revision", "recipe_fingerprint")},
        "graph": graph,
        "precision": precision,
        "tokens": str(model.tokenizer.get_vocab_size()),
        **({"phrases": str(len(model.phrases))} if model.phrases else {}),
        "normalize": json.dumps(model.card.normalize),
        "max_tokens": json.dumps(model.card.max_tokens),
        **({"prompt": model.card.prompt} if model.card.prompt else {}),
        "edge_potion_version": edge_potion.__version__,
    }


def _text(plan: Plan, pooling: Pooling, metadata: Mapping[str, str]) -> onnx.ModelProto:
    assert plan.family is not None  # the graph is not planned without
    return text_graph(pooling, plan.family, plan.model.card.max_tokens, metadata, head=plan.head)


def _bag(_: Plan, pooling: Pooling, metadata: Mapping[str, str]) -> onnx.ModelProto:
    return bag_graph(pooling, metadata)


def _tokens(plan: Plan, pooling: Pooling, metadata: Mapping[str, str]) -> onnx.ModelProto:
    return tokens_graph(pooling, metadata, token_embeddings=plan.token_embeddings, head=plan.head)


def _fixed(plan: Plan, pooling: Pooling, metadata: Mapping[str, str]) -> onnx.ModelProto:
    metadata = {**metadata, "max_tokens": str(plan.fixed_tokens)}
    return fixed_graph(pooling, metadata, plan.fixed_tokens, head=plan.head)


BUILDERS: Mapping[str, Builder] = {"text": _text, "bag": _bag, "tokens": _tokens, FIXED: _fixed}
