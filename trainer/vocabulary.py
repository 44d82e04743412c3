"""The student's vocabulary: the teacher's pieces that a text can reach, its added words, and the words of a corpus.

Words go into the vocabulary of a WordPiece or Unigram model itself, never into `added_tokens`, so that the text graph
and every other implementation find them.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, models

from edge_potion.errors import InputError, RecipeError
from edge_potion.escaping import terminal
from edge_potion.tokens import pad_id, plain, sound, unk_id

from .special_tokens import SpecialTokens, silent_ids, special_tokens
from .unigram import UnigramTeacher

__all__ = ["Vocabulary", "build_vocabulary", "check_size", "frequent_words", "new_rules"]

log = logging.getLogger("edge_potion")

UNUSED = re.compile(r"\[unused\d+\]")
LONGEST_WORD = 24  # characters; longer "words" in a corpus are addresses and noise
MOST_NAMED = 10  # words in a line of the log
PIECE = "already a piece"
FAMILIES = ("WordPiece", "Unigram")  # whose pieces can be taken out and put in one by one


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


def frequent_words(sentences: Iterable[str], teacher: Tokenizer) -> dict[str, int]:
    """The words of a corpus as the teacher's normalizer and pre-tokenizer cut them, with counts that fall.

    Words of one frequency come in alphabetical order. A tokenizer other than WordPiece and Unigram gets none: its
    pieces hang together, and a word cannot be put in.
    """
    if (kind := json.loads(teacher.to_str())["model"]["type"]) not in FAMILIES:
        log.warning("the teacher's tokenizer is %s: the vocabulary stays as it is, without corpus words", kind)
        return {}
    counts: Counter[str] = Counter()
    for sentence in sentences:
        text = teacher.normalizer.normalize_str(sentence) if teacher.normalizer else sentence
        cut = teacher.pre_tokenizer.pre_tokenize_str(text) if teacher.pre_tokenizer else [(text, None)]
        counts.update(word for word, _ in cut)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def build_vocabulary(
    teacher: Tokenizer, words: Sequence[str] | Mapping[str, int] = (), size: int | None = None
) -> Vocabulary:
    """Drop what no text can reach from the teacher's vocabulary, and fill in `words`.

    Words that were added to the teacher become pieces like any other; those that its pre-tokenizer splits are left out,
    named and counted. Special tokens stay what they are. What scores words get in a Unigram vocabulary, and which of
    its pieces stay, `unigram` says.

    Args:
        teacher: adds special tokens; padding and truncation off.
        words: candidates by falling frequency, with their counts where those are known. One that the normalizer
            changes, the pre-tokenizer splits, or that is longer than 24 characters is skipped, counted and named; for a
            Unigram, so is one with other characters than letters and digits, as its pre-tokenizer leaves "word," whole.
        size: words go in until the vocabulary holds this many tokens; None takes them all. Of a teacher with more
            pieces, special tokens and added words stay, then the letters of the words, then the pieces that the words
            take most often; where there are no words, the first pieces, of a Unigram those with the highest scores.

    Raises:
        InputError: words for a tokenizer other than WordPiece and Unigram.
        RecipeError: `size` is what `check_size` refuses.
    """
    content = json.loads(teacher.to_str())
    check_size(content, size)
    special = special_tokens(teacher)
    if content["model"]["type"] == "Unigram":
        return _of_unigram(teacher, content, special, words, size)
    if content["model"]["type"] != "WordPiece":
        if words:
            raise InputError(
                "extra words need a WordPiece or Unigram teacher, and this one's tokenizer is "
                f"{content['model']['type']}; distill it without them"
            )
        # BPE merges hang together: their vocabulary stays as it is.
        count = max(teacher.get_vocab(with_added_tokens=True).values()) + 1
        student = plain(Tokenizer.from_str(json.dumps(content)))
        return Vocabulary(student, [special.around([token]) for token in range(count)], [], Counter())

    old_ids = sorted(content["model"]["vocab"].items(), key=lambda item: item[1])
    unreachable = _unreachable(teacher, [piece for piece, _ in old_ids if UNUSED.fullmatch(piece)])
    pieces = {piece: token for piece, token in old_ids if piece not in unreachable}
    of_teacher = _added_pieces(content, set(pieces), lambda word: _as_piece(teacher, word))
    pieces.update(of_teacher)
    if size is not None and size < len(pieces):
        counts = words if isinstance(words, Mapping) else dict.fromkeys(words, 1)
        pieces = _most_used(pieces, teacher, content, of_teacher, counts, size)
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
    _tell_words(len(pieces), added, skipped, logging.INFO if isinstance(words, Mapping) else logging.WARNING)
    counted = Counter({reason: len(each) for reason, each in skipped.items()})
    return Vocabulary(plain(Tokenizer.from_str(json.dumps(content))), sequences, added, counted)


def new_rules(teacher: Tokenizer, size: int | None) -> str:
    """What a vocabulary owes to rules that the first version of stage 1 did not have, in words; "" for none.

    Runs that were made before those rules are gone on with where they change nothing.
    """
    content = json.loads(teacher.to_str())
    if content["model"]["type"] == "Unigram":
        return _told(_new_rules_of_unigram(teacher, content, size))
    if content["model"]["type"] != "WordPiece":
        return ""
    vocabulary = content["model"]["vocab"]
    unused = [piece for piece in vocabulary if UNUSED.fullmatch(piece)]
    reached = len(unused) - len(_unreachable(teacher, unused))
    words = sum(1 for token in content["added_tokens"] if not token["special"])
    rules = {
        "pruned": size is not None and size < len(vocabulary) - len(unused) + reached + words,
        "added words kept": words > 0,
        "unused pieces that a text reaches": reached > 0,
    }
    return _told(rules)


def _new_rules_of_unigram(teacher: Tokenizer, content: Mapping[str, Any], size: int | None) -> dict[str, bool]:
    pieces = set(_pieces_in(content["model"]["vocab"]))
    silent = {*silent_ids(teacher)} - {pad_id(teacher), unk_id(teacher)}
    return {
        "special tokens of Unigram count for nothing": bool(silent),
        "pieces and words of Unigram chosen": size is not None,
        "added words kept": any(token["content"] not in pieces for token in content["added_tokens"]),
    }


def _told(rules: Mapping[str, bool]) -> str:
    return ", ".join(rule for rule, holds in rules.items() if holds)


def check_size(content: Mapping[str, Any], size: int | None) -> None:
    """Raise RecipeError where the vocabulary of a tokenizer.json cannot be cut to `size`."""
    model, kind = content["model"], content["model"].get("type", "WordPiece")
    tokens = max([len(model["vocab"]), *(added["id"] + 1 for added in content["added_tokens"])])
    if size is not None and size < tokens and kind not in FAMILIES:
        raise RecipeError(
            f"vocabulary_size is {size}, and the teacher's {kind} tokenizer has {tokens} tokens, which hang together "
            "and cannot be left out; ask for as many, or set vocabulary_size = false"
        )
    special = len(_special_pieces(content))
    if size is not None and size <= special:
        raise RecipeError(f"vocabulary_size is {size}, and the teacher has {special} special tokens; ask for more")


def _of_unigram(
    teacher: Tokenizer,
    content: Mapping[str, Any],
    special: SpecialTokens,
    words: Sequence[str] | Mapping[str, int],
    size: int | None,
) -> Vocabulary:
    """`build_vocabulary`, of a Unigram teacher."""
    unigram, known = UnigramTeacher(teacher), set(_pieces_in(content["model"]["vocab"]))
    beside = [token for token in content["added_tokens"] if token["content"] not in known]
    of_teacher = _added_pieces({"added_tokens": beside}, known, unigram.as_piece)
    counts = words if isinstance(words, Mapping) else {unigram.as_piece(word) or word: 1 for word in words}
    pieces = unigram.pieces(counts, size, len(of_teacher))
    kept = pieces.tokenizer.get_vocab()
    own = list(pieces.teacher_ids)
    for piece in kept.keys() & of_teacher.keys():  # it is this word to the teacher
        own[kept[piece]] = of_teacher[piece]
    new = [word for word in of_teacher if word not in kept]
    room = len(counts) if size is None else max(size - len(own) - len(new), 0)
    added, skipped = _usable(counts, teacher, {*kept, *new}, room, unigram.fault_of)
    _tell_words(len(own) + len(new), added, skipped, logging.INFO if counts is words else logging.WARNING)
    sequences = [[token] for token in (*own, *(of_teacher[word] for word in new))] + [*map(unigram.ids_of, added)]
    counted = Counter({reason: len(each) for reason, each in skipped.items()})
    return Vocabulary(pieces.with_words([*new, *added]), list(map(special.around, sequences)), added, counted)


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


def _as_piece(teacher: Tokenizer, word: str) -> str:
    """A word as a teacher's normalizer makes it; "" for one that its pre-tokenizer splits."""
    text = teacher.normalizer.normalize_str(word) if teacher.normalizer else word
    cut = teacher.pre_tokenizer.pre_tokenize_str(text) if teacher.pre_tokenizer else [(text, None)]
    return text if len(cut) == 1 and cut[0][0] == text else ""


