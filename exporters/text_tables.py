"""All that the text graph looks up of a tokenizer, made once for all precisions of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tokenizers import Tokenizer

from .text_characters import Characters, characters_of
from .text_hash import HashTable, piece_table
from .text_pieces import Pieces, pieces_of

__all__ = ["TextTables"]


@dataclass(frozen=True)
class TextTables:
    """The tables of one tokenizer.

    Attributes:
        characters: what becomes of bytes and code points.
        pieces: the vocabulary as sequences of codes.
        hash: where each piece is found.
    """

    characters: Characters
    pieces: Pieces
    hash: HashTable

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Make them: seconds where no tokenizer with these settings was seen before.

        Raises:
            ModelFormatError: the text graph cannot be for this tokenizer; names what is supported.
        """
        pieces = pieces_of(tokenizer)  # which refuses most in a moment
        return cls(characters_of(tokenizer), pieces, piece_table(pieces))
