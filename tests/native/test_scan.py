"""ep_scan() gives the same bits by every kind of kernels, and refuses what it cannot sum."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from ..models import CHECKOUT
from .built import run
from .c_interface import BAD_ARGUMENT, library

ORACLE = ("-m", "tests.native.scan_oracle")
pytestmark = pytest.mark.usefixtures("installed_engine")


@pytest.mark.parametrize("kernels", ["scalar", "avx2", "avx512-vnni", "neon"])
def test_scores_are_those_of_whole_numbers_at_every_width_and_alignment(kernels):
    if sys.platform == "win32":
        pytest.skip("pages are guarded by mprotect, which Windows lacks")
    taken = run(sys.executable, *ORACLE, cwd=CHECKOUT, env={**os.environ, "EDGE_POTION_KERNELS": kernels}).strip()
    if taken != kernels:
        pytest.skip(f"this processor has no kernels {kernels}: {taken} were taken, and gave the bits")


def scan(rows: np.ndarray | None, query: np.ndarray | None, scales: np.ndarray | None, width: int, count: int) -> int:
    scores = np.full(max(count, 1), np.nan, np.float32)
    rows_at, query_at, scales_at = (None if each is None else each.ctypes.data for each in (rows, query, scales))
    return library().ep_scan(rows_at, count, width, query_at, scales_at, 1.0, scores.ctypes.data)


def test_bad_arguments_are_errors_with_a_sentence():
    rows, query, scales = np.ones((2, 8), np.int8), np.ones(8, np.int16), np.ones(2, np.float32)
    assert scan(rows, query, scales, 8, 2) == 0
    for some in ((None, query, scales), (rows, None, scales), (rows, query, None)):
        assert scan(*some, 8, 2) == BAD_ARGUMENT
        assert library().ep_last_error() == b"an argument is NULL"
    assert scan(rows, query, scales, 0, 2) == BAD_ARGUMENT
    assert library().ep_last_error() == b"the width is 0"


def test_of_no_rows_nothing_is_read():
    assert scan(None, np.ones(8, np.int16), None, 8, 0) == 0


def test_a_query_whose_sums_may_not_fit_is_refused():
    """16,777,215 is the largest sum of magnitudes: times 128, it is just below 2^31."""
    rows, scales = np.full((1, 513), -128, np.int8), np.ones(1, np.float32)
    query = np.full(513, -32768, np.int16)
    query[511] = -32767
    assert scan(rows, query, scales, 512, 1) == 0
    query[511] = -32768
    assert scan(rows, query, scales, 512, 1) == BAD_ARGUMENT
    assert b"may not fit int32" in library().ep_last_error()
