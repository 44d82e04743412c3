"""What is asked of every text: to be a str, and valid Unicode. An error says which one is not."""

from __future__ import annotations

from collections.abc import Sequence

from edge_potion.errors import InputError

__all__ = ["TextError", "check_texts", "refuse_surrogates"]

ENCODED_AT_ONCE = 2**20  # characters, so that a look at a long text takes little memory


class TextError(InputError):
    """A text is not usable.

    Attributes:
        number: its place among the texts, from 0.
        fault: what is wrong with it.
    """

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(number, fault)
        self.number, self.fault = number, fault

    def __str__(self) -> str:
        return f"text {self.number} {self.fault}"

    def behind(self, texts: int) -> TextError:
        """The same, where so many texts stand before those that were looked at."""
        return TextError(self.number + texts, self.fault)


def check_texts(texts: Sequence[str]) -> None:
    """Raise TextError unless every item is a str: `tokenizers` would take a tuple of two for a text pair."""
    if set(map(type, texts)) <= {str}:  # the whole check, for nearly every call
        return
    for number, text in enumerate(texts):
        if isinstance(text, bytes | bytearray):
            raise TextError(number, f"is {type(text).__name__}; decode it first, for example text.decode('utf-8')")
        if not isinstance(text, str):
            raise TextError(number, f"is of type {type(text).__name__}; every text must be a str")


def refuse_surrogates(texts: Sequence[str]) -> None:
    """Raise TextError where a text is not valid Unicode."""
    for number, text in enumerate(texts):
        for begin in range(0, len(text), ENCODED_AT_ONCE):
            try:
                text[begin : begin + ENCODED_AT_ONCE].encode("utf-8")
            except UnicodeEncodeError as failure:
                at = begin + failure.start
                raise TextError(
                    number,
                    f"holds the lone surrogate U+{ord(text[at]):04X} at character {at}, which is no Unicode text; "
                    "clean it with text.encode('utf-8', 'replace').decode()",
                ) from None
