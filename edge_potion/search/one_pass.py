"""The texts of a file that fit a query best, without an index: one pass over any number of texts.

Of each text a few numbers are kept until all have been seen, as only then it is known what a word is worth; the texts
themselves are not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from edge_potion.scan import highest
from edge_potion.search.hit import Mode, WordShare, explained
from edge_potion.search.postings import Postings, hash_of, weights_of
from edge_potion.search.ready_vectors import ReadyVectors
from edge_potion.search.scores import ordering_scores
from edge_potion.search.words import Words
from edge_potion.unit_length import unit_length

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Found", "Passed", "search_in_one_pass"]

TEXTS_AT_ONCE = 1024  # that are not embedded


@dataclass(frozen=True)
class Found:
    """A text that fits.

    Attributes:
        number: its place among the texts, from 1.
        score, meaning, words, explanation: as of `hit.Hit`.
    """

    number: int
    score: float
    meaning: float
    words: float
    explanation: tuple[WordShare, ...]


@dataclass(frozen=True)
class Passed:
    """What a pass gave.

    Attributes:
        hits: the best first; of equal ones, the one that comes first among the texts.
        texts: how many there were.
        unknown: how many of them have no token that the model knows; 0 where their vectors were given.
    """

    hits: list[Found]
    texts: int
    unknown: int


def search_in_one_pass(
    model: EdgeModel,
    query: str,
    texts: Iterable[str],
    top: int,
    mode: Mode,
    language: str,
    given: ReadyVectors | None = None,
) -> Passed:
    """Find the `top` texts that fit a query best; they are scored as in an index of them.

    Their vectors are the model's, or those that are `given`, one of each text.

    Raises:
        InputError: a text is none, or there is no such language, or there are not as many vectors as texts.
    """
    vector = unit_length(model.encode_query(query)[None])[0]  # (D,)
    words = Words(language)
    stems = list(dict.fromkeys(words.stems(query))) if mode != "meaning" else []
    pass_ = _Pass(stems)
    count = unknown = 0
    for window, vectors in _windows(model, texts, given, is_embedded=mode != "words"):
        lengths = np.linalg.norm(vectors, axis=1)  # (b,)
        if given is None:  # which tells of its own zeros
            unknown += int((lengths == 0).sum())
        # Row by row, so that equal texts have equal scores wherever they stand in a window.
        cosines = (vectors * vector).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
        kept = [place for place, text in enumerate(window) if text.strip()]  # as in an index
        pass_.add(count + 1, kept, cosines, [words.stems(window[place]) for place in kept] if stems else None)
        count += len(window)
    if given is not None and mode != "words":
        given.end(count)
    meaning = np.frombuffer(pass_.meaning, np.float32) if pass_.meaning else np.empty(0, np.float32)
    postings = pass_.postings()
    weights = weights_of(words.stems(query), [postings])
    of_words = np.zeros(len(meaning), np.float32)
    postings.add_scores(weights, of_words)
    scores = ordering_scores(meaning if mode != "words" else None, of_words if mode != "meaning" else None, weights)
    hits = [
        Found(
            pass_.numbers[row],
            float(scores[row]),
            float(np.clip(meaning[row], -1, 1)),
            float(of_words[row]),
            explained(words.words(query), weights, postings, int(row)),
        )
        for row in highest(scores, top)
    ]
    return Passed(hits, count, unknown)


def _windows(
    model: EdgeModel, texts: Iterable[str], given: ReadyVectors | None, *, is_embedded: bool
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Some texts at a time and their vectors; zeros where meaning does not count."""
    if is_embedded and given is None:
        yield from model.stream(texts, prompt_name="document")
        return
    read = iter(texts)
    count = 0
    while window := list(islice(read, TEXTS_AT_ONCE)):
        if given is not None and is_embedded:
            yield window, given.of(window, range(count, count + len(window)), model)
        else:
            yield window, np.zeros((len(window), model.dim), np.float32)
        count += len(window)


class _Pass:
    """What is kept of each text: its number, its cosine, how many words it has, and how often each of the query's."""

    def __init__(self, stems: list[str]) -> None:
        self.numbers = array("Q")
        self.meaning = array("f")
        self._stems = stems
        self._rows = [array("I") for _ in stems]
        self._counts = [array("B") for _ in stems]
        self._lengths = array("I")

    def add(self, number: int, kept: list[int], cosines: np.ndarray, stems: list[list[str]] | None) -> None:
        """Add some texts: the number of the first, which count, (b,) of all, and the words of those that count."""
        first = len(self.meaning)
        self.numbers.extend([number + place for place in kept])
        self.meaning.frombytes(cosines[kept].astype(np.float32).tobytes())
        if stems is None:
            return
        self._lengths.extend(map(len, stems))
        for row, of_text in enumerate(stems, start=first):
            for number, stem in enumerate(self._stems):
                if stem in of_text:
                    self._rows[number].append(row)
                    self._counts[number].append(min(of_text.count(stem), 255))

    def postings(self) -> Postings:
        """Of the query's words alone."""
        hashes = np.array([hash_of(stem) for stem in self._stems], np.uint64)
        order = np.argsort(hashes)
        rows = [np.empty(0, np.uint32), *(np.array(self._rows[number], np.uint32) for number in order)]
        counts = [np.empty(0, np.uint8), *(np.array(self._counts[number], np.uint8) for number in order)]
        starts = np.cumsum([len(each) for each in rows])  # the first is empty
        lengths = np.array(self._lengths, np.uint32)
        return Postings(hashes[order], starts, np.concatenate(rows), np.concatenate(counts), lengths)
