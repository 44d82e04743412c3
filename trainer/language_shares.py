"""How many sentences each language of a corpus gives: temperature sampling, and no more than it has.

A language of n sentences is drawn in proportion to n^alpha, which with alpha = 0.3 lifts the small ones (XLM-R: Conneau
et al., 2020, Unsupervised Cross-lingual Representation Learning at Scale).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["language_shares"]


def language_shares(counts: Mapping[str, int], sentences: int, alpha: float) -> dict[str, int]:
    """How many of `sentences` are of each language, in the order of `counts`.

    A language that has fewer than its share gives all, and the others share what is left in the same proportion. They
    add up to `sentences`, or to all there are. With one more language no other gets more, but for one by rounding.

    Args:
        counts: sentences that there are of each.
        sentences: N, that are asked for.
        alpha: 1 draws in proportion to the counts, 0 gives each the same.
    """
    left, shares = sentences, dict.fromkeys(counts, 0)
    weights = {language: count**alpha for language, count in counts.items() if count}
    while short := [each for each in weights if left * weights[each] >= counts[each] * sum(weights.values())]:
        for language in short:
            shares[language] = counts[language]
            left -= counts[language]
            del weights[language]
    total = sum(weights.values())
    exact = {language: left * weight / total for language, weight in weights.items()}
    shares.update({language: math.floor(share) for language, share in exact.items()})
    by_rest = sorted(exact, key=lambda language: shares[language] - exact[language])  # stable: ties in the order given
    for language in by_rest[: sentences - sum(shares.values()) if exact else 0]:
        shares[language] += 1
    return shares
