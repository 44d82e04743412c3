"""Vectors in their order -> each is kept, or goes to the nearest kept one that is near enough: exact, among millions.

This is leader clustering: no two kept vectors are near each other, and all others are near the one that stands for
them, without chains. By which numbers a cosine is told: a vector is taken as whole numbers (int16), its largest
magnitude as 32,767, and the cosine of two is

    dot(a, b) / sqrt(dot(a, a) * dot(b, b))

in float64. Each of these dot products is a whole number below 2^53, so nothing depends on the order of a sum: every
machine gives the same bits, equal vectors have the cosine 1, and it is about 1e-5 from that of the floats.

Of a million vectors there are 5e11 pairs, and most are ruled out by a cheaper product. Vectors of length 1 are turned
so that their first values hold most of them. Then the product of the first values of two, and of the lengths of what
is left of each, cannot be less than their cosine (Cauchy-Schwarz): one product of short float32 vectors, which is what
processors do fastest. Matrices are multiplied in tiles so small that OpenBLAS leaves each to the thread that asks: its
own threads wait for each other at every product, and here each has its share of the kept vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from edge_potion.nearest import without_tokens

__all__ = ["Leaders", "Placed"]

LARGEST_CODE = 32_767
BLOCK_ROWS, CHUNK_ROWS = 512, 1024  # new and kept rows that are compared at once: 2 MB of products, which a cache holds
TILE_ROWS = 64
TILE_PRODUCTS = 2**18  # from which on OpenBLAS takes threads of its own for a product of matrices
PAIRS_AT_ONCE = 8192  # of whole vectors, 4 MB a side at 256 dimensions
SAMPLE_ROWS = 1024  # of the first vectors, which tell how many values a bound needs
WIDTHS = (16, 24, 32, 40, 48, 64, 96, 128, 256)  # of these; the last is the length of the rest
# Share of the pairs that a bound may fail to rule out: a pair of whole vectors takes some hundred times as long.
SURVIVORS = 1e-4
# More than float32 can take from a bound, which is 1.6e-5: 2^-24 for each of 256 products, and for both factors.
MARGIN = 1e-4


class Placed(NamedTuple):
    """Where some vectors went.

    Attributes:
        leaders: (b,) int64: the number of the kept vector that stands for each; its own, where it is kept.
        cosines: (b,) float64: to that one.
    """

    leaders: np.ndarray
    cosines: np.ndarray


class Rows(NamedTuple):
    """Vectors to compare; where these are in tiles, with zeros behind them, which are near nothing.

    Attributes:
        numbers: (n,) int64: which of all vectors they are.
        codes: (n, D) int16: the vectors as whole numbers.
        squares: (n,) float64: the dot product of each with itself, a whole number; 1 of zeros.
        bounds: (n, W) float32: of the turned vector of length 1, W - 1 values and the length of the rest.
    """

    numbers: np.ndarray
    codes: np.ndarray
    squares: np.ndarray
    bounds: np.ndarray

    def some(self, which: Any) -> Rows:
        return Rows(*(part[which] for part in self))


class Pairs(NamedTuple):
    """Which rows are near which others.

    Attributes:
        rows: (P,) int64.
        others: (P,) int64.
        cosines: (P,) float64.
    """

    rows: np.ndarray
    others: np.ndarray
    cosines: np.ndarray


class Leaders:
    """The vectors that were kept, to which the next are compared. To be used in a `with` block, which ends its threads.

    Attributes:
        count: of the vectors that came, kept or not.
    """

    def __init__(self, threshold: float, threads: int) -> None:
        self.count = 0
        self._threshold = float(threshold)
        self._turn: np.ndarray | None = None  # (D, W - 1) float64
        self._chunks: list[Rows] = []  # of CHUNK_ROWS rows each
        self._room = 0  # rows of the last chunk that are not taken
        self._comparers = [Comparer(self._threshold) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Leaders:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def place(self, vectors: np.ndarray) -> Placed:
        """Where the next vectors (b, D) float32 go; by the first that come, all are turned.

        Zeros have no direction: they are kept, and stand for nothing.
        """
        leaders = np.arange(self.count, self.count + len(vectors))
        cosines = np.ones(len(vectors))
        self.count += len(vectors)
        known = np.flatnonzero(~without_tokens(vectors))
        codes = whole_numbers(vectors[known])
        if self._turn is None:
            self._turn = _turn_for(codes, self._threshold)
        rows = _rows_of(leaders[known], codes, self._turn)
        for begin in range(0, len(known), BLOCK_ROWS):
            some = slice(begin, begin + BLOCK_ROWS)
            leaders[known[some]], cosines[known[some]] = self._place(rows.some(some))
        return Placed(leaders, cosines)

    def _place(self, given: Rows) -> Placed:
        """The same of BLOCK_ROWS rows at most."""
        count = len(given.numbers)
        rows = _padded(given, -(-count // TILE_ROWS) * TILE_ROWS)
        shares = [self._chunks[begin :: len(self._comparers)] for begin in range(len(self._comparers))]
        found = self._pool.map(lambda comparer, share: comparer.nearest(rows, share), self._comparers, shares)
        leaders, cosines = (part[:count] for part in reduce(_nearer, found))
        pairs = self._comparers[0].pairs(rows, rows)
        near = np.zeros((count, count))  # cosines; 0 below the threshold
        near[pairs.rows, pairs.others] = pairs.cosines
        for row in np.unique(pairs.rows[pairs.others < pairs.rows]):
            to_kept = np.where(cosines[:row] == 0, near[row, :row], 0)  # (row,): those before it in this block
            nearest = to_kept.argmax()
            if to_kept[nearest] > cosines[row]:
                leaders[row], cosines[row] = given.numbers[nearest], to_kept[nearest]
        is_kept = cosines == 0
        self._keep(given.some(is_kept))
        return Placed(np.where(is_kept, given.numbers, leaders), np.where(is_kept, 1, cosines))

    def _keep(self, rows: Rows) -> None:
        while len(rows.numbers):
            if not self._room:
                self._chunks.append(_padded(rows.some(slice(0)), CHUNK_ROWS))
                self._room = CHUNK_ROWS
            taken = rows.some(slice(self._room))
            begin, end = CHUNK_ROWS - self._room, CHUNK_ROWS - self._room + len(taken.numbers)
            for part, goal in zip(taken, self._chunks[-1], strict=True):
                goal[begin:end] = part
            self._room -= len(taken.numbers)
            rows = rows.some(slice(len(taken.numbers), None))


class Comparer:
    """Compares rows in one thread, in memory of its own: to get fresh one takes as long as the products."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._products = np.empty(BLOCK_ROWS * CHUNK_ROWS, np.float32)
        self._is_possible = np.empty(BLOCK_ROWS * CHUNK_ROWS, bool)

    def nearest(self, rows: Rows, chunks: Iterable[Rows]) -> Placed:
        """Of each row the nearest in the chunks, of equally near ones the first; a cosine of 0 where there is none."""
        nearest = Placed(np.zeros(len(rows.numbers), np.int64), np.zeros(len(rows.numbers)))
        for chunk in chunks:
            pairs = self.pairs(rows, chunk)
            order = np.lexsort((pairs.others, -pairs.cosines, pairs.rows))
            best = order[np.diff(pairs.rows[order], prepend=-1) > 0]
            best = best[pairs.cosines[best] > nearest.cosines[pairs.rows[best]]]
            nearest.leaders[pairs.rows[best]] = chunk.numbers[pairs.others[best]]
            nearest.cosines[pairs.rows[best]] = pairs.cosines[best]
        return nearest

    def pairs(self, rows: Rows, others: Rows) -> Pairs:
        """All whose cosine is at least the threshold, in any order."""
        width = rows.bounds.shape[1]
        columns = min(TILE_ROWS, 2 ** int(np.log2(TILE_PRODUCTS / TILE_ROWS / width)))
        left = rows.bounds.reshape(-1, 1, TILE_ROWS, width)  # tiles of rows
        right = others.bounds.reshape(1, -1, columns, width)  # tiles of others
        shape = (len(left), right.shape[1], TILE_ROWS, columns)
        size = len(rows.numbers) * len(others.numbers)
        products = self._products[:size].reshape(shape)
        is_possible = self._is_possible[:size].reshape(shape)
        np.matmul(left, right.swapaxes(2, 3), out=products)
        np.greater_equal(products, np.float32(self._threshold - MARGIN), out=is_possible)
        tile, tile_column, row, column = np.unravel_index(np.flatnonzero(is_possible), shape)
        row += tile * TILE_ROWS
        column += tile_column * columns
        cosines = np.empty(len(row))
        for begin in range(0, len(row), PAIRS_AT_ONCE):
            some = slice(begin, begin + PAIRS_AT_ONCE)
            dots = _dots(rows.codes[row[some]], others.codes[column[some]])
            cosines[some] = dots / np.sqrt(rows.squares[row[some]] * others.squares[column[some]])
        is_near = cosines >= self._threshold
        return Pairs(row[is_near], column[is_near], cosines[is_near])


