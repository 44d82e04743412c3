"""The published recipe, rehearsed on a thin stand-in: one command against a hub on this machine, and its faults.

The same code rehearses it whole: benchmarks/studies/rehearsal.py.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from tokenizers import Tokenizer

from edge_potion import StaticModel
from edge_potion.benchmarks.studies.rehearsal import bare_environment, bits, killed_in_each_stage, recipe_copy
from edge_potion.benchmarks.studies.rehearsal import train_watched as watched
from edge_potion.benchmarks.studies.rehearsal_hub import Hub, hub_of
from edge_potion.benchmarks.studies.rehearsal_standins import (
    C4,
    C4_NAMES,
    SHARD_NAMES,
    TEACHER,
    Shape,
    write_c4,
    write_teacher,
)

SHAPE = Shape(layers=2, width=32, heads=2, inner=64)
# Of the recipe's keys only sizes are others: those of a corpus and a teacher of seconds.
SENTENCES = 100
CHANGES = (
    "[distill] vocabulary_size = 400",
    "[featurize] shard_rows = 32",
    "[contrast] batch_size = 16",
    "[born_again] batch_size = 16",
    "[pca] dims = 16",
)
SAMPLE = """
import sys
from pathlib import Path
from edge_potion import InputError
from edge_potion.trainer.corpus import sample_corpus
from edge_potion.trainer.recipe import CorpusRecipe
try:
    print(sample_corpus(CorpusRecipe(sentences=100), Path(sys.argv[1])).sentences)
except InputError as error:
    print(error)
"""
FIRST_SHARD, SECOND_SHARD = SHARD_NAMES[:2]


@pytest.fixture(scope="module")
def repositories(small_teacher, sentences, tmp_path_factory) -> dict[str, Path]:
    """What the hub holds: a teacher with the vocabulary of `small_teacher`, and our own sentences in two shards."""
    vocabulary = Tokenizer.from_file(str(small_teacher / "tokenizer.json")).get_vocab()
    pieces = [*sorted(vocabulary, key=lambda piece: vocabulary[piece]), "[MASK]"]
    folder = tmp_path_factory.mktemp("hub")
    teacher, c4 = write_teacher(folder / TEACHER, SHAPE, pieces), write_c4(folder / C4, sentences, shards=2)
    return {f"models/{TEACHER}": teacher, f"datasets/{C4}": c4}


@pytest.fixture
def hub(repositories) -> Iterator[Hub]:
    with hub_of(repositories, {f"datasets/{C4}": C4_NAMES}) as hub:
        yield hub


@pytest.fixture(scope="module")
def rehearsed(repositories, tmp_path_factory) -> Path:
    """A folder with the recipe, an undisturbed run of it, and what was downloaded for it."""
    folder = tmp_path_factory.mktemp("rehearsed")
    recipe = recipe_copy(folder / "recipe.toml", SENTENCES, CHANGES)
    with hub_of(repositories, {f"datasets/{C4}": C4_NAMES}) as hub:
        environment = {**bare_environment(), **hub.environment(folder / "hf")}
        seen = watched(recipe, folder / "run", environment, hub, folder / "log")
        assert seen.code == 0, (folder / "log").read_text()
        sent = {name: size for (_, name), size in hub.sent.items()}
    (folder / "sent.json").write_text(json.dumps(sent))
    return folder


def sampled(hub: Hub, tmp_path: Path) -> str:
    """What a process says that samples the corpus from the hub into `tmp_path`/sentences.txt."""
    environment = {**bare_environment(), **hub.environment(tmp_path / "hf")}
    command = [sys.executable, "-c", SAMPLE, str(tmp_path / "sentences.txt")]
    return run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout.strip()


def test_one_command_goes_from_the_hub_to_a_model(rehearsed):
    model = StaticModel.from_pretrained(rehearsed / "run" / "model")
    assert model.table.shape == (400, 16)
    origin = model.card.config["edge_potion"]
    assert origin["teacher"] == TEACHER and len(origin["teacher_revision"]) == 40
    assert np.isfinite(model.encode(["The council voted."])).all()


def test_nothing_is_downloaded_that_training_does_not_need(rehearsed):
    sent = json.loads((rehearsed / "sent.json").read_text())
    assert {"model.safetensors", "tokenizer.json", "1_Pooling/config.json", FIRST_SHARD} <= set(sent)
    assert not [name for name in sent if name.startswith(("onnx/", "gguf/", "en/c4-validation"))]


@pytest.mark.slow
def test_a_connection_that_breaks_within_a_shard_costs_no_sentence(rehearsed, hub, tmp_path):
    hub.cuts[FIRST_SHARD] = [5_000, 3_000]
    assert sampled(hub, tmp_path) == "100"
    assert not hub.cuts[FIRST_SHARD]
    assert (tmp_path / "sentences.txt").read_bytes() == (rehearsed / "run" / "0-corpus" / "sentences.txt").read_bytes()


@pytest.mark.parametrize("damage", [lambda packed: packed[:5_000], lambda packed: packed[:500] + bytes(len(packed))])
def test_a_damaged_shard_is_told_in_one_line(repositories, tmp_path, damage):
    c4 = Path(shutil.copytree(repositories[f"datasets/{C4}"], tmp_path / "c4"))
    (c4 / FIRST_SHARD).write_bytes(damage((c4 / FIRST_SHARD).read_bytes()))
    with hub_of({f"datasets/{C4}": c4}, {f"datasets/{C4}": C4_NAMES}) as hub:
        said = sampled(hub, tmp_path)
    assert said.startswith("the hub did not give the data set 'allenai/c4' (") and "run the same command again" in said
    assert not (tmp_path / "sentences.txt").exists()


def test_a_run_goes_on_without_the_hub_from_what_it_has(rehearsed, repositories, tmp_path):
    for name in ("hf", "run"):
        shutil.copytree(rehearsed / name, tmp_path / name, symlinks=True)
    for stage in ("2-featurize", "4-born-again", "6-pca", "model"):
        shutil.rmtree(tmp_path / "run" / stage)
    with hub_of(repositories) as hub:
        environment = {**bare_environment(), **hub.environment(tmp_path / "hf")}
    seen = watched(rehearsed / "recipe.toml", tmp_path / "run", environment, hub, tmp_path / "log")
    assert seen.code == 0, (tmp_path / "log").read_text()
    assert bits(tmp_path / "run") == bits(rehearsed / "run")


@pytest.mark.slow
def test_killed_in_each_stage_it_ends_in_the_same_bits(rehearsed, hub, tmp_path):
    environment = {**bare_environment(), **hub.environment(tmp_path / "hf")}
    rng = np.random.default_rng(0)
    kills = killed_in_each_stage(rehearsed / "recipe.toml", tmp_path / "run", environment, rehearsed / "run", rng)
    assert len(kills) == 8
    assert bits(tmp_path / "run") == bits(rehearsed / "run")
