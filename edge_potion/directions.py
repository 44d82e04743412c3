"""What `similarity` compares: texts, or vectors in any shape that people hold them in; as directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any

import numpy as np

from edge_potion.errors import InputError
from edge_potion.unit_length import NORM_EPS

__all__ = ["Comparable", "directions_of"]

Comparable = str | Iterable[Any] | np.ndarray  # texts, or numbers
TAKEN = "texts, or vectors (N, D) or (D,) of numbers (an array, lists, a tensor) were expected"
NO_NUMBERS = "USMmc"  # kinds of numpy's dtypes: strings, times, complex numbers


def directions_of(items: Comparable, encode: Callable[[Any], np.ndarray]) -> np.ndarray:
    """(N, D) or (D,) float32 of unit length or zero, however large or small the numbers were.

    Args:
        items: one text, texts, or vectors.
        encode: makes vectors of texts.

    Raises:
        InputError: it is none of these, or the vectors hold NaN or inf.
    """
    vectors = _vectors(items, encode)
    if vectors.ndim not in (1, 2):
        raise InputError(f"vectors of shape {vectors.shape} cannot be compared; (N, D) or (D,) was expected")
    largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=0)
    if not np.isfinite(largest).all():
        raise InputError("vectors hold NaN or inf")
    wide = vectors / np.where(largest > 0, largest, 1)
    return (wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), NORM_EPS)).astype(np.float32)


def _vectors(items: Comparable, encode: Callable[[Any], np.ndarray]) -> np.ndarray:
    """float64, of texts and numbers alike."""
    if isinstance(items, str | bytes):
        return encode(items).astype(np.float64)
    if _is_array(items):
        array = _array(items)
        if array.dtype.kind == "U" or (array.dtype.kind == "O" and array.size and isinstance(array.flat[0], str)):
            return encode(array.reshape(-1).tolist()).astype(np.float64)
        return _numbers(array)
    try:
        each = iter(items)
    except TypeError:
        raise InputError(f"{type(items).__name__} cannot be compared; {TAKEN}") from None
    beginning = list(islice(each, 1))
    if not beginning or isinstance(beginning[0], str | bytes):
        return encode(chain(beginning, each)).astype(np.float64)
    return _numbers(_array([_array(item) if _is_array(item) else item for item in chain(beginning, each)]))


def _is_array(items: Any) -> bool:
    return isinstance(items, memoryview) or hasattr(items, "__array__")


def _array(items: Any) -> np.ndarray:
    if callable(getattr(items, "detach", None)):  # a tensor of torch: with a gradient, on a GPU, in bfloat16
        items = items.detach().cpu().double().numpy()
    try:
        return np.asarray(items)
    except (TypeError, ValueError) as failure:  # lists of several lengths, say
        raise InputError(f"{type(items).__name__} cannot be compared ({_line(failure)}); {TAKEN}") from failure


def _numbers(array: np.ndarray) -> np.ndarray:
    is_mixed = array.dtype.kind == "O" and any(isinstance(item, str | bytes) for item in array.flat)
    if array.dtype.kind in NO_NUMBERS or is_mixed:
        raise InputError(f"an array of {array.dtype} cannot be compared; {TAKEN}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as failure:
        raise InputError(f"an array of {array.dtype} cannot be compared ({_line(failure)}); {TAKEN}") from failure


def _line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0]
