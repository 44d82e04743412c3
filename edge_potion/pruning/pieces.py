"""Which pieces of a tokenizer stay: those that a corpus uses, or the most frequent of them, and what is always kept."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.tokens import MODEL_FIELDS, pad_id, unk_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Choice", "Vocabulary", "always_kept", "chosen"]

FAMILIES = ("WordPiece", "WordLevel", "Unigram")
# What a tokenizer.json holds once it went through `tokens.plain`; of these, `model` and `added_tokens` alone name ids.
FIELDS = {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor"}
FIELDS |= {"decoder", "model"}
OFF = ("truncation", "padding", "post_processor")  # which name ids and pieces too, and are in no folder that we write
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # what byte fallback spells unknown characters with


@dataclass(frozen=True)
class Choice:
    """What is kept of the pieces that a corpus uses; all where both are None.

    Attributes:
        keep_share: above 0, up to 1: the most frequent pieces that together make this share of the known tokens.
        rows: how many pieces stay, those among them that are always kept: the most frequent, and where the corpus uses
            fewer, the likeliest of its letters, as other texts of its languages will need them.

    Raises:
        InputError: both are given, or one is out of range.
    """

    keep_share: float | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        if self.keep_share is not None and self.rows is not None:
            raise InputError("both a share of the tokens and a number of rows are given; give one of them")
        if self.keep_share is not None and not 0 < self.keep_share <= 1:
            raise InputError(f"the share to keep is {self.keep_share!r}; a number above 0, up to 1, was expected")
        if self.rows is not None and self.rows < 1:
            raise InputError(f"rows is {self.rows!r}; 1 or more were expected")


@dataclass(frozen=True)
class Vocabulary:
    """What a tokenizer.json says of pieces and their ids.

    Attributes:
        content: the tokenizer.json of a tokenizer that went through `plain`.
        size: V, one more than the highest id; some ids may be no piece's.
        unk_id, pad_id: of the unknown and the padding token, where there are such.

    Raises:
        ModelFormatError: its model is none whose pieces can be taken out one by one, or it holds what may name pieces
            in a way that is not known here.
    """

    content: Mapping[str, Any]
    size: int
    unk_id: int | None
    pad_id: int | None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        """That of a plain tokenizer."""
        size = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        return cls(json.loads(tokenizer.to_str()), size, unk_id(tokenizer), pad_id(tokenizer))

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ModelFormatError(
                f"the tokenizer is {self.family}, and those of {', '.join(FAMILIES)} can be pruned: each merge of a "
                "BPE needs the pieces that it is made of"
            )
        foreign = [f"model.{name}" for name in sorted(set(self.model) - MODEL_FIELDS[self.family] - {"type"})]
        foreign += sorted(set(self.content) - FIELDS)
        foreign += [name for name in OFF if self.content.get(name) is not None]
        if foreign:
            raise ModelFormatError(
                f"tokenizer.json holds {', '.join(foreign)}, which may name pieces in a way that is not known here; "
                "remove it, or leave the model as it is"
            )
        twice = next((number for number, count in Counter(self.in_order).items() if count > 1), None)
        if twice is not None:  # an added token behind a vocabulary that leaves an id out
            raise ModelFormatError(f"tokenizer.json gives the id {twice} to two tokens, so that no row is of one alone")

    @property
    def family(self) -> str:
        """The kind of its model: one of FAMILIES."""
        return str(self.model.get("type"))

    @property
    def model(self) -> Mapping[str, Any]:
        """Its model, as tokenizer.json has it."""
        found: Mapping[str, Any] = self.content["model"]
        return found

    @property
    def added(self) -> Sequence[Mapping[str, Any]]:
        """Its added tokens, likewise."""
        found: Sequence[Mapping[str, Any]] = self.content.get("added_tokens") or ()
        return found

    @cached_property
    def pieces(self) -> Mapping[int, str]:
        """The pieces of its model by their ids, in order."""
        held = self.model["vocab"]
        if self.family == "Unigram":
            return dict(enumerate(piece for piece, _ in held))
        return dict(sorted((number, piece) for piece, number in held.items()))

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The ids of these pieces; of equal ones, as a Unigram model may have, the last, which is the one it gives."""
        return {piece: number for number, piece in self.pieces.items()}

    @property
    def in_order(self) -> Iterator[int]:
        """All ids in the order in which a tokenizer gives them out: its model's, then those of other added tokens."""
        yield from self.pieces
        yield from sorted(int(token["id"]) for token in self.added if token["content"] not in self.ids)

    def letters(self, piece: str) -> str:
        """What a piece stands for in a word: itself, without the mark of a WordPiece that something precedes it."""
        prefix = self.model.get("continuing_subword_prefix", "")
        return piece.removeprefix(prefix) or piece if prefix else piece


