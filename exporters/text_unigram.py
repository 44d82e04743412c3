"""Unigram in the text graph: which tokenizers it takes, its tables, and the steps from UTF-8 to a grid of token ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import Unigram

from edge_potion.errors import ModelFormatError

from .graph_builder import GraphBuilder
from .unigram_tables import LEAVE_OUT, UnigramPieces, unigram_pieces

__all__ = ["TAKES", "Splitting", "TextUnigram"]

TAKES = "Unigram with Metaspace, or with WhitespaceSplit and Metaspace behind it"
TABLES_FORMAT = 3
BLANK = "▁"


@dataclass(frozen=True)
class Splitting:
    """How a normalized text becomes words.

    Attributes:
        at_whitespace: whether it is split at whitespace first, which is dropped.
        prepend: "always", "first" or "never": where a ▁ is set before what does not begin with one.
        at_blanks: whether a word begins at each ▁.
    """

    at_whitespace: bool
    prepend: str
    at_blanks: bool


@dataclass(frozen=True)
class TextUnigram:
    """A tokenizer of the family.

    Attributes:
        splitting: texts to words.
        pieces: the vocabulary.
    """

    splitting: Splitting
    pieces: UnigramPieces

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Make the tables; None where the tokenizer is of another family.

        Raises:
            ModelFormatError: the graph would not be exact; says why.
        """
        has_added = not all(each.special for each in tokenizer.get_added_tokens_decoder().values())
        if not isinstance(tokenizer.model, Unigram) or has_added:
            return None
        splitting = _splitting(tokenizer)
        return cls(splitting, unigram_pieces(tokenizer)) if splitting else None

    def facts(self, *, has_phrases: bool) -> Mapping[str, str]:
        """Of metadata_props; of phrases the graph tells anyway."""
        pieces, splitting = self.pieces, self.splitting
        return {
            "text_tables": str(TABLES_FORMAT),
            "tokenizer": "unigram",
            "longest_piece": str(pieces.longest),
            "unknown_id": str(pieces.unknown),
            "byte_fallback": json.dumps(pieces.byte_ids is not None),
            "passes": "",
            "collapse_spaces": "false",
            "strip": "",
            "split_whitespace": json.dumps(splitting.at_whitespace),
            "prepend": splitting.prepend,
            "split": json.dumps(splitting.at_blanks),
            "nul": "drop",
        }

    def grid(self, graph: GraphBuilder, text: str, max_tokens: int | None, pad: int) -> str:
        """(B, L) int32 ids, `pad` where no token is."""
        self.pieces.add_to(graph)
        # Not written yet: an empty grid, so that the engine's tests have a file of tables.
        ends = graph.op("Equal", text, graph.constant(0, np.uint8))
        count = graph.op("Add", graph.op("Shape", graph.places_of(ends)), graph.int64([1]))
        return graph.filled(graph.op("Concat", count, graph.int64([1]), axis=0), value=pad)


def _splitting(tokenizer: Tokenizer) -> Splitting | None:
    """None where the pre-tokenizer is another one."""
    steps: list[dict[str, Any]] = list(_steps(json.loads(tokenizer.to_str())["pre_tokenizer"]))
    kinds = [step["type"] for step in steps]
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        return None
    blanks, at_whitespace = steps[-1], len(steps) > 1
    if blanks["replacement"] != BLANK:
        raise ModelFormatError(
            f"the text graph is for Metaspace with {BLANK}, and here it is {blanks['replacement']!r}; {LEAVE_OUT}"
        )
    prepend = str(blanks["prepend_scheme"])
    if at_whitespace and prepend == "first":
        raise ModelFormatError(
            f"the text graph is for Metaspace behind WhitespaceSplit that sets {BLANK} before every word or before "
            f'none, and here it does so before the first (prepend_scheme "first"); {LEAVE_OUT}'
        )
    return Splitting(at_whitespace, prepend, bool(blanks["split"]))


def _steps(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return [step for inner in part["pretokenizers"] for step in _steps(inner)]
