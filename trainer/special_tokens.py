"""The special tokens that a teacher puts around a text."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError

__all__ = ["SpecialTokens", "special_tokens"]


@dataclass(frozen=True)
class SpecialTokens:
    """Ids before and after every text: [CLS] and [SEP], <s> and </s>, or none."""

    before: list[int]
    after: list[int]

    def around(self, ids: list[int]) -> list[int]:
        """The ids of a text with the special ones put around it."""
        return [*self.before, *ids, *self.after]


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """What `tokenizer`, which adds special tokens, puts around a text; ModelFormatError when "a" gives no token."""
    encoding = tokenizer.encode("a")
    inside = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    if not inside:
        raise ModelFormatError("the teacher's tokenizer gives no token for the text 'a'; it cannot be distilled from")
    return SpecialTokens(encoding.ids[: inside[0]], encoding.ids[inside[-1] + 1 :])