def chosen(vocabulary: Vocabulary, counts: np.ndarray, choice: Choice) -> np.ndarray:
    """(K,) int64: the ids that stay, in the order of what become theirs, 0..K-1.

    Args:
        vocabulary: of the tokenizer.
        counts: (V,) int64, how often each id stands in the corpus.
        choice: which of the pieces that stand there.

    Raises:
        InputError: the corpus holds no token that the model knows; or more pieces than `choice.rows` are always kept.
    """
    known = counts.copy()
    if vocabulary.unk_id is not None:
        known[vocabulary.unk_id] = 0
    if not known.any():
        raise InputError("the corpus holds no token that the model knows, so that nothing of it would stay")
    always = always_kept(vocabulary, counts)
    frequent = np.lexsort((np.arange(len(known)), -known))[: np.count_nonzero(known)]  # (used,) the first most often
    if choice.keep_share is not None:
        wanted = math.ceil(choice.keep_share * int(known.sum()) - 1e-9)
        frequent = frequent[: int(np.searchsorted(np.cumsum(known[frequent]), wanted)) + 1]
    if choice.rows is not None:
        if len(always) > choice.rows:
            raise InputError(
                f"rows is {choice.rows:,}, and {len(always):,} pieces are always kept (special ones, and the single "
                "characters of the corpus); allow more"
            )
        frequent = np.concatenate([frequent, _likely(vocabulary, counts)])
        frequent = frequent[~np.isin(frequent, always)][: choice.rows - len(always)]
    stays = np.zeros(vocabulary.size, bool)
    stays[frequent] = stays[always] = True
    order = np.fromiter(vocabulary.in_order, np.int64)
    return order[stays[order]]


def always_kept(vocabulary: Vocabulary, counts: np.ndarray) -> np.ndarray:
    """(A,) int64: the ids of the pieces that stay, however rare they are, in order.

    Special tokens; the single characters of all that the corpus uses, so that nothing in it becomes unknown; of a
    Unigram model the piece with the least score, from which that of unknown characters is reckoned; and the bytes that
    it may spell them with.

    Args:
        vocabulary: of the tokenizer.
        counts: (V,) int64, how often each id stands in the corpus.
    """
    kept = {int(token["id"]) for token in vocabulary.added if token.get("special")}
    kept |= {each for each in (vocabulary.unk_id, vocabulary.pad_id) if each is not None}
    if vocabulary.family != "WordLevel":  # which takes words whole
        kept |= _characters(vocabulary, counts)
    if vocabulary.family == "Unigram":
        scores = np.array([score for _, score in vocabulary.model["vocab"]])
        least = np.flatnonzero(scores == scores.min())
        kept.add(int(least[np.argmax(counts[least])]))
        if vocabulary.model.get("byte_fallback"):
            kept |= {vocabulary.ids[byte] for byte in BYTES if byte in vocabulary.ids}
    return np.array(sorted(kept), np.int64)


def _likely(vocabulary: Vocabulary, counts: np.ndarray) -> np.ndarray:
    """(L,) int64: pieces that the corpus does not use, but has all letters of, the likeliest first: those with the
    highest scores, or in the order of the vocabulary, which mostly is that of frequency."""
    letters = _letters(vocabulary, counts)
    found = [number for number, piece in vocabulary.pieces.items() if not counts[number]]
    found = [number for number in found if letters.issuperset(vocabulary.letters(vocabulary.pieces[number]))]
    if vocabulary.family == "Unigram":
        scores = vocabulary.model["vocab"]
        found.sort(key=lambda number: -scores[number][1])
    return np.array(found, np.int64)


def _characters(vocabulary: Vocabulary, counts: np.ndarray) -> set[int]:
    letters = _letters(vocabulary, counts)
    return {number for piece, number in vocabulary.ids.items() if vocabulary.letters(piece) in letters}


def _letters(vocabulary: Vocabulary, counts: np.ndarray) -> set[str]:
    """All characters of the pieces that the corpus uses."""
    pieces = vocabulary.pieces
    used = (pieces[number] for number in np.flatnonzero(counts).tolist() if number in pieces)
    return set().union(*map(vocabulary.letters, used))
