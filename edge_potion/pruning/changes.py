"""What a corpus uses of a tokenizer's pieces, and what becomes of its texts when some are gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_potion.pruning.corpus import Corpus
from edge_potion.static_model import StaticModel
from edge_potion.tokens import TokenIds, tokenize
from edge_potion.unit_length import unit_length

__all__ = ["Changes", "Example", "changes_in", "piece_counts"]

SAMPLE = 2000  # texts of which vectors are compared
LONGEST_SAMPLED = 10_000  # characters of these
EXAMPLES = 2  # texts that are shown
SHOWN, PIECES_SHOWN = 60, 8  # of these: characters, and pieces from the first that differs on


@dataclass(frozen=True)
class Example:
    """A text that is cut otherwise: its pieces as they were and as they are, from the first that differs on."""

    text: str
    before: list[str]
    after: list[str]


@dataclass(frozen=True)
class Changes:
    """What became of the texts of a corpus.

    Attributes:
        texts: how many there are.
        changed: those that are cut into other pieces than before.
        tokens: before, without unknown ones.
        kept_tokens: of these, the tokens whose piece stays.
        tokens_after: now, likewise.
        unknown, unknown_after: tokens that were unknown before, and are now.
        agreement: mean cosine between a text's vector before and now, of up to 2,000 texts drawn at random.
        lowest: the lowest of these cosines.
        examples: some of the texts that are changed.
    """

    texts: int
    changed: int
    tokens: int
    kept_tokens: int
    tokens_after: int
    unknown: int
    unknown_after: int
    agreement: float
    lowest: float
    examples: tuple[Example, ...] = ()

    @property
    def coverage(self) -> float:
        """The share of the known tokens whose piece stays; 1 where there are none."""
        return self.kept_tokens / self.tokens if self.tokens else 1.0


def piece_counts(model: StaticModel, corpus: Corpus, show_progress: bool) -> np.ndarray:
    """(V,) int64: how often each token stands in the texts of a corpus, none of which is cut.

    The default prompt stands before each of them, as it does wherever it is encoded. Of the other prompts any text may
    be asked for with each: they count as often as there are texts.
    """
    counts, texts = np.zeros(model.pieces, np.int64), 0
    for batch in corpus.batches(show_progress, "count"):
        counts += np.bincount(_tokens(model, batch).flat, minlength=len(counts))
        texts += len(batch)
    prompts = tokenize(model.tokenizer, list(model.card.prompts.values()), None)
    return counts + texts * np.bincount(prompts.flat, minlength=len(counts))


def changes_in(
    corpus: Corpus, before: StaticModel, after: StaticModel, kept: np.ndarray, show_progress: bool
) -> Changes:
    """What becomes of the texts of a corpus.

    Args:
        corpus: read once.
        before: the model as it was.
        after: the pruned one.
        kept: (K,) int64, the token of `before` that each of `after` is.
    """
    seen = _Seen(before, after, kept)
    for batch in corpus.batches(show_progress, "check"):
        seen.add(batch)
    return seen.changes()


@dataclass
class _Seen:
    before: StaticModel
    after: StaticModel
    kept: np.ndarray
    sample: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    texts: int = 0
    changed: int = 0

    def __post_init__(self) -> None:
        self._stays = np.zeros(self.before.pieces, bool)
        self._stays[self.kept] = True
        self._sums = np.zeros(5, np.int64)
        self._draw, self._drawn_from = random.Random(0), 0

    def add(self, batch: list[str]) -> None:
        old, found = (_tokens(model, batch) for model in (self.before, self.after))
        new = TokenIds(self.kept[found.flat], found.lengths)  # in the numbers of `before`
        was_known, is_known = old.flat != self.before.unk_id, new.flat != self.before.unk_id
        stays = np.count_nonzero(self._stays[old.flat] & was_known)
        known, known_now = np.count_nonzero(was_known), np.count_nonzero(is_known)
        self._sums += [known, stays, known_now, len(old.flat) - known, len(new.flat) - known_now]
        self.texts += len(batch)
        for place in _differing(old, new):
            self.changed += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(self._example(batch[place], _ids_of(old, place), _ids_of(new, place)))
        for text in batch:
            self._draw_or_pass(text)

    def changes(self) -> Changes:
        known, stays, known_now, unknown, unknown_now = self._sums.tolist()
        was, now = (each.encode(self.sample).astype(np.float64) for each in (self.before, self.after))  # (S, D)
        cosines = (unit_length(was) * unit_length(now)).sum(axis=1)
        cosines[(was == now).all(axis=1)] = 1  # to the bit, and where nothing was known and nothing is
        agreement, lowest = (float(cosines.mean()), float(cosines.min())) if len(cosines) else (1.0, 1.0)
        counted = (self.texts, self.changed, known, stays, known_now, unknown, unknown_now)
        return Changes(*counted, min(agreement, 1.0), min(lowest, 1.0), tuple(self.examples))

    def _draw_or_pass(self, text: str) -> None:
        """Keep each text in the sample with the same probability, however many come."""
        if len(text) > LONGEST_SAMPLED:
            return
        self._drawn_from += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(text)
        elif (place := self._draw.randrange(self._drawn_from)) < SAMPLE:
            self.sample[place] = text

    def _example(self, text: str, old: list[int], new: list[int]) -> Example:
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        name, end = self.before.tokenizer.id_to_token, same + PIECES_SHOWN
        was, now = ([str(name(number)) for number in ids[same:end]] for ids in (old, new))
        return Example(text[:SHOWN], was, now)


def _tokens(model: StaticModel, batch: list[str]) -> TokenIds:
    prompt = model.card.prompt
    return tokenize(model.tokenizer, [prompt + text for text in batch] if prompt else batch, None)


def _ids_of(ids: TokenIds, place: int) -> list[int]:
    found: list[int] = ids.take(np.array([place])).flat.tolist()
    return found


def _differing(old: TokenIds, new: TokenIds) -> Iterator[int]:
    """Which texts have other tokens."""
    if np.array_equal(old.lengths, new.lengths) and np.array_equal(old.flat, new.flat):
        return
    for place, (one, other) in enumerate(zip(old.split(), new.split(), strict=True)):
        if not np.array_equal(one, other):
            yield place
