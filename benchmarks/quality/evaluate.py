"""Evaluate models on a suite of tasks as MTEB does, or on own rows: a table, JSON (the truth), Markdown, a picture."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from edge_potion.errors import EdgePotionError, InputError, ModelFormatError, require
from edge_potion.escaping import terminal
from edge_potion.find import read_json
from edge_potion.labelled import read_pairs, read_train_and_test
from edge_potion.progress import progress_bar, unfailing_stderr
from edge_potion.writing import make_folder

from .asked import NOT_YET, Asked, local_tasks, of_bitexts, of_set
from .bitext_set import PAIRS, read_chosen
from .encoders import Encoder
from .mteb_suite import ENGLISH_TASKS, english_tasks, run_mteb
from .opened import Opened, open_models
from .own_data import evaluate_own
from .own_labels import LabelQuestion
from .own_pairs import PairQuestion
from .own_split import split_of
from .report import versions, write_numbers, write_report
from .retrieval_rows import HALF, RETRIEVAL, WORDS
from .retrieval_set import sets_digest, sets_there
from .scoring import EXPERIMENTS, SEED, NoScore
from .suite import SUITE, Task, suite_digest, tasks_there
from .task_score import TaskScore, averages, encoded

__all__ = ["SCHEMA", "evaluate"]

SCHEMA = 2  # of report.json
HEAD = ("schema", "versions", "protocol")  # of a report: where they differ, so may the scores
SEEDS = 5  # of a regression on own rows
MTEB = "mteb"  # in the place of a suite's folder
# What comes of a report that somebody edited.
EDITED = (TypeError, KeyError, ValueError, AttributeError, OverflowError)

log = logging.getLogger(__name__)


@unfailing_stderr()
def evaluate(
    models: str | Sequence[str],
    suite: str | Path | None = None,
    out: str | Path = "quality",
    *,
    data: str | Path | None = None,
    test: str | Path | None = None,
    text_column: str = "text",
    label_column: str = "label",
    seeds: int = SEEDS,
    pairs: str | Path | None = None,
    query_column: str = "query",
    passage_column: str = "passage",
    tasks: Sequence[Task] = SUITE,
    languages: Sequence[str] | None = None,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Score `models` on a suite, or on rows of your own, and write report.json, report.md, report.png and
    report-dark.png into `out`.

    A task that has no score (its rows are damaged, the model gives NaN or one vector for every text, ...) is a row that
    says why, and so is a model that cannot be loaded, where another can; the rest is scored. `averages` are over what
    was scored, and `incomplete` names the halves of which a task is missing in them.

    report.json is written anew after each task, the others after each model: a run that is stopped leaves what it has.
    What `out` holds already of the same model, with the same weights, versions and rows, is not scored again.

    On own rows, the report has each model's difference to the first, with its interval.

    Args:
        models: name as `open_encoder` takes it, or some.
        suite: folder with a folder for each task or retrieval set, or one retrieval set; "mteb" runs MTEB's English
            tasks through the `mteb` package. Sets of a folder are searched by each model's vectors, by words (BM25),
            and by both; they stand beside the means over tasks, not in them. So do translations, language by language.
        out: folder of the report, made when it is not there.
        data: .csv, .tsv, .jsonl or .parquet file of texts and labels, or a folder with train.jsonl and test.jsonl: a
            logistic regression learns the labels.
        test: file of rows that are scored; without one, a stratified part of `data` is.
        text_column, label_column: of `data` and `test`.
        seeds: how often labels are learnt, each time from nine tenths of the rows; 1 learns once, from all.
        pairs: file of queries and passages that answer them, to be found among all passages.
        query_column, passage_column: of `pairs`.
        tasks: which of the suite's; those that are not there are left out, and named in the report.
        languages: which of translations; None for all.
        show_progress: a bar on stderr.

    Returns:
        The content of report.json.

    Raises:
        InputError: not one of `suite`, `data` and `pairs` is named; no task is there, rows cannot be used, no model is
            named, a language is not there, or the folder cannot be written.
        EdgePotionError: the first model's, where none can be loaded.
        MissingExtraError: scikit-learn or scipy is not installed.
    """
    require("sklearn", "scipy", "matplotlib", extra="evaluate", purpose="evaluating")

    models = [models] if isinstance(models, str) else models
    out = Path(out)
    if sum(source is not None for source in (suite, data, pairs)) != 1:
        raise InputError("what to score on? name one of suite, data and pairs")
    if languages is not None and suite in (None, MTEB):
        read_chosen([], languages)  # which refuses
    if data is not None:
        if seeds < 1:
            raise InputError(f"seeds is {seeds}; 1 or more were expected")
        rows, name = read_train_and_test(data, test, text_column, label_column), Path(data).absolute().name
        return evaluate_own(models, "data", name, LabelQuestion(split_of(rows), seeds), out, show_progress)
    if test is not None:
        raise InputError(f"{test} is a test without data to learn from; name them with data")
    if pairs is not None:
        question = PairQuestion(read_pairs(pairs, query_column, passage_column))
        return evaluate_own(models, "pairs", Path(pairs).name, question, out, show_progress)
    folder = Path(suite) if suite not in (None, MTEB) else None
    return _evaluate_suite(models, folder, out, tasks, languages, show_progress)


