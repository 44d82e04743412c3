"""Which pairs of tokens get rows of their own, by how often they stand side by side in the sentences."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge_potion.errors import RecipeError
from edge_potion.grams import gram_keys, grams_with
from edge_potion.tokens import TokenIds

from .recipe import PhrasesRecipe

__all__ = ["choose_phrases"]

log = logging.getLogger("edge_potion")

CHUNK = 16_384  # sentences looked at at once
# Pairs counted at once, each time that it stands in a sentence: 270 MB with the copy that is sorted. One pass over the
# sentences counts as many; those of a token that begins more are counted at once all the same.
MOST_AT_ONCE = 2**24


@dataclass(frozen=True)
class Uses:
    """How often things stand in the sentences.

    Attributes:
        tokens: (V,) int64, of each token; 0 for those that count for nothing.
        pairs: of two tokens side by side, all together.
    """

    tokens: np.ndarray
    pairs: int


def choose_phrases(
    sentences: TokenIds, rows: np.ndarray, recipe: PhrasesRecipe, *, tokens: int, left_out: Sequence[int]
) -> np.ndarray:
    """The pairs with the highest scores, (P, 2) int32, the best first; of equals the one with lower ids.

    Every pair is counted, however many there are: those that begin with some tokens first, then those that begin with
    the next, so that memory is bounded.

    Args:
        sentences: ids of their tokens, [UNK] where it stood; may be memory-mapped.
        rows: (n,) which of them are looked at.
        recipe: how many, and what makes a high score.
        tokens: V, how many there are.
        left_out: [UNK] and [PAD]: no pair holds one, so that none is found across one.

    Raises:
        RecipeError: no pair stands often enough.
    """
    is_known = np.ones(tokens, bool)
    is_known[list(left_out)] = False
    uses = _uses(sentences, rows, is_known)
    best, scores = np.empty(0, np.int64), np.empty(0)
    for keys, counts in _counted(sentences, rows, is_known, uses):
        taken = counts >= recipe.least_count
        if recipe.most_share < 1:
            taken &= counts <= recipe.most_share * len(rows)
        keys, counts = keys[taken], counts[taken]
        score = counts.astype(np.float64) if recipe.choice == "count" else _association(keys, counts, uses)
        best, scores = np.concatenate([best, keys]), np.concatenate([scores, score])
        order = np.lexsort((best, -scores))[: recipe.count]
        best, scores = best[order], scores[order]
    if not len(best):
        raise RecipeError(
            f"[phrases] least_count is {recipe.least_count}, and no two tokens stand side by side so often in "
            f"{len(rows)} sentences{_and_no_more(recipe)}; {_how_to_have_more(recipe)}, or take more sentences"
        )
    if len(best) < recipe.count:
        log.warning(
            "[phrases] count: %d were asked for, and %d pairs of tokens stand in the sentences %d times or more%s",
            recipe.count,
            len(best),
            recipe.least_count,
            _and_no_more(recipe),
        )
    return grams_with(best)


def _how_to_have_more(recipe: PhrasesRecipe) -> str:
    return "lower it" if recipe.most_share == 1 else "lower it, raise most_share"


def _and_no_more(recipe: PhrasesRecipe) -> str:
    return "" if recipe.most_share == 1 else f", and not above most_share = {recipe.most_share:g} times a sentence"


def _uses(sentences: TokenIds, rows: np.ndarray, is_known: np.ndarray) -> Uses:
    tokens, pairs = np.zeros(len(is_known), np.int64), 0
    for part in _parts(sentences, rows):
        tokens += np.bincount(part.flat, minlength=len(is_known))
        pairs += len(_side_by_side(part, is_known))
    return Uses(tokens * is_known, pairs)


def _counted(
    sentences: TokenIds, rows: np.ndarray, is_known: np.ndarray, uses: Uses
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Keys of different pairs, and how often each stands there; each pair once."""
    round_of = (np.cumsum(uses.tokens) - uses.tokens) // MOST_AT_ONCE  # (V,) in which a token's pairs are counted
    for number in np.unique(round_of[uses.tokens > 0]):
        found = []
        for part in _parts(sentences, rows):
            pairs = _side_by_side(part, is_known)
            found.append(gram_keys(pairs[round_of[pairs[:, 0]] == number]))
        yield np.unique(np.concatenate(found), return_counts=True)


def _association(keys: np.ndarray, counts: np.ndarray, uses: Uses) -> np.ndarray:
    """(K,) float64: normalized pointwise mutual information (Bouma, 2009), -1..1, times the logarithm of the count."""
    shares = np.log(uses.tokens[grams_with(keys)] / uses.tokens.sum()).sum(axis=1)
    together = np.log(counts / uses.pairs)
    least = np.finfo(np.float64).eps  # where there is one pair and no other
    return np.asarray((together - shares) / np.maximum(-together, least) * np.log(counts))


def _side_by_side(ids: TokenIds, is_known: np.ndarray) -> np.ndarray:
    """(n, 2) ids of known tokens with nothing between them."""
    pairs = np.stack([ids.flat[:-1], ids.flat[1:]], axis=1)
    owner = np.repeat(np.arange(len(ids.lengths)), ids.lengths)
    return pairs[(owner[:-1] == owner[1:]) & is_known[pairs].all(axis=1)]


def _parts(sentences: TokenIds, rows: np.ndarray) -> Iterator[TokenIds]:
    for begin in range(0, len(rows), CHUNK):
        yield sentences.take(rows[begin : begin + CHUNK])
