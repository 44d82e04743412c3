"""The multilingual recipe, rehearsed on a thin stand-in of XLM-R's shape, and subsets by language of a hub here."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_potion import StaticModel
from edge_potion.benchmarks.studies.rehearsal import bare_environment, bits, killed_in_each_stage, recipe_copy
from edge_potion.benchmarks.studies.rehearsal import train_watched as watched
from edge_potion.benchmarks.studies.rehearsal_hub import Hub, hub_of
from edge_potion.benchmarks.studies.rehearsal_standins import (
    C4,
    XLMR_SPECIALS,
    XLMR_TEACHER,
    Shape,
    write_c4_by_language,
    write_xlmr_teacher,
)
from edge_potion.exporters.precompiled import charsmap_of
from edge_potion.trainer.special_tokens import silent_ids

from ..exporters.unigram_tokenizers import CHARSMAP

SHAPE = Shape(layers=2, width=32, heads=2, inner=64)
LANGUAGES = ("en", "fr", "zh")
SENTENCES, ROWS = 150, 1500
# Of the recipe's keys, those that are about sizes, and which languages there are.
CHANGES = (
    f"[corpus] languages = {json.dumps(LANGUAGES)}",
    f"[distill] vocabulary_size = {ROWS}",
    "[featurize] shard_rows = 32",
    "[contrast] batch_size = 16",
    "[pca] dims = 16",
)
RECIPE = "potion-256d-multilingual"


@pytest.fixture(scope="module")
def repositories(sentences, tmp_path_factory) -> dict[str, Path]:
    """What the hub holds: a teacher, and our own sentences, those of ASCII, of other Latin letters, and all others."""
    by_language: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for text in sentences:
        by_language["en" if text.isascii() else "fr" if max(text) < "\u0250" else "zh"].append(text)
    folder = tmp_path_factory.mktemp("hub")
    teacher = write_xlmr_teacher(folder / XLMR_TEACHER, SHAPE, sentences, 2000, base64.b64decode(charsmap_of(CHARSMAP)))
    return {f"models/{XLMR_TEACHER}": teacher, f"datasets/{C4}": write_c4_by_language(folder / C4, by_language)}


@pytest.fixture
def hub(repositories) -> Iterator[Hub]:
    with hub_of(repositories) as hub:
        yield hub


@pytest.fixture(scope="module")
def rehearsed(repositories, tmp_path_factory) -> Path:
    """A folder with the recipe, and an undisturbed run of it."""
    folder = tmp_path_factory.mktemp("rehearsed")
    recipe = recipe_copy(folder / "recipe.toml", SENTENCES, CHANGES, RECIPE)
    with hub_of(repositories) as hub:
        environment = {**bare_environment(), **hub.environment(folder / "hf")}
        seen = watched(recipe, folder / "run", environment, hub, folder / "log")
    assert seen.code == 0, (folder / "log").read_text()
    return folder


def test_one_command_goes_from_subsets_by_language_to_a_bundle(rehearsed, tmp_path):
    run = rehearsed / "run"
    given = json.loads((run / "0-corpus" / "stage.json").read_text())["languages"]
    assert given == dict.fromkeys(LANGUAGES, SENTENCES // len(LANGUAGES))
    model = StaticModel.from_pretrained(run / "model")
    assert model.table.shape == (ROWS, 16)
    assert json.loads(model.tokenizer.to_str())["model"]["type"] == "Unigram"
    silent = list(silent_ids(model.tokenizer))
    assert len(silent) == len(XLMR_SPECIALS) and not model.table[silent].any()
    assert model.encode(["The council voted.", "昨晚的球賽", "Où avez-vous garé la voiture ?"]).any(axis=1).all()
    command = [sys.executable, "-m", "edge_potion"]
    for arguments in (
        ["export", run / "model", "--quantize", "float16", "--out", tmp_path / "bundle"],
        ["verify", tmp_path / "bundle"],
    ):
        subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=300)


@pytest.mark.slow
def test_killed_in_each_stage_it_ends_in_the_same_bits(rehearsed, hub, tmp_path):
    environment = {**bare_environment(), **hub.environment(tmp_path / "hf")}
    rng = np.random.default_rng(0)
    kills = killed_in_each_stage(rehearsed / "recipe.toml", tmp_path / "run", environment, rehearsed / "run", rng)
    assert len(kills) == 8
    assert bits(tmp_path / "run") == bits(rehearsed / "run")
