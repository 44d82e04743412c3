"""One thing trained by several seeds, as one row: the mean of every score and its standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

__all__ = ["as_rows", "difference", "tasks_of"]

KEPT = ("what", "dims", "size_mb")  # of the first seed, as all have them alike
ABOUT = ("task", "kind", "half", "rows", "note")  # of a task
HYBRID = "hybrid"  # scores of a search by vectors and words, beside those by vectors
POINTS = 100
LEVEL = 2  # standard deviations, below which a difference is none


def as_rows(report: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each of the names, which stand as often as they were trained.

    Args:
        report: what `evaluate` gives.
        names: one for each of its models, in their order.

    Returns:
        Rows in the order of the names: `averages` and `deviations` by half and kind in points of 100 (a deviation of
        one seed is None), `seeds`, `tasks`, and what all seeds have alike.
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for name, model in zip(names, report["models"], strict=True):
        by_name.setdefault(name, []).append(model)
    return [_row(name, models) for name, models in by_name.items()]


def _row(name: str, models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    means: dict[str, dict[str, float]] = {}
    deviations: dict[str, dict[str, float | None]] = {}
    for half, kinds in models[0]["averages"].items():
        scores = {kind: [model["averages"][half][kind] for model in models] for kind in kinds}
        means[half] = {kind: fmean(values) for kind, values in scores.items()}
        deviations[half] = {kind: _deviation(values) for kind, values in scores.items()}
    about = {key: models[0][key] for key in KEPT}
    tasks = {task["task"]: _task(models, place) for place, task in enumerate(models[0]["tasks"])}
    return {
        "name": name,
        "seeds": len(models),
        **about,
        "digests": [model["digest"] for model in models],
        "averages": means,
        "deviations": deviations,
        "tasks": tasks,
    }


def _task(models: Sequence[Mapping[str, Any]], place: int) -> dict[str, Any]:
    """The mean of a task's scores, and the deviation of the first; of a retrieval set, by words and vectors too."""
    scores = [model["tasks"][place]["scores"] for model in models]
    values = [POINTS * each["main"] for each in scores]
    row: dict[str, Any] = {"points": fmean(values), "deviation": _deviation(values)}
    if HYBRID in scores[0]:
        row[HYBRID] = fmean(POINTS * each[HYBRID]["main"] for each in scores)
    return row


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def tasks_of(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the tasks are, in the report's order; a retrieval set with what words alone find."""
    words = {task["task"]: POINTS * task["scores"]["main"] for task in report.get("words", ())}
    about = [{key: task[key] for key in ABOUT} for task in report["models"][0]["tasks"]]
    return [task | ({"words": words[task["task"]]} if task["task"] in words else {}) for task in about]


def difference(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], half: str, kind: str = "CatAVG"
) -> tuple[float, bool]:
    """Points between two rows, and whether they are level: nearer than two standard deviations, the larger one."""
    between = ours["averages"][half][kind] - theirs["averages"][half][kind]
    deviations = [row["deviations"][half][kind] or 0.0 for row in (ours, theirs)]
    return between, abs(between) < LEVEL * max(deviations)
