"""Join: the features of several teachers of the same texts -> one vector a text, as if one teacher had made it.

Each teacher's vectors are brought to length 1, centred, and brought to length 1 again; then they stand side by side,
each times the root of its weight. So the cosine of two joined vectors is the weighted mean of the teachers' own, of
which none counts more for being longer, wider, or all in one direction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError
from edge_potion.escaping import terminal

from .pairs import unit, usable_rows
from .shards import Features, Shard

__all__ = ["Joined", "join"]

ROWS_AT_ONCE = 8192  # 100 MB of float64 where three teachers of 512 dimensions are joined
LONGEST_SHOWN = 60  # characters of a text in an error


@dataclass(frozen=True)
class Joined:
    """Features of several teachers, read as those of one.

    Attributes:
        teachers: the features of each.
        weights: of each.
        means: (H,) float64 of each, of its vectors at length 1.
        left_out: (n,) uint64, hashes of the texts that not all teachers have a vector of, as some skipped them.
        unusable: of each, how many of its vectors are zeros or not finite.
    """

    teachers: Sequence[Features]
    weights: Sequence[float]
    means: Sequence[np.ndarray]
    left_out: np.ndarray
    unusable: Sequence[int]

    def shards(self) -> Iterator[Shard]:
        """Every row, some thousands at a time: (n, sum of H) float32.

        A row with a vector that cannot be used stays one: NaN where a teacher's is not finite, else zeros.
        """
        for rows in _rows(self.teachers, self.left_out):
            usable = [usable_rows(vectors) for vectors in rows.vectors]
            parts = [
                np.sqrt(weight) * unit(unit(np.where(each.kept[:, None], vectors, 0)) - mean)
                for weight, each, vectors, mean in zip(self.weights, usable, rows.vectors, self.means, strict=True)
            ]
            joined = np.concatenate(parts, axis=1).astype(np.float32)
            joined[~np.logical_and.reduce([each.kept for each in usable])] = 0
            joined[~np.logical_and.reduce([each.finite for each in usable])] = np.nan
            yield Shard(rows.texts, joined)


@dataclass(frozen=True)
class _Rows:
    """n texts, and each teacher's vectors of them: (n, H) of each."""

    texts: list[str]
    vectors: list[np.ndarray]


def join(teachers: Sequence[Features], weights: Sequence[float]) -> Joined:
    """Hold the features of several teachers to each other, and centre them.

    They must be of the same texts in the same order; how many a shard holds does not matter. A text that a teacher
    skipped, which the counts beside its shards tell, is left out of all. Some thousands of rows are in memory at once,
    or a shard of each teacher; and eight bytes a text, where one was skipped.

    Raises:
        InputError: the texts differ, which is told of the first row that does; or no row is left.
    """
    left_out = _left_out(teachers)
    count, unusable = 0, np.zeros(len(teachers), np.int64)
    sums = [np.zeros(1) for _ in teachers]
    for rows in _rows(teachers, left_out):
        usable = np.array([usable_rows(vectors).kept for vectors in rows.vectors])  # (teachers, n) bool
        unusable += (~usable).sum(axis=1)
        kept = usable.all(axis=0)
        count += int(kept.sum())
        sums = [total + unit(vectors[kept]).sum(axis=0) for total, vectors in zip(sums, rows.vectors, strict=True)]
    if not count:
        told = ", ".join(f"{each} of {_name(features)}" for each, features in zip(unusable, teachers, strict=True))
        raise InputError(
            f"no text has a usable vector of each of {len(teachers)} teachers; zeros, or not finite, are {told}: make "
            "those features anew"
        )
    return Joined(teachers, weights, [total / count for total in sums], left_out, unusable.tolist())


