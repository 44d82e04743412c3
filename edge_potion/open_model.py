"""A folder -> an open model: in the native engine where that runs it, else in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_potion.bundle import PRECISIONS
from edge_potion.errors import EngineError, InputError, MissingExtraError
from edge_potion.open_in_engine import InEngine, open_in_engine
from edge_potion.opened import Asked
from edge_potion.tokens import check_count

if TYPE_CHECKING:
    from edge_potion.open_on_provider import OnProvider

__all__ = ["ENGINES", "open_model"]

ENGINES = ("native", "onnxruntime")
MOST_THREADS = 4096  # far above what any machine runs side by side


def open_model(folder: Path, asked: Asked) -> InEngine | OnProvider:
    """Open the bundle in `folder`, or the one that is exported from it into the cache, as `from_pretrained` says.

    Raises:
        InputError: no such graph, precision or engine.
        ModelFormatError: a file is missing, truncated or foreign.
        ProviderError: the provider or the engine is absent, fell back, or cannot run what was asked for.
        MissingExtraError: onnxruntime is not installed; or onnx is not, and the model has no graphs yet.
    """
    if asked.precision is not None and asked.precision not in PRECISIONS:
        raise InputError(f"there is no precision {asked.precision!r}; the precisions are {', '.join(PRECISIONS)}")
    if asked.engine not in ("auto", *ENGINES):
        raise InputError(f"there is no engine {asked.engine!r}; the engines are {', '.join(ENGINES)}")
    check_count("threads", asked.threads, MOST_THREADS)
    if asked.engine == "native":
        return open_in_engine(folder, asked)
    why_not = ""
    if asked.engine == "auto":
        try:
            return open_in_engine(folder, asked)
        except EngineError as reason:
            why_not = f" ({reason})"
    from edge_potion.open_on_provider import open_on_provider  # who has the engine needs nothing of it

    try:
        return open_on_provider(folder, asked)
    except MissingExtraError as missing:
        raise MissingExtraError(f"{missing}{why_not}") from missing
