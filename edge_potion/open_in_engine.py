"""A bundle's text graph in the native engine, held to what the folder says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_potion.bundle import PRECISIONS, Bundle
from edge_potion.engine import Engine, absent
from edge_potion.errors import EngineError, ModelFormatError
from edge_potion.find import BUILT_IN_FOLDER, COMMIT
from edge_potion.graph_parts import metadata
from edge_potion.head_in_graph import check_head
from edge_potion.opened import Asked, Opened, bundle_in
from edge_potion.phrases_told import check_phrases

__all__ = ["InEngine", "open_in_engine"]

CPU = ("auto", "cpu", "CPUExecutionProvider")  # the providers in whose place it runs
GRAPHS = ("auto", "text")


@dataclass(frozen=True)
class InEngine(Opened):
    """An open model in the native engine.

    Attributes:
        engine: the graph in it.
    """

    engine: Engine

    @cached_property
    def tokens(self) -> int:
        return self.engine.tokens


def open_in_engine(folder: Path, asked: Asked) -> InEngine:
    """Open the bundle in `folder`, or the one that is exported from it into the cache, in the native engine.

    Raises:
        EngineError: it is for ONNX Runtime: there is no engine here, another graph or provider was asked for, or the
            bundle holds no text graph that the engine knows.
        ModelFormatError: a file is missing, truncated or foreign.
    """
    if reason := absent():
        raise EngineError(f"there is no native engine here: {reason}")
    if asked.provider not in CPU and asked.provider not in [(name, {}) for name in CPU]:
        raise EngineError(f"the native engine runs on the cpu, and provider={asked.provider!r} was asked for")
    if asked.graph not in GRAPHS:
        raise EngineError(f"the native engine runs the text graph, and graph={asked.graph!r} was asked for")
    wanted = list(PRECISIONS) if asked.precision is None else [asked.precision]
    bundle = bundle_in(folder, wanted[0])
    held = next((precision for precision in wanted if ("text", precision) in bundle.graphs), None)
    first = next((precision for precision in wanted if precision in bundle.precisions), None)
    if held is None or held != first:  # another graph at a better precision
        raise EngineError(
            f"{folder} holds no text graph at {first or wanted[0]}: edge-potion export {folder} writes one"
        )
    file = bundle.graphs["text", held]
    content = bundle.mapped(file) if _lies_still(folder, bundle) else bundle.copied(file)
    engine = Engine(content, asked.threads, told=str(file))
    tokenizer_json = bundle.read(bundle.folder / "tokenizer.json")
    opened = InEngine(bundle, "text", held, content, tokenizer_json, asked, engine)
    _check(opened)
    return opened


def _lies_still(folder: Path, bundle: Bundle) -> bool:
    """Whether nobody writes into the bundle's files: they came with the package, or lie in our cache or the hub's.

    Such a file is mapped, so that processes share it. Of another a copy is taken: a program that writes into it would
    change vectors, or end this process.
    """
    is_in_hub = COMMIT.fullmatch(folder.name) is not None and folder.parent.name == "snapshots"
    return folder != bundle.folder or folder.parent == BUILT_IN_FOLDER or is_in_hub


def _check(opened: InEngine) -> None:
    """Raise ModelFormatError when the graph and config.json of a bundle are not of the same model."""
    bundle, engine = opened.bundle, opened.engine
    if engine.max_tokens != bundle.max_tokens:
        raise ModelFormatError(
            f"{bundle.folder}: the text graph cuts at {json.dumps(engine.max_tokens)} tokens, and config.json says "
            f"{json.dumps(bundle.max_tokens)}; export the bundle again"
        )
    if (engine.dim, engine.precision) != (bundle.dim, opened.precision):
        raise ModelFormatError(
            f"{bundle.folder}: the graph is for {engine.tokens} tokens and {engine.dim} dimensions, at "
            f"{engine.precision}; its name says {opened.precision}, and config.json {bundle.dim} dimensions; export "
            "the bundle again"
        )
    stated = metadata(opened.content)
    check_head(bundle, "text", stated)
    check_phrases(bundle, "text", stated)
