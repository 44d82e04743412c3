"""The table of a bundle without model.safetensors: that of its text graph, where rows and weights have names.

A bundle that wants to be small, as the one that comes with the package, holds its table once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_potion.bundle import PRECISIONS, graph_file
from edge_potion.errors import ModelFormatError
from edge_potion.graph_parts import tensors_of_graph
from edge_potion.onnx_file import check_onnx

__all__ = ["graph_with_table", "table_in_graph"]

FINEST_FIRST = ("float32", "float16", "int8")
DIGIT_BASE = 128  # of the row weights of an int8 table, the highest digit first
DIGITS = ("row_weights", "row_weights_1", "row_weights_2")
NAMES = ("table_rows", "row_factors", "column_weights", "scale", *DIGITS)


def graph_with_table(folder: Path) -> Path | None:
    """The text graph of the finest precision in a bundle's folder; None where there is none."""
    assert set(FINEST_FIRST) == set(PRECISIONS)
    files = (folder / graph_file("text", precision) for precision in FINEST_FIRST)
    return next((file for file in files if file.is_file()), None)


def table_in_graph(file: Path) -> np.ndarray:
    """(V + P, D) float32: the rows of the graph's table times their weights, without the row of zeros behind them.

    Where the graph normalizes its vectors, the rows have their lengths to one another, and not a scale of their own.

    Raises:
        ModelFormatError: the file is no graph of ours, or is damaged.
    """
    content = file.read_bytes()
    check_onnx(file, content)
    found = tensors_of_graph(content, NAMES)
    rows, digits = found.get("table_rows"), [found[name] for name in DIGITS if name in found]
    if rows is None or rows.ndim != 2 or len(rows) < 2:
        raise ModelFormatError(f"{file} holds no table under our name; export the bundle again")
    weights = np.zeros(len(rows)) if digits else np.ones(len(rows))  # (V + P + 1,) f64
    try:
        for digit in digits:
            weights = weights * DIGIT_BASE + digit
        weights = weights * found.get("row_factors", 1)
        columns = np.asarray(found.get("column_weights", 1), np.float32) * np.asarray(found.get("scale", 1), np.float32)
        table: np.ndarray = rows.astype(np.float32) * weights.astype(np.float32)[:, None] * columns
    except ValueError as failure:
        raise ModelFormatError(f"{file}: its weights are not one a row or column; export the bundle again") from failure
    return table[:-1]
