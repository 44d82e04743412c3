"""Evaluate models on a suite of tasks as MTEB does, and report: a table, JSON (the truth), Markdown and a picture."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import EdgePotionError, InputError, ModelFormatError, require
from edge_potion.escaping import terminal
from edge_potion.find import read_json
from edge_potion.progress import progress_bar, unfailing_stderr
from edge_potion.writing import make_folder

from .encoders import Encoder, open_encoder
from .mteb_suite import ENGLISH_TASKS, english_tasks, run_mteb
from .report import write_numbers, write_report
from .scoring import EXPERIMENTS, SEED, NoScore
from .suite import SUITE, Task, load_rows, suite_digest, tasks_there
from .task_score import TaskScore, averages, encoded, rows_digest, score_task

__all__ = ["SCHEMA", "evaluate"]

SCHEMA = 2  # of report.json
PACKAGES = ("edge-potion", "numpy", "scikit-learn", "scipy", "tokenizers")
HEAD = ("schema", "versions", "protocol")  # of a report: where they differ, so may the scores
MTEB = "mteb"  # in the place of a suite's folder
NOT_YET = "the run was stopped before its turn"

log = logging.getLogger(__name__)


@unfailing_stderr()
def evaluate(
    models: str | Sequence[str],
    suite: str | Path | None,
    out: str | Path = "quality",
    *,
    tasks: Sequence[Task] = SUITE,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Score `models` on a suite, and write report.json, report.md, report.png and report-dark.png into `out`.

    A task that has no score (its rows are damaged, the model gives NaN or one vector for every text, ...) is a row that
    says why, and so is a model that cannot be loaded, where another can; the rest is scored. `averages` are over what
    was scored, and `incomplete` names the halves of which a task is missing in them.

    report.json is written anew after each task, the others after each model: a run that is stopped leaves what it has.
    What `out` holds already of the same model, with the same weights, versions and rows, is not scored again.

    Args:
        models: name as `open_encoder` takes it, or some.
        suite: folder with a folder for each task; "mteb" or None runs MTEB's English tasks through the `mteb` package.
        out: folder of the report, made when it is not there.
        tasks: which of the folder's; those that are not there are left out, and named in the report.
        show_progress: a bar on stderr.

    Returns:
        The content of report.json.

    Raises:
        InputError: no task is there, no model is named, or the folder cannot be written.
        EdgePotionError: the first model's, where none can be loaded.
        MissingExtraError: scikit-learn or scipy is not installed.
    """
    require("sklearn", "scipy", "matplotlib", extra="evaluate", purpose="evaluating")

    models = [models] if isinstance(models, str) else models
    suite = None if suite in (None, MTEB) else Path(suite)
    out = Path(out)
    if not models:
        raise InputError("no model is named, so there is nothing to evaluate")
    there = tasks_there(suite, tasks) if suite else []
    make_folder(out)
    rows = [_opened(name) for name in models]  # a name that is wrong is told before the work
    failures = [row.failure for row in rows if row.failure]
    if len(failures) == len(rows):
        raise failures[0]
    for row in rows:
        if row.failure:
            log.warning("warning: %s is not scored: %s", terminal(row.name), terminal(row.failure))
    asked = list(_local(suite, there) if suite else _mtebs())
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": {package: version(package) for package in PACKAGES},
        "protocol": {"seed": SEED, "experiments": EXPERIMENTS},
        "suite": suite_digest(suite, there) if suite else "mteb",
        "missing": [task.title for task in tasks if suite and task not in there],
        "complete": False,
    }
    before = _scored_before(report, out)
    for row in rows:
        row.begin(asked, before)

    def write(writer: Callable[[Mapping[str, Any], Path], None]) -> None:
        report["models"] = [row.as_json() for row in rows]
        writer(report, out)

    with progress_bar(show_progress, total=len(rows) * len(asked), desc="evaluate", unit=" tasks") as bar:
        try:
            for row in rows:
                for place, task in enumerate(asked):
                    bar.set_postfix_str(terminal(f"{row.name}: {task.blank.task}"))
                    if row.score(place, task):
                        write(write_numbers)
                    bar.update()
                write(write_report)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C; and SIGTERM, which the command turns into SystemExit
            write(write_report)
            raise
    report["complete"] = True
    write(write_report)
    return report


def _opened(name: str) -> _Model:
    try:
        return _Model(name, encoder=open_encoder(name))
    except EdgePotionError as failure:
        reason = failure
    except (OSError, RuntimeError) as failure:  # a name that no file system takes, a home of nobody, a loop of links
        reason = InputError(f"{name} cannot be read ({getattr(failure, 'strerror', None) or failure})")
    except MemoryError:
        reason = InputError(f"there is not enough memory for {name}")
    return _Model(name, failure=reason)


