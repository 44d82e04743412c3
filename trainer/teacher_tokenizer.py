"""The teacher's tokenizer: transformers' own, and the copy of its inside that we keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from edge_potion.errors import ModelFormatError
from edge_potion.tokens import lowers_case, sound

__all__ = ["own_copy", "prompt_tokens_of", "read_tokenizer"]

VOCABULARIES = ("tokenizer.json", "*vocab*", "*.model", "*.bpe", "*.tiktoken")  # files that words come from


def read_tokenizer(home: Path, options: Mapping[str, Any], trust_remote_code: bool) -> Any:
    """transformers' own tokenizer, with what the folder says of how to load it."""
    from transformers import AutoTokenizer

    known = {key: options[key] for key in ("model_max_length", "truncation_side") if key in options}
    # Without any of these, transformers makes a tokenizer that knows no word.
    if not trust_remote_code and not any(True for ending in VOCABULARIES for _ in home.glob(ending)):
        raise ModelFormatError(f"{home} holds no tokenizer: none of {', '.join(VOCABULARIES)}")
    with sound(f"{home} has no fast tokenizer that transformers loads"):
        return AutoTokenizer.from_pretrained(home, trust_remote_code=trust_remote_code, **known)


def own_copy(fast: Any, lower_case: bool, home: Path) -> Tokenizer:
    """A copy of a fast tokenizer's inside, as transformers keeps changing its own, with padding and truncation off."""
    if not hasattr(fast, "backend_tokenizer"):
        raise ModelFormatError(f"{home} has no fast tokenizer that transformers loads ({type(fast).__name__} is slow)")
    content = json.loads(fast.backend_tokenizer.to_str())
    if lower_case and not lowers_case(content["normalizer"]):
        after = [content["normalizer"]] if content["normalizer"] else []
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *after]}
    with sound(f"{home} has no fast tokenizer that the `tokenizers` library reads"):
        tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.no_padding()  # some tokenizer.json pad every text to a fixed length
    tokenizer.no_truncation()
    return tokenizer


def prompt_tokens_of(tokenizer: Tokenizer, prompt: str, special: Sequence[int]) -> int:
    """As sentence-transformers counts them: all that the prompt alone gives, but for a special one at the end."""
    if not prompt:
        return 0
    with sound("the teacher's tokenizer cannot tokenize its prompt"):
        ids = tokenizer.encode(prompt).ids
    return len(ids) - (ids[-1:] != [] and ids[-1] in special)
