"""Vectors in their order -> each is kept, or goes to the nearest kept one that is near enough: exact, among millions.

This is leader clustering: no two kept vectors are near each other, and all others are near the one that stands for
them, without chains. By which numbers a cosine is told: a vector is taken as whole numbers (int16), its largest
magnitude as 32,767, and the cosine of two is

    dot(a, b) / sqrt(dot(a, a) * dot(b, b))

in float64. Each of these dot products is a whole number below 2^53, so nothing depends on the order of a sum: every
machine gives the same bits, equal vectors have the cosine 1, and it is within 1e-5 of the cosine of the floats.

Of a million vectors there are 5e11 pairs, and most are ruled out by a cheaper product. Vectors of length 1 are turned
so that their first values hold most of them. Then the product of the first values of two, and of the lengths of what
is left of each, cannot be less than their cosine (Cauchy-Schwarz): one product of short float32 vectors, for which
matrices are multiplied as fast as the machine can.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from edge_potion.nearest import without_tokens

__all__ = ["Leaders", "Placed"]

LARGEST_CODE = 32_767
BLOCK_ROWS, CHUNK_ROWS = 512, 2048  # new and kept rows that are compared at once: 4 MB of products, which a cache holds
PAIRS_AT_ONCE = 8192  # of whole vectors, 4 MB a side at 256 dimensions
SAMPLE_ROWS = 1024  # of the first vectors, which tell how many values a bound needs
WIDTHS = (8, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256)  # of these
# Share of the pairs that a bound may fail to rule out: a pair of whole vectors takes some hundred times as long.
SURVIVORS = 1e-4
# More than float32 can take from a bound, which is 1.6e-5: 2^-24 for each of 256 + 1 products, and for both factors.
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
    """Vectors to compare.

    Attributes:
        numbers: (n,) int64: which of all vectors they are.
        codes: (n, D) int16: the vectors as whole numbers.
        squares: (n,) float64: the dot product of each with itself, a whole number.
        bounds: (n, K + 1) float32: of the turned vector of length 1, K values and the length of the rest.
    """

    numbers: np.ndarray
    codes: np.ndarray
    squares: np.ndarray
    bounds: np.ndarray

    def some(self, which: Any) -> Rows:
        return Rows(*(part[which] for part in self))


class Pairs(NamedTuple):
    """Which rows are near which others; ascending by row, then by the other.

    Attributes:
        rows: (P,) int64.
        others: (P,) int64.
        cosines: (P,) float64.
    """

    rows: np.ndarray
    others: np.ndarray
    cosines: np.ndarray


class Leaders:
    """The vectors that were kept, to which the next are compared.

    Attributes:
        count: of the vectors that came, kept or not.
    """

    def __init__(self, threshold: float) -> None:
        self.count = 0
        self._threshold = float(threshold)
        self._turn: np.ndarray | None = None  # (D, K) float64
        self._chunks: list[Rows] = []  # of CHUNK_ROWS rows each
        self._room = 0  # rows of the last chunk that are not taken
        # Made once: fresh memory would take as long as the products.
        self._products = np.empty(BLOCK_ROWS * CHUNK_ROWS, np.float32)
        self._is_possible = np.empty(BLOCK_ROWS * CHUNK_ROWS, bool)

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
        for begin in range(0, len(known), BLOCK_ROWS):
            some = slice(begin, begin + BLOCK_ROWS)
            where = known[some]
            leaders[where], cosines[where] = self._place(_rows_of(leaders[where], codes[some], self._turn))
        return Placed(leaders, cosines)

    def _place(self, rows: Rows) -> Placed:
        leaders, cosines = rows.numbers.copy(), np.zeros(len(rows.numbers))  # 0: no leader was found
        for chunk in self._kept():
            best = _nearest(self._pairs(rows, chunk))
            best = Pairs(*(part[best.cosines > cosines[best.rows]] for part in best))
            leaders[best.rows], cosines[best.rows] = chunk.numbers[best.others], best.cosines
        pairs = self._pairs(rows, rows)
        near = np.zeros((len(leaders), len(leaders)))
        near[pairs.rows, pairs.others] = pairs.cosines
        for row in np.unique(pairs.rows[pairs.others < pairs.rows]):
            to_kept = np.where(cosines[:row] == 0, near[row, :row], 0)  # (row,): those before it in this block
            nearest = to_kept.argmax()
            if to_kept[nearest] > cosines[row]:
                leaders[row], cosines[row] = rows.numbers[nearest], to_kept[nearest]
        is_kept = cosines == 0
        self._keep(rows.some(is_kept))
        return Placed(leaders, np.where(is_kept, 1, cosines))

    def _pairs(self, rows: Rows, others: Rows) -> Pairs:
        """All whose cosine is at least the threshold."""
        shape = len(rows.numbers), len(others.numbers)
        products = self._products[: shape[0] * shape[1]].reshape(shape)
        is_possible = self._is_possible[: shape[0] * shape[1]].reshape(shape)
        np.matmul(rows.bounds, others.bounds.T, out=products)
        np.greater_equal(products, np.float32(self._threshold - MARGIN), out=is_possible)
        row, other = np.divmod(np.flatnonzero(is_possible), shape[1])
        cosines = np.empty(len(row))
        for begin in range(0, len(row), PAIRS_AT_ONCE):
            some = slice(begin, begin + PAIRS_AT_ONCE)
            dots = _dots(rows.codes[row[some]], others.codes[other[some]])
            cosines[some] = dots / np.sqrt(rows.squares[row[some]] * others.squares[other[some]])
        is_near = cosines >= self._threshold
        return Pairs(row[is_near], other[is_near], cosines[is_near])

    def _kept(self) -> Iterator[Rows]:
        yield from self._chunks[:-1]
        if self._chunks:
            yield self._chunks[-1].some(slice(CHUNK_ROWS - self._room))

    def _keep(self, rows: Rows) -> None:
        while len(rows.numbers):
            if not self._room:
                self._chunks.append(Rows(*(np.empty((CHUNK_ROWS, *part.shape[1:]), part.dtype) for part in rows)))
                self._room = CHUNK_ROWS
            taken = rows.some(slice(self._room))
            begin = CHUNK_ROWS - self._room
            for part, goal in zip(taken, self._chunks[-1], strict=True):
                goal[begin : begin + len(part)] = part
            self._room -= len(taken.numbers)
            rows = rows.some(slice(len(taken.numbers), None))


def whole_numbers(vectors: np.ndarray) -> np.ndarray:
    """(n, D) int16 of (n, D) float32, none of them zeros."""
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)  # (n, 1)
    return np.rint(wide * (LARGEST_CODE / largest)).astype(np.int16)


def _nearest(pairs: Pairs) -> Pairs:
    """Of each row the one with the highest cosine; of equal ones the first."""
    order = np.lexsort((pairs.others, -pairs.cosines, pairs.rows))
    is_first = np.diff(pairs.rows[order], prepend=-1) > 0
    return Pairs(*(part[order[is_first]] for part in pairs))


def _rows_of(numbers: np.ndarray, codes: np.ndarray, turn: np.ndarray) -> Rows:
    squares = _dots(codes, codes)
    turned = (codes / np.sqrt(squares)[:, None]) @ turn  # (n, K)
    return Rows(numbers, codes, squares, _with_rests(turned).astype(np.float32))


def _turn_for(codes: np.ndarray, threshold: float) -> np.ndarray:
    """(D, K) float64, orthonormal columns: the directions that hold most of vectors like these, the foremost first.

    K is the least of WIDTHS that rules out enough of the pairs that are below the threshold.
    """
    units = codes / np.sqrt(_dots(codes, codes))[:, None]  # (n, D)
    turn = np.linalg.eigh(units.T @ units).eigenvectors[:, ::-1]  # (D, D)
    sample = units[:SAMPLE_ROWS] @ turn
    is_below = sample @ sample.T < threshold
    for width in WIDTHS:
        bounds = _with_rests(sample[:, :width])
        if np.count_nonzero(is_below & (bounds @ bounds.T >= threshold)) <= SURVIVORS * is_below.size:
            break
    return turn[:, :width]


def _with_rests(turned: np.ndarray) -> np.ndarray:
    """(n, K + 1) of the first K values of vectors of length 1: behind them, the length of the rest."""
    rests = np.sqrt(np.maximum(1 - (turned * turned).sum(axis=1, keepdims=True), 0))
    return np.concatenate([turned, rests], axis=1)


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) float64 of (n, D) int16: whole numbers, exact for any D below 2^23."""
    return np.einsum("nd,nd->n", a, b, dtype=np.float64)
