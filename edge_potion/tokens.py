"""Texts -> token ids: the only tokenization written in Python.

Reference semantics: no special tokens are added, strings such as "[PAD]" inside a text are plain text, and a text
is cut at `max_tokens` tokens. [UNK] stays in the ids: dropping it is the table's business (its row is zero).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion import cpp_locale
from edge_potion.checked_texts import check_texts, refuse_surrogates
from edge_potion.errors import EdgePotionError, InputError, ModelFormatError
from edge_potion.find import json_object, read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "UNSET",
    "TokenIds",
    "Unset",
    "check_count",
    "checked_ids",
    "file_text",
    "is_plain",
    "lowers_case",
    "open_tokenizer",
    "pad_id",
    "plain",
    "room",
    "sound",
    "tokenize",
    "tokenize_checked",
    "unk_id",
]

cpp_locale.settle()  # before tokenizers, torch and what the program imports next can make it too late


CHARACTERS_A_TOKEN = 8  # English has 5 or 6, spaces and [UNK] included; for how much is looked at first, alone
LONGEST_UNCUT = 2**20  # characters that are tokenized at once where no limit is set: about 130 MB
PAD_NAMES = ("[PAD]", "<pad>", "<|pad|>")
# The fields of each model in a tokenizer.json, and of an added token, that `tokenizers` 0.23 reads; it passes over
# others without a word. A model of an old file has no type.
MODEL_FIELDS = {
    "WordPiece": {"unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"},
    "WordLevel": {"unk_token", "vocab"},
    "Unigram": {"unk_id", "vocab", "byte_fallback", "alpha", "nbest_size"},
    "BPE": {
        *("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"),
        *("ignore_merges", "vocab", "merges"),
    },
}
ADDED_FIELDS = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}
BY_CHANCE = ("dropout", "alpha", "nbest_size")  # of a model: what makes it tokenize otherwise at each call
# Those of old versions, which it reads and writes otherwise.
OLD_FIELDS = {"str_rep", "add_prefix_space"}


class Unset:
    """Type of UNSET: "the model decides", where None already means "no limit"."""

    def __repr__(self) -> str:
        return "<the model's own>"


UNSET = Unset()


@dataclass(frozen=True)
class TokenIds:
    """Ids of B texts in one flat array.

    Attributes:
        flat: (T,) int64, the ids of all texts, one text after another.
        lengths: (B,) int64, tokens of each text; they add up to T.
    """

    flat: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> TokenIds:
        """Of one sequence of ids a text."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum())), lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        """(B,) int64: where each text begins in `flat`."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, places: np.ndarray) -> TokenIds:
        """The texts at `places` (b,) int, in that order."""
        lengths = self.lengths[places]
        new_starts = np.cumsum(lengths) - lengths
        source = np.repeat(self.starts[places] - new_starts, lengths)
        source += np.arange(len(source))
        return TokenIds(self.flat[source], lengths)

    def split(self) -> list[np.ndarray]:
        """One (tokens,) int64 array a text."""
        return np.split(self.flat, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int | None) -> TokenIds:
    """Ids of `texts` by a tokenizer that went through `plain`, each cut at `max_tokens` (None: never).

    Raises:
        InputError: an item is not a str, or holds a lone surrogate; or max_tokens is below 1.
        ModelFormatError: the tokenizer cannot tokenize a text (its unknown token is missing, say).
    """
    check_count("max_tokens", max_tokens)
    check_texts(texts)
    return tokenize_checked(tokenizer, texts, max_tokens)


def tokenize_checked(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int | None) -> TokenIds:
    """`tokenize`, of what went through `check_texts` and `check_count`."""
    with sound("the model's tokenizer.json cannot tokenize"):
        try:
            ids = _ids(tokenizer, texts, max_tokens)
        except TypeError:  # what `tokenizers` raises for a str that is not valid Unicode
            refuse_surrogates(texts)
            raise
    return TokenIds.of(
        ids if max_tokens is None else [row if len(row) <= max_tokens else row[:max_tokens] for row in ids]
    )


