"""The first tokens of a long text, without tokenizing what lies behind them.

A text is cut before it is tokenized, and only where that provably changes none of the tokens that are kept. There are
two ways, and a tokenizer of which neither is known to hold is given the whole text:

* the head of a text, up to a space between two ASCII letters or digits: there every normalizer and pre-tokenizer that
  is listed here splits, whatever stands around it;
* a part at a time, for WordPiece behind a pre-tokenizer that looks at one character at a time, as BERT's: for texts
  without such spaces, or with more characters than tokens. Of a word that is longer than the model takes, no more is
  kept than shows that it is.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["first_tokens", "head", "is_split_at_spaces"]

PART = 2**14  # characters that are normalized at once
# Characters from the first Unicode that every library knows; those that came later may move others, or not.
OLD = unicodedata.ucd_3_2_0

# What changes no character by others than those beside it in one letter with its marks, or than spaces beside it.
LOCAL_NORMALIZERS = {
    *("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Prepend", "Strip"),
    "StripAccents",
}
# What splits at every single space between two letters.
SPACE_SPLITTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
# What changes a character by itself alone, and those that sort the marks of a letter before that.
CHARACTER_NORMALIZERS = {"BertNormalizer", "Lowercase", "StripAccents"}
SORTING_NORMALIZERS = {"BertNormalizer", "NFD"}


def is_split_at_spaces(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of any text begin with those of its `head`."""
    splitter, *_ = [*_steps(tokenizer.pre_tokenizer, "pretokenizers"), {"type": "none"}]
    splits = splitter["type"] in SPACE_SPLITTERS or splitter.get("split") or splitter.get("use_regex")
    if not splits or splitter["type"] not in SPACE_SPLITTERS | {"Metaspace", "ByteLevel"}:
        return False
    if not all(map(_is_local, _steps(tokenizer.normalizer, "normalizers"))):
        return False
    added = [each.content for each in tokenizer.get_added_tokens_decoder().values() if not each.special]
    return not any(character.isspace() or character == "▁" for content in added for character in content)


def head(text: str, size: int) -> str:
    """The longest beginning of at most `size` characters that ends before a space between two ASCII letters; or ""."""
    end = text.rfind(" ", 1, size + 1)
    while end > 0:
        around = text[end - 1] + text[end + 1 : end + 2]
        if len(around) == 2 and around.isascii() and around.isalnum():
            return text[:end]
        end = text.rfind(" ", 1, end)
    return ""


def first_tokens(tokenizer: Tokenizer, text: str, max_tokens: int | None, size: int) -> list[int]:
    """Ids of a text of valid Unicode, cut at `max_tokens`, in memory that is bounded by what is kept where that can be.

    At least `size` characters are looked at. Where it cannot be (a Unigram model, byte-level BPE, over a text
    without spaces), the whole text is tokenized.
    """
    if _is_streamed(tokenizer):
        return _streamed(tokenizer, text, max_tokens)
    if max_tokens is not None and is_split_at_spaces(tokenizer):
        while size < len(text):
            ids = _ids(tokenizer, head(text, size))
            if len(ids) >= max_tokens:
                return ids[:max_tokens]
            size *= 2
    return _ids(tokenizer, text)[:max_tokens]


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    found: list[int] = tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
    return found


def _steps(part: Any, key: str) -> Iterator[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, as tokenizer.json tells them."""
    if part is not None:
        yield from _flat(json.loads(part.__getstate__()), key)


def _flat(step: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    if step["type"] != "Sequence":
        yield step
    for inner in step.get(key, ()):
        yield from _flat(inner, key)


def _is_local(step: dict[str, Any]) -> bool:
    if step["type"] != "Replace":
        return step["type"] in LOCAL_NORMALIZERS
    pattern = step["pattern"]
    replaced = pattern.get("String", " ")
    keeps_both_sides = not any(each == " " or (each.isascii() and each.isalnum()) for each in replaced)
    return pattern.get("Regex") == " {2,}" or keeps_both_sides


def _is_streamed(tokenizer: Tokenizer) -> bool:
    normalizers = {step["type"] for step in _steps(tokenizer.normalizer, "normalizers")}
    splitters = [step["type"] for step in _steps(tokenizer.pre_tokenizer, "pretokenizers")]
    return (
        type(tokenizer.model).__name__ == "WordPiece"
        and len(splitters) == 1
        and splitters[0] in SPACE_SPLITTERS
        and normalizers <= CHARACTER_NORMALIZERS | SORTING_NORMALIZERS
        and all(each.special for each in tokenizer.get_added_tokens_decoder().values())
    )


def _streamed(tokenizer: Tokenizer, text: str, max_tokens: int | None) -> list[int]:
    """A word that goes on in the next part waits for it; of one that is too long, one character more is kept."""
    model, splitter, normalize = tokenizer.model, tokenizer.pre_tokenizer, _normalizing(tokenizer)
    longest = model.max_input_chars_per_word
    ids: list[int] = []
    waiting = ""
    goes_on: dict[str, bool] = {}  # whether a character is one more of a word that is too long
    for part in _parts(tokenizer, text):
        if len(waiting) > longest:
            for new in set(part) - goes_on.keys():
                goes_on[new] = len(splitter.pre_tokenize_str(waiting[-1] + normalize(new) + waiting[-1])) == 1
            if all(map(goes_on.__getitem__, set(part))):
                continue
        joined = waiting + normalize(part)
        words = splitter.pre_tokenize_str(joined)
        waiting = ""
        if words and words[-1][1][1] == len(joined):
            waiting = words.pop()[0][: longest + 1]
            goes_on = {}
        for word, _ in words:
            ids += [token.id for token in model.tokenize(word)]
            if max_tokens is not None and len(ids) >= max_tokens:
                return ids[:max_tokens]
    if waiting:
        ids += [token.id for token in model.tokenize(waiting)]
    return ids[:max_tokens]


def _normalizing(tokenizer: Tokenizer) -> Callable[[str], str]:
    normalizer = tokenizer.normalizer
    return str if normalizer is None else normalizer.normalize_str


def _parts(tokenizer: Tokenizer, text: str) -> Iterator[str]:
    """The text in parts that can be normalized one by one.

    Marks are sorted within their letter, so a part ends before a character that is none. What vanishes among them
    moves nothing when it is left out before: the others stay in their order.
    """
    normalize = _normalizing(tokenizer)
    sorts = any(step["type"] in SORTING_NORMALIZERS for step in _steps(tokenizer.normalizer, "normalizers"))
    begins: dict[str, bool] = {}  # of each character, whether a part may begin with it
    vanishes: dict[str, bool] = {}
    held = ""
    for begin in range(0, len(text), PART):
        part = text[begin : begin + PART]
        found = set(part)
        begins.update((new, not sorts or _begins(new)) for new in found - begins.keys())
        if any(map(begins.__getitem__, found)):
            end = next(place for place in range(len(part) - 1, -1, -1) if begins[part[place]])
            yield held + part[:end]
            held = part[end:]
            continue
        vanishes.update((new, OLD.combining(new) > 0 and not normalize(new)) for new in found - vanishes.keys())
        if not all(map(vanishes.__getitem__, found)):
            held += "".join([each for each in part if not vanishes[each]])
    yield held


def _begins(character: str) -> bool:
    """Whether nothing is ever sorted across the place before it, whatever the version of Unicode."""
    if character.isascii():
        return True
    is_known = unicodedata.category(character)[0] in "LNPSZ" or OLD.category(character) != "Cn"
    return is_known and not unicodedata.combining(unicodedata.normalize("NFD", character)[0])
