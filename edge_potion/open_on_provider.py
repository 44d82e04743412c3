"""A bundle's graph in ONNX Runtime, on one of its providers, held to what the folder says of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_potion import providers
from edge_potion.bundle import CPU_GRAPHS, Bundle
from edge_potion.errors import ModelFormatError, ProviderError
from edge_potion.graph_parts import VECTORS, GraphParts, cut_graph, phrases_in
from edge_potion.head_in_graph import GIVEN, Output, check_head
from edge_potion.onnx_file import check_onnx
from edge_potion.open_graph import OpenGraph
from edge_potion.opened import Asked, Opened, bundle_in
from edge_potion.phrases_told import check_phrases
from edge_potion.progress import unfailing_stderr

if TYPE_CHECKING:
    from edge_potion.phrases_in_graph import GraphPhrases

__all__ = ["OnProvider", "open_on_provider"]

# What each graph takes, by ONNX Runtime's names of types, and of how many dimensions.
INPUTS = {
    "text": {"text": ("tensor(uint8)", 1)},
    "bag": {"input_ids": ("tensor(int64)", 1), "offsets": ("tensor(int64)", 1)},
    "tokens": {"input_ids": ("tensor(int64)", 2), "attention_mask": ("tensor(int64)", 2)},
}


@dataclass(frozen=True)
class OnProvider(Opened):
    """An open model in ONNX Runtime.

    Attributes:
        parts: the graph's file, and its table.
        open_graph: the graph in a session.
        provider: where it was opened.
    """

    parts: GraphParts
    open_graph: OpenGraph
    provider: providers.Provider

    @cached_property
    def phrases(self) -> GraphPhrases | None:
        """Which pairs of tokens have a row, by the tables of the graph's own file; None where none has.

        Raises:
            ModelFormatError: the file does not hold as many as it should.
        """
        if not self.bundle.phrases:
            return None
        found = phrases_in(self.parts.content)
        if found is None or len(found) != self.bundle.phrases:
            raise ModelFormatError(
                f"{self.open_graph.name} holds {len(found or ()):,} phrases under our names, and config.json tells of "
                f"{self.bundle.phrases:,}; export the bundle again"
            )
        return found

    @cached_property
    def tokens(self) -> int:
        return int(self.stated["tokens"])

    @cached_property
    def stated(self) -> Mapping[str, str]:
        """metadata_props of the graph."""
        stated: Mapping[str, str] = self.open_graph.session.session.get_modelmeta().custom_metadata_map
        return stated


def open_on_provider(folder: Path, asked: Asked) -> OnProvider:
    """Open the bundle in `folder`, or the one that is exported from it into the cache, in ONNX Runtime.

    Raises:
        InputError: no such graph.
        ModelFormatError: a file is missing, truncated or foreign.
        ProviderError: the provider is absent, fell back, or has no kernels for the precision.
        MissingExtraError: onnxruntime is not installed; or onnx is not, and the model has no graphs yet.
    """
    *first, last = providers.candidates(asked.provider)
    for candidate in first:  # only "auto" has more than one
        try:
            return _open_on(candidate, folder, asked)
        except ProviderError as reason:
            with unfailing_stderr():
                warnings.warn(f"{reason} (trying the next provider)", RuntimeWarning, stacklevel=4)
    return _open_on(last, folder, asked)


def _open_on(provider: providers.Provider, folder: Path, asked: Asked) -> OnProvider:
    wanted = _precisions_for(provider, asked.precision)
    bundle = bundle_in(folder, wanted[0])
    held = next((candidate for candidate in wanted if candidate in bundle.precisions), None)
    if held is None:
        raise ProviderError(
            f"{folder} holds {', '.join(bundle.precisions)}, and {provider.name} was to run {' or '.join(wanted)}: "
            f"edge-potion export {folder} --quantize {wanted[0]}{_or_else(provider, bundle)}"
        )
    on_cpu = provider.name == "cpu"
    name, file = bundle.pick(asked.graph, held, on_cpu=on_cpu)
    if name in CPU_GRAPHS and not on_cpu:  # OpenVINO runs it, and gives zeros: it narrows 64-bit integers
        others = [other for other, at in bundle.graphs if at == held and other not in CPU_GRAPHS]
        raise ProviderError(
            f"the graph {name!r} runs on the cpu alone, and {provider.name!r} was asked for: "
            + (f"use graph={others[0]!r}, " if others else f"edge-potion export {folder} --graphs bag, ")
            + "or provider='cpu'"
        )
    if bundle.phrases and not on_cpu:  # a wrong key finds no phrase, and gives another vector in silence
        raise ProviderError(
            f"{folder} is a model with phrases, which its graphs find by 64-bit integers, on the cpu alone, and "
            f"{provider.name!r} was asked for: use provider='cpu', or export the model --without-phrases"
        )
    # Read once: what is held to the manifest and looked at is what runs, whatever becomes of the files.
    content = bundle.read(file)
    check_onnx(file, content)
    parts = cut_graph(content, name)
    within_a_call = 1 if name == "text" else asked.threads
    graph_bytes, tensors = (parts.rest, parts.tensors) if on_cpu else (content, {})
    session = providers.open_session(graph_bytes, tensors, str(file), provider, within_a_call)
    tokenizer_json = bundle.read(bundle.folder / "tokenizer.json")
    open_graph = OpenGraph(session, f"{bundle.folder}: the graph {name!r} at {held}", bundle.dim)
    opened = OnProvider(bundle, name, held, content, tokenizer_json, asked, parts, open_graph, provider)
    _check_parts(opened)
    return opened


def _precisions_for(provider: providers.Provider, precision: str | None) -> list[str]:
    """Precisions to look for in a bundle, best first."""
    runs_int8 = provider.name in providers.INT8_PROVIDERS
    if precision == "int8" and not runs_int8:
        raise ProviderError(
            f"provider {provider.name!r} has no int8 kernels for our graphs (cpu and openvino have): load with "
            "precision='float16', and where the bundle holds none, export with --quantize float16"
        )
    if precision is not None:
        return [precision]
    return ["int8", "float16", "float32"] if runs_int8 else ["float16", "float32"]


def _or_else(provider: providers.Provider, bundle: Bundle) -> str:
    """What may be done instead of exporting a precision that the bundle does not hold."""
    runs = [precision for precision in _precisions_for(provider, None) if precision in bundle.precisions]
    if runs:
        return f", or use precision={runs[0]!r}"
    return "" if provider.name == "cpu" else ", or use provider='cpu'"


def _check_parts(opened: OnProvider) -> None:
    """Raise ModelFormatError when the graph, config.json and tokenizer.json of a bundle are not of the same model."""
    bundle, graph, session = opened.bundle, opened.graph, opened.open_graph.session.session
    stated = session.get_modelmeta().custom_metadata_map
    if stated.get("graph") != graph:  # which is the one that the file's name tells
        raise ModelFormatError(
            f"{bundle.folder}: the file of the graph {graph!r} holds {stated.get('graph', 'another')!r}; "
            "export the bundle again"
        )
    check_head(bundle, graph, stated)
    _check_ends(bundle, session, graph)
    if graph == "text" and stated.get("max_tokens") != json.dumps(bundle.max_tokens):
        raise ModelFormatError(
            f"{bundle.folder}: the text graph cuts at {stated.get('max_tokens')} tokens, and config.json says "
            f"{json.dumps(bundle.max_tokens)}; export the bundle again"
        )
    check_phrases(bundle, graph, stated)
    rows, width = stated.get("tokens"), _vectors_of(session).shape[-1]
    # The text graph needs no tokenizer; the others' is read now, so that a damaged file is found at load.
    tokens = rows if graph == "text" else opened.tokenizer.get_vocab_size()
    if rows != str(tokens) or width != bundle.dim:
        raise ModelFormatError(
            f"{bundle.folder}: the graph is for {rows} tokens and {width} dimensions, tokenizer.json has {tokens} "
            f"tokens and config.json {bundle.dim} dimensions; export the bundle again"
        )


def _check_ends(bundle: Bundle, session: Any, graph: str) -> None:
    """Raise ModelFormatError when a graph takes or gives something else than graphs of its name do."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fixed = [size for taken in inputs for size in taken.shape if isinstance(size, int)]
    if fixed or INPUTS[graph] != {taken.name: (taken.type, len(taken.shape)) for taken in inputs}:
        found = ", ".join(f"{taken.name} {taken.type} {taken.shape}" for taken in inputs)
        raise ModelFormatError(f"{bundle.folder}: the graph {graph!r} takes {found[:300]}; export the bundle again")
    labels = bundle.labels.names if bundle.labels else ()
    vectors: dict[str, Output] = {VECTORS: ("tensor(float)", ["texts", bundle.dim])}
    wanted = {**(GIVEN.get(graph, {}) if labels else {}), **vectors}
    for place, (name, (kind, shape)) in enumerate(wanted.items()):  # more may follow
        output = outputs[place] if place < len(outputs) else None
        sides = [len(labels) if side == -1 else side for side in shape]
        # How wide vectors are is told with what else is of another model.
        fits = output is not None and (output.name, output.type, len(output.shape)) == (name, kind, len(sides))
        if output is None or not fits or (name != VECTORS and output.shape != sides):
            given = f"{output.name[:100]} {output.type} {output.shape}" if output else "nothing more"
            raise ModelFormatError(
                f"{bundle.folder}: the graph {graph!r} gives {given}, where {name} {kind} {sides} was expected; export "
                "the bundle again"
            )


def _vectors_of(session: Any) -> Any:
    return next(output for output in session.get_outputs() if output.name == VECTORS)
