"""A graph that is open: what it is fed -> vectors, and an error of one line where it fails or gives none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.graph_parts import VECTORS
from edge_potion.providers import OpenSession

__all__ = ["OpenGraph"]


@dataclass(frozen=True)
class OpenGraph:
    """A graph in a session.

    Attributes:
        session: it, and what it runs on.
        name: what errors call the graph.
        dim: D, the width of its vectors.
        output: which of its outputs is asked for, if not those.
    """

    session: OpenSession
    name: str
    dim: int
    output: str = VECTORS

    def run(self, feeds: Mapping[str, np.ndarray], texts: int) -> np.ndarray:
        """(b, D) float32 of so many texts by one ONNX Runtime call.

        Raises:
            ModelFormatError: the graph fails, gives another number of vectors, or NaN or inf, as of a table that is
                damaged or a provider that overflows.
        """
        return self.checked(self.called([self.output], feeds), texts)

    def called(self, outputs: Sequence[str] | None, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """The first output, whatever it is."""
        try:
            vectors: np.ndarray = self.session.session.run(outputs, feeds)[0]
        except Exception as failure:  # onnxruntime's own exceptions share no base class
            raise ModelFormatError(
                f"{self.name} fails on {self.session.provider!r} ({_first_line(failure)}); run `edge-potion "
                "verify`, or export the bundle again"
            ) from failure
        return vectors

    def checked(self, vectors: np.ndarray, texts: int) -> np.ndarray:
        """What was given, once it is sure that these are vectors of so many texts."""
        if vectors.shape != (texts, self.dim):
            raise ModelFormatError(
                f"{self.name} gives {vectors.shape}, where {(texts, self.dim)} was expected; export the bundle again"
            )
        # NaN and inf stay in a sum of squares, which takes a tenth of the time of looking at every value.
        if not np.isfinite(np.vdot(vectors, vectors)) and not np.isfinite(vectors).all():
            raise ModelFormatError(
                f"{self.name} gives NaN or inf on {self.session.provider!r}; run `edge-potion verify`, or export the "
                "bundle again"
            )
        return vectors


def _first_line(failure: Exception) -> str:
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    return lines[0][:300]
