"""The student's vocabulary: the teacher's pieces without `[unused*]`, then the words of a corpus by falling frequency.

Words go into the WordPiece vocabulary itself, never into `added_tokens`, so that the text graph and every other
WordPiece implementation find them.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from edge_potion.errors import InputError
from edge_potion.tokens import plain

from .special_tokens import special_tokens

__all__ = ["Vocabulary", "build_vocabulary", "frequent_words"]

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


def frequent_words(sentences: Iterable[str], teacher: Tokenizer) -> list[str]:
    """The words of a corpus as the teacher's normalizer and pre-tokenizer cut them, by falling frequency.

    Words of one frequency come in alphabetical order. A tokenizer other than WordPiece gets none: its pieces hang
    together, and a word cannot be put in.
    """
    if json.loads(teacher.to_str())["model"]["type"] != "WordPiece":
        log.warning("the teacher's tokenizer is not WordPiece: the vocabulary stays as it is, without corpus words")
        return []
    counts: Counter[str] = Counter()
    for sentence in sentences:
        text = teacher.normalizer.normalize_str(sentence) if teacher.normalizer else sentence
        cut = teacher.pre_tokenizer.pre_tokenize_str(text) if teacher.pre_tokenizer else [(text, None)]
        counts.update(word for word, _ in cut)
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def build_vocabulary(teacher: Tokenizer, words: Sequence[str] = (), size: int | None = None) -> Vocabulary:
    """Drop what no text can reach from the teacher's vocabulary, and fill in `words`.

    Args:
        teacher: adds special tokens; padding and truncation off.
        words: candidates by falling frequency. One that the normalizer changes, the pre-tokenizer splits, or that
            is longer than 24 characters is skipped and counted.
        size: words go in until the vocabulary holds this many tokens; None takes them all.

    Raises:
        InputError: words for a tokenizer other than WordPiece.
    """
    content = json.loads(teacher.to_str())
    special = special_tokens(teacher)
    if content["model"]["type"] != "WordPiece":
        if words:
            raise InputError(
                f"extra words need a WordPiece teacher, and this one's tokenizer is {content['model']['type']}; "
                "distil it without them"
            )
        # BPE merges and Unigram scores hang together: their vocabulary stays as it is.
        count = max(teacher.get_vocab(with_added_tokens=True).values()) + 1
        student = plain(Tokenizer.from_str(json.dumps(content)))
        return Vocabulary(student, [special.around([token]) for token in range(count)], [], Counter())

    old_ids = sorted(content["model"]["vocab"].items(), key=lambda item: item[1])
    pieces = {piece: token for piece, token in old_ids if not UNUSED.fullmatch(piece)}
    room = len(words) if size is None else max(size - len(pieces), 0)
    added, skipped = _usable(words, teacher, set(pieces), room)
    new_ids = {piece: token for token, piece in enumerate([*pieces, *added])}
    content["model"]["vocab"] = new_ids
    content["added_tokens"] = [
        {**token, "id": new_ids[token["content"]]}
        for token in content["added_tokens"]
        if token["special"] and token["content"] in new_ids
    ]
    content["post_processor"] = None  # it names the old ids
    sequences = [special.around([token]) for token in pieces.values()] + [teacher.encode(word).ids for word in added]
    if added or skipped:
        log.info("vocabulary: %d pieces, %d words added, skipped: %s", len(pieces), len(added), dict(skipped))
    return Vocabulary(plain(Tokenizer.from_str(json.dumps(content))), sequences, added, skipped)


def _usable(words: Iterable[str], teacher: Tokenizer, taken: set[str], room: int) -> tuple[list[str], Counter[str]]:
    usable: list[str] = []
    skipped: Counter[str] = Counter()
    for word in words:
        if len(usable) == room:
            break
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
