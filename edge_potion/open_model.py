"""A folder -> what a model holds once it is open: a graph on a provider, held to what the folder says of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_potion import providers
from edge_potion.bundle import CPU_GRAPHS, PRECISIONS, Bundle, is_bundle, open_bundle
from edge_potion.errors import InputError, ModelFormatError, ProviderError
from edge_potion.graph_parts import VECTORS, GraphParts, cut_graph
from edge_potion.onnx_file import check_onnx
from edge_potion.open_graph import OpenGraph
from edge_potion.progress import unfailing_stderr
from edge_potion.tokens import check_count, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["GraphName", "Opened", "PrecisionName", "ProviderName", "open_model"]

# For editors, which complete them; what a str holds is checked when it is used.
PrecisionName = Literal["int8", "float16", "float32"] | str
GraphName = Literal["auto", "text", "bag", "tokens"] | str
ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "directml", "webgpu"] | str

MOST_THREADS = 4096  # far above what any machine runs side by side
# What each graph takes, by ONNX Runtime's names of types, and of how many dimensions.
INPUTS = {
    "text": {"text": ("tensor(uint8)", 1)},
    "bag": {"input_ids": ("tensor(int64)", 1), "offsets": ("tensor(int64)", 1)},
    "tokens": {"input_ids": ("tensor(int64)", 2), "attention_mask": ("tensor(int64)", 2)},
}


@dataclass(frozen=True)
class Opened:
    """What a model holds once it is open: all that it needs for any text.

    Attributes:
        bundle: what its folder said.
        graph, precision: of the graph that runs.
        parts: the graph's file.
        open_graph: the graph in a session.
        tokenizer_json: content of that file.
        provider, threads: as asked for.
    """

    bundle: Bundle
    graph: str
    precision: str
    parts: GraphParts
    open_graph: OpenGraph
    tokenizer_json: bytes
    provider: providers.Provider
    threads: int | None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer."""
        return open_tokenizer(self.bundle.folder / "tokenizer.json", self.tokenizer_json)

    @cached_property
    def tokens(self) -> int:
        """V: ids of tokens are 0..V-1."""
        return int(self.open_graph.session.session.get_modelmeta().custom_metadata_map["tokens"])

    @cached_property
    def fingerprint(self) -> str:
        """Of what makes the vectors: the graph and the tokenizer."""
        import hashlib  # for a model that is sent

        return hashlib.sha256(self.parts.content + self.tokenizer_json).hexdigest()


def open_model(
    folder: Path,
    provider: str | tuple[str, Mapping[str, Any]],
    precision: str | None,
    graph: str,
    threads: int | None,
) -> Opened:
    """Open the bundle in `folder`, or the one that is exported from it into the cache, as `from_pretrained` says.

    Raises:
        InputError: no such graph or precision.
        ModelFormatError: a file is missing, truncated or foreign.
        ProviderError: the provider is absent, fell back, or has no kernels for the precision.
        MissingExtraError: onnxruntime is not installed; or onnx is not, and the model has no graphs yet.
    """
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"there is no precision {precision!r}; the precisions are {', '.join(PRECISIONS)}")
    check_count("threads", threads, MOST_THREADS)
    *first, last = providers.candidates(provider)
    for candidate in first:  # only "auto" has more than one
        try:
            return _open_on(candidate, folder, precision, graph, threads)
        except ProviderError as reason:
            with unfailing_stderr():
                warnings.warn(f"{reason} (trying the next provider)", RuntimeWarning, stacklevel=3)
    return _open_on(last, folder, precision, graph, threads)


