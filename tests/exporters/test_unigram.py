"""The text graph of Unigram: exactly the tokenizer's ids, whatever its settings."""

from __future__ import annotations
