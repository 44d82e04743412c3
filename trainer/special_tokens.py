"""The special tokens: what a teacher puts around a text, and those that count for nothing in a student's."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer, models

from edge_potion.errors import ModelFormatError
from edge_potion.tokens import pad_id, unk_id

__all__ = ["SpecialTokens", "silent_ids", "special_tokens"]


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


def silent_ids(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids whose rows are zero in a student, and that no mean of its training holds.

    They are the padding and the unknown token; and of a Unigram tokenizer every special one, whose pieces lie in its
    lattice, so that a text which spells "</s>" has that token, and would be moved by what it meant to the teacher.
    """
    found = [pad_id(tokenizer), unk_id(tokenizer), *_special_pieces_of_unigram(tokenizer)]
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _special_pieces_of_unigram(tokenizer: Tokenizer) -> list[int]:
    if not isinstance(tokenizer.model, models.Unigram):
        return []
    return sorted(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)