def _ids(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int | None) -> list[list[int]]:
    """Ids of each text, at least the first `max_tokens`. Of a long text no more is tokenized than that takes."""
    size = room(max_tokens)
    long = {place: text for place, text in enumerate(texts) if len(text) > size}
    if not long:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    from edge_potion.first_tokens import first_tokens, head, is_split_at_spaces  # who has short texts need not wait

    refuse_surrogates(texts)  # in what is cut off too
    heads = list(texts)
    splits = max_tokens is not None and is_split_at_spaces(tokenizer)
    for place, text in long.items():
        heads[place] = head(text, size) if splits else ""
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(heads, add_special_tokens=False)]
    for place, text in long.items():
        if max_tokens is None or len(ids[place]) < max_tokens:
            ids[place] = first_tokens(tokenizer, text, max_tokens, size)
    return ids


def room(max_tokens: int | None) -> int:
    """Characters of a text that is tokenized whole, whatever is kept of it; of a longer one the beginning is."""
    return LONGEST_UNCUT if max_tokens is None else max_tokens * CHARACTERS_A_TOKEN


@contextmanager
def sound(what: str) -> Iterator[None]:
    """A block that runs `tokenizers` on what a stranger wrote: whatever it raises becomes a ModelFormatError.

    It raises bare Exception, and where its native code panics a PanicException, which is no Exception and would pass
    every handler of a server. The same goes for other libraries that have no errors of their own for it.
    """
    try:
        yield
    except (EdgePotionError, MemoryError):
        raise
    except BaseException as failure:
        if not isinstance(failure, Exception) and type(failure).__name__ != "PanicException":
            raise  # Ctrl-C, the end of the process
        reason = (str(failure).strip().splitlines() or [type(failure).__name__])[0]
        raise ModelFormatError(f"{what} ({reason})") from failure


def check_count(name: str, value: int | None, top: int | None = None) -> None:
    """Raise InputError unless an argument is a whole number from 1 (to `top`), or None."""
    if value is None:
        return
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < 1 or (top is not None and value > top):
        raise InputError(
            f"{name} is {value!r}; a whole number {f'from 1 to {top}' if top else 'of at least 1'} expected"
        )


def checked_ids(ids: TokenIds | Sequence[Sequence[int]], tokens: int) -> TokenIds:
    """Ids of texts, once each is sure to be one of so many `tokens`; InputError where one is not."""
    try:
        known = ids if isinstance(ids, TokenIds) else TokenIds.of(list(map(_whole_numbers, ids)))
    except (TypeError, ValueError, OverflowError) as failure:  # no sequences, or not of whole numbers
        raise InputError(f"ids are {type(ids).__name__}; a sequence of whole numbers a text was expected") from failure
    if known.flat.dtype.kind not in "iu" or known.flat.min(initial=0) < 0 or known.flat.max(initial=0) >= tokens:
        raise InputError(
            f"ids hold what is no whole number from 0 to {tokens - 1}, as this model's own tokenizer gives"
        )
    if known.lengths.min(initial=0) < 0 or known.lengths.sum() != len(known.flat):
        raise InputError(f"ids are {len(known.flat)}, and their lengths add up to {known.lengths.sum()}")
    return known


def _whole_numbers(row: Sequence[int]) -> Sequence[int]:
    if len(row) and np.asarray(row).dtype.kind not in "iu":
        raise TypeError(f"{row!r:.100}")
    return row


