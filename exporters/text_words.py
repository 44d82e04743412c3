"""WordPiece and WordLevel in the text graph: UTF-8 bytes -> words -> pieces -> a grid of token ids.

Texts are joined by NUL. Every text ends in a NUL item of its own, so that texts, too, are words. A word is looked up
whole by its hash; one that is not in the vocabulary is cut into pieces, the longest first, as WordPiece does. Words
that hold a byte above 127, or one that is dropped, are set aside: their bytes are decoded, normalized by table, and
come back as texts of their own behind the others. All of it is integers: the same ids on every machine. Of WordLevel
no word is cut: what is not in the vocabulary whole is [UNK].

Shapes: N bytes, W words, M characters of words that are cut, K words, B texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from onnx import TensorProto
from tokenizers import Tokenizer

from edge_potion.phrases_in_graph import BASE, SALT

from .graph_builder import GraphBuilder
from .text_characters import CHANGED, CODES, KINDS, NUL, WORD, Characters, characters_of
from .text_hash import INVERSE, HashTable, looked_up, piece_table, powers
from .text_pieces import Pieces, pieces_of
from .text_unicode import decoded, normalized

__all__ = ["TextWords"]

# Of the tables' layout. The second has those of phrases too, without which an engine would give other vectors.
TABLES_FORMAT, WITH_PHRASES = 1, 2
COLUMNS = 1024  # positions are row * COLUMNS + column, so that powers of BASE come from two short tables
# Of them: 16 MiB of ASCII a call, and 8 MiB of any text, whose words beyond ASCII are laid out once more behind
# it. With more, the graph stops with an error.
ROWS = 17_920


@dataclass(frozen=True)
class Words:
    """Where words lie in an array of items: the first place, and the one after the last, (W,) int64."""

    first: str
    stop: str


@dataclass(frozen=True)
class Cut:
    """Words cut into pieces.

    Attributes:
        counts, is_unknown: (K,) int32 tokens of each word, and 1 where it is [UNK].
        word: (M,) int64, of which word each of their characters is.
        ids: (M,) int32, of the longest piece that begins at a character.
        is_piece: (M,) bool, whether one does begin there.
        rank: (M,) int32, which piece of the word it is.
    """

    counts: str
    is_unknown: str
    word: str
    ids: str
    is_piece: str
    rank: str


@dataclass(frozen=True)
class TextWords:
    """A tokenizer of one of the two families.

    Attributes:
        characters: what becomes of bytes and code points.
        pieces: the vocabulary as sequences of codes.
        hash: where each piece is found.
    """

    characters: Characters
    pieces: Pieces
    hash: HashTable

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Make the tables; None where the tokenizer is of another family.

        Raises:
            ModelFormatError: the graph would not be exact; says why.
        """
        pieces = pieces_of(tokenizer)  # which refuses most in a moment
        return cls(characters_of(tokenizer), pieces, piece_table(pieces)) if pieces else None

    def facts(self, *, has_phrases: bool) -> Mapping[str, str]:
        """Of metadata_props."""
        return {
            "text_tables": str(WITH_PHRASES if has_phrases else TABLES_FORMAT),
            "longest_piece": str(self.pieces.longest),
            "longest_word": str(self.pieces.longest_word),
            "unknown_id": str(self.pieces.unknown),
        }

    def grid(self, graph: GraphBuilder, text: str, max_tokens: int | None, pad: int) -> str:
        """(B, L) int32 ids, `pad` where no token is."""
        return _Writer(graph, self).grid(text, max_tokens, pad)


