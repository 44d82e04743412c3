"""A long document -> parts that are about one thing each, since the vector of a long text is about everything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, get_args

from edge_potion.errors import InputError
from edge_potion.search.words import UNSPACED

__all__ = ["CHUNKS", "Chunk", "chunks_of"]

Chunk = Literal["none", "words", "sentences"]
CHUNKS: tuple[Chunk, ...] = get_args(Chunk)
MOST_WORDS = 128  # of a part: a passage, as retrieval sets have them
SHARED_WORDS = 32  # with the part before, so that what is cut in one is whole in the other
WORD = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]+")  # a letter, where words are written without spaces
# Behind what ends a sentence and a blank, behind the full stops of scripts without blanks, and behind an empty line.
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？।])|\n\s*\n")


def chunks_of(text: str, how: Chunk) -> list[str]:
    """The parts of a text, in order, as they stand in it; one, the text itself, where it is short or `how` is "none".

    Args:
        text: any.
        how: "words" cuts every so many words, "sentences" between sentences, as many as make a passage.

    Raises:
        InputError: `how` is something else.
    """
    if how not in CHUNKS:
        raise InputError(f"there is no way {how!r} to cut a document; one of {', '.join(CHUNKS)} was expected")
    if how == "none":
        return [text]
    spans = [match.span() for match in WORD.finditer(text)]
    if len(spans) <= MOST_WORDS:
        return [text]
    if how == "words":
        return [text[spans[begin][0] : spans[end - 1][1]] for begin, end in _windows(len(spans))]
    return list(_passages(text))


def _windows(words: int) -> Iterator[tuple[int, int]]:
    """Numbers of the first word of each part and of the one behind its last."""
    for begin in range(0, words - SHARED_WORDS, MOST_WORDS - SHARED_WORDS):
        yield begin, min(begin + MOST_WORDS, words)


def _passages(text: str) -> Iterator[str]:
    """As many whole sentences together as have no more than MOST_WORDS words; a longer sentence is cut by words."""
    held: list[str] = []
    words = 0
    for sentence in _sentences(text):
        size = len(WORD.findall(sentence))
        if held and words + size > MOST_WORDS:
            yield "".join(held).strip()
            held, words = [], 0
        if size > MOST_WORDS:
            yield from chunks_of(sentence.strip(), "words")
        else:
            held.append(sentence)
            words += size
    if words:
        yield "".join(held).strip()


def _sentences(text: str) -> Sequence[str]:
    ends = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    return [text[begin:end] for begin, end in pairwise(ends) if begin < end]
