"""What a retrieval set's queries find: by vectors, by words, and by both, joined as `edge_potion.search` joins them.

Words know no model: their scores, BM25, are the same beside each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_potion.search.postings import Collected, Weights, weights_of
from edge_potion.search.scores import ordering_scores
from edge_potion.search.words import Words
from edge_potion.unit_length import unit_length

from .retrieval_set import RetrievalSet, read_set
from .scoring import places_of, retrieval_scores, rows_found
from .task_score import Encode, refuse_alike, vectors_of

__all__ = ["Bm25", "SearchedSet", "bm25", "cosines", "scores_of"]

MOST_AT_ONCE = 2**24  # cosines that are held


class Bm25(NamedTuple):
    """A query's scores of the documents by words, (N,) float32, and what its words are worth."""

    scores: np.ndarray
    weights: Weights


class SearchedSet:
    """A set in a folder. Its texts are read whenever they are searched; of them, what BM25 counts is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def by_words(self) -> dict[str, float]:
        """The scores of BM25. What has no word of a query is not found."""
        rows = read_set(self.path)
        return scores_of(rows, (ordering_scores(None, *self._bm25(query)) for query in rows.queries))

    def by_vectors(self, encode: Encode) -> dict[str, Any]:
        """The scores of a model's vectors, and under `hybrid` those of vectors and words together.

        Raises:
            ModelFormatError: a vector holds NaN or inf.
            NoScore: nothing can be told from the vectors.
        """
        rows = read_set(self.path)
        documents, queries = vectors_of(rows.documents, encode), vectors_of(rows.queries, encode)
        refuse_alike(documents, queries)
        documents, queries = unit_length(documents), unit_length(queries)
        both = (
            ordering_scores(meaning, *self._bm25(query))
            for meaning, query in zip(cosines(documents, queries), rows.queries, strict=True)
        )
        return {**scores_of(rows, cosines(documents, queries)), "hybrid": scores_of(rows, both)}

    @cached_property
    def _bm25(self) -> Callable[[str], Bm25]:
        return bm25(read_set(self.path).documents)


def bm25(documents: Sequence[str]) -> Callable[[str], Bm25]:
    """What words find in documents, query by query."""
    words, collected = Words(), Collected()
    for document in documents:
        collected.add(words.stems(document))
    postings = collected.postings()

    def of(query: str) -> Bm25:
        weights = weights_of(words.stems(query), [postings])
        scores = np.zeros(len(documents), np.float32)
        postings.add_scores(weights, scores)
        return Bm25(scores, weights)

    return of


def cosines(documents: np.ndarray, queries: np.ndarray) -> Iterator[np.ndarray]:
    """Of each query (Q, D) the cosines with the documents (N, D), (N,) float32; vectors are of length 1."""
    at_once = max(1, MOST_AT_ONCE // len(documents))
    for begin in range(0, len(queries), at_once):
        yield from queries[begin : begin + at_once] @ documents.T


def scores_of(rows: RetrievalSet, scores: Iterable[np.ndarray]) -> dict[str, float]:
    """What a set's queries find by their scores of the documents, (N,) of each query; -inf is not found."""
    places = places_of(rows.ids)
    row_of = {document: row for row, document in enumerate(rows.ids)} if rows.drops_same_ids else {}
    found = []
    for query, each in zip(rows.query_ids, scores, strict=True):
        if query in row_of:
            each[row_of[query]] = -np.inf
        found.append([rows.ids[row] for row in rows_found(each, places)])
    return retrieval_scores(found, rows.judged)
