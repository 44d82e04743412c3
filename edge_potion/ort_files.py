"""The .ort files in a bundle's folder `mobile/`, and which graph each is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_potion.bundle import GRAPHS, PRECISIONS

__all__ = ["FIXED", "LONGEST_FIXED", "MOBILE", "OrtFile", "ort_files"]

MOBILE = "mobile"  # folder in a bundle
FIXED = "fixed"  # stem of the graph of fixed shape, beside the stems in GRAPHS
LONGEST_FIXED = 8192  # tokens of a graph of fixed shape: more is no phone's


@dataclass(frozen=True)
class OrtFile:
    """One of them.

    Attributes:
        file: where it lies.
        graph: "text", "bag", "tokens", or FIXED, which takes one text at a time.
        precision: "int8", "float16" or "float32".
    """

    file: Path
    graph: str
    precision: str


def ort_files(folder: Path) -> list[OrtFile]:
    """Those that the bundle in `folder` has, by precision."""
    stems = {**GRAPHS, FIXED: FIXED}
    return [
        OrtFile(file, graph, precision)
        for precision, suffix in PRECISIONS.items()
        for graph, stem in stems.items()
        if (file := folder / MOBILE / f"{stem}{suffix}.ort").is_file()
    ]
