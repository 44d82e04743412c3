"""Tables at each precision: float32, float16, and int8 with row and column weights. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_potion.golden import TOLERANCES, UNIT_LENGTH, ZERO_LENGTH
from edge_potion.static_model import NORM_EPS

__all__ = [
    "DIGIT_BASE",
    "LARGEST_COLUMN_WEIGHT",
    "LARGEST_INT8",
    "LARGEST_ROW_WEIGHT",
    "PackedTable",
    "RowAgreement",
    "file_tensors",
    "pack",
    "row_agreement",
]

# u8 weights times int8 rows are summed in pairs into int16 by AVX2 kernels; 127 * 127 * 2 still fits.
LARGEST_ROW_WEIGHT = 127
DIGIT_BASE = LARGEST_ROW_WEIGHT + 1  # of row weights that need more than one digit
# Rows down to 10^-6 of the largest, of which a float32 sum of both sees little more; each digit costs time in a call.
MOST_DIGITS = 3
LARGEST_INT8 = 127  # symmetric: -128 would have no positive twin
# Columns differ by about as much (PCA sorts them by variance). Whole numbers keep the sums exact in float64.
LARGEST_COLUMN_WEIGHT = 8
FLOAT16_TARGET = 2.0**12  # largest value of a float16 table: the smallest rows then stay above the subnormals
LARGEST_FLOAT16 = 65504.0
LEAST_POWER = -100  # of two, for a row of its own: far above what float32 or a processor takes for zero
EXACT = 0.999999  # cosine and relative length that are asked of a row where a precision has no bound for them
ROWS_AT_ONCE = 8192  # compared in float64


@dataclass(frozen=True)
class PackedTable:
    """A table as a graph holds it: value (i, d) is `rows[i, d] * row_weights[i] * column_weights[d] * scale`.

    Attributes:
        precision: "float32", "float16" or "int8".
        rows: (V, D) of that dtype.
        row_weights: (V,). At int8 int64 whole numbers, 0 for a row of zeros: 0..127, and more where rows differ so much
            that the smallest would lose their direction. Of floats ones, or powers of two for the same reason.
        column_weights: (D,) uint8 in 1..8. All ones for floats.
        scale: a power of two for floats (so that it changes no bit), any positive number for int8.
    """

    precision: str
    rows: np.ndarray
    row_weights: np.ndarray
    column_weights: np.ndarray
    scale: float

    @property
    def row_digits(self) -> np.ndarray:
        """(k, V) uint8 in 0..127: the row weights of an int8 table to the base 128, the highest digit first."""
        left, digits = self.row_weights, [self.row_weights % DIGIT_BASE]
        while (left := left // DIGIT_BASE).any():
            digits.insert(0, left % DIGIT_BASE)
        return np.stack(digits).astype(np.uint8)

    @property
    def row_factors(self) -> np.ndarray:
        """(V,) float32: what each stored row is multiplied by."""
        return (self.row_weights * self.scale).astype(np.float32)

    def unpacked(self) -> np.ndarray:
        """(V, D) float32: the table that this one stands for."""
        return self.rows.astype(np.float32) * self.row_factors[:, None] * self.column_weights.astype(np.float32)


@dataclass(frozen=True)
class RowAgreement:
    """How the vector of each row, as a text of that one token has it, agrees with the float32 table's.

    Attributes:
        cosines: (V,) float64.
        lengths: (V,) float64, by how much the vector's length is off: of unit vectors as it is, of others relative.
        is_held: (V,) bool, whether both are within the precision's bounds. True where the vector counts as zero.
    """

    cosines: np.ndarray
    lengths: np.ndarray
    is_held: np.ndarray


def pack(
    table: np.ndarray, precision: str, reachable: np.ndarray | None = None, normalize: bool = False
) -> PackedTable:
    """Pack a float32 table (V, D), finite, at "float32", "float16" or "int8" for a graph.

    Every row keeps its direction, and its length, as well as the precision's tolerance asks of a single token, with as
    few digits of row weights as do that; where none do, as well as can be (`row_agreement` tells).

    Args:
        table: (V, D) float32.
        precision: as above.
        reachable: (V,) bool, rows that a text can reach; the others have no say in the scale, and may be clipped. None
            stands for all.
        normalize: whether vectors get unit length; then rows whose length counts as zero (NORM_EPS) become zeros.
    """
    if reachable is None:
        reachable = np.ones(len(table), np.bool_)
    if precision == "float32":
        return _float(table, np.float32, 1.0)
    counted = table
    if normalize:
        nothing = _lengths(table) < ZERO_LENGTH * NORM_EPS  # (V,)
        counted = np.where(nothing[:, None], np.float32(0), table) if nothing.any() else table
    ways = _float16_ways(counted, reachable) if precision == "float16" else _int8_ways(counted, reachable)
    for packed in ways:
        if row_agreement(table, packed, normalize).is_held[reachable].all():
            break
    return packed


def row_agreement(table: np.ndarray, packed: PackedTable, normalize: bool) -> RowAgreement:
    """Compare every row of `packed` with `table` (V, D) float32, as the graphs make vectors of single tokens."""
    tolerance = TOLERANCES[packed.precision]
    least = EXACT if tolerance.short_cosine is None else tolerance.short_cosine
    most = UNIT_LENGTH if normalize else 1 - EXACT if tolerance.norm is None else tolerance.norm
    cosines, off, is_held = np.ones(len(table)), np.zeros(len(table)), np.ones(len(table), np.bool_)
    for begin in range(0, len(table), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        expected = table[part].astype(np.float64)  # (v, D)
        stored = packed.rows[part].astype(np.float64) * packed.row_weights[part, None] * packed.column_weights
        wanted, sums = np.linalg.norm(expected, axis=1), np.linalg.norm(stored, axis=1)  # (v,)
        dots = (expected * stored).sum(axis=1)
        cosines[part] = np.where(wanted * sums > 0, dots / np.where(wanted * sums > 0, wanted * sums, 1), 0)
        if normalize:
            wanted, lengths = wanted / np.maximum(wanted, NORM_EPS), sums / np.maximum(sums, NORM_EPS)
            off[part] = np.abs(lengths - wanted)
            is_nothing = (wanted < ZERO_LENGTH) & (lengths < ZERO_LENGTH)
        else:
            off[part] = np.abs(sums * packed.scale - wanted) / np.where(wanted > 0, wanted, 1)
            is_nothing = (wanted == 0) & (sums == 0)
        cosines[part][is_nothing], off[part][is_nothing] = 1, 0
        is_held[part] = (cosines[part] >= least) & (off[part] <= most)
    return RowAgreement(cosines, off, is_held)


def file_tensors(table: np.ndarray, precision: str) -> dict[str, np.ndarray]:
    """What model.safetensors holds at a precision: `embeddings` (V, D) and `weights` (V,) float32.

    `weights` are there for every precision but float32: they carry the scale, and they keep sentence-transformers
    computing in float32 (its float16 gives NaN for ""). Model2Vec's format has no column weights, so an int8 file
    is rounded anew without them, each row at a step of its own.
    """
    if precision == "float32":
        return {"embeddings": table}
    if precision == "float16":
        packed = pack(table, precision)
        return {"embeddings": packed.rows, "weights": packed.row_factors}
    weights = (np.abs(table).max(axis=1) / LARGEST_INT8).astype(np.float32)  # (V,)
    steps = np.where(weights > 0, weights, 1).astype(np.float64)
    rows = np.rint(table / steps[:, None]).clip(-LARGEST_INT8, LARGEST_INT8).astype(np.int8)
    return {"embeddings": rows, "weights": weights}


def _lengths(table: np.ndarray) -> np.ndarray:
    """(V,) float64, without a copy of the table."""
    squares = np.einsum("vd,vd->v", table, table, dtype=np.float64)
    return np.asarray(np.sqrt(squares), np.float64)


def _float(
    table: np.ndarray, dtype: type[np.floating], scale: float, row_weights: np.ndarray | None = None
) -> PackedTable:
    if row_weights is None:
        row_weights = np.ones(len(table), np.uint8)
    # One division: a small row over the table's own scale alone might leave the range of float32.
    rows = table / (row_weights[:, None] * scale).astype(np.float32)
    if dtype is np.float16:
        rows = rows.clip(-LARGEST_FLOAT16, LARGEST_FLOAT16)  # of a row that nothing reaches
    ones = np.ones(table.shape[1], np.uint8)
    return PackedTable(np.dtype(dtype).name, rows.astype(dtype), row_weights, ones, float(scale))


def _float16_ways(table: np.ndarray, reachable: np.ndarray) -> Iterator[PackedTable]:
    """One power of two for the whole table; else one for each row, for small ones have few bits in float16."""
    largest = np.abs(table).max(axis=1).astype(np.float64)  # (V,)
    powers = np.floor(np.log2(np.where(largest > 0, largest, 1) / FLOAT16_TARGET)).clip(LEAST_POWER)  # (V,)
    top = float(largest[reachable].max(initial=0))
    power = np.floor(np.log2((top or 1.0) / FLOAT16_TARGET))
    yield _float(table, np.float16, 2.0**power)
    yield _float(table, np.float16, 2.0**power, 2.0 ** np.where(largest > 0, powers - power, 0).clip(LEAST_POWER))


def _int8_ways(table: np.ndarray, reachable: np.ndarray) -> Iterator[PackedTable]:
    """Row i is rounded at its own step row_weights[i] * scale, the smallest that holds its largest value; of 127 steps,
    then of ever more: a row of which 127 steps know but one is rounded at a step larger than itself."""
    largest_of_column = np.abs(table[reachable]).max(axis=0, initial=0)  # (D,)
    share = largest_of_column / (float(largest_of_column.max(initial=0)) or 1.0)
    column_weights = np.ceil(share * LARGEST_COLUMN_WEIGHT).clip(1).astype(np.uint8)
    levelled = table / column_weights.astype(np.float64)  # (V, D)
    largest = np.abs(levelled).max(axis=1)  # (V,)
    top = float(largest[reachable].max(initial=0)) or 1.0
    for digits in range(1, MOST_DIGITS + 1):
        most = DIGIT_BASE**digits - 1
        scale = top / most / LARGEST_INT8
        # 1e-9: rounding must not make the largest row need a step more than there are.
        row_weights = np.ceil(largest / top * most * (1 - 1e-9)).clip(0, most)
        steps = np.maximum(row_weights, 1) * scale  # (V,)
        rows = np.rint(levelled / steps[:, None]).clip(-LARGEST_INT8, LARGEST_INT8).astype(np.int8)
        yield PackedTable("int8", rows, row_weights.astype(np.int64), column_weights, scale)
