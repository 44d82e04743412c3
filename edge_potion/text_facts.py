"""What a text graph says of the texts that it takes: what stands for a NUL, and how many tokens they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_potion.errors import ModelFormatError

__all__ = ["TextFacts"]

DROPPED = "drop"
LAST_CODE_POINT = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
TOKENS_A_CHARACTER = 3  # at most, of WordPiece, whose graphs do not tell: of a Hangul syllable


@dataclass(frozen=True)
class TextFacts:
    """What metadata_props tell.

    Attributes:
        nul: what stands for a NUL inside a text, as NUL itself stands between texts; None where nothing can.
        tokens_a_character: at most.
        has_sure_words: whether a word of printable ASCII between blanks is one token at least, whatever the text, and
            no text behind it changes its tokens.
    """

    nul: str | None = ""
    tokens_a_character: int = TOKENS_A_CHARACTER
    has_sure_words: bool = True

    @classmethod
    def of(cls, stated: Mapping[str, str], name: str) -> TextFacts:
        """By what a graph of that `name` states; ModelFormatError where it is no such fact."""
        if "nul" not in stated:
            return cls()
        nul, most, sure = (stated.get(key, "") for key in ("nul", "tokens_a_character", "sure_words"))
        code = int(nul) if nul.isascii() and nul.isdecimal() and len(nul) < 9 else 0
        is_character = 0 < code <= LAST_CODE_POINT and code not in SURROGATES
        if not (nul in ("", DROPPED) or is_character) or not (
            most.isascii() and most.isdecimal() and int(most[:9]) > 0
        ):
            raise ModelFormatError(
                f"{name} says nul={nul!r:.40} and tokens_a_character={most!r:.40}, which no graph of ours does; export "
                "the bundle again"
            )
        return cls(chr(code) if is_character else "" if nul else None, int(most[:9]), sure == "true")