def _evaluate_suite(
    models: Sequence[str],
    suite: Path | None,
    out: Path,
    tasks: Sequence[Task],
    languages: Sequence[str] | None,
    show_progress: bool,
) -> dict[str, Any]:
    sets = sets_there(suite) if suite else []
    bitexts = sets_there(suite, PAIRS) if suite else []
    there = tasks_there(suite, tasks, beside=[*sets, *bitexts]) if suite else []
    translations = list(of_bitexts(bitexts, languages))
    make_folder(out)
    rows = [_Model(opened) for opened in open_models(models)]  # a name that is wrong is told before the work
    asked = [*local_tasks(suite, there), *map(of_set, sets), *translations] if suite else list(_mtebs())
    of_sets = [task for task in asked if task.by_words]
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": versions(),
        "protocol": {"seed": SEED, "experiments": EXPERIMENTS},
        "suite": suite_digest(suite, there) if suite else "mteb",
        "missing": [task.title for task in tasks if suite and (there or not (sets or bitexts)) and task not in there],
        "complete": False,
    }
    if sets:
        report["sets"] = sets_digest(sets)
    before = _scored_before(report, out)
    for row in rows:
        row.begin(asked, before)
    words = _words_before(of_sets, before)

    def write(writer: Callable[[Mapping[str, Any], Path], None]) -> None:
        report["models"] = [row.as_json() for row in rows]
        if sets:
            report["words"] = [asdict(score) for score in words]
        writer(report, out)

    total = len(rows) * len(asked) + len(of_sets)
    with progress_bar(show_progress, total=total, desc="evaluate", unit=" tasks") as bar:
        try:
            for place, task in enumerate(of_sets):
                bar.set_postfix_str(terminal(f"{WORDS}: {task.blank.task}"))
                if task.by_words and words[place].reason == NOT_YET:
                    words[place] = _scored(WORDS, task.blank, task.by_words)
                bar.update()
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


def _mtebs() -> Iterator[Asked]:
    """The English tasks of the mteb package."""
    kind_of = {name: kind for kind, names in ENGLISH_TASKS.items() for name in names}
    for task in english_tasks():
        name = task.metadata.name
        half = HALF if kind_of[name] == RETRIEVAL else MTEB
        blank = TaskScore(name, kind_of[name], half, 0, task.metadata.revision, {}, "", NOT_YET)

        def score(encoder: Encoder, task: Any = task, blank: TaskScore = blank) -> TaskScore:
            encode = partial(encoded, encode=encoder.encode)
            scores = run_mteb(replace(encoder, encode=encode), [task])[blank.task]
            return replace(blank, scores=scores, reason=None)

        yield Asked(blank, score)


def _scored_before(report: Mapping[str, Any], out: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The models of an earlier report in `out` with the same HEAD, by name and digest; beside them, words."""
    try:
        found = read_json(out / "report.json")
        if any(found[key] != report[key] for key in HEAD):
            return {}
        models = {(model["name"], model["digest"]): model for model in found["models"]}
        return {**models, (WORDS, ""): {"tasks": found.get("words", ())}}
    except (ModelFormatError, KeyError, TypeError):  # none, or not ours
        return {}


def _words_before(asked: Sequence[Asked], before: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[TaskScore]:
    """What an earlier report has of words alone."""
    try:
        return [_kept(task.blank, before.get((WORDS, ""), {}).get("tasks", ())) for task in asked]
    except EDITED:
        return [task.blank for task in asked]


@dataclass
class _Model:
    """A model of the report.

    Attributes:
        opened: the model, or why there is none.
        scores: of each task that is asked for, in their order.
    """

    opened: Opened
    scores: list[TaskScore] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.opened.name

    def begin(self, asked: Sequence[Asked], before: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Take what an earlier report has of the same weights and rows."""
        opened = self.opened
        found = before.get((self.name, opened.encoder.digest), {}) if opened.encoder else {}
        try:
            opened.texts, opened.seconds = int(found.get("texts") or 0), float(found.get("seconds") or 0)
            self.scores = [_kept(task.blank, found.get("tasks", ())) for task in asked]
        except EDITED:
            opened.texts, opened.seconds, self.scores = 0, 0.0, [task.blank for task in asked]

    def score(self, place: int, task: Asked) -> bool:
        """Score a task, unless that is done or cannot be; whether anything is new."""
        encoder = self.opened.encoder
        if encoder is None or self.scores[place].reason != NOT_YET:
            return False
        counted = replace(encoder, encode=self.opened.encode)
        self.scores[place] = _scored(self.name, task.blank, partial(task.score, counted))
        return True

    def as_json(self) -> dict[str, Any]:
        """Its row in report.json."""
        return {
            **self.opened.as_json(),
            "averages": averages(self.scores),
            "incomplete": list(dict.fromkeys(score.half for score in self.scores if score.reason)),
            "reason": str(self.opened.failure) if self.opened.failure else None,
            "tasks": [asdict(score) for score in self.scores] if self.opened.encoder else [],
        }


def _scored(name: str, blank: TaskScore, score: Callable[[], TaskScore]) -> TaskScore:
    """The score of a task, or the blank with the reason why there is none."""
    try:
        return score()
    except (NoScore, EdgePotionError) as failure:
        reason = str(failure)
    except MemoryError:
        reason = "there is not enough memory for it"
    log.warning("warning: %s has no score on %s: %s", *map(terminal, (name, blank.task, reason)))
    return replace(blank, reason=reason)


def _kept(blank: TaskScore, tasks: Sequence[Mapping[str, Any]]) -> TaskScore:
    """The score of a task among those of an earlier report, or else the blank."""
    for old in tasks:
        if old["task"] == blank.task and old["scores"] and not old["reason"]:
            kept = replace(blank, scores=old["scores"], reason=None)
            json.dumps(kept.scores, allow_nan=False)  # ValueError where it is not ours
            if asdict(kept) == old and math.isfinite(kept.scores["main"]):
                return kept
    return blank