def _left_out(teachers: Sequence[Features]) -> np.ndarray:
    """(n,) uint64: hashes of the texts that a teacher skipped while another has them.

    A teacher skips a text for what it is (it gives NaN, or no token), so all rows of that text or none: what is skipped
    is a set of texts, and once these are gone everywhere the rows must be the same. No more may go than were skipped.
    """
    if not any(features.skipped for features in teachers):
        return np.empty(0, np.uint64)
    own = [np.unique(np.fromiter(map(_hash, features.texts()), np.uint64)) for features in teachers]
    anywhere = reduce(np.union1d, own)
    for features, texts in zip(teachers, own, strict=True):
        lacking = np.setdiff1d(anywhere, texts)
        if len(lacking) > features.skipped:
            raise InputError(
                f"{_name(features)} lacks {len(lacking)} texts that other features have, and {features.skipped} were "
                f"skipped when it was made; {_first_of(lacking, teachers)}: make the features of all teachers from the "
                "same corpus"
            )
    return np.setdiff1d(anywhere, reduce(np.intersect1d, own))


def _first_of(hashes: np.ndarray, teachers: Sequence[Features]) -> str:
    """The first row that has one of these texts, in words."""
    rows = ((each, row, text) for each in teachers for row, text in enumerate(each.texts(), start=1))
    features, row, text = next(each for each in rows if _hash(each[2]) in hashes)
    return f"the first is row {row} of {_name(features)}, {_shown(text)}"


def _rows(teachers: Sequence[Features], left_out: np.ndarray) -> Iterator[_Rows]:
    """The rows that all have, side by side; InputError where they have other texts."""
    streams = [_Stream(features, left_out) for features in teachers]
    begin = 0
    while count := min(ROWS_AT_ONCE, *(stream.ready() for stream in streams)):
        texts, *others = (stream.texts[:count] for stream in streams)
        for stream, theirs in zip(streams[1:], others, strict=True):
            if theirs != texts:
                _refuse(begin, texts, theirs, teachers[0], stream.features)
        yield _Rows(texts, [stream.taken(count) for stream in streams])
        begin += count
    for stream in streams:
        if stream.texts:
            ended = next(each for each in streams if not each.texts)
            raise InputError(
                f"{_name(ended.features)} ends after {begin} rows, and {_name(stream.features)} goes on with "
                f"{_shown(stream.texts[0])}; features of the same texts were expected"
            )


class _Stream:
    """The rows of one teacher's features, without those that are left out; `texts` are read and not taken yet."""

    def __init__(self, features: Features, left_out: np.ndarray) -> None:
        self.features, self.texts = features, list[str]()
        self._vectors = np.empty((0, 0))
        self._width = 0
        self._left_out = left_out
        self._shards = features.shards()

    def ready(self) -> int:
        """How many rows can be taken; 0 at the end."""
        while not self.texts and (shard := next(self._shards, None)) is not None:
            width = shard.vectors.shape[1]
            self._width = self._width or width
            if width != self._width:
                raise InputError(f"{_name(self.features)} has vectors of {self._width} dimensions, and then of {width}")
            self.texts, self._vectors = shard.texts, shard.vectors
            if len(self._left_out):
                hashes = np.fromiter(map(_hash, shard.texts), np.uint64)
                kept = np.flatnonzero(~np.isin(hashes, self._left_out))
                self.texts, self._vectors = [shard.texts[place] for place in kept], shard.vectors[kept]
        return len(self.texts)

    def taken(self, count: int) -> np.ndarray:
        """The vectors (count, H) of the next rows."""
        vectors, self._vectors = self._vectors[:count], self._vectors[count:]
        self.texts = self.texts[count:]
        return vectors


def _refuse(begin: int, texts: list[str], theirs: list[str], first: Features, other: Features) -> None:
    place = next(place for place, pair in enumerate(zip(texts, theirs, strict=True)) if pair[0] != pair[1])
    raise InputError(
        f"row {begin + place + 1} of {_name(first)} is {_shown(texts[place])}, and of {_name(other)} "
        f"{_shown(theirs[place])}; features of the same texts, in the same order, were expected"
    )


def _name(features: Features) -> Path:
    return features.files[0].parent


def _shown(text: str) -> str:
    return terminal(repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
