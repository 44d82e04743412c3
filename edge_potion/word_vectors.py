"""Word vectors by others (GloVe, fastText, word2vec) -> StaticModel: which words count, and how texts are split.

The corpora of all three were split at white space, GloVe's and those of fastText's published vectors after a tokenizer
had set signs apart. No such tokenizer looks at each character for itself, as our graphs do, so there are two that come
near:

* "words" splits at white space and sets every sign of punctuation apart, as BERT's does: "end." is "end" and "."; and
  "well-known" is three words.
* "whitespace" splits at white space alone: for texts that are tokenized before, and files whose words hold signs.

Both drop control characters, and lower-case where the words are lower-case. Accents stay, and Chinese stays as it is
segmented, because words have them. A word that the tokenizer never gives is of no use, and is left out; so is one whose
vector is zeros, which says nothing: a text of such words alone has no word that the model knows.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import edge_potion
from edge_potion.errors import InputError
from edge_potion.escaping import terminal
from edge_potion.model_folder import DEFAULT_MAX_TOKENS, Card
from edge_potion.progress import counted
from edge_potion.static_model import StaticModel
from edge_potion.tokens import check_count, plain
from edge_potion.word_file import name_and_kind, read_word_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["TOKENIZERS", "from_word_vectors"]

TOKENIZERS = {  # what becomes of a text: the name of the pre-tokenizer, and words for people
    "words": ("BertPreTokenizer", "split at white space, with every sign of punctuation set apart"),
    "whitespace": ("WhitespaceSplit", "split at white space"),
}
SPECIAL = ("[PAD]", "[UNK]")  # ids 0 and 1: their rows are zero, and count for nothing
NO_NAME = re.compile(
    r"(?:[^\w.-]|_)+"
)  # what a model's name does not hold: it stands in Markdown, and in names of folders
SHOWN = 3  # words that are named of those left out
# Which words are left out, and what is to be known of them.
ZEROS = "words whose vectors are zeros", "they say nothing, and a text of them alone would have no vector"
BLANK = "words that are empty or no UTF-8", "no text has such"
SPACED = "words with white space", "no text has such; a line with a number too many looks so, too"
UNHEARD = "words that no text has once it is split by {kind!r}", "where they hold signs, the other tokenizer takes them"

PAGE = """\
---
library_name: model2vec
model_name: {quoted}
tags: [embeddings, sentence-transformers, static-embeddings, word-vectors]
{licence}---

# {name}

A static embedding model of {dim} dimensions and {tokens:,} words: the word vectors of `{file}`, as they are.
A text is {case}{cut}.
Its vector is the {mean} of the vectors of its words; a word that is not in the table counts for nothing.

It is a Model2Vec folder. These load it as it is:

```python
from edge_potion import EdgeModel        # exported to ONNX on first use
model = EdgeModel.from_pretrained("path/of/this/folder")

from model2vec import StaticModel
model = StaticModel.from_pretrained("path/of/this/folder")

from sentence_transformers import SentenceTransformer
model = SentenceTransformer("path/of/this/folder")
```

Made by `edge-potion import`, version {version}.
"""

log = logging.getLogger("edge_potion")


class Found(NamedTuple):
    """What a file holds: its words in order, and their vectors in blocks, (some, D) float32 each."""

    words: list[str]
    blocks: list[np.ndarray]


class Kept(NamedTuple):
    """Words that a text can have, as the tokenizer gives them, and the row of the file (K,) int64 of each."""

    words: list[str]
    places: np.ndarray


def from_word_vectors(
    file: str | Path,
    *,
    words: str | Path | None = None,
    text_column: str = "text",
    tokenizer: str = "words",
    lower_case: bool | None = None,
    limit: int | None = None,
    normalize: bool = True,
    licence: str = "",
    show_progress: bool = False,
) -> StaticModel:
    """The model of `StaticModel.from_word_vectors`."""
    if tokenizer not in TOKENIZERS:
        raise InputError(f"there is no tokenizer {tokenizer!r} for words; choose from {', '.join(TOKENIZERS)}")
    check_count("limit", limit)
    name = NO_NAME.sub("-", name_and_kind(file)[0]).strip("-.") or "word-vectors"
    found = _found(file, words, text_column, limit, show_progress)
    if lower_case is None:
        lower_case = all(map(_is_lower, found.words))
    empty = _tokenizer((), tokenizer, lower_case)
    kept = _kept(found, empty, tokenizer, str(file), show_progress)
    table = _table(found, kept)
    made = _tokenizer(kept.words, tokenizer, lower_case)
    card = _card(name, Path(file).name, table.shape, tokenizer, lower_case, normalize, licence)
    return StaticModel(table, made, card)


def _found(
    file: str | Path, words: str | Path | None, text_column: str, limit: int | None, show_progress: bool
) -> Found:
    found = Found([], [])
    for some in read_word_rows(file, words, text_column, limit, show_progress):
        found.words.extend(some.words)
        found.blocks.append(some.rows)
    if not found.words:
        raise InputError(f"{file} holds no words")
    return found


def _is_lower(word: str) -> bool:
    return word == word.lower()


def _tokenizer(words: Sequence[str], kind: str, lower_case: bool) -> Tokenizer:
    """WordLevel over `words`, whose ids begin behind those of SPECIAL."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=lower_case
    )
    tokenizer.pre_tokenizer = getattr(pre_tokenizers, TOKENIZERS[kind][0])()
    tokenizer.add_special_tokens(list(SPECIAL))
    return plain(tokenizer)


