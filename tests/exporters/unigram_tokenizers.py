"""Unigram tokenizers of the tests: trained in a second on real sentences, or of pieces and scores given by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from edge_potion.exporters.precompiled import charsmap_of
from edge_potion.exporters.unicode_tables import normalizer_of
from edge_potion.tokens import plain

__all__ = ["SETTINGS", "by_hand", "split_by", "trained"]

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# Prepended ▁, whether words begin at each ▁, whether white space splits first, whether bytes fall back.
SETTINGS: Mapping[str, tuple[str, bool, bool, bool]] = {
    "always": ("always", True, False, False),
    "always, in bytes": ("always", True, False, True),
    "always, whole texts": ("always", False, False, False),
    "first": ("first", True, False, False),
    "first, whole texts in bytes": ("first", False, False, True),
    "never": ("never", True, False, False),
    "never, whole texts": ("never", False, False, False),
    "white space": ("always", True, True, False),
    "white space in bytes": ("always", True, True, True),
    "white space, never": ("never", True, True, False),
    "white space, whole parts": ("always", False, True, False),
    "NFKC": ("first", True, False, False),
    "Nmt, NFKC and Lowercase, in bytes": ("always", True, True, True),
    "Precompiled, blanks once": ("always", True, False, False),
}
# As SentencePiece's nmt_nfkc has them: one character to another, to several, to none, two to one; one to itself, which
# swallows what follows.
CHARSMAP = {
    "\ufb01": "fi",
    "\u2122": "TM",
    "\ufdfa": "\u0635\u0644\u0649 \u0627",
    "\u00ad": "",
    "\u3000": " ",
    "\r": " ",
    "\n": " ",
    "\t": " ",
    "A\u0301": "\u00c1",
    "e\u0301": "\u00e9",
    "e\u0302\u0301": "\u1ebf",
    "\u0627\u0653": "\u0622",
    "\uff9e": "\u3099",
    "\u00e9": "\u00e9",
    "\u200b": " ",
    "\u0e33": "\u0e4d\u0e32",
    "\u0915\u093c": "\u0958",
    "\u0958": "\u0915\u093c",
}
NORMALIZERS: Mapping[str, Mapping[str, Any]] = {
    "NFKC": {"type": "NFKC"},
    "Nmt, NFKC and Lowercase, in bytes": {
        "type": "Sequence",
        "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}, {"type": "Lowercase"}],
    },
    "Precompiled, blanks once": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap_of(CHARSMAP)},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ],
    },
}


def split_by(prepend: str, at_blanks: bool, at_whitespace: bool) -> Any:
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=at_blanks)
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace]) if at_whitespace else metaspace


def trained(
    texts: Sequence[str], setting: str, size: int = 2000, normalizer: normalizers.Normalizer | None = None
) -> Tokenizer:
    """A tokenizer of one of the settings, trained on texts."""
    prepend, at_blanks, at_whitespace, has_bytes = SETTINGS[setting]
    tokenizer = Tokenizer(models.Unigram())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split_by(prepend, at_blanks, at_whitespace)
    specials = [*SPECIALS, *(BYTES if has_bytes else [])]
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False, n_sub_iterations=1
    )
    tokenizer.train_from_iterator(texts, trainer)
    content = json.loads(tokenizer.to_str())
    content["model"]["byte_fallback"] = has_bytes
    content["added_tokens"] = []
    content["normalizer"] = content["normalizer"] or NORMALIZERS.get(setting)
    made = Tokenizer.from_str(json.dumps(content))
    made.add_special_tokens(SPECIALS)
    return plain(made)


def by_hand(
    pieces: Mapping[str, float] | Sequence[tuple[str, float]],
    *,
    unknown: int = 0,
    has_bytes: bool = False,
    splitter: Any = None,
    normalizer: Mapping[str, Any] | None = None,
) -> Tokenizer:
    """A tokenizer of these pieces; <unk> is put before them. A normalizer is as tokenizer.json has it."""
    vocabulary = [("<unk>", 0.0), *(pieces.items() if isinstance(pieces, Mapping) else pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unknown, has_bytes))
    tokenizer.pre_tokenizer = splitter or split_by("always", True, False)
    if normalizer is not None:
        tokenizer.normalizer = normalizer_of(normalizer)
    return plain(tokenizer)
