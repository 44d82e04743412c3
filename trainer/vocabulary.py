"""The student's vocabulary: the teacher's pieces that a text can reach, its added words, and the words of a corpus.

Words go into the WordPiece vocabulary itself, never into `added_tokens`, so that the text graph and every other
WordPiece implementation find them.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from edge_potion.errors import InputError, RecipeError
from edge_potion.tokens import plain, sound

from .special_tokens import special_tokens

__all__ = ["Vocabulary", "build_vocabulary", "check_size", "frequent_words"]

log = logging.getLogger("edge_potion")

UNUSED = re.compile(r"\[unused\d+\]")
LONGEST_WORD = 24  # characters; longer "words" in a corpus are addresses and noise
MOST_NAMED = 10  # words in a line of the log


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

    Words that were added to a WordPiece teacher become pieces like any other; those that its pre-tokenizer splits are
    left out, named and counted. Special tokens stay what they are.

    Args:
        teacher: adds special tokens; padding and truncation off.
        words: candidates by falling frequency. One that the normalizer changes, the pre-tokenizer splits, or that
            is longer than 24 characters is skipped and counted.
        size: words go in until the vocabulary holds this many tokens; None takes them all. Of a WordPiece teacher with
            more pieces, special tokens, the letters of the words, and the pieces of the first words stay, and where
            there are no words the first pieces.

    Raises:
        InputError: words for a tokenizer other than WordPiece.
        RecipeError: `size` is what `check_size` refuses.
    """
    content = json.loads(teacher.to_str())
    check_size(content, size)
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
    unreachable = _unreachable(teacher, [piece for piece, _ in old_ids if UNUSED.fullmatch(piece)])
    pieces = {piece: token for piece, token in old_ids if piece not in unreachable}
    pieces.update(_added_pieces(teacher, content, set(pieces)))
    if size is not None and size < len(pieces):
        pieces = _most_used(pieces, teacher, content, words, size)
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


def check_size(content: Mapping[str, Any], size: int | None) -> None:
    """Raise RecipeError where the vocabulary of a tokenizer.json cannot be cut to `size`."""
    model, kind = content["model"], content["model"].get("type", "WordPiece")
    tokens = max([len(model["vocab"]), *(added["id"] + 1 for added in content["added_tokens"])])
    if size is not None and size < tokens and kind != "WordPiece":
        raise RecipeError(
            f"vocabulary_size is {size}, and the teacher's {kind} tokenizer has {tokens} tokens, which hang together "
            "and cannot be left out; ask for as many, or set vocabulary_size = false"
        )
    special = len(_special_pieces(content))
    if size is not None and size <= special:
        raise RecipeError(f"vocabulary_size is {size}, and the teacher has {special} special tokens; ask for more")


def _special_pieces(content: Mapping[str, Any]) -> set[str]:
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    return {*special, str(content["model"].get("unk_token"))} & set(_pieces_in(content["model"]["vocab"]))


def _pieces_in(vocabulary: Any) -> list[str]:
    """The pieces of a model's vocabulary: a Unigram's is a list of pieces and scores."""
    return [each if isinstance(each, str) else each[0] for each in vocabulary]


def _unreachable(teacher: Tokenizer, pieces: Sequence[str]) -> set[str]:
    """Those of `pieces` that no text is cut into, as BERT's pre-tokenizer cuts "[unused7]" at its brackets."""
    words = plain(Tokenizer.from_str(teacher.to_str()))
    with sound("the teacher's tokenizer cannot tokenize its own pieces"):
        found = words.encode_batch_fast(list(pieces), add_special_tokens=False)
    return {piece for piece, one in zip(pieces, found, strict=True) if one.ids != [teacher.token_to_id(piece)]}


def _added_pieces(teacher: Tokenizer, content: dict[str, Any], taken: set[str]) -> dict[str, int]:
    """The words that were added to a teacher, as pieces: the word as its normalizer makes it, and its id."""
    words = {token["content"]: token["id"] for token in content["added_tokens"] if not token["special"]}
    pieces: dict[str, int] = {}
    left_out = []
    for word, token in words.items():
        text = teacher.normalizer.normalize_str(word) if teacher.normalizer else word
        cut = teacher.pre_tokenizer.pre_tokenize_str(text) if teacher.pre_tokenizer else [(text, None)]
        if len(cut) != 1 or cut[0][0] != text or not text:
            left_out.append(word)
        elif text not in taken:
            pieces[text] = token
    if left_out:
        more = f" and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        log.warning(
            "vocabulary: %d of %d words added to the teacher are left out, as its pre-tokenizer splits them: %s",
            len(left_out),
            len(words),
            ", ".join(left_out[:MOST_NAMED]) + more,
        )
    return pieces


def _most_used(
    pieces: dict[str, int], teacher: Tokenizer, content: dict[str, Any], words: Iterable[str], size: int
) -> dict[str, int]:
    """`size` of the pieces, in their order: what must stay, the letters of `words`, then what the first words take."""
    prefix = content["model"].get("continuing_subword_prefix", "##")
    special = _special_pieces(content)
    kept = dict.fromkeys(piece for piece in pieces if piece in special)
    words = list(words)
    letters = {letter for word in words for letter in word}
    by_need = [piece for piece in pieces if piece.removeprefix(prefix) in letters]
    with sound("the teacher's tokenizer cannot tokenize the corpus' words"):
        found = teacher.encode_batch_fast(words, add_special_tokens=False)
    names = {token: piece for piece, token in pieces.items()}
    by_need += [names[token] for one in found for token in one.ids if token in names]
    for piece in (*by_need, *pieces):
        if len(kept) == size:
            break
        kept.setdefault(piece)
    log.info("vocabulary: %d of the teacher's %d pieces are kept, as was asked", len(kept), len(pieces))
    return {piece: token for piece, token in pieces.items() if piece in kept}


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
