"""What `evaluate` asks of each model, of a folder: tasks of a suite, retrieval sets, translations by language."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.escaping import terminal

from .bitext_rows import BITEXT, BITEXT_HALF
from .bitext_score import score_bitext
from .bitext_set import Bitext, read_chosen
from .encoders import Encoder
from .retrieval_rows import HALF, RETRIEVAL
from .retrieval_score import SearchedSet
from .retrieval_set import read_set
from .suite import Task, load_rows
from .task_score import TaskScore, rows_digest, score_task

__all__ = ["NOT_YET", "Asked", "local_tasks", "of_bitexts", "of_set"]

NOT_YET = "the run was stopped before its turn"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A task, before any model has it.

    Attributes:
        blank: all but the scores. Where its rows cannot be scored, with the reason.
        score: what gives them.
        by_words: what gives those of words alone, which know no model; of retrieval sets.
    """

    blank: TaskScore
    score: Callable[[Encoder], TaskScore]
    by_words: Callable[[], TaskScore] | None = None


def local_tasks(suite: Path, tasks: Sequence[Task]) -> Iterator[Asked]:
    """The tasks of a folder. Rows are read here to be checked before the work, and once more when they are scored."""
    for task in tasks:
        blank = TaskScore(task.title, task.kind, task.half, 0, "", {}, task.note, NOT_YET)
        try:
            rows = load_rows(suite, task)
            blank = replace(blank, rows=len(rows.test), sha256=rows_digest(task, rows))
        except InputError as fault:
            blank = replace(blank, reason=str(fault))
            log.warning("warning: %s cannot be scored: %s", task.title, terminal(fault))

        def score(encoder: Encoder, task: Task = task) -> TaskScore:
            return score_task(task, load_rows(suite, task), encoder.encode)

        yield Asked(blank, score)


def of_set(path: Path) -> Asked:
    """A retrieval set. Its rows are read here to be checked before the work, and again when they are searched."""
    blank = TaskScore(path.absolute().name, RETRIEVAL, HALF, 0, "", {}, "", NOT_YET)
    try:
        rows = read_set(path)
        blank = replace(blank, rows=len(rows.queries), sha256=rows.digest)
    except InputError as fault:
        blank = replace(blank, reason=str(fault))
        log.warning("warning: %s cannot be scored: %s", terminal(blank.task), terminal(fault))
    searched = SearchedSet(path)
    return Asked(
        blank,
        lambda encoder: replace(blank, scores=searched.by_vectors(encoder.encode), reason=None),
        lambda: replace(blank, scores=searched.by_words(), reason=None),
    )


def of_bitexts(paths: Sequence[Path], languages: Sequence[str] | None) -> Iterator[Asked]:
    """The languages of sets of translations, each a task; a set that cannot be read is one that has no score.

    Raises:
        InputError: a language is chosen that no set has.
    """
    there, faults = read_chosen(paths, languages)
    for name, reason in faults.items():
        log.warning("warning: %s cannot be scored: %s", *map(terminal, (name, reason)))
        blank = TaskScore(name, BITEXT, BITEXT_HALF, 0, "", {}, "", reason)
        yield Asked(blank, lambda _, blank=blank: blank)  # type: ignore[misc]
    for each in there:
        blank = TaskScore(each.title, BITEXT, BITEXT_HALF, len(each.texts), each.digest, {}, "", NOT_YET)

        def score(encoder: Encoder, bitext: Bitext = each, blank: TaskScore = blank) -> TaskScore:
            return replace(blank, scores=score_bitext(bitext, encoder.encode), reason=None)

        yield Asked(blank, score)
