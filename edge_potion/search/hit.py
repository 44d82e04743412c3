"""What a search gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from edge_potion.search.postings import Postings, Weights
from edge_potion.search.words import Word

__all__ = ["MODES", "Hit", "Mode", "WordShare", "explained"]

Mode = Literal["hybrid", "meaning", "words"]
MODES: tuple[Mode, ...] = get_args(Mode)


class WordShare(NamedTuple):
    """What a word of the query did for a hit.

    Attributes:
        word: as the query has it, without case.
        stem: what it is compared by.
        share: its part of the hit's score of words.
    """

    word: str
    stem: str
    share: float


@dataclass(frozen=True)
class Hit:
    """A text that was found.

    Attributes:
        id: what it is called.
        text: itself, or the part of it that was found.
        where: where it lies, as it was said when it was added.
        score: what hits are ordered by: of "hybrid" that of `fusion`; else that of its kind.
        meaning: cosine similarity to the query, -1..1, by int8 vectors; 0 where the model knows no token of it.
        words: BM25, from 0 on.
        number: of the row, from 0, as long as the index stays as it is; in `rerank` the text's place.
        explanation: what each word of the query did, where that was asked for.
    """

    id: str
    text: str
    where: str
    score: float
    meaning: float
    words: float
    number: int
    explanation: tuple[WordShare, ...] = ()


def explained(query: Sequence[Word], weights: Weights, postings: Postings, row: int) -> tuple[WordShare, ...]:
    """What each word of a query that counts did for a row, the most important first."""
    shown = {word.stem: word.shown for word in reversed(query) if word.stem in weights.of_stem}
    shares = [WordShare(word, stem, postings.share(stem, row, weights)) for stem, word in shown.items()]
    return tuple(sorted(shares, key=lambda share: -share.share))