def _open_on(
    provider: providers.Provider, folder: Path, precision: str | None, graph: str, threads: int | None
) -> Opened:
    wanted = _precisions_for(provider, precision)
    bundle = _bundle_in(folder, wanted[0])
    held = next((candidate for candidate in wanted if candidate in bundle.precisions), None)
    if held is None:
        raise ProviderError(
            f"{folder} holds {', '.join(bundle.precisions)}, and {provider.name} was to run {' or '.join(wanted)}: "
            f"edge-potion export {folder} --quantize {wanted[0]}{_or_else(provider, bundle)}"
        )
    on_cpu = provider.name == "cpu"
    name, file = bundle.pick(graph, held, on_cpu=on_cpu)
    if name in CPU_GRAPHS and not on_cpu:  # OpenVINO runs it, and gives zeros: it narrows 64-bit integers
        others = [other for other, at in bundle.graphs if at == held and other not in CPU_GRAPHS]
        raise ProviderError(
            f"the graph {name!r} runs on the cpu alone, and {provider.name!r} was asked for: "
            + (f"use graph={others[0]!r}, " if others else f"edge-potion export {folder} --graphs bag, ")
            + "or provider='cpu'"
        )
    # Read once: what is held to the manifest and looked at is what runs, whatever becomes of the files.
    content = bundle.read(file)
    check_onnx(file, content)
    parts = cut_graph(content, name)
    within_a_call = 1 if name == "text" else threads
    graph_bytes, tensors = (parts.rest, parts.tensors) if on_cpu else (content, {})
    session = providers.open_session(graph_bytes, tensors, str(file), provider, within_a_call)
    tokenizer_json = bundle.read(bundle.folder / "tokenizer.json")
    open_graph = OpenGraph(session, f"{bundle.folder}: the graph {name!r} at {held}", bundle.dim)
    opened = Opened(bundle, name, held, parts, open_graph, tokenizer_json, provider, threads)
    _check_parts(opened)
    return opened


def _bundle_in(folder: Path, precision: str) -> Bundle:
    """The bundle in `folder`, or the one that was exported from it at `precision` into the cache."""
    if is_bundle(folder):
        return open_bundle(folder)
    from edge_potion.cache import bundle_of  # what it imports is not needed above

    return bundle_of(folder, precision)


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


def _check_parts(opened: Opened) -> None:
    """Raise ModelFormatError when the graph, config.json and tokenizer.json of a bundle are not of the same model."""
    bundle, graph, session = opened.bundle, opened.graph, opened.open_graph.session.session
    stated = session.get_modelmeta().custom_metadata_map
    if stated.get("graph") != graph:  # which is the one that the file's name tells
        raise ModelFormatError(
            f"{bundle.folder}: the file of the graph {graph!r} holds {stated.get('graph', 'another')!r}; "
            "export the bundle again"
        )
    _check_ends(bundle, session, graph)
    if graph == "text" and stated.get("max_tokens") != json.dumps(bundle.max_tokens):
        raise ModelFormatError(
            f"{bundle.folder}: the text graph cuts at {stated.get('max_tokens')} tokens, and config.json says "
            f"{json.dumps(bundle.max_tokens)}; export the bundle again"
        )
    rows, width = stated.get("tokens"), session.get_outputs()[0].shape[-1]
    # The text graph needs no tokenizer; the others' is read now, so that a damaged file is found at load.
    tokens = rows if graph == "text" else opened.tokenizer.get_vocab_size()
    if rows != str(tokens) or width != bundle.dim:
        raise ModelFormatError(
            f"{bundle.folder}: the graph is for {rows} tokens and {width} dimensions, tokenizer.json has {tokens} "
            f"tokens and config.json {bundle.dim} dimensions; export the bundle again"
        )


def _check_ends(bundle: Bundle, session: Any, graph: str) -> None:
    """Raise ModelFormatError when a graph takes or gives something else than graphs of its name do."""
    inputs, output = session.get_inputs(), session.get_outputs()[0]
    fixed = [size for taken in inputs for size in taken.shape if isinstance(size, int)]
    if fixed or INPUTS[graph] != {taken.name: (taken.type, len(taken.shape)) for taken in inputs}:
        found = ", ".join(f"{taken.name} {taken.type} {taken.shape}" for taken in inputs)
        raise ModelFormatError(f"{bundle.folder}: the graph {graph!r} takes {found[:300]}; export the bundle again")
    if (output.name, output.type, len(output.shape)) != (VECTORS, "tensor(float)", 2):
        raise ModelFormatError(
            f"{bundle.folder}: the graph {graph!r} gives {output.name[:100]} {output.type} {output.shape}, where "
            f"{VECTORS} tensor(float) (texts, {bundle.dim}) was expected; export the bundle again"
        )
