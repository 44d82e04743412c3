"""How many sentences of a language find their translation among its English sides, by a model's vectors."""

from __future__ import annotations

import numpy as np

from edge_potion.unit_length import unit_length

from .bitext_set import Bitext
from .retrieval_score import cosines
from .scoring import NOTHING, bitext_scores
from .task_score import Encode, vectors_of

__all__ = ["nearest", "score_bitext"]


def score_bitext(bitext: Bitext, encode: Encode) -> dict[str, float]:
    """The scores of a language.

    Raises:
        ModelFormatError: a vector holds NaN or inf.
    """
    # An English side that comes twice is one candidate, its first row: rounding chooses between no two of them.
    first: dict[str, int] = {}
    for row, english in enumerate(bitext.english):
        first.setdefault(english, row)
    found = nearest(vectors_of(bitext.texts, encode), vectors_of(list(first), encode))
    rows = np.array([*first.values(), NOTHING])
    return bitext_scores(rows[found])


def nearest(texts: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(N,) int64: of each vector (N, D) the row of the candidate (M, D) with the highest cosine, of equal ones the
    first, as mteb has it; NOTHING of a vector of zeros, which is as near to one as to another."""
    found = [int(np.argmax(each)) for each in cosines(unit_length(candidates), unit_length(texts))]
    return np.where(texts.any(axis=1), np.array(found, np.int64), NOTHING)