def _kept(found: Found, tokenizer: Tokenizer, kind: str, file: str, show_progress: bool) -> Kept:
    """The words that a text can have, each once, by its first row; what is left out is told."""
    normalize, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    is_zero = np.concatenate([~block.any(axis=1) for block in found.blocks])  # (words,)
    place_of: dict[str, int] = {}
    left_out: dict[tuple[str, str], list[str]] = {why: [] for why in (ZEROS, BLANK, SPACED, UNHEARD)}
    again: list[str] = []
    words = found.words
    for place, word in enumerate(counted(words, show_progress, desc="import", unit="words", total=len(words))):
        text = normalize(word)
        if not text.strip():
            left_out[BLANK].append(word)
        elif len(text.split()) > 1:
            left_out[SPACED].append(word)
        elif text in SPECIAL or [part for part, _ in split(text)] != [text]:
            left_out[UNHEARD].append(word)
        elif is_zero[place]:
            left_out[ZEROS].append(word)
        elif place_of.setdefault(text, place) != place:
            again.append(word)
    if again:
        log.warning("%s: of words that stand there more than once (%s), the first counts", file, _some(again))
    told = [
        f"{which.format(kind=kind)} are left out ({_some(some)}); {advice}"
        for (which, advice), some in left_out.items()
        if some
    ]
    if not place_of:
        raise InputError(f"{file}: none of its {len(words):,} words can be taken: {'; '.join(told)}")
    for line in told:
        log.warning("%s: %s", file, line)
    return Kept(list(place_of), np.fromiter(place_of.values(), np.int64, len(place_of)))


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(repr(word[:40]) for word in words[:SHOWN])
    return f"{len(words):,}: {shown}{', ...' * (len(words) > SHOWN)}"


def _table(found: Found, kept: Kept) -> np.ndarray:
    """(2 + K, D) float32, the first two rows zero; takes the blocks away one by one, so as not to hold all twice."""
    table = np.zeros((len(SPECIAL) + len(kept.words), found.blocks[0].shape[1]), np.float32)
    ends = np.searchsorted(kept.places, np.cumsum([len(block) for block in found.blocks]))
    first, begin = 0, 0  # of the block, in the file; of its kept words
    found.blocks.reverse()
    for end in ends:
        block = found.blocks.pop()
        table[len(SPECIAL) + begin : len(SPECIAL) + end] = block[kept.places[begin:end] - first]
        first, begin = first + len(block), end
    return table


def _card(
    name: str, file: str, shape: tuple[int, ...], kind: str, lower_case: bool, normalize: bool, licence: str
) -> Card:
    readme = PAGE.format(
        quoted=json.dumps(name, ensure_ascii=False),  # JSON's strings are YAML's too
        licence=f"license: {json.dumps(licence, ensure_ascii=False)}\n" if licence else "",
        name=name,
        dim=shape[1],
        tokens=shape[0] - len(SPECIAL),
        file=terminal(file).replace("`", ""),
        case="lower-cased and " if lower_case else "",
        cut=TOKENIZERS[kind][1],
        mean="normalized mean" if normalize else "mean",
        version=edge_potion.__version__,
    )
    origin = {"word_vectors": file, "version": edge_potion.__version__}
    return Card(name, normalize, DEFAULT_MAX_TOKENS, {"tokenizer_name": name, "edge_potion": origin}, readme)
