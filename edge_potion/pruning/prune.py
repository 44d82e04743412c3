"""A model -> a smaller one, which has the pieces that a corpus uses: choose, take out, hold to what it was, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import edge_potion
from edge_potion.errors import InputError
from edge_potion.escaping import terminal
from edge_potion.find import WITHOUT_PHRASES
from edge_potion.model_folder import write_model_files
from edge_potion.progress import unfailing_stderr
from edge_potion.pruning.card import name_of, pruned_card
from edge_potion.pruning.changes import Changes, changes_in, piece_counts
from edge_potion.pruning.corpus import Corpus
from edge_potion.pruning.pieces import Choice, Vocabulary, chosen
from edge_potion.pruning.source import Pieces, Source
from edge_potion.static_model import StaticModel
from edge_potion.writing import refuse_unwritable, written_whole

__all__ = ["Pruned", "Size", "prune"]

log = logging.getLogger("edge_potion")


@dataclass(frozen=True)
class Size:
    """How much of a model there is.

    Attributes:
        pieces, phrases, grams: rows of its table that are tokens', and phrases'; and of its head, where it has one.
        table_bytes, tokenizer_bytes: of the files that hold its table and its tokenizer.
    """

    pieces: int
    phrases: int
    grams: int
    table_bytes: int
    tokenizer_bytes: int


@dataclass(frozen=True)
class Pruned:
    """What came of it.

    Attributes:
        folder: of the pruned model.
        before, after: the model as it was, and the pruned one.
        corpus: what became of the texts whose pieces were kept.
        held_out: what became of other texts, where such were given.
    """

    folder: Path
    before: Size
    after: Size
    corpus: Changes
    held_out: Changes | None

    def facts(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        told = {**asdict(self), "folder": str(self.folder)}
        told["corpus"]["coverage"] = self.corpus.coverage
        if self.held_out:
            told["held_out"]["coverage"] = self.held_out.coverage
        return told


@unfailing_stderr()
def prune(
    model: str | Path | None,
    corpus: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    keep_share: float | None = None,
    rows: int | None = None,
    held_out: str | Path | Sequence[str | Path] = (),
    text_column: str = "text",
    revision: str | None = None,
    show_progress: bool = False,
) -> Pruned:
    """Write a model folder with those pieces of a model that the texts of a corpus use.

    Special tokens stay, and so do the single characters of the corpus, so that nothing in it becomes unknown. Rows of
    the table stay as they are, in its precision. Of phrases, and of the grams of a classifier, those stay of which
    both pieces do. Unless told otherwise all pieces that are used stay: then texts of the corpus are cut as before.

    Args:
        model: of WordPiece, WordLevel or Unigram tokens: a folder, a hub id, or None for the built-in one.
        corpus: files, folders and globs of texts as `edge-potion encode` takes them; "-" for stdin.
        out: the folder to write; a model in it is replaced.
        keep_share: the most frequent pieces that make this share of the corpus's known tokens, above 0, up to 1.
        rows: how many pieces stay: the most frequent, and where the corpus uses fewer, the likeliest of its letters.
        held_out: other texts, likewise named, of which is only told what becomes of them.
        text_column: of files that have columns.
        revision: branch, tag or commit, for hub ids.
        show_progress: whether stderr tells how far it is.

    Raises:
        InputError: texts cannot be read, nothing of them is known, an option is out of range, or `out` is taken.
        ModelFormatError: the model is damaged, or its tokenizer is one whose pieces cannot be taken out.
    """
    choice = Choice(keep_share, rows)
    goal = refuse_unwritable(Path(out))
    if (alone := goal / WITHOUT_PHRASES).is_dir():
        raise InputError(f"{alone} is a model trained by itself, which would be lost; name another folder")
    named, others = _listed(corpus), _listed(held_out)
    if not named:
        raise InputError("no corpus is named; its texts tell which pieces are used")
    if "-" in named and "-" in others:
        raise InputError("stdin is named for the corpus and for held-out texts; name a file for one of them")
    source = Source.opened(model, revision)
    if source.folder.resolve() == goal:
        raise InputError(f"{goal} is the model itself, which would be lost; name another folder")
    if (alone := source.folder / WITHOUT_PHRASES).is_dir():
        log.warning("%s is a model by itself, and is left out; prune it likewise where it is needed", terminal(alone))
    vocabulary = Vocabulary.of(source.model.tokenizer)
    with ExitStack() as held:
        texts = held.enter_context(Corpus(named, goal, text_column))
        beside = held.enter_context(Corpus(others, goal, text_column)) if others else None
        kept = chosen(vocabulary, piece_counts(source.model, texts, show_progress), choice)
        smaller = source.with_pieces(vocabulary, kept)
        of_corpus, of_held_out = (
            changes_in(each, source.model, smaller.model, kept, show_progress) if each else None
            for each in (texts, beside)
        )
        assert of_corpus is not None
        return _written(source, smaller, goal, texts.names, choice, of_corpus, of_held_out)


def _listed(named: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(named)] if isinstance(named, str | Path) else list(map(str, named))


def _written(
    source: Source,
    smaller: Pieces,
    goal: Path,
    corpora: Sequence[str],
    choice: Choice,
    of_corpus: Changes,
    of_held_out: Changes | None,
) -> Pruned:
    model, tensors = smaller.model, smaller.tensors
    facts = {
        "from": name_of(source.model.card),
        "pieces": model.pieces,
        "of_pieces": source.model.pieces,
        "corpora": list(corpora),
        "keep_share": choice.keep_share,
        "rows": choice.rows,
        "coverage": round(of_corpus.coverage, 6),
        "changed_texts": of_corpus.changed,
        "texts": of_corpus.texts,
        "version": edge_potion.__version__,
    }
    model = replace(model, card=pruned_card(source.model, model, goal.name, facts))
    told = {"vocabulary_quantization": len(tensors["embeddings"])} if "mapping" in tensors else {}
    with written_whole(goal) as folder:
        write_model_files(folder, model, tensors, told)
        sizes = [(folder / name).stat().st_size for name in ("model.safetensors", "tokenizer.json")]
    before = _size(source.model, source.table_bytes, source.tokenizer_bytes)
    return Pruned(goal, before, _size(model, *sizes), of_corpus, of_held_out)


def _size(model: StaticModel, table_bytes: int, tokenizer_bytes: int) -> Size:
    grams = len(model.head.grams) if model.head else 0
    return Size(model.pieces, len(model.phrases or ()), grams, table_bytes, tokenizer_bytes)
