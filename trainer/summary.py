"""A run's summary: what each stage cost and brought, as JSON for machines and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.static_model import StaticModel
from edge_potion.writing import file_written_whole

from .pairs import Pairs, unit
from .run_folder import Artifact

__all__ = ["AGREEMENT_ROWS", "agreement", "as_table", "write_summary"]

AGREEMENT_ROWS = 1_000  # held-out sentences; half a million pairs
FEWEST_HELD_OUT = 3
NOT_SHOWN = ("fingerprint", "edge_potion_version", "files", "recipe", "seconds", "peak_memory_mb", "agreement")


def agreement(model: StaticModel, pairs: Pairs, held_out: np.ndarray) -> float | None:
    """How far the model tells apart what the teacher tells apart, -1..1; None where too few sentences can tell.

    Pearson's correlation between the cosines of the model's vectors and those of the targets, over all pairs of up to
    1,000 of the held-out sentences.
    """
    rows = held_out[:AGREEMENT_ROWS]
    upper = np.triu_indices(len(rows), 1)
    ours, theirs = unit(pairs.means(model.table, rows)), unit(pairs.targets[rows])
    cosines = [(each @ each.T)[upper] for each in (ours, theirs)]
    if len(rows) < FEWEST_HELD_OUT or min(map(np.ptp, cosines)) == 0:
        return None
    return float(np.corrcoef(cosines)[0, 1])


def write_summary(file: Path, stages: Sequence[Artifact], scores: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Write what the stages recorded, with the agreement of those that made a model, by name; return it."""
    rows = [{"stage": stage.name, **stage.record} for stage in stages]
    for row in rows:
        if (score := scores.get(row["stage"])) is not None:
            row["agreement"] = round(score, 4)
    with file_written_whole(file) as beside:
        beside.write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Lines for a terminal: seconds, peak memory, agreement with the teacher, and the facts of each stage."""
    width = max([13, *(len(row["stage"]) for row in rows)])
    lines = [f"{'stage':{width}} {'seconds':>8} {'peak MB':>8} {'agreement':>9}  facts"]
    for row in rows:
        facts = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("stage", *NOT_SHOWN) and value)
        score = f"{row['agreement']:.4f}" if "agreement" in row else ""
        lines.append(f"{row['stage']:{width}} {row['seconds']:8.1f} {row['peak_memory_mb'] or 0:8} {score:>9}  {facts}")
    lines.append(
        "agreement: how the model's cosines of held-out sentences go with the teacher's (Pearson, 1 is the same)"
    )
    return "\n".join(lines)
