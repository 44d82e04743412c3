"""The student's vocabulary: the teacher's pieces without `[unused*]`, then extra words by falling frequency."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer

from edge_potion.errors import InputError
from edge_potion.tokens import plain

__all__ = ["Vocabulary", "build_vocabulary"]

log = logging.getLogger("edge_potion")

UNUSED = re.compile(r"\[unused\d+\]")
LONGEST_WORD = 24  # characters; longer "words" in a corpus are addresses and noise


@dataclass(frozen=True)
class Vocabulary:
    """What the student's rows stand for.

    Attributes:
        tokenizer: the student's, plain (see `edge_potion.tokens`).
        sequences: V sequences of teacher ids, special tokens around them; item i is what row i is distilled from.
        added: the extra words that went in, in the order of their ids.
        skipped: how many candidate words were left out, by reason.
    """

    tokenizer: Tokenizer
    sequences: list[list[int]]
    added: list[str]
    skipped: Counter[str]


def build_vocabulary(teacher: Tokenizer, words: Iterable[str] = ()) -> Vocabulary:
    """Drop what no text can reach from the teacher's vocabulary, and fill in `words`.

    Words go into the WordPiece vocabulary itself, never into `added_tokens`, so that the text graph and every
    other WordPiece implementation find them.

    Args:
        teacher: adds special tokens; padding and truncation off.
        words: candidates by falling frequency. One that the normalizer changes, the pre-tokenizer splits, or that
            is longer than 24 characters is skipped and counted.

    Raises:
        InputError: words for a tokenizer other than WordPiece.
    """
    content = json.loads(teacher.to_str())
    around = _special_ids_around(teacher)
    if content["model"]["type"] != "WordPiece":
        words = list(words)
        if words:
            raise InputError(
                f"extra words need a WordPiece teacher, and this one's tokenizer is {content['model']['type']}; "
                "distil it without them"
            )
        # BPE merges and Unigram scores hang together: their vocabulary stays as it is.
        size = max(teacher.get_vocab(with_added_tokens=True).values()) + 1
        student = plain(Tokenizer.from_str(json.dumps(content)))
        return Vocabulary(student, [around.of([token]) for token in range(size)], [], Counter())

    old_ids = sorted(content["model"]["vocab"].items(), key=lambda item: item[1])
    pieces = {piece: token for piece, token in old_ids if not UNUSED.fullmatch(piece)}
    added, skipped = _usable(words, teacher, set(pieces))
    new_ids = {piece: token for token, piece in enumerate([*pieces, *added])}
    content["model"]["vocab"] = new_ids
    content["added_tokens"] = [
        {**token, "id": new_ids[token["content"]]}
        for token in content["added_tokens"]
        if token["special"] and token["content"] in new_ids
    ]
    content["post_processor"] = None  # it names the old ids
    sequences = [around.of([token]) for token in pieces.values()] + [teacher.encode(word).ids for word in added]
    if added or skipped:
        log.info("vocabulary: %d pieces, %d words added, skipped: %s", len(pieces), len(added), dict(skipped))
    return Vocabulary(plain(Tokenizer.from_str(json.dumps(content))), sequences, added, skipped)


@dataclass(frozen=True)
class _Around:
    """The special tokens that the teacher puts before and after a text: [CLS] and [SEP], <s> and </s>."""

    before: list[int]
    after: list[int]

    def of(self, ids: list[int]) -> list[int]:
        return [*self.before, *ids, *self.after]


def _special_ids_around(teacher: Tokenizer) -> _Around:
    encoding = teacher.encode("a")
    inside = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    return _Around(encoding.ids[: inside[0]], encoding.ids[inside[-1] + 1 :])


def _usable(words: Iterable[str], teacher: Tokenizer, taken: set[str]) -> tuple[list[str], Counter[str]]:
    usable: list[str] = []
    skipped: Counter[str] = Counter()
    for word in words:
        if word in taken:
            skipped["already a piece"] += 1
        elif len(word) > LONGEST_WORD:
            skipped["too long"] += 1
        elif teacher.normalizer is not None and teacher.normalizer.normalize_str(word) != word:
            skipped["changed by the normalizer"] += 1
        elif teacher.pre_tokenizer is not None and len(teacher.pre_tokenizer.pre_tokenize_str(word)) != 1:
            skipped["split by the pre-tokenizer"] += 1
        else:
            usable.append(word)
            taken.add(word)
    return usable, skipped
