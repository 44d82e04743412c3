"""Texts -> vectors by way of token ids: a tokenizer, then a graph that starts from ids.

That graph is "bag" or "tokens" where the model runs one of them, and else the half of the text graph that starts from
ids. What a graph cannot sum exactly is summed here, of parts.

"bag" and "tokens" find a text's phrases themselves. A half knows nothing of them, and is given their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from edge_potion import providers
from edge_potion.calls import FEEDS, calls_of, grid_feed, tokens_per_call
from edge_potion.open_graph import OpenGraph
from edge_potion.open_on_provider import OnProvider
from edge_potion.tokens import TokenIds, pad_id, tokenize_checked, unk_id
from edge_potion.unit_length import NORM_EPS

__all__ = ["FromIds", "longest_in_graph"]

# Rows: int32 holds 133,152 products of 127 x 127; what has more is summed in numpy.
MOST_ROWS = 131_072


def longest_in_graph(opened: OnProvider) -> int:
    """Tokens of a text that a graph sums exactly, whatever it says: each may begin a phrase, which is a row more."""
    return MOST_ROWS // 2 if opened.bundle.phrases else MOST_ROWS


class FromIds:
    """The way through token ids of an open model."""

    def __init__(self, opened: OnProvider) -> None:
        self._opened = opened
        self._tokens_per_call = tokens_per_call(opened.bundle.dim, opened.precision)
        self._longest = longest_in_graph(opened)

    def encode(self, texts: Sequence[str], batch_size: int, max_tokens: int | None) -> np.ndarray:
        """(b, D) float32 of texts that were checked, each cut at `max_tokens` (None: never)."""
        return self.encode_ids(tokenize_checked(self._opened.tokenizer, texts, max_tokens), batch_size)

    def encode_ids(self, ids: TokenIds, batch_size: int) -> np.ndarray:
        """(b, D) float32 of ids in 0..V-1."""
        if len(ids.lengths) == 1 and ids.lengths[0] <= self._longest:  # what a search box asks
            return self._run(ids, np.zeros(1, np.int64))
        vectors = np.empty((len(ids.lengths), self._opened.bundle.dim), np.float32)  # (b, D)
        order = np.argsort(ids.lengths, kind="stable")
        for begin, end in calls_of(ids.lengths[order], batch_size, self._tokens_per_call):
            places = order[begin:end]
            if ids.lengths[places[-1]] > self._longest:  # such a text is alone in its call
                vectors[places] = self._sum_of_parts(ids.take(places))
            else:
                vectors[places] = self._run(ids, places)
        return vectors

    def _run(self, ids: TokenIds, places: np.ndarray) -> np.ndarray:
        """(b, D) float32 of the texts at `places`, by one call."""
        opened = self._opened
        if opened.graph == "text":
            rows = self._rows_of(ids.take(places))
            return opened.open_graph.checked(self._run_half(self._half, rows), len(places))
        return opened.open_graph.run(FEEDS[opened.graph](ids, places), len(places))

    def _sum_of_parts(self, ids: TokenIds) -> np.ndarray:
        """(1, D) float32 of a text of more tokens than a graph sums exactly."""
        normalize = self._opened.bundle.normalize
        dropped = [
            special
            for special in (pad_id(self._opened.tokenizer), unk_id(self._opened.tokenizer))
            if special is not None
        ]
        total, known = np.zeros((1, self._opened.bundle.dim)), 0  # float64
        rows = self._rows_of(ids).flat  # of the whole text: no phrase is lost where it is parted
        for begin in range(0, len(rows), MOST_ROWS):
            flat = rows[begin : begin + MOST_ROWS]
            part = TokenIds(flat, np.array([len(flat)]))
            count = int((~np.isin(flat, dropped)).sum())
            # A sum, or else a mean over the tokens that are known.
            total += self._run_half(self._half_to_sums, part) * (1.0 if normalize else count)
            known += count
        total /= max(float(np.linalg.norm(total)), NORM_EPS) if normalize else max(known, 1)
        return self._opened.open_graph.checked(total.astype(np.float32), 1)

    def _rows_of(self, ids: TokenIds) -> TokenIds:
        """The rows of the table that each text has: its tokens', and its phrases'."""
        phrases = self._opened.phrases
        return ids if phrases is None else phrases.joined(ids)

    def _run_half(self, half: OpenGraph, rows: TokenIds) -> np.ndarray:
        table = self._opened.parts.table
        assert table is not None  # a graph without one has no half
        dtype = np.int32 if self._opened.graph == "text" else np.int64
        grid = grid_feed(rows, len(table) - 1, dtype)
        (taken,) = half.session.session.get_inputs()
        return half.called(None, {taken.name: grid})

    @cached_property
    def _half(self) -> OpenGraph:
        """The half of the graph that starts from ids."""
        return self._open_half(as_sums=False)

    @cached_property
    def _half_to_sums(self) -> OpenGraph:
        """The same up to sums that add up, for texts of very many tokens."""
        return self._open_half(as_sums=self._opened.bundle.normalize)

    def _open_half(self, *, as_sums: bool) -> OpenGraph:
        from edge_potion.second_half import second_half

        opened, cpu = self._opened, providers.candidates("cpu")[0]
        name = opened.open_graph.name
        half = second_half(opened.parts, name, as_sums=as_sums)
        session = providers.open_session(half, opened.parts.tensors, name, cpu, opened.asked.threads)
        return OpenGraph(session, name, opened.bundle.dim)
