"""Evaluate models on a suite of tasks as MTEB does, and report: a table, JSON (the truth), Markdown and a picture."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.progress import progress_bar, unfailing_stderr

from .encoders import Encoder, open_encoder
from .mteb_suite import ENGLISH_TASKS, english_tasks, run_mteb
from .quality_report import write_report
from .scoring import EXPERIMENTS, SEED, classification_scores, draws, pair_scores, sts_scores
from .suite import SUITE, Rows, Task, load_rows, suite_digest

__all__ = ["KINDS", "SCHEMA", "averages", "evaluate", "score_task"]

SCHEMA = 1  # of report.json
KINDS = ("STS", "Classification", "PairClassification")
PACKAGES = ("edge-potion", "numpy", "scikit-learn", "scipy", "tokenizers")

Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class TaskScore:
    """A model's scores on one task.

    Attributes:
        task: its title.
        kind, half: of the task.
        rows: how many were scored; 0 where mteb does not say.
        sha256: which rows exactly: of those, and of the training rows that were drawn; or the revision of mteb's data.
        scores: by MTEB's protocol; `main` is the one that counts.
        note: what differs from MTEB's task.
    """

    task: str
    kind: str
    half: str
    rows: int
    sha256: str
    scores: dict[str, Any]
    note: str


@unfailing_stderr()
def evaluate(
    models: Sequence[str],
    suite: Path | None,
    out: Path,
    *,
    tasks: Sequence[Task] = SUITE,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Score `models` on a suite, and write report.json, report.md and report.png into `out`.

    The report is written anew after each model, so that a run that is stopped leaves what it has; a model that `out`
    has scored already, with the same weights, versions and rows, is not scored again.

    Args:
        models: names as `open_encoder` takes them.
        suite: folder with a folder for each task; None runs MTEB's English tasks through the `mteb` package.
        out: folder of the report, made when it is not there.
        tasks: which of the folder's; those that are not there are left out, and named in the report.
        show_progress: a bar on stderr.

    Returns:
        The content of report.json.

    Raises:
        InputError: no task is there, or a model is not.
        ModelFormatError: a model gives NaN.
        MissingExtraError: scikit-learn or scipy is not installed.
    """
    require("sklearn", "scipy", "matplotlib", extra="evaluate", purpose="evaluating")

    there = [task for task in tasks if suite and (suite / task.name).is_dir()]
    if suite and not there:
        raise InputError(f"{suite} holds none of the suite's tasks: {', '.join(task.name for task in tasks)}")
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": {package: version(package) for package in PACKAGES},
        "protocol": {"seed": SEED, "experiments": EXPERIMENTS},
        "suite": suite_digest(suite, there) if suite else "mteb",
        "missing": [task.title for task in tasks if suite and task not in there],
        "models": [],
    }
    encoders = [open_encoder(name) for name in models]  # a name that is wrong is told before the work
    count = len(there) if suite else sum(map(len, ENGLISH_TASKS.values()))
    with progress_bar(show_progress, total=len(encoders) * count, desc="evaluate", unit=" tasks") as bar:
        before = _scored_before(report, out)
        for encoder in encoders:
            if (encoder.name, encoder.digest) in before:
                report["models"].append(before[encoder.name, encoder.digest])
                bar.update(count)
                continue
            timed = _Timed(encoder)
            scores = []
            for one in _scored(suite, there, timed):
                scores.append(one)
                bar.set_postfix_str(f"{encoder.name}: {one.task}")
                bar.update()
            report["models"].append(
                {
                    "name": encoder.name,
                    "what": encoder.what,
                    "digest": encoder.digest,
                    "dims": encoder.dims,
                    "size_mb": round(encoder.size_bytes / 1e6, 2),
                    "texts_per_s": round(timed.texts / timed.seconds),
                    "averages": averages(scores),
                    "tasks": [asdict(score) for score in scores],
                }
            )
            write_report(report, out)
    write_report(report, out)
    return report


def _scored_before(report: Mapping[str, Any], out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The models of an earlier report in `out` of the same kind, by name and digest."""
    file = out / "report.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if {**found, "models": []} != dict(report):
            return {}
        return {(model["name"], model["digest"]): model for model in found["models"]}
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
        return {}


def _scored(suite: Path | None, tasks: Sequence[Task], timed: _Timed) -> Iterator[TaskScore]:
    if suite:
        yield from (score_task(task, load_rows(suite, task), timed.encode) for task in tasks)
        return
    kind_of = {name: kind for kind, names in ENGLISH_TASKS.items() for name in names}
    for task in english_tasks():
        name, revision = task.metadata.name, task.metadata.revision
        scores = run_mteb(replace(timed.encoder, encode=timed.encode), [task])[name]
        yield TaskScore(name, kind_of[name], "mteb", 0, revision, scores, "")


def score_task(task: Task, rows: Rows, encode: Encode) -> TaskScore:
    """One task's score; each text is encoded once.

    Raises:
        ModelFormatError: a vector holds NaN or inf.
    """
    used: Sequence[Any] = list(rows.test)
    if task.kind == "Classification":
        chosen = draws([row["label"] for row in rows.train], task.examples)
        union = sorted(set().union(*chosen))
        place_of = {row: place for place, row in enumerate(union)}
        train = _vectors([rows.train[row]["text"] for row in union], encode)
        sets = [(train[[place_of[row] for row in draw]], [rows.train[row]["label"] for row in draw]) for draw in chosen]
        test = _vectors([row["text"] for row in rows.test], encode)
        scores = classification_scores(sets, test, [row["label"] for row in rows.test])
        used = [*used, *(rows.train[row] for row in union)]
    else:
        first, second = (_vectors([row[side] for row in rows.test], encode) for side in ("sentence1", "sentence2"))
        if task.kind == "STS":
            scores = sts_scores(first, second, [row["score"] for row in rows.test])
        else:
            scores = pair_scores(first, second, [row["label"] for row in rows.test])
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:12]
    return TaskScore(task.title, task.kind, task.half, len(rows.test), digest, scores, task.note)


def averages(scores: Sequence[TaskScore]) -> dict[str, dict[str, float]]:
    """For each half: the mean main score of each kind, in points of 100, and CatAVG, the mean of these."""
    result: dict[str, dict[str, float]] = {}
    for half in dict.fromkeys(score.half for score in scores):
        means = {}
        for kind in KINDS:
            mains = [score.scores["main"] for score in scores if (score.half, score.kind) == (half, kind)]
            if mains:
                means[kind] = 100 * float(np.mean(mains))
        result[half] = {**means, "CatAVG": float(np.mean(list(means.values())))}
    return result


def _vectors(texts: Sequence[str], encode: Encode) -> np.ndarray:
    """(N, D) float32; a text that comes twice is encoded once."""
    place_of = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    vectors = encode(list(place_of))
    if not np.isfinite(vectors).all():
        bad = list(place_of)[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        raise ModelFormatError(f"the model gives NaN or inf for {bad[:60]!r}")
    return vectors[[place_of[text] for text in texts]]


class _Timed:
    """An encoder that counts its texts and seconds."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.texts, self.seconds = encoder, 0, 0.0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        begin = time.perf_counter()
        vectors = self.encoder.encode(texts)
        self.seconds += time.perf_counter() - begin
        self.texts += len(texts)
        return vectors
