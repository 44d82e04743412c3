"""A run's summary: what each stage cost and brought, as JSON for machines and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.static_model import StaticModel
from edge_potion.writing import file_written_whole

from .contrast import split_rows
from .pairs import Pairs, unit
from .recipe import ContrastRecipe, Recipe
from .run_folder import Artifact
from .stages import BORN_AGAIN, CONTRAST, DISTILL, PCA, PCA_ALONE, PHRASES, POWER, POWER_ALONE

__all__ = ["AGREEMENT", "AGREEMENT_ROWS", "NO_AGREEMENT", "agreement", "as_table", "scored_rows", "write_summary"]

AGREEMENT_ROWS = 1_000  # held-out sentences; half a million pairs
FEWEST_HELD_OUT = 3
AGREEMENT, NO_AGREEMENT = "agreement", "no_agreement"  # keys of a row: the figure, or why there is none
NOT_SHOWN = (
    *("fingerprint", "edge_potion_version", "files", "recipe", "seconds", "peak_memory_mb"),
    *(AGREEMENT, NO_AGREEMENT),
)


def scored_rows(recipe: Recipe, count: int) -> dict[str, np.ndarray]:
    """On which of `count` rows each model of a run is scored, by the name of its stage; ascending.

    They are rows that it, and each training before it, held out. Where all trainings held out the same ones, as they do
    with one seed, these are the rows of every model, so that their figures can be set side by side.
    """
    trainings = _trainings(recipe)
    held_out = {section: split_rows(count, section).held_out for each in trainings.values() for section in each}
    common = reduce(np.intersect1d, held_out.values())
    if len(common) >= min(AGREEMENT_ROWS, *map(len, held_out.values())):
        return dict.fromkeys(trainings, common)
    return {name: reduce(np.intersect1d, map(held_out.__getitem__, each)) for name, each in trainings.items()}


def _trainings(recipe: Recipe) -> dict[str, list[ContrastRecipe]]:
    """The trainings that lead to each model; to the distilled table, which none does, the one that comes after it."""
    contrast: list[ContrastRecipe] = [recipe.contrast]
    born_again = [*contrast, *([recipe.born_again] if recipe.born_again.epochs else [])]
    alone = {DISTILL.name: contrast, CONTRAST.name: contrast, BORN_AGAIN.name: born_again}
    if not recipe.phrases.count:
        return {**alone, POWER.name: born_again, PCA.name: born_again}
    phrases = [*(born_again if recipe.phrases.start == "trained" else []), recipe.phrases]
    return {
        **alone,
        PHRASES.name: phrases,
        POWER.name: phrases,
        PCA.name: phrases,
        POWER_ALONE.name: born_again,
        PCA_ALONE.name: born_again,
    }


def agreement(model: StaticModel, pairs: Pairs, held_out: np.ndarray) -> float | str:
    """How far the model tells apart what the teacher tells apart, -1..1; or, in words, why that cannot be told.

    Pearson's correlation between the cosines of the model's vectors and those of the targets, over all pairs of up to
    1,000 of the held-out sentences.
    """
    rows = held_out[:AGREEMENT_ROWS]
    if len(rows) < FEWEST_HELD_OUT:
        return (
            f"{len(rows)} sentences were held out by it and by the trainings before it, and {FEWEST_HELD_OUT} are "
            "needed; give them one seed, or take more sentences"
        )
    upper = np.triu_indices(len(rows), 1)
    ours, theirs = unit(pairs.means(model.table, rows)), unit(pairs.targets[rows])
    cosines = [(each @ each.T)[upper] for each in (ours, theirs)]
    if min(map(np.ptp, cosines)) == 0:
        return "all cosines of the held-out sentences are the same"
    return float(np.corrcoef(cosines)[0, 1])


def write_summary(file: Path, stages: Sequence[Artifact], scores: Mapping[str, float | str]) -> list[dict[str, Any]]:
    """Write what the stages recorded, with what `agreement` gives for those that made a model, by name; return it."""
    rows = [{"stage": stage.name, **stage.record} for stage in stages]
    for row in rows:
        match scores.get(row["stage"]):
            case str(reason):
                row[NO_AGREEMENT] = reason
            case float(score):
                row[AGREEMENT] = round(score, 4)
    with file_written_whole(file) as beside:
        beside.write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Lines for a terminal: seconds, peak memory, agreement with the teacher, and the facts of each stage."""
    width = max([13, *(len(row["stage"]) for row in rows)])
    lines = [f"{'stage':{width}} {'seconds':>8} {'peak MB':>8} {'agreement':>9}  facts"]
    for row in rows:
        facts = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("stage", *NOT_SHOWN) and value)
        score = f"{row[AGREEMENT]:.4f}" if AGREEMENT in row else ""
        lines.append(f"{row['stage']:{width}} {row['seconds']:8.1f} {row['peak_memory_mb'] or 0:8} {score:>9}  {facts}")
    lines.append(
        "agreement: how the model's cosines of held-out sentences go with the teacher's (Pearson, 1 is the same)"
    )
    lines += [f"no agreement of {row['stage']}: {row[NO_AGREEMENT]}" for row in rows if NO_AGREEMENT in row]
    return "\n".join(lines)
