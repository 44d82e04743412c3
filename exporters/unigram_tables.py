"""The vocabulary of a Unigram model as arrays: a trie over symbols, its scores, and what becomes of the unknown."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError

from .double_array import HIGH, double_array
from .graph_builder import GraphBuilder

__all__ = ["BLANK", "PAGE", "UnigramPieces", "paged", "unigram_pieces"]

PENALTY = 10.0  # of the unknown piece, below the least score: a constant of `tokenizers`
PAGE = 256
BLANK = "▁"  # what a space becomes
CODE_POINTS = 0x110000
BYTES = 256
LEAVE_OUT = "leave the graph out (--graphs bag,tokens)"


@dataclass(frozen=True)
class UnigramPieces:
    """What is looked up of a vocabulary of V pieces, in a trie of N places (`double_array`).

    Attributes:
        symbol_page_of: (4352,) int32, the page of the code points of each 256.
        symbols: (pages * 256,) int32, from 1; 0 is a character of no piece.
        units: (N,) int64, base and check.
        ids: (N,) int32, of the piece that ends at a node; -1 for none.
        words: (N,) int32, the id that the string of a node becomes as a whole word; -1 where that takes more than one
            token, or no piece ends there.
        scores: (N,) float64, of that piece; -inf for none.
        unknown_score: of the unknown piece, one character long.
        unknown: its id.
        longest: characters of the longest piece.
        blank: node and base of ▁, to which the first symbol of a word leads that has one before it; -2 and 0, which
            have no children, where no piece begins so.
        byte_ids: (256,) int32, the id of each byte's token, -1 for none; None where no byte falls back.
        joins: whether unknown characters beside each other can make a piece again.
    """

    symbol_page_of: np.ndarray
    symbols: np.ndarray
    units: np.ndarray
    ids: np.ndarray
    words: np.ndarray
    scores: np.ndarray
    unknown_score: float
    unknown: int
    longest: int
    blank: tuple[int, int]
    byte_ids: np.ndarray | None
    joins: bool

    @property
    def root_base(self) -> int:
        """Base of the root, which is node 0."""
        return int(self.units[0]) % HIGH

    def symbol_of(self, character: str) -> int:
        """0 for one that is in no piece."""
        page, low = divmod(ord(character), PAGE)
        return int(self.symbols[int(self.symbol_page_of[page]) * PAGE + low])

    def tables(self) -> Mapping[str, np.ndarray]:
        """The arrays by the names that a graph's file has them under."""
        named = {
            "symbol_page_of": self.symbol_page_of,
            "symbols": self.symbols,
            "trie_units": self.units,
            "trie_ids": self.ids,
            "trie_words": self.words,
            "trie_scores": self.scores,
            "unknown_score": np.array([self.unknown_score]),
        }
        return named if self.byte_ids is None else {**named, "byte_ids": self.byte_ids}

    def add_to(self, graph: GraphBuilder) -> None:
        """Put every table into a graph."""
        for name, array in self.tables().items():
            graph.table(name, lambda array=array: array)  # type: ignore[misc]


def unigram_pieces(tokenizer: Tokenizer) -> UnigramPieces:
    """The tables of a tokenizer with a Unigram model; half a minute for half a million pieces.

    Raises:
        ModelFormatError: it has no unknown piece, or a score that is no number.
    """
    # Asked of the object, not of its file: `tokenizers` reads some decimal numbers as their neighbours.
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: Sequence[tuple[str, float]] = model["vocab"]
    _check(model)
    last = {text: number for number, (text, _) in enumerate(vocabulary)}  # of pieces of one name the last counts
    counts = Counter("".join(last))
    symbol_of = {text: number for number, (text, _) in enumerate(counts.most_common(), start=1)}
    texts = sorted(filter(None, last), key=lambda text: list(map(symbol_of.__getitem__, text)))
    trie = double_array([list(map(symbol_of.__getitem__, text)) for text in texts], len(symbol_of))
    numbers = np.fromiter(map(last.__getitem__, texts), np.int32, len(texts))
    every_score = np.array([score for _, score in vocabulary], np.float64)
    places = len(trie.units)
    ids, words = np.full(places, -1, np.int32), np.full(places, -1, np.int32)
    scores = np.full(places, -np.inf)
    ids[trie.ends], scores[trie.ends] = numbers, every_score[numbers]
    words[trie.ends] = _as_words(tokenizer, texts)
    by_code = np.zeros(CODE_POINTS, np.int32)
    by_code[list(map(ord, symbol_of))] = list(symbol_of.values())
    page_of, symbols = paged(by_code)
    unknown = int(model["unk_id"])
    blank = trie.node_of([symbol_of.get(BLANK, 0)])
    return UnigramPieces(
        page_of,
        symbols,
        trie.units,
        ids,
        words,
        scores,
        float(every_score.min()) - PENALTY,
        unknown,
        trie.depth,
        (-2, 0) if blank is None else (blank, trie.base_of(blank)),
        _byte_ids(last) if model["byte_fallback"] else None,
        _joins(texts, vocabulary[unknown][0], symbol_of),
    )


def paged(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of code points (1114112,) as the page of each 256 (4352,) int32, and the different pages (n * 256,)."""
    pages = values.reshape(-1, PAGE)
    numbers: dict[bytes, int] = {}
    page_of = np.array([numbers.setdefault(page.tobytes(), len(numbers)) for page in pages], np.int32)
    return page_of, np.frombuffer(b"".join(numbers), values.dtype)


def _check(model: Mapping[str, object]) -> None:
    vocabulary = model["vocab"]
    assert isinstance(vocabulary, list)
    if not any(text for text, _ in vocabulary):
        raise ModelFormatError(f"the tokenizer's vocabulary holds no piece; {LEAVE_OUT}")
    if model["unk_id"] is None:
        raise ModelFormatError(
            f"the tokenizer has no unknown piece (unk_id), and stops at texts with other characters; {LEAVE_OUT}"
        )
    if odd := next((text for text, score in vocabulary if score is None or not math.isfinite(score)), None):
        raise ModelFormatError(f"the tokenizer's piece {odd!r} has a score that is no number; {LEAVE_OUT}")
    if odd := next((text for text, _ in vocabulary if "\0" in text), None):
        raise ModelFormatError(f"the tokenizer's piece {odd!r} holds a NUL, which ends a text; {LEAVE_OUT}")


def _as_words(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """What each text becomes as a word by itself: an id, or -1 where it is cut."""
    cut = tokenizer.model.tokenize
    return [tokens[0].id if len(tokens := cut(text)) == 1 else -1 for text in texts]


def _byte_ids(last: Mapping[str, int]) -> np.ndarray:
    return np.array([last.get(f"<0x{byte:02X}>", -1) for byte in range(BYTES)], np.int32)


def _joins(texts: Sequence[str], unknown: str, characters: Iterable[str]) -> bool:
    """Whether two or more nodes of the unknown piece may be a piece again when they are joined.

    Such a node is one character that is no piece by itself, or the unknown piece by its own name.
    """
    alone = {text for text in texts if len(text) == 1}
    nodes = set(characters) - alone
    return any(
        len(text) > 1
        and text != unknown
        and (nodes.issuperset(text) or (unknown in text and (nodes | set(unknown)).issuperset(text)))
        for text in texts
    )
