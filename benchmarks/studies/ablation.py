"""Ablation: what each choice of the shipped recipe is worth, by training variants of it on the same features.

Each variant changes one thing. Stages before the change are those of a finished run, linked and not made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_potion.trainer.pipeline import train
from edge_potion.trainer.recipe import Recipe
from edge_potion.trainer.run_folder import LOCK

__all__ = ["VARIANTS", "Given", "changed", "run_of", "with_seed"]

Changes = Mapping[str, Mapping[str, Any]]
TRAININGS = ("contrast", "born_again", "phrases")
# What is changed in the shipped recipe, section by section; and whether all teachers are asked.
VARIANTS: Mapping[str, tuple[Changes, bool]] = {
    "one teacher": ({}, False),
    "one teacher, no phrases": ({"phrases": {"count": 0}}, False),
    "one teacher, no phrases, power 0.7": ({"phrases": {"count": 0}, "power": {"exponent": 0.7}}, False),
    "the second teacher at full weight": ({"others": {"weight": 1.0}}, True),
    "no phrases": ({"phrases": {"count": 0}}, True),
    "twice the phrases": ({"phrases": {"count": 33_000}}, True),
    "half the phrases": ({"phrases": {"count": 8_250}}, True),
    "phrases by count": ({"phrases": {"choice": "count"}}, True),
    "the commonest phrases too": ({"phrases": {"most_share": 1.0}}, True),
    "phrases begin at the teacher's vectors": ({"phrases": {"begin": "teacher"}}, True),
    "phrases begun from the trained tokens": ({"phrases": {"start": "trained"}}, True),
    "power 0.7": ({"power": {"exponent": 0.7}}, True),
    "power 0.85": ({"power": {"exponent": 0.85}}, True),
    "as wide as it is trained": ({"pca": {"dims": 384}}, True),
}


class Given:
    """What every run is given: the folder of the teacher, the file of the sentences, a folder of features a teacher."""

    def __init__(self, teacher: Path, corpus: Path, features: Sequence[Path]) -> None:
        self.teacher, self.corpus, self.features = teacher, corpus, features

    def alone(self) -> Given:
        """Of the first teacher only."""
        return Given(self.teacher, self.corpus, self.features[:1])


def changed(recipe: Recipe, changes: Changes) -> Recipe:
    """The recipe with other values in some sections; what is changed in `others` is changed for each."""
    sections = {
        name: tuple(replace(each, **values) for each in recipe.others)
        if name == "others"
        else replace(getattr(recipe, name), **values)
        for name, values in changes.items()
    }
    return replace(recipe, **sections)


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with this seed in each of its trainings."""
    return changed(recipe, {section: {"seed": seed} for section in TRAININGS})


def run_of(recipe: Recipe, given: Given, folder: Path, like: Path | None = None) -> Path:
    """The folder of a finished run, trained where it is not; `like` is a run whose stages it may take over."""
    if not folder.exists() and like is not None and like.exists():
        own = shutil.ignore_patterns(LOCK)  # which would be one lock for both runs
        shutil.copytree(like, folder, ignore=own, copy_function=os.link)  # files are replaced, never written into
    if len(given.features) == 1:
        recipe = replace(recipe, others=())
    features = list(map(str, given.features))
    train(recipe, folder, teacher=given.teacher, corpus=given.corpus, features=features, show_progress=True)
    return folder
