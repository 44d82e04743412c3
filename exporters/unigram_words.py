"""Unigram's words in a graph, as WhitespaceSplit and Metaspace make them: code points -> where each word lies.

A ▁ that is set before a word stands nowhere: the word is marked, and who reads it begins with one.

Shapes: n code points, B texts, W words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto
from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError

from .graph_builder import GraphBuilder
from .unigram_tables import BLANK, LEAVE_OUT

__all__ = ["WHITESPACE", "Splitting", "UnigramWords", "is_whitespace", "splitting_of", "unigram_words"]

# White_Space of Unicode, the same since its version 6.3: ranges, the last one included.
WHITESPACE = (
    *((0x9, 0xD), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
SPACE = 0x20


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
class UnigramWords:
    """Words of texts.

    Attributes:
        codes: (n,) int32 code points; 0 ends a text.
        first: (W,) int32 places, ascending.
        stop: (W,) int32, the place behind each, which is there.
        has_blank: (W,) int32, 1 where a ▁ is set before it, which stands nowhere; None where none is.
        text: (W,) int32, in which text it stands.
        so_far: (B,) int32, words up to the end of each text.
    """

    codes: str
    first: str
    stop: str
    has_blank: str | None
    text: str
    so_far: str


def splitting_of(tokenizer: Tokenizer) -> Splitting | None:
    """How a tokenizer splits; None where its pre-tokenizer is another one, or a ModelFormatError."""
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


def unigram_words(graph: GraphBuilder, codes: str, splitting: Splitting) -> UnigramWords:
    """The words of code points (n,) int32, of which a 0 stands after each text, and nowhere else."""
    ends = graph.op("Equal", codes, graph.constant(0, np.int32))
    if splitting.at_whitespace:
        outside = graph.op("Or", ends, is_whitespace(graph, codes))
    else:
        outside = ends
        is_space = graph.op("Equal", codes, graph.constant(SPACE, np.int32))
        codes = graph.op("Where", is_space, graph.constant(ord(BLANK), np.int32), codes)
    inside = graph.op("Not", outside)
    before = graph.op("Concat", graph.constant([True], np.bool_), graph.but_last(outside), axis=0)
    begins = graph.op("And", inside, before)  # of what WhitespaceSplit gives, or of a text
    is_blank = graph.op("Equal", codes, graph.constant(ord(BLANK), np.int32))
    starts = graph.op("Or", begins, is_blank) if splitting.at_blanks else begins
    # A word stops where the next begins, or where nothing is; what is outside never follows what is outside.
    after = graph.op("Or", graph.but_first(starts), graph.but_first(outside))
    stops = graph.op("And", graph.but_last(inside), after)  # by the last character, which is never that of the array
    numbers = graph.cast(graph.numbers(graph.op("Squeeze", graph.op("Shape", codes))), TensorProto.INT32)
    first = graph.op("Compress", numbers, starts, axis=0)
    stop = graph.op("Compress", graph.but_first(numbers), stops, axis=0)
    has_blank = None
    if splitting.prepend != "never":
        bare = graph.op("And", begins, graph.op("Not", is_blank))
        has_blank = graph.take(graph.cast(bare, TensorProto.INT32), first)
    text = graph.take(graph.sums(graph.cast(ends, TensorProto.INT32)), first)
    counted = graph.sums(graph.cast(starts, TensorProto.INT32))
    so_far = graph.take(counted, graph.op("Compress", numbers, ends, axis=0))
    return UnigramWords(codes, first, stop, has_blank, text, so_far)


def is_whitespace(graph: GraphBuilder, codes: str) -> str:
    """(n,) bool."""
    found = None
    for least, greatest in WHITESPACE:
        if least == greatest:
            each = graph.op("Equal", codes, graph.constant(least, np.int32))
        else:
            each = graph.op(
                "And",
                graph.op("GreaterOrEqual", codes, graph.constant(least, np.int32)),
                graph.op("LessOrEqual", codes, graph.constant(greatest, np.int32)),
            )
        found = graph.op("Or", found, each) if found else each
    assert found is not None
    return found
