"""Attributes and methods that other libraries look for on an embedding model, as sentence-transformers names them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from edge_potion.errors import InputError
from edge_potion.tokens import UNSET, Unset

if TYPE_CHECKING:
    from edge_potion.directions import Comparable
    from edge_potion.peer_words import Embedder

__all__ = ["PeerNames"]

# What people ask models for, and what there is instead.
ELSEWHERE = {
    "save": "StaticModel.save_pretrained",
    "distil": "edge_potion.distill",
    "embedding": "StaticModel.table",
    "tokenize": "the attribute tokenizer",
    "tokens": "tokenizer.get_vocab()",
    "encode_as_sequence": "rows of StaticModel.table",
    "encode_multi_process": "encode, whose threads work side by side",
    "start_multi_process_pool": "encode, whose threads work side by side",
    "push_to_hub": "`edge-potion push`",
}


# What people set on such models, and how it is said here.
SETTINGS = {
    "truncate_dim": "an argument of encode, truncate_dim",
    "prompts": "what the model itself says; encode takes a prompt",
    "default_prompt_name": "what the model itself says; encode takes a prompt_name",
    "max_seq_length": "an argument of encode, max_tokens",
    "max_length": "an argument of encode, max_tokens",
}


class PeerNames:
    """Mixed into both kinds of model, which have `dim`, `says`, `device` and `encode`."""

    if not TYPE_CHECKING:  # or every name would be an attribute

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property that failed: with its own words
                return object.__getattribute__(self, name)
            instead = f"; use {ELSEWHERE[name]}" if name in ELSEWHERE else ""
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}{instead}", name=name, obj=self)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in SETTINGS:
                raise AttributeError(f"{name} cannot be set: it is {SETTINGS[name]}", name=name, obj=self)
            super().__setattr__(name, value)

    def get_sentence_embedding_dimension(self: Embedder) -> int:
        """D, as `dim`."""
        return self.dim

    def get_embedding_dimension(self: Embedder) -> int:
        """D, as `dim`."""
        return self.dim

    def get_max_seq_length(self: Embedder) -> int | None:
        """Where a text is cut; None means never."""
        return self.says.max_tokens

    @property
    def max_seq_length(self: Embedder) -> int | None:
        """Where a text is cut; None means never. Another limit is an argument of `encode`, max_tokens."""
        return self.says.max_tokens

    @property
    def max_length(self: Embedder) -> int | None:
        """The same, as model2vec names it."""
        return self.says.max_tokens

    def to(self, device: object = None) -> Any:
        """The model itself, where it is on that device; None asks for none.

        Raises:
            InputError: it is on another.
        """
        here: str = self.device  # type: ignore[attr-defined]
        if device is not None and str(device).partition(":")[0] != here:
            raise InputError(
                f"a model stays on {here!r}, where it was opened; for {str(device)!r} open it with "
                "EdgeModel.from_pretrained(provider=...)"
            )
        return self

    def encode_query(
        self: Embedder, texts: str | Iterable[str] | Unset = UNSET, *misplaced: Never, **options: Any
    ) -> np.ndarray:
        """`encode`, with the model's prompt "query" before each text where it has one and none is named."""
        return self.encode(texts, *misplaced, **_with_prompt(options, "query"))

    def encode_document(
        self: Embedder, texts: str | Iterable[str] | Unset = UNSET, *misplaced: Never, **options: Any
    ) -> np.ndarray:
        """`encode`, with the model's prompt "document" before each text where it has one and none is named."""
        return self.encode(texts, *misplaced, **_with_prompt(options, "document"))

    def similarity_pairwise(self, a: Comparable, b: Comparable) -> np.ndarray:
        """Cosine similarity of each item of `a` with the item of `b` at its place: (N,) float32; see `similarity`.

        Raises:
            InputError: as `similarity`; or there are not as many of one as of the other.
        """
        from edge_potion.directions import directions_of

        left, right = (directions_of(items, self.encode) for items in (a, b))  # type: ignore[attr-defined]
        if left.shape != right.shape:
            raise InputError(
                f"vectors of shapes {left.shape} and {right.shape} make no pairs; equal ones were expected"
            )
        return np.clip((left * right).sum(axis=-1), -1, 1)


def _with_prompt(options: dict[str, Any], name: str) -> dict[str, Any]:
    if options.get("prompt") is not None or options.get("prompt_name") is not None:
        return options
    return {**options, "prompt_name": name}