@dataclass(frozen=True)
class _Asked:
    """A task, before any model has it.

    Attributes:
        blank: all but the scores. Where its rows cannot be scored, with the reason.
        score: what gives them.
    """

    blank: TaskScore
    score: Callable[[Encoder], TaskScore]


def _local(suite: Path, tasks: Sequence[Task]) -> Iterator[_Asked]:
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

        yield _Asked(blank, score)


def _mtebs() -> Iterator[_Asked]:
    """The English tasks of the mteb package."""
    kind_of = {name: kind for kind, names in ENGLISH_TASKS.items() for name in names}
    for task in english_tasks():
        name = task.metadata.name
        blank = TaskScore(name, kind_of[name], "mteb", 0, task.metadata.revision, {}, "", NOT_YET)

        def score(encoder: Encoder, task: Any = task, blank: TaskScore = blank) -> TaskScore:
            encode = partial(encoded, encode=encoder.encode)
            scores = run_mteb(replace(encoder, encode=encode), [task])[blank.task]
            return replace(blank, scores=scores, reason=None)

        yield _Asked(blank, score)


def _scored_before(report: Mapping[str, Any], out: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The models of an earlier report in `out` with the same HEAD, by name and digest."""
    try:
        found = read_json(out / "report.json")
        if any(found[key] != report[key] for key in HEAD):
            return {}
        return {(model["name"], model["digest"]): model for model in found["models"]}
    except (ModelFormatError, KeyError, TypeError):  # none, or not ours
        return {}


@dataclass
class _Model:
    """A model of the report.

    Attributes:
        name: as it was asked for.
        encoder, failure: one of the two.
        scores: of each task that is asked for, in their order.
        texts, seconds: what was encoded so far, and how long it took.
    """

    name: str
    encoder: Encoder | None = None
    failure: EdgePotionError | None = None
    scores: list[TaskScore] = field(default_factory=list)
    texts: int = 0
    seconds: float = 0.0

    def begin(self, asked: Sequence[_Asked], before: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Take what an earlier report has of the same weights and rows."""
        found = before.get((self.name, self.encoder.digest), {}) if self.encoder else {}
        try:
            self.texts, self.seconds = int(found.get("texts") or 0), float(found.get("seconds") or 0)
            self.scores = [_kept(task.blank, found.get("tasks", ())) for task in asked]
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError):  # somebody edited it
            self.texts, self.seconds, self.scores = 0, 0.0, [task.blank for task in asked]

    def score(self, place: int, task: _Asked) -> bool:
        """Score a task, unless that is done or cannot be; whether anything is new."""
        if self.encoder is None or self.scores[place].reason != NOT_YET:
            return False
        try:
            self.scores[place] = task.score(replace(self.encoder, encode=self.encode))
        except (NoScore, EdgePotionError) as failure:
            self.scores[place] = replace(task.blank, reason=str(failure))
        except MemoryError:
            self.scores[place] = replace(task.blank, reason="there is not enough memory for it")
        if reason := self.scores[place].reason:
            log.warning("warning: %s has no score on %s: %s", *map(terminal, (self.name, task.blank.task, reason)))
        return True

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """As the encoder does, with its texts and seconds counted."""
        assert self.encoder is not None
        begin = time.perf_counter()
        vectors = self.encoder.encode(texts)
        self.seconds += time.perf_counter() - begin
        self.texts += len(texts)
        return vectors

    def as_json(self) -> dict[str, Any]:
        """Its row in report.json."""
        encoder = self.encoder
        return {
            "name": self.name,
            "what": encoder.what if encoder else "",
            "digest": encoder.digest if encoder else "",
            "dims": encoder.dims if encoder else None,
            "size_mb": round(encoder.size_bytes / 1e6, 2) if encoder else None,
            "texts": self.texts,
            "seconds": self.seconds,
            "texts_per_s": round(self.texts / self.seconds) if self.seconds else None,
            "averages": averages(self.scores),
            "incomplete": list(dict.fromkeys(score.half for score in self.scores if score.reason)),
            "reason": str(self.failure) if self.failure else None,
            "tasks": [asdict(score) for score in self.scores] if encoder else [],
        }


def _kept(blank: TaskScore, tasks: Sequence[Mapping[str, Any]]) -> TaskScore:
    """The score of a task among those of an earlier report, or else the blank."""
    for old in tasks:
        if old["task"] == blank.task and old["scores"] and not old["reason"]:
            kept = replace(blank, scores=old["scores"], reason=None)
            json.dumps(kept.scores, allow_nan=False)  # ValueError where it is not ours
            if asdict(kept) == old and math.isfinite(kept.scores["main"]):
                return kept
    return blank