def whole_numbers(vectors: np.ndarray) -> np.ndarray:
    """(n, D) int16 of (n, D) float32, none of them zeros."""
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)  # (n, 1)
    return np.rint(wide * (LARGEST_CODE / largest)).astype(np.int16)


def _nearer(one: Placed, other: Placed) -> Placed:
    """Of each row the nearer of two; of equally near ones the first."""
    is_other = (other.cosines > one.cosines) | ((other.cosines == one.cosines) & (other.leaders < one.leaders))
    return Placed(*(np.where(is_other, theirs, ours) for ours, theirs in zip(one, other, strict=True)))


def _rows_of(numbers: np.ndarray, codes: np.ndarray, turn: np.ndarray) -> Rows:
    squares = _dots(codes, codes)
    turned = (codes / np.sqrt(squares)[:, None]) @ turn  # (n, W - 1)
    return Rows(numbers, codes, squares, _with_rests(turned).astype(np.float32))


def _padded(rows: Rows, length: int) -> Rows:
    padded = Rows(*(np.zeros((length, *part.shape[1:]), part.dtype) for part in rows))
    padded.squares[:] = 1  # which can be divided by
    for part, goal in zip(rows, padded, strict=True):
        goal[: len(part)] = part
    return padded


def _turn_for(codes: np.ndarray, threshold: float) -> np.ndarray:
    """(D, W - 1) float64, orthonormal columns: the directions that hold most of vectors like these, the foremost first.

    W is the least of WIDTHS that rules out enough of the pairs that are below the threshold.
    """
    units = codes / np.sqrt(_dots(codes, codes))[:, None]  # (n, D)
    turn = np.linalg.eigh(units.T @ units).eigenvectors[:, ::-1]  # (D, D)
    sample = units[:SAMPLE_ROWS] @ turn
    is_below = sample @ sample.T < threshold
    for width in WIDTHS:
        bounds = _with_rests(sample[:, : width - 1])
        if np.count_nonzero(is_below & (bounds @ bounds.T >= threshold)) <= SURVIVORS * is_below.size:
            break
    return turn[:, : width - 1]


def _with_rests(turned: np.ndarray) -> np.ndarray:
    """(n, W) of the first W - 1 values of vectors of length 1: behind them, the length of the rest."""
    rests = np.sqrt(np.maximum(1 - (turned * turned).sum(axis=1, keepdims=True), 0))
    return np.concatenate([turned, rests], axis=1)


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) float64 of (n, D) int16: whole numbers, exact for any D below 2^23."""
    return np.einsum("nd,nd->n", a, b, dtype=np.float64)
