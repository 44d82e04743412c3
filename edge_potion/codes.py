"""Vectors <-> codes: float32, float16, int8 with a scale a row, and packed bits, as vector stores take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from edge_potion.errors import InputError

if TYPE_CHECKING:
    from edge_potion.rotation import Rotation

__all__ = ["DTYPES", "SCALE_RULE", "Codes", "DType", "checked_vectors", "dequantize", "finite_slices", "quantize"]

DType = Literal["float32", "float16", "int8", "binary"]
DTYPES: tuple[DType, ...] = get_args(DType)
SCALE_RULE: Mapping[DType, str] = {
    "float32": "vector = values",
    "float16": "vector = values, each rounded to the nearest float16",
    "int8": "vector = values * scale, with a float32 scale a row: its largest magnitude / 127",
    "binary": "bit = value > 0, eight a byte, the first value in the highest bit, the last byte filled with zeros",
}
NUMPY_DTYPE: Mapping[DType, type[np.generic]] = {
    "float32": np.float32,
    "float16": np.float16,
    "int8": np.int8,
    "binary": np.uint8,
}
LARGEST_INT8 = 127  # symmetric: -128 would have no positive twin
LEAST_SCALE = np.finfo(np.float32).tiny  # below it a scale has too few bits to divide by
ROWS_AT_ONCE = 256  # so many of a usual width, with what is computed of them, stay in a core's own cache


@dataclass(frozen=True)
class Codes:
    """What `quantize` makes of vectors (N, D); of one vector (D,) the axis N is missing.

    Attributes:
        dtype: "float32", "float16", "int8" or "binary"; `SCALE_RULE` says what its values stand for.
        values: (N, D) of that dtype; of "binary" (N, ceil(D / 8)) uint8.
        scales: (N,) float32 of "int8", else None.
        dim: D.
    """

    dtype: DType
    values: np.ndarray
    scales: np.ndarray | None
    dim: int

    def __post_init__(self) -> None:
        expected, width = _numpy_dtype(self.dtype), _width(self.dtype, self.dim)
        if self.values.dtype != expected or self.values.ndim not in (1, 2) or self.values.shape[-1] != width:
            raise InputError(
                f"values are {self.values.dtype} of shape {self.values.shape}; {self.dtype} codes of {self.dim} "
                f"dimensions are {expected} of shape (N, {width})"
            )
        rows = self.values.shape[:-1]
        if self.dtype != "int8" and self.scales is not None:
            raise InputError(f"{self.dtype} codes have no scales")
        if self.dtype == "int8" and (
            self.scales is None or self.scales.dtype != np.float32 or self.scales.shape != rows
        ):
            found = "missing" if self.scales is None else f"{self.scales.dtype} of shape {self.scales.shape}"
            raise InputError(f"scales are {found}; these int8 codes have float32 of shape {rows}")


def quantize(vectors: Any, dtype: DType = "int8", rotation: Rotation | None = None) -> Codes:
    """Codes of vectors: of each the same, whatever others are beside it.

    Args:
        vectors: (N, D) or (D,) floats of any kind; they are taken as float32.
        dtype: "float32"; "float16"; "int8", each row by its own scale; "binary", a bit a value. A row of zeros has the
            scale 0, and so has one that has no value above 1e-36.
        rotation: for "binary", what moves the vectors before their signs are taken, so that a bit tells more. Queries
            need the same one.

    Raises:
        InputError: they are no floats of such a shape, or a row holds NaN, inf, or more than the dtype can hold.
    """
    given = checked_vectors(vectors)
    rows = given if given.ndim == 2 else given[None]  # (N, D)
    if rotation is not None and dtype != "binary":
        raise InputError(f"a rotation is for binary codes; {dtype} codes need none, and keep vectors where they are")
    values = np.empty((len(rows), _width(dtype, rows.shape[1])), _numpy_dtype(dtype))
    scales = np.empty(len(rows), np.float32) if dtype == "int8" else None
    for part in finite_slices(rows):
        if scales is not None:
            _to_int8(part, values[part.place], scales[part.place])
        elif dtype == "binary":
            moved = part.floats if rotation is None else rotation.apply(part.floats)
            values[part.place] = np.packbits(moved > 0, axis=1)
        else:
            _to_floats(part, values[part.place])
    if given.ndim == 1:
        return Codes(dtype, values[0], None if scales is None else scales.reshape(()), rows.shape[1])
    return Codes(dtype, values, scales, rows.shape[1])


def dequantize(codes: Codes, rotation: Rotation | None = None) -> np.ndarray:
    """(N, D) float32, or (D,): the vectors that codes stand for.

    A bit knows no magnitude: of binary codes these are unit vectors, each value 1 / sqrt(D) or its negative; with the
    rotation by which they were made, they are turned back, at distance 1 from its center.
    """
    if rotation is not None and codes.dtype != "binary":
        raise InputError(f"a rotation is for binary codes; {codes.dtype} codes are made without")
    if codes.scales is not None:
        return np.multiply(codes.values, codes.scales[..., None], dtype=np.float32)
    if codes.dtype != "binary":
        return codes.values.astype(np.float32)
    signs = np.unpackbits(codes.values, axis=-1, count=codes.dim) * np.float32(2) - np.float32(1)
    vectors = signs / np.sqrt(np.float32(max(codes.dim, 1)))
    return vectors if rotation is None else rotation.undo(vectors)


def checked_vectors(vectors: Any) -> np.ndarray:
    """(N, D) or (D,) floats of any kind, as they are.

    Raises:
        InputError: they are something else.
    """
    try:
        array = np.asarray(vectors)
    except (TypeError, ValueError) as failure:  # lists of several lengths, a tensor on a GPU
        raise InputError(f"{type(vectors).__name__} is no array of vectors ({failure})") from failure
    if array.dtype.kind != "f" or array.ndim not in (1, 2):
        raise InputError(
            f"vectors are {array.dtype} of shape {array.shape}; floats of shape (N, D) or (D,) were expected"
        )
    return array


@dataclass(frozen=True)
class Slice:
    """Some rows of vectors.

    Attributes:
        place: which rows they are.
        floats: (b, D) float32, finite; not to be written to.
        largest: (b,) float32, the largest magnitude of each.
        scratch: (b, D) float32, to be written to until the next slice.
    """

    place: slice
    floats: np.ndarray
    largest: np.ndarray
    scratch: np.ndarray


def finite_slices(rows: np.ndarray) -> Iterator[Slice]:
    """All rows of (N, D) floats, so few at a time that they stay in the cache.

    Raises:
        InputError: a row holds what is no finite float32; names the first.
    """
    scratch = np.empty((min(len(rows), ROWS_AT_ONCE), rows.shape[1]), np.float32)
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        place = slice(begin, min(begin + ROWS_AT_ONCE, len(rows)))
        with np.errstate(over="ignore"):  # of float64, which becomes inf and is refused
            floats = rows[place].astype(np.float32, copy=False)
        magnitudes = np.abs(floats, out=scratch[: len(floats)])
        largest = magnitudes.max(axis=1, initial=0)  # (b,); NaN where there is one
        _refuse(~np.isfinite(largest), begin, "NaN, inf, or what float32 cannot hold")
        yield Slice(place, floats, largest, magnitudes)


def _to_int8(part: Slice, values: np.ndarray, scales: np.ndarray) -> None:
    """Into (b, D) int8 and (b,) float32."""
    np.divide(part.largest, np.float32(LARGEST_INT8), out=scales)
    scales[scales < LEAST_SCALE] = 0
    steps = np.where(scales > 0, scales, np.float32(np.inf))  # (b,); a value over inf is 0
    quotients = np.divide(part.floats, steps[:, None], out=part.scratch)
    np.copyto(values, np.rint(quotients, out=quotients), casting="unsafe")


def _to_floats(part: Slice, values: np.ndarray) -> None:
    """Into (b, D) float32 or float16."""
    with np.errstate(over="ignore", under="ignore"):
        _refuse(np.isinf(part.largest.astype(values.dtype)), part.place.start, f"what {values.dtype} cannot hold")
        np.copyto(values, part.floats, casting="same_kind")


def _refuse(is_bad: np.ndarray, begin: int, fault: str) -> None:
    """`is_bad` (b,) bool is of the rows from `begin`."""
    if is_bad.any():
        raise InputError(f"vectors[{begin + int(is_bad.argmax())}] holds {fault}")


def _numpy_dtype(dtype: DType) -> np.dtype[Any]:
    if dtype not in NUMPY_DTYPE:
        raise InputError(f"there is no dtype {dtype!r}; float32, float16, int8 or binary was expected")
    return np.dtype(NUMPY_DTYPE[dtype])


def _width(dtype: DType, dim: int) -> int:
    """Values a row."""
    return -(-dim // 8) if dtype == "binary" else dim
