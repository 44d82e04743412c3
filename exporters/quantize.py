"""Tables at each precision: float32, float16, and int8 with row and column weights. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LARGEST_COLUMN_WEIGHT", "LARGEST_INT8", "LARGEST_ROW_WEIGHT", "PackedTable", "file_tensors", "pack"]

# u8 weights times int8 rows are summed in pairs into int16 by AVX2 kernels; 127 * 127 * 2 still fits.
LARGEST_ROW_WEIGHT = 127
LARGEST_INT8 = 127  # symmetric: -128 would have no positive twin
# Columns differ by about as much (PCA sorts them by variance). Whole numbers keep the sums exact in float64.
LARGEST_COLUMN_WEIGHT = 8
FLOAT16_TARGET = 2.0**12  # largest value of a float16 table: the smallest rows then stay above the subnormals


@dataclass(frozen=True)
class PackedTable:
    """A table as a graph holds it: value (i, d) is `rows[i, d] * row_weights[i] * column_weights[d] * scale`.

    Attributes:
        precision: "float32", "float16" or "int8".
        rows: (V, D) of that dtype.
        row_weights: (V,) uint8 in 0..127; 0 for a row of zeros. All ones for floats.
        column_weights: (D,) uint8 in 1..8. All ones for floats.
        scale: a power of two for floats (so that it changes no bit), any positive number for int8.
    """

    precision: str
    rows: np.ndarray
    row_weights: np.ndarray
    column_weights: np.ndarray
    scale: float

    @property
    def row_factors(self) -> np.ndarray:
        """(V,) float32: what each stored row is multiplied by."""
        return self.row_weights.astype(np.float32) * np.float32(self.scale)

    def unpacked(self) -> np.ndarray:
        """(V, D) float32: the table that this one stands for."""
        return self.rows.astype(np.float32) * self.row_factors[:, None] * self.column_weights.astype(np.float32)


def pack(table: np.ndarray, precision: str) -> PackedTable:
    """Pack a float32 table (V, D), finite, at "float32", "float16" or "int8" for a graph."""
    if precision == "float32":
        return _float(table, np.float32, 1.0)
    if precision == "float16":
        largest = float(np.abs(table).max())
        return _float(table, np.float16, 2.0 ** np.floor(np.log2((largest or 1.0) / FLOAT16_TARGET)))
    largest_of_column = np.abs(table).max(axis=0)  # (D,)
    share = largest_of_column / (float(largest_of_column.max()) or 1.0)
    return _int8(table, np.ceil(share * LARGEST_COLUMN_WEIGHT).clip(1).astype(np.uint8))


def file_tensors(table: np.ndarray, precision: str) -> dict[str, np.ndarray]:
    """What model.safetensors holds at a precision: `embeddings` (V, D) and `weights` (V,) float32.

    `weights` are there for every precision but float32: they carry the scale, and they keep sentence-transformers
    computing in float32 (its float16 gives NaN for ""). Model2Vec's format has no column weights, so an int8 file
    is rounded anew without them.
    """
    if precision == "float32":
        return {"embeddings": table}
    packed = _int8(table, np.ones(table.shape[1], np.uint8)) if precision == "int8" else pack(table, precision)
    return {"embeddings": packed.rows, "weights": packed.row_factors}


def _float(table: np.ndarray, dtype: type[np.floating], scale: float) -> PackedTable:
    rows = (table / np.float32(scale)).astype(dtype)
    row_ones, column_ones = (np.ones(size, np.uint8) for size in table.shape)
    return PackedTable(np.dtype(dtype).name, rows, row_ones, column_ones, float(scale))


def _int8(table: np.ndarray, column_weights: np.ndarray) -> PackedTable:
    """Row i is rounded at its own step row_weights[i] * scale, the smallest of 127 that holds its largest value."""
    levelled = table / column_weights.astype(np.float64)  # (V, D)
    largest = np.abs(levelled).max(axis=1)  # (V,)
    top = float(largest.max()) or 1.0
    scale = top / LARGEST_ROW_WEIGHT / LARGEST_INT8
    # 1e-9: rounding must not make the largest row need a step of 128.
    row_weights = np.ceil(largest / top * LARGEST_ROW_WEIGHT * (1 - 1e-9))
    steps = np.maximum(row_weights, 1) * scale  # (V,)
    rows = np.rint(levelled / steps[:, None]).clip(-LARGEST_INT8, LARGEST_INT8).astype(np.int8)
    return PackedTable("int8", rows, row_weights.astype(np.uint8), column_weights, scale)
