"""Evaluate models on a user's own rows: one question to all of them, and what each has more than the first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_potion.errors import EdgePotionError
from edge_potion.escaping import terminal
from edge_potion.progress import Progress, progress_bar
from edge_potion.unit_length import unit_length
from edge_potion.writing import make_folder

from .bootstrap import CONFIDENCE, RESAMPLES, Answer, interval_of, resampled
from .opened import Opened, open_models
from .own_picture import drawn
from .own_report import as_markdown
from .report import versions, write_report
from .scoring import NoScore
from .task_score import encoded, refuse_alike

__all__ = ["Question", "evaluate_own"]

SCHEMA = 1  # of report.json
AT_ONCE = 4096  # texts between two looks at how far it is
NOT_YET = "the run was stopped before its turn"

log = logging.getLogger(__name__)


class Question(Protocol):
    """What models are asked of a user's rows."""

    @property
    def metrics(self) -> tuple[str, ...]: ...
    @property
    def main(self) -> str: ...
    @property
    def remarks(self) -> list[str]: ...
    @property
    def texts(self) -> list[str]: ...
    @property
    def steps(self) -> int: ...
    def about_rows(self) -> dict[str, Any]: ...
    def protocol(self) -> dict[str, Any]: ...
    def answer(self, vectors: np.ndarray, tick: Callable[[str], None]) -> Answer: ...


def evaluate_own(
    models: Sequence[str], kind: str, name: str, question: Question, out: Path, show_progress: bool = False
) -> dict[str, Any]:
    """Score models, and write report.json, report.md, report.png and report-dark.png into `out`, after each of them.

    A model without a score is a row that says why. Differences are to the first that has one.

    Args:
        models: names as `open_encoder` takes them.
        kind: "data" or "pairs".
        name: of the rows' file or folder, for people.

    Returns:
        The content of report.json.

    Raises:
        InputError: no model is named, or the folder cannot be written.
        EdgePotionError: the first model's, where none can be opened.
    """
    make_folder(out)
    opened = open_models(models)
    texts = list(dict.fromkeys(question.texts))
    place_of = {text: place for place, text in enumerate(texts)}
    places = [place_of[text] for text in question.texts]
    rows = [{**model.as_json(), "scores": {}, "reason": str(model.failure or NOT_YET)} for model in opened]
    report = {**_head(kind, name, question), "models": rows}
    first: _Scored | None = None
    there = [number for number, model in enumerate(opened) if model.encoder]
    steps = -(-len(texts) // AT_ONCE) + question.steps
    with progress_bar(show_progress, total=len(there) * steps, desc="evaluate", unit=" steps") as bar:
        for number in there:
            model = opened[number]
            scores, reason = {}, None
            try:
                scored = _scored(_answer(question, texts, places, model, bar), first)
                scores, first = scored.scores, first or scored
                report["baseline"] = report["baseline"] or model.name
            except (NoScore, EdgePotionError) as failure:
                reason = str(failure)
            except MemoryError:
                reason = "there is not enough memory for it"
            if reason:
                log.warning("warning: %s has no score: %s", terminal(model.name), terminal(reason))
            rows[number] = {**model.as_json(), "scores": scores, "reason": reason}
            report["complete"] = number == there[-1]
            write_report(report, out, as_markdown, drawn)
    return report


def _head(kind: str, name: str, question: Question) -> dict[str, Any]:
    """What a report says before its models."""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "versions": versions(),
        "protocol": {**question.protocol(), "resamples": RESAMPLES, "confidence": CONFIDENCE},
        "data": {"name": name, **question.about_rows()},
        "remarks": question.remarks,
        "metrics": list(question.metrics),
        "main": question.main,
        "baseline": None,
        "complete": False,
    }


def _answer(question: Question, texts: Sequence[str], places: Sequence[int], model: Opened, bar: Progress) -> Answer:
    def tick(what: str) -> None:
        bar.set_postfix_str(terminal(f"{model.name}: {what}"))
        bar.update()

    parts = []
    for begin in range(0, len(texts), AT_ONCE):
        tick("encode")
        parts.append(encoded(texts[begin : begin + AT_ONCE], model.encode))
    vectors = np.concatenate(parts)  # (T, D) f32
    refuse_alike(vectors)
    return question.answer(unit_length(vectors)[places], tick)


@dataclass(frozen=True)
class _Scored:
    """A model's scores.

    Attributes:
        scores: of each metric what a report holds.
        draws: of each metric (RESAMPLES,), its value in each draw of the rows.
    """

    scores: dict[str, Any]
    draws: Mapping[str, np.ndarray]


def _scored(answer: Answer, first: _Scored | None) -> _Scored:
    draws = resampled(answer)
    means = answer.weighted(np.ones((1, answer.units)))
    scores: dict[str, Any] = {}
    for metric, seeds in answer.seeds.items():
        mean = float(means[metric][0])
        difference = None
        if first:
            interval = interval_of(first.draws[metric], draws[metric])
            difference = {"mean": mean - first.scores[metric]["mean"], **asdict(interval)}
        spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None
        scores[metric] = {"mean": mean, "spread": spread, "seeds": list(seeds), "difference": difference}
    return _Scored(scores, draws)
