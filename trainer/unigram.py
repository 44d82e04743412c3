"""A Unigram teacher's pieces in the student: those that a corpus uses, and words with scores that displace no piece."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import RecipeError
from edge_potion.pruning.pieces import BYTES, Choice, Vocabulary, always_kept, chosen
from edge_potion.pruning.tokenizer import tokenizer_of
from edge_potion.tokens import plain, sound

__all__ = ["Pieces", "UnigramTeacher"]

log = logging.getLogger("edge_potion")

SPACE = "\u2581"  # what Metaspace writes for a space
# What a word's score has above the sum of its pieces', for each of its characters: of two words that begin alike the
# longer wins, and no other choice of the lattice is so near that it would turn.
MARGIN = 1e-3
DIGITS = 6  # of a new score: so few that `tokenizers` reads the number that was written
CANNOT_TOKENIZE = "the teacher's tokenizer cannot tokenize the corpus' words"


@dataclass(frozen=True)
class Pieces:
    """What the student has of the teacher's pieces.

    Attributes:
        tokenizer: plain, with these pieces alone.
        teacher_ids: of each, by its new id.
    """

    tokenizer: Tokenizer
    teacher_ids: list[int]

    def with_words(self, words: Sequence[str]) -> Tokenizer:
        """The tokenizer with more pieces at its end, each of which stands wherever its pieces stood.

        A word becomes one token where its score is above the sum of its pieces'. It is so by a hair, so that in longer
        words the lattice decides as before, but for joining these pieces. On 10,000 frequent words of 112 languages and
        XLM-R's pieces, all came out whole, and of the words that are none of these, 0.99 % had pieces joined and none
        was cut across. By the logarithm of their share, 0.49 % were cut across; by the least score of all, which is
        what model2vec 0.10 gives, 52 % of the words never stood for themselves.

        An unknown character costs more than the least score, which a long word may have: a text with one has no more of
        them than before, and may be cut otherwise around a character that the teacher knows within longer pieces alone.
        """
        content = json.loads(self.tokenizer.to_str())
        spelled = _spelled(content)
        scores = {piece: score for piece, score in content["model"]["vocab"] if piece not in spelled}
        least = min(scores.values())
        for word in words:
            with sound(CANNOT_TOKENIZE):
                pieces = [token.value for token in self.tokenizer.model.tokenize(word)]
            known = all(piece in scores for piece in pieces)  # an unknown character costs more than any piece
            score = sum(scores[piece] for piece in pieces) if known else least
            content["model"]["vocab"].append([word, round(score + MARGIN * len(word), DIGITS)])
        return plain(Tokenizer.from_str(json.dumps(content)))


@dataclass(frozen=True)
class UnigramTeacher:
    """What a Unigram teacher's tokenizer makes of words.

    Attributes:
        tokenizer: the teacher's.
    """

    tokenizer: Tokenizer

    def pieces(self, counts: Mapping[str, int], size: int | None, words: int = 0) -> Pieces:
        """The pieces that stay, in their order, with their scores to the bit.

        Of fewer than all, special ones stay (`silent_ids` says what becomes of them), and the single characters of the
        words; then what the words take most often; where there are no words, the pieces with the highest scores.

        Args:
            counts: how often each word stands in a corpus, as the pre-tokenizer cuts it; {} without a corpus.
            size: how many there are to be at most; None for all.
            words: how many of these are to be words that were added to the teacher.

        Raises:
            RecipeError: more than `size` must stay.
            InputError: of these words no piece is known.
            ModelFormatError: the tokenizer names pieces in a way that is not known here.
        """
        vocabulary = self._vocabulary
        ids = np.arange(vocabulary.size)
        if size is not None and size - words < len(ids):
            taken = self._taken(counts) if counts else self._by_score(size - words)
            if (least := len(always_kept(vocabulary, taken)) + words) > size:
                raise RecipeError(
                    f"vocabulary_size is {size}, and {least} pieces must stay (special ones, words that were added to "
                    "the teacher, and the single characters of the corpus); ask for more"
                )
            ids = chosen(vocabulary, taken, Choice(rows=size - words))
            log.info("vocabulary: %d of the teacher's %d pieces are kept, as was asked", len(ids), vocabulary.size)
        return Pieces(tokenizer_of(vocabulary, ids), ids.tolist())

    def as_piece(self, word: str) -> str:
        """A word as it is to the model within a text, with a space's mark before it where the tokenizer has such.

        "" for one that the pre-tokenizer splits.
        """
        cut = self._cut(word if word.startswith(SPACE) else f" {word}")
        return cut[0] if len(cut) == 1 else ""

    def fault_of(self, word: str) -> str:
        """Why a word that stands so within a text cannot become a piece; "" where it can."""
        if not self._cuts_at_spaces:
            return "as the tokenizer does not cut texts at spaces"
        letters = word.removeprefix(SPACE)
        if not letters or not all(unicodedata.category(letter)[0] in "LMN" for letter in letters):
            return "not of letters alone"
        return "not known to the teacher" if self._unknown.intersection(self.ids_of(word)) else ""

    def ids_of(self, word: str) -> list[int]:
        """The teacher's ids of a word."""
        with sound(CANNOT_TOKENIZE):
            return [token.id for token in self._plain.model.tokenize(word)]

    @cached_property
    def _plain(self) -> Tokenizer:
        """The model's pieces alone: added tokens beside them are reached by no text where none are looked for."""
        content = json.loads(self.tokenizer.to_str())
        pieces = {piece for piece, _ in content["model"]["vocab"]}
        content["added_tokens"] = [
            token for token in content["added_tokens"] if token["special"] and token["content"] in pieces
        ]
        return plain(Tokenizer.from_str(json.dumps(content)))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self._plain)

    @cached_property
    def _unknown(self) -> set[int]:
        """The ids of what an unknown character becomes."""
        vocabulary = self._vocabulary
        spelled = {vocabulary.ids[byte] for byte in _spelled(vocabulary.content) if byte in vocabulary.ids}
        return spelled if vocabulary.unk_id is None else spelled | {vocabulary.unk_id}

    @cached_property
    def _cuts_at_spaces(self) -> bool:
        return len(self._cut("a a")) == 2

    def _cut(self, text: str) -> list[str]:
        tokenizer = self.tokenizer
        text = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        if tokenizer.pre_tokenizer is None:
            return [text]
        return [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    def _taken(self, counts: Mapping[str, int]) -> np.ndarray:
        """(V,) int64: how often each piece stands in words that stand so often."""
        taken = np.zeros(self._vocabulary.size, np.int64)
        for word, count in counts.items():
            for token in self.ids_of(word):
                taken[token] += count
        return taken

    def _by_score(self, size: int) -> np.ndarray:
        """(V,) int64: once for each of the `size` pieces with the highest scores."""
        scores = np.array([score for _, score in self._vocabulary.model["vocab"]])
        taken = np.zeros(len(scores), np.int64)
        taken[np.argsort(-scores, kind="stable")[:size]] = 1
        return taken


def _spelled(content: Mapping[str, Any]) -> set[str]:
    """The pieces that unknown characters are spelled with."""
    return set(BYTES) if content["model"].get("byte_fallback") else set()
