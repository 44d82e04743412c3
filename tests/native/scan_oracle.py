"""ep_scan() beside whole numbers in numpy, at every width and alignment: a program that prints the kernels it ran."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack

import numpy as np

from edge_potion.engine import kernels, scan_function

from .guarded import guarded

WIDTHS = (*range(1, 70), 100, 127, 128, 255, 256, 257, 384, 1000, 4096)
COUNTS = (1, 2, 3, 4, 5, 7, 8, 33)
LARGEST_SUM = (2**31 - 1) // 128  # of the query's magnitudes


def main() -> None:
    source = np.random.default_rng(0)
    for width in WIDTHS:
        count = int(source.choice(COUNTS))
        most = min(32767, LARGEST_SUM // width)
        rows = source.integers(-128, 128, (count, width)).astype(np.int8)
        query = source.integers(-most, most + 1, width).astype(np.int16)
        scales = source.normal(size=count).astype(np.float32)
        check(rows, query, scales)
        check(np.full_like(rows, -128), np.full_like(query, most), scales)
        check(np.full_like(rows, -128), np.full_like(query, -most), scales)
        check(np.where(rows < 0, -128, 127).astype(np.int8), np.where(query < 0, -most, most).astype(np.int16), scales)
    check(np.full((5, 512), -128, np.int8), np.full(512, -32767, np.int16), np.ones(5, np.float32))
    check(np.full((5, 511), -128, np.int8), np.full(511, -32768, np.int16), np.ones(5, np.float32))
    print(kernels())


def check(rows: np.ndarray, query: np.ndarray, scales: np.ndarray) -> None:
    """Where reading or writing beyond an end is fatal, and every array begins at an odd address."""
    query_scale = np.float32(0.3)
    dots = rows.astype(np.int64) @ query.astype(np.int64)
    assert np.abs(dots).max() < 2**31
    expected = dots.astype(np.float32) * scales * query_scale
    for odd in (0, 1):
        with ExitStack() as stack:
            places = []
            for array in (rows, query, scales, np.empty_like(expected)):
                end = stack.enter_context(guarded(array.nbytes + odd))
                place = end - array.nbytes - odd
                ctypes.memmove(place, array.ctypes.data, array.nbytes)
                places.append(place)
            status = scan_function()(places[0], *rows.shape, places[1], places[2], float(query_scale), places[3])
            assert status == 0
            assert ctypes.string_at(places[3], expected.nbytes) == expected.tobytes(), (rows.shape, odd)


if __name__ == "__main__":
    main()
