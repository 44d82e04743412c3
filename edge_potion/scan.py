"""int8 codes of vectors beside a query: the score of each, by the native engine or numpy, and the highest of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edge_potion.engine import absent, scan_function
from edge_potion.errors import InputError

__all__ = ["highest", "scan", "scans_by"]

LARGEST_STEP = 32767  # int16
# A sum of products must fit int32, with -128 as the farthest that a row may hold.
LARGEST_SUM = (2**31 - 1) // 128
ROWS_A_CALL = 1 << 20  # of the engine; between two, Ctrl-C is heard
VALUES_AT_ONCE = 1 << 18  # in numpy, where they become float64
SCORES_TOGETHER = 1024  # of which the highest stands for all


def scan(values: np.ndarray, scales: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(N,) float32: the inner product of each coded vector with the query; cosines, where all have length 1.

    The query's values are rounded to whole steps, 32,767 either side of 0 (fewer above 512 dimensions), so that every
    sum is exact: the engine and numpy give the same bits.

    Args:
        values: (N, D) int8, as of `quantize`; a file that is mapped into memory is read where it lies.
        scales: (N,) float32.
        query: (D,) finite floats; they are taken as float32.

    Raises:
        InputError: they are something else, or do not fit each other.
    """
    asked = _checked_query(values, scales, query)
    largest = float(np.abs(asked).max(initial=0))
    if largest == 0:
        return np.zeros(len(values), np.float32)
    most = min(LARGEST_STEP, LARGEST_SUM // len(asked))
    steps = np.rint(asked / largest * most).astype(np.int16)  # (D,)
    by = _by_engine if scans_by() == "native" else _by_numpy
    return by(values, scales, steps, np.float32(largest / most))


def highest(scores: np.ndarray, k: int) -> np.ndarray:
    """(k',) int64: rows of the k highest scores of (N,) floats, best first; of equal ones, the lower row first.

    NaN and -inf are never among them, so that k' may be less than k.
    """
    if k < 1:
        return np.empty(0, np.int64)
    least = _reached_by(scores, k)
    found = np.flatnonzero(scores >= least if least > -np.inf else scores > -np.inf)
    return found[np.argsort(-scores[found], kind="stable")[:k]]


def scans_by() -> Literal["native", "numpy"]:
    """What `scan` is done by here."""
    return "numpy" if absent() else "native"


def _checked_query(values: np.ndarray, scales: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(D,) float64, which float32 can hold."""
    if values.dtype != np.int8 or values.ndim != 2:
        raise InputError(f"values are {values.dtype} of shape {values.shape}; int8 of shape (N, D) was expected")
    if scales.dtype != np.float32 or scales.shape != values.shape[:1]:
        raise InputError(
            f"scales are {scales.dtype} of shape {scales.shape}; float32 of shape ({len(values)},) was expected"
        )
    if query.dtype.kind != "f" or query.shape != values.shape[1:]:
        raise InputError(
            f"the query is {query.dtype} of shape {query.shape}; floats of shape ({values.shape[1]},) were expected"
        )
    if len(query) > LARGEST_SUM:
        raise InputError(f"rows of {len(query):,} values are too wide; {LARGEST_SUM:,} is the most")
    with np.errstate(over="ignore"):
        asked = query.astype(np.float32).astype(np.float64)
    if not np.isfinite(asked).all():
        raise InputError("the query holds NaN, inf, or what float32 cannot hold")
    return asked


def _by_engine(values: np.ndarray, scales: np.ndarray, steps: np.ndarray, query_scale: np.float32) -> np.ndarray:
    call = scan_function()
    scores = np.empty(len(values), np.float32)
    for begin in range(0, len(values), ROWS_A_CALL):
        some = slice(begin, begin + ROWS_A_CALL)
        rows, factors, room = np.ascontiguousarray(values[some]), np.ascontiguousarray(scales[some]), scores[some]
        places = (steps.ctypes.data, factors.ctypes.data, float(query_scale), room.ctypes.data)
        status = call(rows.ctypes.data, *rows.shape, *places)
        assert status == 0, status
    return scores


def _by_numpy(values: np.ndarray, scales: np.ndarray, steps: np.ndarray, query_scale: np.float32) -> np.ndarray:
    """Of float64 every sum is as whole as of int32, and BLAS adds it."""
    wide = steps.astype(np.float64)
    scores = np.empty(len(values), np.float32)
    rows_at_once = max(VALUES_AT_ONCE // len(steps), 1)
    for begin in range(0, len(values), rows_at_once):
        some = slice(begin, begin + rows_at_once)
        sums = (values[some].astype(np.float64) @ wide).astype(np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # of a stranger's scales
            scores[some] = sums * scales[some] * query_scale
    return scores


def _reached_by(scores: np.ndarray, k: int) -> float:
    """What k scores reach at least, and not many more; -inf where there are too few.

    Of 1,024 scores each, the highest; the highest k of these are k scores. A partition of all scores would take longer
    than the scan did.
    """
    blocks = len(scores) // SCORES_TOGETHER
    if k <= blocks:
        some = np.fmax.reduce(scores[: blocks * SCORES_TOGETHER].reshape(blocks, SCORES_TOGETHER), axis=1)
    else:
        some = scores
    some = some[some > -np.inf]  # not NaN either
    return -np.inf if len(some) < k else float(np.partition(some, len(some) - k)[len(some) - k])
