"""The .ort files in a bundle's folder `mobile/`: which graph each is, and its vectors of the golden texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_potion.bundle import GRAPHS, PRECISIONS
from edge_potion.calls import FEEDS, joined
from edge_potion.errors import ModelFormatError
from edge_potion.golden import Golden
from edge_potion.tokens import TokenIds

__all__ = ["FIXED", "LONGEST_FIXED", "MOBILE", "OrtFile", "ort_files", "run_golden"]

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


def run_golden(held: OrtFile, golden: Golden) -> tuple[Golden, np.ndarray]:
    """The golden texts that a file takes, and their vectors (N, D) float32 by ONNX Runtime on the CPU.

    All of them, but for a graph of fixed shape, which has room for so many tokens.

    Raises:
        ModelFormatError: it takes or gives something else than our graphs do.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(held.file), providers=["CPUExecutionProvider"])
    if held.graph == "text":
        calls = [{"text": joined(golden.texts)}]
    elif held.graph == FIXED:
        room = session.get_inputs()[0].shape[-1]
        if type(room) is not int or not 0 < room <= LONGEST_FIXED:
            raise ModelFormatError(f"{held.file} takes {room!r} tokens; 1 to {LONGEST_FIXED} were expected")
        golden = golden.at([place for place, ids in enumerate(golden.ids) if len(ids) <= room])
        calls = [_fixed_feed(ids, room) for ids in golden.ids]
    else:
        lengths = np.array([len(ids) for ids in golden.ids], np.int64)
        flat = np.array([token for ids in golden.ids for token in ids], np.int64)
        calls = [FEEDS[held.graph](TokenIds(flat, lengths), np.arange(len(lengths)))]
    parts = [session.run(None, feeds)[0] for feeds in calls]
    if any(part.shape[1:] != golden.vectors.shape[1:] or part.dtype != np.float32 for part in parts):
        raise ModelFormatError(f"{held.file} gives no float32 vectors of its model's width; export the bundle again")
    return golden, np.concatenate(parts)


def _fixed_feed(ids: list[int], max_tokens: int) -> dict[str, np.ndarray]:
    grid, mask = np.zeros((2, 1, max_tokens), np.int32)
    grid[0, : len(ids)], mask[0, : len(ids)] = ids, 1
    return {"input_ids": grid, "attention_mask": mask}
