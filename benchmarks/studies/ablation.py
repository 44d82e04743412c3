"""Ablation: what each choice of the recipe is worth, by training variants of it on the same sentences and features.

Each variant changes one thing of the published recipe. Stages before the change are those of a finished run, linked and
not made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_potion.trainer.pipeline import train
from edge_potion.trainer.recipe import Recipe
from edge_potion.trainer.recipe_file import load_recipe

__all__ = ["PUBLISHED", "VARIANTS", "train_variants"]

PUBLISHED = "the published recipe"
NO_BORN_AGAIN: Mapping[str, Mapping[str, Any]] = {"born_again": {"epochs": 0}}
# What is changed in the published recipe, section by section.
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    PUBLISHED: {},
    "no born-again": NO_BORN_AGAIN,
    "power 0.5": {"power": {"exponent": 0.5}},
    "power 0.9": {"power": {"exponent": 0.9}},
    "power 1 (none)": {"power": {"exponent": 1.0}},
    "no born-again, no power": {**NO_BORN_AGAIN, "power": {"exponent": 1.0}},
    "trained at 256, no PCA at the end": {"distill": {"dims": 256}},
    "vocabulary 29.5K": {"distill": {"vocabulary_size": 29_528}},
    "temperature 0.2": {"contrast": {"temperature": 0.2}, "born_again": {"temperature": 0.2}},
    "5 epochs": {"contrast": {"epochs": 5}, "born_again": {"epochs": 5}},
    "no token weights": {"contrast": {"token_weights": False}, "born_again": {"token_weights": False}},
    "cosine loss": {"contrast": {"loss": "cosine"}, "born_again": {"loss": "cosine"}},
    "soft loss": {"contrast": {"loss": "soft"}, "born_again": {"loss": "soft"}},
    "cosine loss, no born-again": {"contrast": {"loss": "cosine"}, **NO_BORN_AGAIN},
    "cosine loss, no born-again, no power": {
        "contrast": {"loss": "cosine"},
        **NO_BORN_AGAIN,
        "power": {"exponent": 1.0},
    },
}


def train_variants(teacher: Path, corpus: Path, features: Path, dims: int, scratch: Path) -> dict[str, Path]:
    """Train what `scratch` does not hold yet; the model folder of each variant.

    Args:
        teacher: its folder.
        corpus: file of sentences, for the words of the vocabulary.
        features: (text, vector) shards of the teacher.
        dims: width of the students before the last PCA; the teacher's, where that is below the published 512.
        scratch: a folder for the runs.
    """
    base = load_recipe("potion-256d")
    base = replace(base, distill=replace(base.distill, dims=dims))
    models = {}
    for name, changes in VARIANTS.items():
        folder = scratch / _slug(name)
        published = scratch / _slug(PUBLISHED)
        if not folder.exists() and published.exists():
            shutil.copytree(published, folder, copy_function=os.link)  # files are replaced, never written into
        train(_changed(base, changes), folder, teacher=teacher, corpus=corpus, features=features, show_progress=True)
        models[name] = folder / "model"
    return models


def _changed(recipe: Recipe, changes: Mapping[str, Mapping[str, Any]]) -> Recipe:
    sections = {name: replace(getattr(recipe, name), **values) for name, values in changes.items()}
    return replace(recipe, **sections)


def _slug(name: str) -> str:
    return "-".join(name.replace("(", "").replace(")", "").replace(",", "").split())