def _added_pieces(content: Mapping[str, Any], taken: set[str], as_piece: Callable[[str], str]) -> dict[str, int]:
    """The words that were added to a teacher, as pieces: what `as_piece` makes of the word, and its id."""
    words = {token["content"]: token for token in content["added_tokens"] if not token["special"]}
    pieces: dict[str, int] = {}
    left_out = []
    for word, token in words.items():
        piece = as_piece(word)
        if not piece:
            left_out.append(word)
        elif piece not in taken or token["normalized"]:  # it comes before a piece of that spelling, in the teacher too
            pieces[piece] = token["id"]
    if left_out:
        log.warning(
            "vocabulary: %d of %d words added to the teacher are left out, as its pre-tokenizer splits them: %s",
            len(left_out),
            len(words),
            _named(left_out),
        )
    return pieces


def _most_used(
    pieces: dict[str, int],
    teacher: Tokenizer,
    content: dict[str, Any],
    of_teacher: Iterable[str],
    counts: Mapping[str, int],
    size: int,
) -> dict[str, int]:
    """`size` of the pieces, in their order: what must stay, the letters of the words, then what the words take most."""
    prefix = content["model"].get("continuing_subword_prefix", "##")
    unknown = content["model"]["unk_token"]
    letters: Counter[str] = Counter()  # in the place of longer pieces
    taken: Counter[str] = Counter()
    with sound("the teacher's tokenizer cannot tokenize the corpus' words"):
        for word, count in counts.items():
            found = [token.value for token in teacher.model.tokenize(word)]
            if found == [unknown]:  # no letters would make it known
                continue
            for piece in found:
                taken[piece] += count
            for place, letter in enumerate(word):
                letters[prefix + letter if place else letter] += count
    special = _special_pieces(content)
    stay = [*(piece for piece in pieces if piece in special), *of_teacher]
    by_need = [piece for uses in (letters, taken) for piece, _ in uses.most_common()]
    kept = set(list(dict.fromkeys(piece for piece in (*stay, *by_need, *pieces) if piece in pieces))[:size])
    log.info("vocabulary: %d of the teacher's %d pieces are kept, as was asked", len(kept), len(pieces))
    smaller = {piece: token for piece, token in pieces.items() if piece in kept}
    _tell_unknown(teacher, content, smaller, counts)
    return smaller