def open_tokenizer(file: Path, read: bytes | None = None) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, made `plain`; ModelFormatError when it cannot be read.

    Fields that `tokenizers` would pass over in silence are told by name. `read` is what was read of the file, where it
    was.
    """
    from tokenizers import Tokenizer

    content = read_json(file) if read is None else json_object(read, file)
    with sound(f"{file} is no tokenizer that the `tokenizers` library reads"):
        tokenizer = plain(Tokenizer.from_str(json.dumps(content)))
        for unknown in _unknown_fields(content):
            import logging  # some milliseconds of a start

            words = "%s: %s means nothing to the `tokenizers` library, and is left out"
            logging.getLogger("edge_potion").warning(words, file, unknown)
    return tokenizer


def _unknown_fields(content: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the fields of a tokenizer.json that `tokenizers` does not read, but for what `plain` switches off."""
    from tokenizers import Tokenizer

    model = content["model"]
    known = MODEL_FIELDS.get(model.get("type"), set().union(*MODEL_FIELDS.values()))
    yield from (f"model.{name}" for name in sorted(set(model) - known - {"type"}))
    for added in content.get("added_tokens", ()):
        yield from (f"added_tokens.{name}" for name in sorted(set(added) - ADDED_FIELDS))
    parts = {name: content.get(name) for name in ("normalizer", "pre_tokenizer")}
    small = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}
    read = json.loads(Tokenizer.from_str(json.dumps({**small, **parts})).to_str())
    for name, part in parts.items():
        yield from _not_in(read[name], part, name)


def _not_in(read: Any, told: Any, path: str) -> Iterator[str]:
    if isinstance(told, list) and isinstance(read, list):
        for place, (ours, theirs) in enumerate(zip(read, told, strict=False)):
            yield from _not_in(ours, theirs, f"{path}.{place}")
    elif isinstance(told, dict) and isinstance(read, dict):
        for name, value in told.items():
            if name not in read and name not in OLD_FIELDS:
                yield f"{path}.{name}"
            yield from _not_in(read.get(name), value, f"{path}.{name}")


def is_plain(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer went through `plain`; `encode_special_tokens` is lost when one is copied."""
    switched_off = [tokenizer.padding, tokenizer.truncation, tokenizer.post_processor]
    switched_off += [getattr(tokenizer.model, name, None) for name in BY_CHANCE]
    return all(each is None for each in switched_off) and bool(tokenizer.encode_special_tokens)


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer with padding, truncation and special tokens switched off, as the reference semantics want.

    So is what cuts texts by chance while a teacher is trained: a BPE's dropout, a Unigram's sampling.
    A Unigram model still takes its special pieces for tokens inside a text: they are in its lattice.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.post_processor = None
    tokenizer.encode_special_tokens = True
    for name in BY_CHANCE:
        if getattr(tokenizer.model, name, None) is not None:
            setattr(tokenizer.model, name, None)
    return tokenizer


def lowers_case(normalizer: Any) -> bool:
    """Whether a normalizer of a tokenizer.json lower-cases already."""
    if not isinstance(normalizer, dict):
        return False
    inner = any(map(lowers_case, normalizer.get("normalizers", ())))
    return normalizer.get("type") == "Lowercase" or normalizer.get("lowercase") is True or inner


def unk_id(tokenizer: Tokenizer) -> int | None:
    """Id of the unknown token, or None where the tokenizer has none (byte-level BPE)."""
    model = tokenizer.model
    if hasattr(model, "unk_token"):  # WordPiece, BPE, WordLevel
        return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)
    found = json.loads(tokenizer.to_str())["model"].get("unk_id")  # Unigram tells it in its JSON only
    return None if found is None else int(found)


def pad_id(tokenizer: Tokenizer) -> int | None:
    """Id of the padding token, found by its name: the `padding` section of a tokenizer.json defaults to id 0."""
    return next((found for name in PAD_NAMES if (found := tokenizer.token_to_id(name)) is not None), None)


def file_text(tokenizer: Tokenizer, max_tokens: int | None) -> str:
    """tokenizer.json as we write it: no post-processor, no padding, truncation at `max_tokens`.

    Loaders that know nothing of config.json (sentence-transformers) then cut where we cut.
    """
    content = json.loads(tokenizer.to_str())
    content["truncation"] = (
        None
        if max_tokens is None
        else {"direction": "Right", "max_length": max_tokens, "strategy": "LongestFirst", "stride": 0}
    )
    return json.dumps(content, ensure_ascii=False)
