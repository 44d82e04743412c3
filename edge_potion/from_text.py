"""Texts -> vectors by way of the text graph, which takes their bytes and cuts them at the model's own limit.

What it does not take goes through token ids: another limit, and texts too long for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from edge_potion.calls import beginning, calls_of, cores, joined, side_by_side, tokens_per_call
from edge_potion.checked_texts import refuse_surrogates
from edge_potion.from_ids import longest_in_graph
from edge_potion.open_graph import OpenGraph
from edge_potion.open_on_provider import OnProvider
from edge_potion.text_facts import TextFacts
from edge_potion.tokens import room

__all__ = ["FromText"]

CHARACTERS_A_TOKEN = 4  # about, in English; for the size of a call alone


class Way(Protocol):
    """Another way from texts to what is asked."""

    def encode(self, texts: Sequence[str], batch_size: int, max_tokens: int | None) -> np.ndarray: ...


class FromText:
    """The way through the text graph of an open model; `other` is taken for what that graph does not take.

    `gives` is the graph with what is asked of it, where that is not the vectors.
    """

    def __init__(self, opened: OnProvider, other: Way, gives: OpenGraph | None = None) -> None:
        self._other = other
        self._graph = gives or opened.open_graph
        self._max_tokens = opened.bundle.max_tokens
        # Much of the text graph runs on one thread whatever it is given, so calls run side by side instead.
        self._workers = opened.asked.threads or cores()
        self._tokens_per_call = tokens_per_call(max(opened.bundle.dim, 2 * self._graph.dim), opened.precision)
        # Junk takes the text graph a kilobyte of memory a letter, too.
        self._facts = TextFacts.of(opened.stated, self._graph.name)
        # And a ▁ before it.
        self._longest = (longest_in_graph(opened) - 1) // self._facts.tokens_a_character
        self._whole = min(room(self._max_tokens), self._longest)  # characters of a text that is never cut here

    def encode(self, texts: Sequence[str], batch_size: int, max_tokens: int | None) -> np.ndarray:
        """(b, D) float32 of texts that were checked, each cut at `max_tokens` (None: never)."""
        if max_tokens != self._max_tokens:
            return self._other.encode(texts, batch_size, max_tokens)
        if self._facts.nul is None and any("\0" in text for text in texts):
            return self._other.encode(texts, batch_size, max_tokens)
        try:
            if len(texts) == 1 and len(texts[0]) <= self._whole:  # what a search box asks: no time for the rest
                return self._run(texts)
            return self._encode_many(texts, batch_size)
        except UnicodeEncodeError:
            refuse_surrogates(texts)
            raise

    def _encode_many(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        characters = np.fromiter(map(len, texts), np.int64, len(texts))
        if characters.max() > self._whole:
            texts = self._beginnings(texts)
            characters = np.fromiter(map(len, texts), np.int64, len(texts))
        order = np.argsort(characters, kind="stable")
        order, too_long = np.split(order, [int((characters <= self._longest).sum())])
        tokens = characters[order] // CHARACTERS_A_TOKEN + 1
        vectors = np.empty((len(texts), self._graph.dim), np.float32)  # (b, D)

        def run(places: np.ndarray) -> None:
            vectors[places] = self._run(list(map(texts.__getitem__, places.tolist())))

        calls = [order[begin:end] for begin, end in calls_of(tokens, batch_size, self._tokens_per_call)]
        side_by_side(run, calls, self._workers)
        if len(too_long):
            nul = self._facts.nul or ""
            long_texts = [texts[place].replace("\0", nul) for place in too_long]
            vectors[too_long] = self._other.encode(long_texts, batch_size, self._max_tokens)
        return vectors

    def _beginnings(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts; of long ones no more than is kept, where that shows without a tokenizer."""
        refuse_surrogates(texts)  # in what is cut off too
        limit = self._max_tokens
        if limit is None or not self._facts.has_sure_words:
            return texts
        return [text if len(text) <= self._whole else beginning(text, limit, self._longest) for text in texts]

    def _run(self, texts: Sequence[str]) -> np.ndarray:
        """(b, D) float32 by one call."""
        return self._graph.run({"text": joined(texts, self._facts.nul or "")}, len(texts))
