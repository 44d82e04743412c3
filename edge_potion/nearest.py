"""The texts or vectors that mean what a query means, out of any number of them: only the best are held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_potion.codes import ROWS_AT_ONCE, Codes, checked_vectors, finite_slices
from edge_potion.errors import InputError
from edge_potion.scan import highest, scan
from edge_potion.tokens import check_count

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Hit", "nearest", "without_tokens"]

TAKEN = "an iterable of str, vectors (N, D) of floats, or int8 codes of them were expected"
TEXTS = "OUT"  # kinds of numpy's dtypes: objects, and strings of two makings


@dataclass(frozen=True)
class Hit:
    """What was found.

    Attributes:
        score: cosine similarity to the query, -1..1.
        number: its place among all that were searched, from 0.
        text: itself; None where vectors were searched.
    """

    score: float
    number: int
    text: str | None


def nearest(model: EdgeModel, query: Any, among: Any, k: int) -> list[Hit]:
    """What `EdgeModel.search` gives.

    Raises:
        InputError: as it says.
    """
    if k is None:
        raise InputError("k is None; a whole number of at least 1 expected")
    check_count("k", k)
    asked = _asked(model, query)
    if isinstance(among, Codes):
        parts = _of_codes(among, asked, is_unit_length=model.says.normalize)
    elif isinstance(array := _array(among), np.ndarray) and array.dtype.kind not in TEXTS:
        parts = _of_vectors(array, asked)
    else:
        parts = _of_texts(model, array.tolist() if isinstance(array, np.ndarray) else array, asked)
    return _best(parts, k) if asked.any() else []


def without_tokens(vectors: np.ndarray) -> np.ndarray:
    """(b,) bool: which of the vectors (b, D) are zeros, as those of texts without a token that the model knows."""
    zeros = vectors[:, 0] == 0  # most are told by one value
    zeros[zeros] = ~vectors[zeros].any(axis=1)
    return zeros


class _Part(NamedTuple):
    """Some of what is searched: (b,) float32, NaN for what cannot be found, and the texts, where there are any."""

    scores: np.ndarray
    texts: list[str] | None


def _best(parts: Iterable[_Part], k: int) -> list[Hit]:
    """The k best of all, of which no more are held than these and a part."""
    hits: list[Hit] = []
    scores = np.empty(0, np.float32)  # of the hits: a coded vector of length 1 may come to a little more than 1
    searched = 0
    for part in parts:
        rows = highest(part.scores, k)
        found = [
            Hit(min(max(score, -1.0), 1.0), searched + row, part.texts[row] if part.texts else None)
            for row, score in zip(rows.tolist(), part.scores[rows].tolist(), strict=True)
        ]
        candidates, all_scores = hits + found, np.concatenate([scores, part.scores[rows]])
        places = highest(all_scores, k)
        hits, scores = [candidates[place] for place in places], all_scores[places]
        searched += len(part.scores)
    return hits


def _of_texts(model: EdgeModel, texts: Any, asked: np.ndarray) -> Iterator[_Part]:
    if isinstance(texts, str | bytes):
        raise InputError(f"a single {type(texts).__name__} is searched; {TAKEN}")
    if not isinstance(texts, Iterable):
        raise InputError(f"{type(texts).__name__} cannot be searched; {TAKEN}")
    _check_width(model.dim, asked)
    return (_Part(_cosines(vectors, asked), window) for window, vectors in model.stream(texts, prompt_name="document"))


def _of_vectors(array: np.ndarray, asked: np.ndarray) -> Iterator[_Part]:
    vectors = checked_vectors(array)
    if vectors.ndim != 2:
        raise InputError(f"a single vector of {len(vectors)} values is searched; {TAKEN}")
    _check_width(vectors.shape[1], asked)
    scores = np.empty(len(vectors), np.float32)
    for part in finite_slices(vectors):
        scores[part.place] = _cosines(part.floats, asked)
    return iter([_Part(scores, None)])


def _of_codes(codes: Codes, asked: np.ndarray, *, is_unit_length: bool) -> Iterator[_Part]:
    """By one scan; where the vectors were of other lengths than 1, these are worked out as well."""
    if codes.scales is None or codes.values.ndim != 2:
        kind = "a single code" if codes.values.ndim != 2 else f"{codes.dtype} codes"
        raise InputError(f"{kind} cannot be searched; {TAKEN}")
    _check_width(codes.dim, asked)
    if not np.isfinite(codes.scales).all():
        raise InputError("scales of the codes hold NaN or inf")
    scores = scan(codes.values, codes.scales, asked)
    lengths = codes.scales if is_unit_length else _lengths(codes.values, codes.scales)
    scores[lengths == 0] = np.nan
    return iter([_Part(scores if is_unit_length else scores / lengths, None)])


def _lengths(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N,) float32 of coded vectors."""
    lengths = np.empty(len(values), np.float32)
    for begin in range(0, len(values), ROWS_AT_ONCE):
        some = slice(begin, begin + ROWS_AT_ONCE)
        wide = values[some].astype(np.float64)
        lengths[some] = np.sqrt(np.einsum("ij,ij->i", wide, wide)) * scales[some]
    return lengths


def _cosines(vectors: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(b,) float32, NaN for zeros; row by row, so that equal texts have equal scores wherever they stand in a part."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    lengths[lengths == 0] = np.nan
    return (np.einsum("ij,j->i", wide, asked) / lengths).astype(np.float32)


def _asked(model: EdgeModel, query: Any) -> np.ndarray:
    """(D,) float64 of length 1 of a text or vector; zeros where there is nothing to look for."""
    if isinstance(query, str):
        return _direction(model.encode_query(query))
    vector = checked_vectors(query)
    if vector.ndim != 1:
        raise InputError(f"the query is vectors of shape {vector.shape}; a str, or one vector (D,), was expected")
    if not np.isfinite(vector).all():
        raise InputError("the query holds NaN or inf")
    return _direction(vector)


def _direction(vector: np.ndarray) -> np.ndarray:
    """(D,) float64 of length 1, however large or small the numbers were, or zeros."""
    largest = np.abs(vector).max(initial=0)
    if largest == 0:
        return np.zeros(len(vector))
    wide = vector.astype(np.float64) / largest
    return wide / np.linalg.norm(wide)


def _array(items: Any) -> Any:
    """A numpy array of what can be seen as one, such as a tensor or a column of a table; else as it is."""
    if isinstance(items, np.ndarray) or not hasattr(items, "__array__"):
        return items
    try:
        return np.asarray(items)
    except (TypeError, ValueError) as failure:  # a tensor on a GPU
        raise InputError(f"{type(items).__name__} cannot be searched ({failure}); {TAKEN}") from failure


def _check_width(dim: int, asked: np.ndarray) -> None:
    if dim != len(asked):
        raise InputError(f"the query has {len(asked)} dimensions, and what is searched {dim}; they must be as many")
