"""BM25 over rows: which rows a word stands in and how often, and what that is worth to a query."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["BYTES_A_WORD", "Collected", "Postings", "Weights", "hash_of", "weights_of"]

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009); the numbers are Pyserini's.
K1, B = 0.9, 0.4
BYTES_A_WORD = 20  # of a text, while it is collected and sorted
MOST_COUNTED = 255  # of one word in a row: by then its score has long stopped to grow


@dataclass(frozen=True)
class Postings:
    """The words of R rows: T stems, P pairs of a stem and a row.

    Attributes:
        terms: (T,) uint64, hashes of the stems, ascending. Of a million stems, two share one by a chance of 1 to 37
            million.
        starts: (T + 1,) int64, where each stem's rows begin.
        rows: (P,) uint32, of each stem ascending.
        counts: (P,) uint8, how often it stands there.
        lengths: (R,) uint32, words of each row.
    """

    terms: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    def places_of(self, stems: Iterable[str]) -> dict[str, slice]:
        """Where the rows of the stems are that are here; IndexError where a damaged file names no place."""
        names = list(stems)
        if not len(self.terms):
            return {}
        numbers = np.fromiter(map(hash_of, names), np.uint64, len(names))
        at = np.minimum(np.searchsorted(self.terms, numbers), len(self.terms) - 1)
        is_here = self.terms[at] == numbers
        places = {}
        for number in np.flatnonzero(is_here):
            begin, end = (int(self.starts[at[number] + more]) for more in (0, 1))
            if not 0 <= begin <= end <= len(self.rows) or end - begin > len(self.lengths):
                raise IndexError(int(at[number]))
            places[names[number]] = slice(begin, end)
        return places

    def add_scores(self, weights: Weights, scores: np.ndarray) -> None:
        """Add to (R,) float32 what a query's words are worth in each row."""
        for stem, place in self.places_of(weights.of_stem).items():
            rows = self.rows[place]
            scores[rows] += weights.of_stem[stem] * self._saturated(place, rows, weights.mean_length)

    def share(self, stem: str, row: int, weights: Weights) -> float:
        """What one word of a query is worth in one row."""
        place = self.places_of([stem]).get(stem, slice(0, 0))
        rows = self.rows[place]
        at = int(np.searchsorted(rows, row))
        if at == len(rows) or rows[at] != row:
            return 0.0
        here = slice(place.start + at, place.start + at + 1)
        return float(weights.of_stem[stem] * self._saturated(here, self.rows[here], weights.mean_length)[0])

    def _saturated(self, place: slice, rows: np.ndarray, mean_length: float) -> np.ndarray:
        """(n,) float32 in 0..1: counts, less in long rows, and less for each more."""
        counts = self.counts[place].astype(np.float32)
        lengths = self.lengths[rows].astype(np.float32)
        longer = np.float32(K1 * (1 - B)) + np.float32(K1 * B / max(mean_length, 1e-9)) * lengths
        return counts / (counts + longer)


class Weights(NamedTuple):
    """What a query's words are worth in an index, before a row is looked at.

    Attributes:
        of_stem: inverse document frequency by stem, times how often the query has it; also of stems that no row has.
        mean_length: words of a row, on average.
        most: what no row's score reaches: the sum of these.
    """

    of_stem: Mapping[str, np.float32]
    mean_length: float
    most: float


def weights_of(stems: Sequence[str], parts: Sequence[Postings]) -> Weights:
    """What the stems of a query are worth, over all parts of an index."""
    rows = sum(len(part.lengths) for part in parts)
    words = sum(int(part.lengths.sum(dtype=np.int64)) for part in parts)
    of_stem = {}
    most = 0.0
    counted = Counter(stems)
    places = [part.places_of(counted) for part in parts]
    for stem, times in counted.items():
        found = sum(place.stop - place.start for each in places if (place := each.get(stem)))
        weight = times * math.log(1 + (rows - found + 0.5) / (found + 0.5))
        most += weight
        of_stem[stem] = np.float32(weight)
    return Weights(of_stem, words / max(rows, 1), most)


def hash_of(text: str) -> int:
    """64 bits of a text, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class Collected:
    """Words of rows, as these come; `postings` at the end."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._of_words = array("i")  # number of the stem, word by word
        self._lengths = array("I")  # words of each row

    def add(self, stems: Sequence[str]) -> None:
        """One more row."""
        numbers = self._numbers
        self._of_words.extend([numbers.setdefault(stem, len(numbers)) for stem in stems])
        self._lengths.append(len(stems))

    @property
    def size_bytes(self) -> int:
        """About what is held in memory, and what sorting it takes."""
        return BYTES_A_WORD * len(self._of_words) + 120 * len(self._numbers)

    def postings(self) -> Postings:
        """All of it, by stem."""
        lengths = np.frombuffer(self._lengths, np.uint32) if self._lengths else np.empty(0, np.uint32)
        words = np.frombuffer(self._of_words, np.int32) if self._of_words else np.empty(0, np.int32)
        hashes = np.fromiter(map(hash_of, self._numbers), np.uint64, len(self._numbers))  # (T,)
        order = np.argsort(hashes)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        keys = rank[words] * max(len(lengths), 1)  # (W,) int64: by stem, then by row
        keys += np.repeat(np.arange(len(lengths)), lengths)
        pairs, counts = np.unique(keys, return_counts=True)
        terms, rows = np.divmod(pairs, max(len(lengths), 1))
        starts = np.searchsorted(terms, np.arange(len(order) + 1))
        return Postings(
            hashes[order],
            starts.astype(np.int64),
            rows.astype(np.uint32),
            np.minimum(counts, MOST_COUNTED).astype(np.uint8),
            lengths,
        )
