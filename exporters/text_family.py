"""What a tokenizer family must say for the text graph, and which families there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError

from . import text_pieces, text_unigram
from .graph_builder import GraphBuilder
from .text_unigram import TextUnigram
from .text_words import TextWords

__all__ = ["Family", "family_of"]


class Family(Protocol):
    """One tokenizer, as the text graph has it: its tables are made once for all precisions of a bundle."""

    def grid(self, graph: GraphBuilder, text: str, max_tokens: int | None, pad: int) -> str:
        """Write the steps from texts to ids.

        Args:
            graph: to which nodes are added.
            text: name of (n,) uint8, texts in UTF-8 with a NUL between them.
            max_tokens: where a text is cut; None means never.
            pad: the id where no token is.

        Returns:
            Name of (B, L) int32 ids, L at least 1.
        """
        ...

    def facts(self, *, has_phrases: bool) -> Mapping[str, str]:
        """What the native engine must know beside the tables: metadata_props, `text_tables` (their layout) first."""
        ...


# Of each family what it takes, in words, and who makes it: None where a tokenizer is of another family, and a
# ModelFormatError where it is of this one and the graph would not be exact.
FAMILIES: Sequence[tuple[str, Callable[[Tokenizer], Family | None]]] = (
    (text_unigram.TAKES, TextUnigram.of),
    (text_pieces.TAKES, TextWords.of),
)


def family_of(tokenizer: Tokenizer) -> Family:
    """The family that takes a tokenizer, with its tables: seconds where none with these settings was seen before.

    Raises:
        ModelFormatError: the text graph cannot be for this tokenizer; names what is supported.
    """
    for _, make in FAMILIES:
        if family := make(tokenizer):
            return family
    supported = ", and for ".join(takes for takes, _ in FAMILIES)
    raise ModelFormatError(
        f"the text graph is for {supported}, and this tokenizer is {_told(tokenizer)}; leave the graph out "
        "(--graphs bag,tokens)"
    )


def _told(tokenizer: Tokenizer) -> str:
    parts = [type(each).__name__ for each in (tokenizer.model, tokenizer.normalizer, tokenizer.pre_tokenizer)]
    told = f"{parts[0]} with {parts[1]} and {parts[2]}"
    if parts[0] == "BPE" and "ByteLevel" in tokenizer.to_str():
        told = f"byte-level BPE ({told}), whose merges hang on one another"
    has_added = not all(each.special for each in tokenizer.get_added_tokens_decoder().values())
    return f"{told}, and added words" if has_added else told