@dataclass(frozen=True)
class _Writer:
    """Writes the steps; each method adds nodes and gives the names of what they make."""

    graph: GraphBuilder
    tables: TextWords

    def grid(self, text: str, max_tokens: int | None, pad: int) -> str:
        graph = self.graph
        ended = graph.op("Concat", text, graph.constant([0], np.uint8), axis=0)
        codes = graph.cast(ended, TensorProto.INT32)  # (N,) bytes
        items = graph.take(graph.table("byte_items", lambda: self.tables.characters.bytes), codes)
        words = self._words(items)
        greatest = graph.op("ReduceMax", items, keepdims=0)

        def with_words_aside() -> list[str]:
            aside, more, added = self._set_aside(codes, items, words)
            count = graph.op("Shape", items)
            every = Words(
                graph.op("Concat", words.first, graph.op("Add", added.first, count), axis=0),
                graph.op("Concat", words.stop, graph.op("Add", added.stop, count), axis=0),
            )
            return [self._tokens(graph.op("Concat", items, more, axis=0), every, max_tokens, pad, aside)]

        # The second is the first without the words aside: fewer nodes, which is what a single text costs.
        return graph.either(
            graph.op("GreaterOrEqual", greatest, graph.constant(CHANGED, np.int32)),
            with_words_aside,
            lambda: [self._tokens(items, words, max_tokens, pad)],
            [(TensorProto.INT32, 2)],
        )[0]

    def _words(self, items: str) -> Words:
        """A word begins where its class is above that of the item before, of which only WORD counts; and stops so."""
        graph = self.graph
        both = graph.op("Pad", items, graph.int64([1, 1]), graph.constant(0, np.int32))
        here, before = graph.but_first(both), graph.but_last(both)
        kinds = [graph.op("BitwiseAnd", side, graph.constant(KINDS, np.int32)) for side in (here, before)]
        words = [graph.op("BitwiseAnd", side, graph.constant(WORD, np.int32)) for side in (before, here)]
        return Words(*(graph.places_of(graph.op("Greater", *pair)) for pair in zip(kinds, words, strict=True)))

    def _set_aside(self, codes: str, items: str, words: Words) -> tuple[str, str, Words]:
        """The words with a changed byte: their numbers (K,), and as texts of their own, with a NUL after each."""
        graph = self.graph
        changed = graph.op("GreaterOrEqual", items, graph.constant(CHANGED, np.int32))
        counts = graph.take(graph.sums(graph.cast(changed, TensorProto.INT32)), graph.less(words.stop, 1))
        aside = graph.places_of(graph.op("Greater", counts, graph.shifted(counts, np.int32)))
        first = graph.take(words.first, aside)
        lengths = graph.op("Sub", graph.take(words.stop, aside), first)
        lengths = graph.op("Add", lengths, graph.int64(1))  # the NUL
        begins = graph.sums(lengths, exclusive=1)
        total = graph.op("ReduceSum", lengths, keepdims=1)  # (1,)
        ones = graph.filled(graph.op("Shape", begins), value=1)
        owner = graph.sums(graph.op("ScatterElements", graph.filled(total), begins, ones))
        owner = graph.op("Sub", owner, graph.constant(1, np.int32))
        offset = graph.op("Sub", graph.numbers(graph.op("Squeeze", total)), graph.take(begins, owner))
        is_end = graph.op("Equal", offset, graph.less(graph.take(lengths, owner), 1))
        places = graph.op("Add", graph.take(first, owner), offset)
        own = graph.op("Where", is_end, graph.constant(0, np.int32), graph.take(codes, places))
        items = normalized(graph, decoded(graph, own), self.tables.characters)
        return aside, items, self._words(items)

    def _tokens(self, items: str, words: Words, max_tokens: int | None, pad: int, aside: str | None = None) -> str:
        """The grid, from all items and words; the words numbered `aside` are the last texts."""
        graph = self.graph
        sums, inverse = self._running_hash(items)
        at_stop = graph.take(sums, words.stop)
        # Between words there are spaces alone, whose codes are 0.
        keys = graph.op("Sub", at_stop, graph.shifted(at_stop, np.int64))
        keys = graph.op("Mul", keys, graph.take(inverse, words.first))  # (W,)
        slots, is_piece = looked_up(graph, "piece", self.tables.hash, keys)
        ids_by_slot = graph.table("piece_ids", lambda: self.tables.hash.ids)
        unknown = graph.constant(self.tables.pieces.unknown, np.int32)
        lengths = graph.op("Sub", words.stop, words.first)
        short = graph.op("Less", lengths, graph.int64(self.tables.pieces.longest_word + 1))
        is_whole = graph.op("And", is_piece, short)
        whole_ids = graph.op("Where", is_whole, graph.take(ids_by_slot, slots), unknown)

        # Not by its key: words can be made whose key is anything.
        ends = graph.op("Equal", graph.take(items, words.first), graph.constant(NUL, np.int32))
        is_own = graph.op("Not", ends)  # (W,) whether a word has tokens itself
        if aside:
            falses = graph.cast(graph.filled(graph.op("Shape", aside)), TensorProto.BOOL)
            is_own = graph.op("ScatterElements", is_own, aside, falses)
        tokens = graph.cast(is_own, TensorProto.INT32)  # (W,) how many tokens of each word
        placed = tokens  # (W,) 1 for a word that is one token
        cut = None
        if not self.tables.pieces.are_words:
            is_cut = graph.op("And", graph.op("And", is_own, short), graph.op("Not", is_whole))
            cut_words = graph.places_of(is_cut)  # (K,)
            cut = self._cut(cut_words, words, lengths, sums, inverse, ids_by_slot)
            own = tokens
            tokens = graph.op("ScatterElements", own, cut_words, cut.counts)
            placed = graph.op("ScatterElements", own, cut_words, cut.is_unknown)

        nul = graph.places_of(ends)  # (B,) the word after each text
        text = graph.sums(graph.cast(ends, TensorProto.INT32), exclusive=1)  # (W,)
        texts = graph.op("Shape", nul)  # (1,) B
        if aside:
            # Words aside get the tokens of their own texts; these begin where their words do.
            counts = graph.take(graph.sums(tokens), nul)
            counts = graph.op("Sub", counts, graph.shifted(counts, np.int32))
            texts = graph.op("Sub", texts, graph.op("Shape", aside))
            tokens = graph.op("ScatterElements", tokens, aside, graph.beyond(counts, texts))
        before = graph.sums(tokens, exclusive=1)
        stops = graph.take(before, nul)
        begins = graph.shifted(stops, np.int32)  # (B,)
        longest = graph.op("Sub", stops, begins)
        if aside:
            aside_text = graph.take(text, aside)
            rank = graph.op("Sub", graph.take(before, aside), graph.take(begins, aside_text))
            longest = graph.upto(longest, texts)
            begins = graph.op(
                "Concat", graph.upto(begins, texts), graph.op("Sub", graph.beyond(begins, texts), rank), axis=0
            )
        rank = graph.op("Sub", before, graph.take(begins, text))  # (W,) in its text
        if aside:
            numbers = graph.numbers(graph.op("Squeeze", texts))
            real = graph.op("Concat", graph.cast(numbers, TensorProto.INT32), aside_text, axis=0)
            text = graph.take(real, text)  # (W,)
        bounds = [1] if max_tokens is None else [1, max_tokens]
        longest = graph.op("ReduceMax", longest, keepdims=1)
        longest = graph.op("Clip", longest, *(graph.constant(bound, np.int32) for bound in bounds))  # (1,) L
        wide = graph.cast(longest, TensorProto.INT64)
        room = graph.op("Mul", texts, wide)  # (1,)
        nowhere = graph.cast(room, TensorProto.INT32)  # a place behind the grid
        begin = graph.op("Mul", text, longest)  # (W,) of a word's text in the grid
        # Words that are one token, and pieces of the others.
        begins, ranks = begin, rank
        if cut:
            begins = graph.op("Concat", begin, graph.take(begin, cut.word), axis=0)
            ranks = graph.op("Concat", rank, graph.op("Add", graph.take(rank, cut.word), cut.rank), axis=0)
        is_there = graph.cast(placed, TensorProto.BOOL)
        if cut:
            is_there = graph.op("Concat", is_there, cut.is_piece, axis=0)
        if max_tokens is not None:
            is_there = graph.op("And", is_there, graph.op("Less", ranks, longest))
        at = graph.op("Where", is_there, graph.op("Add", begins, ranks), nowhere)
        blank = graph.filled(graph.op("Add", room, graph.int64(1)), value=pad)
        ids = graph.op("Concat", whole_ids, cut.ids, axis=0) if cut else whole_ids
        flat = graph.op("ScatterElements", blank, at, ids)
        return graph.op("Reshape", graph.but_last(flat), graph.op("Concat", texts, wide, axis=0))

    def _running_hash(self, items: str) -> tuple[str, str]:
        """Sums of code * BASE^(place + 1) before each place (N + longest piece,), and BASE^-place; int64 both."""
        graph = self.graph
        codes = graph.op("BitwiseAnd", items, graph.constant(CODES, np.int32))
        # Parts of words are looked for beyond the last one.
        codes = graph.op("Pad", codes, graph.int64([0, self.tables.pieces.longest + 1]), graph.constant(0, np.int32))
        count = graph.op("Shape", codes)
        rows = graph.op("Add", graph.op("Div", count, graph.int64(COLUMNS)), graph.int64(1))  # (1,)
        powers_of = []
        for name, base, shift in (("powers", BASE, BASE), ("inverse_powers", INVERSE, np.uint64(1))):
            columns = graph.table(f"{name}_of_columns", partial(_columns, base, shift))
            steps = graph.table(f"{name}_of_rows", partial(_rows, base))
            product = graph.op("Mul", columns, graph.upto(steps, rows))  # (rows, COLUMNS)
            powers_of.append(graph.op("Reshape", product, graph.int64([-1])))
        factors, inverse = powers_of
        hashed = graph.op("Mul", graph.cast(codes, TensorProto.INT64), graph.upto(factors, count))
        return graph.sums(hashed, exclusive=1), inverse

    def _cut(self, cut_words: str, words: Words, lengths: str, sums: str, inverse: str, ids_by_slot: str) -> Cut:
        """Cut the words numbered `cut_words` (K,) into pieces."""
        graph, width = self.graph, self.tables.pieces.longest
        count = graph.take(lengths, cut_words)  # (K,)
        # With one 0 more, there is a maximum when there is no word.
        most = graph.op("ReduceMax", graph.op("Pad", count, graph.int64([0, 1]), graph.int64(0)), keepdims=0)
        count = graph.op("Unsqueeze", count, graph.int64([1]))  # (K, 1)
        left = graph.op("Sub", count, graph.numbers(most))  # (K, most) characters to the end of the word
        both = graph.op("NonZero", graph.op("Greater", left, graph.int64(0)))  # (2, M)
        number, offset = (
            graph.op("Squeeze", graph.op("Slice", both, *map(graph.int64, ([part], [part + 1], [0]))), graph.int64([0]))
            for part in (0, 1)
        )
        word = graph.take(cut_words, number)  # (M,)
        place = graph.op("Add", graph.take(words.first, word), offset)
        left = graph.op("Sub", graph.take(words.stop, word), place)
        is_first = graph.op("Equal", offset, graph.int64(0))
        salt = graph.op("Where", is_first, graph.int64(0), graph.int64(int(SALT.view(np.int64))))
        start, backs, salt, left, from_ = (
            graph.op("Unsqueeze", value, graph.int64([1]))  # (M, 1)
            for value in (graph.take(sums, place), graph.take(inverse, place), salt, left, place)
        )

        sizes = np.arange(1, width + 1, dtype=np.int64)  # (P,)
        to = graph.op("Reshape", graph.op("Add", from_, graph.constant(sizes)), graph.int64([-1]))
        square = graph.int64([-1, width])
        keys = graph.op("Sub", graph.op("Reshape", graph.take(sums, to), square), start)  # (M, P)
        keys = graph.op("Add", graph.op("Mul", keys, backs), salt)
        slots, is_piece = looked_up(graph, "piece", self.tables.hash, graph.op("Reshape", keys, graph.int64([-1])))
        inside = graph.op("GreaterOrEqual", left, graph.constant(sizes))
        is_piece = graph.op("And", graph.op("Reshape", is_piece, square), inside)
        room = len(self.tables.hash.ids)
        ranked = graph.op("Add", graph.op("Reshape", slots, square), graph.constant(sizes * room))
        best = graph.op("ReduceMax", graph.op("Where", is_piece, ranked, graph.int64(0)), graph.int64([1]), keepdims=0)
        size = graph.op("Div", best, graph.int64(room))  # (M,) of the longest piece from here
        ids = graph.take(ids_by_slot, graph.op("BitwiseAnd", best, graph.int64(room - 1)))

        # Which characters begin a piece: the first, and from there on by jumps whose number doubles each round. A jump
        # from a word's end lands on the next word's first character, which begins a piece anyway.
        total = graph.op("Shape", place)  # (1,)
        here = graph.numbers(graph.op("Squeeze", total))
        jump = graph.op("Concat", graph.op("Add", here, size), total, axis=0)  # (M + 1,)
        first = graph.cast(is_first, TensorProto.INT32)
        seen = graph.op("Pad", first, graph.int64([0, 1]), graph.constant(0, np.int32))
        rounds = int(np.ceil(np.log2(self.tables.pieces.longest_word)))
        for turn in range(rounds):
            seen = graph.op("ScatterElements", seen, jump, seen, reduction="max")
            if turn < rounds - 1:
                jump = graph.take(jump, jump)
        seen = graph.but_last(seen)  # (M,)

        stuck = graph.op("Greater", seen, graph.cast(size, TensorProto.INT32))
        none = graph.filled(graph.op("Shape", cut_words))
        bad = graph.op("ScatterElements", none, number, graph.cast(stuck, TensorProto.INT32), reduction="max")
        good = graph.op("Greater", seen, graph.take(bad, number))
        begun = graph.cast(good, TensorProto.INT32)
        counts = graph.op("ScatterElements", bad, number, begun, reduction="add")
        before = graph.sums(begun, exclusive=1)
        rank = graph.op("Sub", before, graph.take(before, graph.op("Sub", here, offset)))
        return Cut(counts, bad, word, ids, good, rank)


def _columns(base: np.uint64, shift: np.uint64) -> np.ndarray:
    """(1, COLUMNS) int64: shift * base^column."""
    return (powers(base, COLUMNS).view(np.uint64) * shift).view(np.int64)[None]


def _rows(base: np.uint64) -> np.ndarray:
    """(ROWS, 1) int64: base^(row * COLUMNS)."""
    return powers(base, ROWS, COLUMNS)[:, None]
