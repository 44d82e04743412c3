"""What models score on tasks and weigh, from a report of `edge-potion evaluate`: for the benchmark to plot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError

from .report.json_file import read_small_json
from .report.model import Score

__all__ = ["read_scores"]


def read_scores(file: Path) -> list[Score]:
    """Name, size and CatAVG of the models in a report, of the half that reports.

    Of models that have all of its tasks: the others' means are over less.

    Raises:
        InputError: it is no such report, or has no such model.
    """
    try:
        models = read_small_json(file, "evaluate")["models"]
        scores = [score for model in models if (score := _score(model))]
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as failure:
        message = f"{type(failure).__name__}: {failure}"
        raise InputError(f"{file} is no report.json of `edge-potion evaluate` ({message})") from failure
    if not scores:
        raise InputError(f"{file} has no model that was scored on all of its tasks, so there is nothing to plot")
    return scores


def _score(model: Mapping[str, Any]) -> Score | None:
    averages = model["averages"]
    half = "report" if "report" in averages else next(iter(averages), None)
    if half is None or half in model.get("incomplete", ()):
        return None
    score, size_mb = round(float(averages[half]["CatAVG"]), 2), float(model["size_mb"])
    if not (math.isfinite(score) and math.isfinite(size_mb) and size_mb > 0):
        raise ValueError(f"CatAVG is {score} and size_mb {size_mb}")
    return Score(name=str(model["name"]), size_mb=size_mb, score=score)
