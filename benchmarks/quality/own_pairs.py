"""Own queries and passages -> recall, MRR and nDCG: is each query's own passage found among all of them?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edge_potion.labelled import Pairs

from .bootstrap import Answer, means

__all__ = ["PairQuestion", "ranks_of", "retrieval_values"]

DEPTHS = (1, 5, 10)  # of recall
DEPTH = 10  # of MRR and nDCG
HELD = 2**24  # similarities at once


@dataclass(frozen=True)
class PairQuestion:
    """Q different queries, to be answered from P different passages.

    Attributes:
        pairs: the rows.
    """

    pairs: Pairs
    metrics = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10")
    main = "ndcg_at_10"
    steps = 1  # how often `answer` says how far it is

    @property
    def remarks(self) -> list[str]:
        """What people must know of the rows."""
        rows = list(zip(self.pairs.queries, self.pairs.passages, strict=True))
        once = set(rows)
        alike = sum(query == passage for query, passage in once)
        told = []
        if len(once) < len(rows):
            told.append(f"{len(rows) - len(once):,} of {len(rows):,} rows are there already, and count once")
        if alike:
            told.append(f"{alike:,} of {len(once):,} rows have the query as its passage, which any model finds")
        return told

    @cached_property
    def queries(self) -> list[str]:
        return list(dict.fromkeys(self.pairs.queries))

    @cached_property
    def passages(self) -> list[str]:
        return list(dict.fromkeys(self.pairs.passages))

    @cached_property
    def relevant(self) -> list[np.ndarray]:
        """Of each query, the places of its passages, each once."""
        place_of = {passage: place for place, passage in enumerate(self.passages)}
        found: dict[str, dict[int, None]] = {}
        for query, passage in zip(self.pairs.queries, self.pairs.passages, strict=True):
            found.setdefault(query, {})[place_of[passage]] = None
        return [np.array(list(found[query])) for query in self.queries]

    @property
    def texts(self) -> list[str]:
        """What is encoded."""
        return [*self.queries, *self.passages]

    def about_rows(self) -> dict[str, Any]:
        """What a report says of the rows."""
        return {"rows": len(self.pairs.queries), "queries": len(self.queries), "passages": len(self.passages)}

    def protocol(self) -> dict[str, Any]:
        """How they are scored."""
        return {"similarity": "cosine", "searched": "all different passages"}

    def answer(self, vectors: np.ndarray, tick: Callable[[str], None]) -> Answer:
        """The scores of vectors (N, D) of the texts, at unit length."""
        tick("search")
        ranks = ranks_of(vectors[: len(self.queries)], vectors[len(self.queries) :], self.relevant)
        return means(retrieval_values(ranks))


def ranks_of(queries: np.ndarray, passages: np.ndarray, relevant: list[np.ndarray]) -> list[np.ndarray]:
    """Of each query, the ranks of its passages among all, in order, from 1. Vectors are (Q, D) and (P, D).

    Of passages that are as near, the query's own come last: a model that cannot tell them apart has found nothing.
    """
    at_once = max(1, HELD // len(passages))
    ranks = []
    for begin in range(0, len(queries), at_once):
        near = queries[begin : begin + at_once] @ passages.T  # (q, P) f32
        for similarity, own in zip(near, relevant[begin : begin + at_once], strict=True):
            mine = np.sort(similarity[own])[::-1]  # (k,)
            others = similarity.copy()
            others[own] = -np.inf
            before = (others[None, :] >= mine[:, None]).sum(axis=1)  # (k,)
            ranks.append(before + np.arange(1, len(own) + 1))
    return ranks


def retrieval_values(ranks: list[np.ndarray]) -> dict[str, np.ndarray]:
    """(Q,) float64 of each metric: the value of each query, by the ranks of its passages."""
    recalls = {f"recall_at_{depth}": np.array([np.mean(own <= depth) for own in ranks]) for depth in DEPTHS}
    reciprocal = np.array([1 / own[0] if own[0] <= DEPTH else 0.0 for own in ranks])
    most = [_gain(np.arange(1, min(len(own), DEPTH) + 1)) for own in ranks]  # where the own passages stand first
    gains = np.array([_gain(own[own <= DEPTH]) for own in ranks])
    return {**recalls, "mrr_at_10": reciprocal, "ndcg_at_10": gains / np.array(most)}


def _gain(ranks: np.ndarray) -> float:
    return float((1 / np.log2(ranks + 1)).sum())