def _tell_unknown(
    teacher: Tokenizer, content: dict[str, Any], pieces: Iterable[str], counts: Mapping[str, int]
) -> None:
    """Say which share of the words a smaller vocabulary no longer knows."""
    unknown = content["model"]["unk_token"]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    options = {
        "max_input_chars_per_word": content["model"]["max_input_chars_per_word"],
        "continuing_subword_prefix": content["model"]["continuing_subword_prefix"],
    }
    smaller = models.WordPiece(vocabulary, unk_token=unknown, **options)
    lost = [
        word
        for word in counts
        if smaller.tokenize(word)[0].value == unknown and teacher.model.tokenize(word)[0].value != unknown
    ]
    if lost:
        share = 100 * sum(counts[word] for word in lost) / sum(counts.values())
        log.warning("vocabulary: so few pieces do not know %.1f %% of the words, such as %s", share, _named(lost))


def _usable(
    words: Iterable[str], teacher: Tokenizer, taken: set[str], room: int, fault_of: Callable[[str], str] = lambda _: ""
) -> tuple[list[str], dict[str, list[str]]]:
    """The words that can go in, up to `room`, and those that cannot, by reason; `fault_of` may know more of these."""
    usable: list[str] = []
    skipped: dict[str, list[str]] = {}
    for word in words:
        if len(usable) == room:
            break
        if word in taken:
            reason = PIECE
        elif len(word) > LONGEST_WORD:
            reason = "too long"
        elif teacher.normalizer is not None and teacher.normalizer.normalize_str(word) != word:
            reason = "changed by the normalizer"
        elif teacher.pre_tokenizer is not None and len(teacher.pre_tokenizer.pre_tokenize_str(word)) != 1:
            reason = "split by the pre-tokenizer"
        elif fault := fault_of(word):
            reason = fault
        else:
            usable.append(word)
            taken.add(word)
            continue
        skipped.setdefault(reason, []).append(word)
    return usable, skipped


def _tell_words(pieces: int, added: Sequence[str], skipped: Mapping[str, Sequence[str]], level: int) -> None:
    """Say what became of the words; `level` is that of what was left out."""
    if added or skipped:
        known = len(skipped.get(PIECE, ()))
        log.info("vocabulary: %d pieces, %d words added, %d were pieces already", pieces, len(added), known)
    for reason, words in skipped.items():
        if reason != PIECE:
            log.log(level, "vocabulary: %d words left out, %s: %s", len(words), reason, _named(words))


def _named(words: Sequence[str]) -> str:
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return ", ".join(map(terminal, words[:MOST_NAMED])) + more
