"""Unigram in the text graph: which tokenizers it takes, its tables, and the steps from UTF-8 to a grid of token ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from onnx import TensorProto
from tokenizers import Tokenizer
from tokenizers.models import Unigram

from edge_potion.first_tokens import is_split_at_spaces

from .graph_builder import GraphBuilder
from .text_passes import code_points
from .unicode_passes import Passes, passes_of
from .unigram_ids import UnigramIds, unigram_ids
from .unigram_tables import UnigramPieces, unigram_pieces
from .unigram_words import Splitting, UnigramWords, splitting_of, unigram_words

__all__ = ["TAKES", "TextUnigram"]

TAKES = "Unigram with Metaspace, or with WhitespaceSplit and Metaspace behind it"
TABLES_FORMAT = 3
BYTES_A_CHARACTER = 4
PRINTABLE = range(0x21, 0x7F)
INT32, INT64 = TensorProto.INT32, TensorProto.INT64


@dataclass(frozen=True)
class TextUnigram:
    """A tokenizer of the family.

    Attributes:
        passes: texts to normalized ones.
        splitting: these to words.
        pieces: the vocabulary.
        nul: what stands for a NUL inside a text: "drop" for nothing, a code point in decimal, or "" where nothing can.
        has_sure_words: whether a word of printable ASCII between blanks is one token at least, whatever the text, and
            no text behind it changes its tokens.
    """

    passes: Passes
    splitting: Splitting
    pieces: UnigramPieces
    nul: str
    has_sure_words: bool

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Make the tables; None where the tokenizer is of another family.

        Raises:
            ModelFormatError: the graph would not be exact; says why.
        """
        has_added = not all(each.special for each in tokenizer.get_added_tokens_decoder().values())
        if not isinstance(tokenizer.model, Unigram) or has_added:
            return None
        splitting = splitting_of(tokenizer)
        if splitting is None:
            return None
        passes = passes_of(tokenizer)  # which refuses most in a moment
        pieces = unigram_pieces(tokenizer)
        return cls(passes, splitting, pieces, _nul(pieces, passes), _has_sure_words(tokenizer))

    def facts(self, *, has_phrases: bool) -> Mapping[str, str]:
        """Of metadata_props; of phrases the graph tells anyway."""
        pieces, splitting = self.pieces, self.splitting
        a_character = 1 if pieces.byte_ids is None else BYTES_A_CHARACTER
        return {
            "text_tables": str(TABLES_FORMAT),
            "tokenizer": "unigram",
            "longest_piece": str(pieces.longest),
            "unknown_id": str(pieces.unknown),
            "byte_fallback": json.dumps(pieces.byte_ids is not None),
            **self.passes.facts(),
            "split_whitespace": json.dumps(splitting.at_whitespace),
            "prepend": splitting.prepend,
            "split": json.dumps(splitting.at_blanks),
            "nul": self.nul,
            "tokens_a_character": str(getattr(self.passes, "most_characters", 18) * a_character),
            "sure_words": json.dumps(self.has_sure_words),
        }

    def grid(self, graph: GraphBuilder, text: str, max_tokens: int | None, pad: int) -> str:
        """(B, L) int32 ids, `pad` where no token is."""
        self.pieces.add_to(graph)
        ended = graph.op("Concat", text, graph.constant([0], np.uint8), axis=0)
        codes = code_points(graph, ended, self.passes)
        words = unigram_words(graph, codes, self.splitting)
        return _grid(graph, words, unigram_ids(graph, self.pieces, words), max_tokens, pad)


def _grid(graph: GraphBuilder, words: UnigramWords, ids: UnigramIds, max_tokens: int | None, pad: int) -> str:
    """(B, L) int32 ids."""
    zero = graph.constant([0], np.int32)
    before = graph.op("Concat", zero, graph.sums(ids.counts), axis=0)  # (W + 1,) tokens before each word
    stops = graph.take(before, words.so_far)  # (B,)
    begins = graph.shifted(stops, np.int32)
    rank = graph.op(
        "Sub", graph.but_last(before), graph.take(begins, words.text)
    )  # (W,) of its first token in its text
    bounds = [1] if max_tokens is None else [1, max_tokens]
    longest = graph.op("ReduceMax", graph.op("Sub", stops, begins), keepdims=1)
    longest = graph.op("Clip", longest, *(graph.constant(bound, np.int32) for bound in bounds))  # (1,) L
    texts, wide = graph.op("Shape", stops), graph.cast(longest, INT64)
    room = graph.op("Mul", texts, wide)  # (1,)
    nowhere = graph.cast(room, INT32)  # a place behind the grid
    row = graph.op("Mul", words.text, longest)  # (W,)
    # Words that are one token, and tokens of the others.
    ranks = graph.op("Concat", rank, graph.op("Add", graph.take(rank, ids.word), ids.rank), axis=0)
    rows = graph.op("Concat", row, graph.take(row, ids.word), axis=0)
    every = graph.op("Concat", ids.whole, ids.ids, axis=0)
    is_there = graph.op("GreaterOrEqual", every, zero)  # a word that is cut has no id of its own
    if max_tokens is not None:
        is_there = graph.op("And", is_there, graph.op("Less", ranks, longest))
    at = graph.op("Where", is_there, graph.op("Add", rows, ranks), nowhere)
    blank = graph.filled(graph.op("Add", room, graph.int64(1)), value=pad)
    flat = graph.op("ScatterElements", blank, at, every)
    return graph.op("Reshape", graph.but_last(flat), graph.op("Concat", texts, wide, axis=0))


def _nul(pieces: UnigramPieces, passes: Passes) -> str:
    """What stands for NUL, as TextUnigram has it."""
    if passes.like_nul is None:
        return "drop"
    has_bytes = pieces.byte_ids is not None and (pieces.byte_ids >= 0).any()
    unknown = (code for code in passes.like_nul if not (has_bytes or pieces.symbol_of(chr(code))))
    return str(next(unknown, ""))


def _has_sure_words(tokenizer: Tokenizer) -> bool:
    """Whether words of ASCII are sure, as TextUnigram has it."""
    has_replaced = '"type":"Replace","pattern":{"String"' in tokenizer.to_str()
    tokens = tokenizer.encode_batch_fast(list(map(chr, PRINTABLE)), add_special_tokens=False)
    return not has_replaced and is_split_at_spaces(tokenizer) and all(each.ids for each in tokens)
