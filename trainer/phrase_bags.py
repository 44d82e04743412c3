"""The sentences of the pairs once more: as they stand, [UNK] among their tokens, and as bags of tokens and phrases.

ids.i32      (T,) int32     the bags of all sentences, one after another: rows of the table
starts.i64   (N + 1,) int64 where each begins in it; the last entry is T
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError
from edge_potion.phrases import Phrases
from edge_potion.static_model import StaticModel
from edge_potion.tokens import TokenIds, tokenize

from .pairs import CHUNK, IDS, STARTS, Pairs, append
from .special_tokens import silent_ids

__all__ = ["open_bags", "write_bags", "write_sentences"]


def write_sentences(texts: Iterable[Sequence[str]], student: StaticModel, pairs: Pairs, file: Path) -> TokenIds:
    """The sentences that the rows of `pairs` were made from, as ids with [UNK] where it stood; memory-mapped.

    `pairs` hold known tokens alone, and two of them may have had an unknown one between them. Which texts were left out
    then is not told: a text whose known tokens are not those of the next row was one of them.

    Args:
        texts: all that the pairs were made from, in order, in blocks.
        student: whose tokens they are.
        pairs: the rows.
        file: for the ids, (T,) int32.

    Raises:
        InputError: not every row has its text.
    """
    lengths: list[np.ndarray] = []
    row, silent = 0, silent_ids(student.tokenizer)
    with file.open("wb") as stream:
        for block in texts:
            for begin in range(0, len(block), CHUNK):
                ids = tokenize(student.tokenizer, block[begin : begin + CHUNK], student.card.max_tokens)
                known = known_tokens(ids, silent)
                kept = []
                for place, tokens in enumerate(known.split()):
                    if row < len(pairs) and np.array_equal(
                        tokens, pairs.ids[pairs.starts[row] : pairs.starts[row + 1]]
                    ):
                        kept.append(place)
                        row += 1
                rows = ids.take(np.array(kept, np.int64))
                append(stream, rows.flat.astype(np.int32))
                lengths.append(rows.lengths)
    if row < len(pairs):
        raise InputError(f"the features have no text for row {row} of the pairs; make both anew with --from-stage 2")
    return TokenIds(np.memmap(file, np.int32, "r"), np.concatenate(lengths))


def write_bags(sentences: TokenIds, phrases: Phrases, pairs: Pairs, left_out: Sequence[int], folder: Path) -> Pairs:
    """The pairs with bags of known tokens and phrases, written to `folder`."""
    ends = [np.zeros(1, np.int64)]
    with (folder / IDS).open("wb") as stream:
        for begin in range(0, len(sentences.lengths), CHUNK):
            part = sentences.take(np.arange(begin, min(begin + CHUNK, len(sentences.lengths))))
            bags = known_tokens(phrases.joined(part), left_out)
            append(stream, bags.flat.astype(np.int32))
            ends.append(ends[-1][-1] + np.cumsum(bags.lengths))
    with (folder / STARTS).open("wb") as stream:
        append(stream, np.concatenate(ends))
    return open_bags(folder, pairs)


def open_bags(folder: Path, pairs: Pairs) -> Pairs:
    """Map the bags that `write_bags` wrote beside the targets of `pairs`."""
    return replace(pairs, ids=np.memmap(folder / IDS, np.int32, "r"), starts=np.memmap(folder / STARTS, np.int64, "r"))


def known_tokens(ids: TokenIds, left_out: Sequence[int]) -> TokenIds:
    """The ids without [UNK] and [PAD]."""
    known = ~np.isin(ids.flat, left_out)
    owner = np.repeat(np.arange(len(ids.lengths)), ids.lengths)
    return TokenIds(ids.flat[known], np.bincount(owner[known], minlength=len(ids.lengths)))
