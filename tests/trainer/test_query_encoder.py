"""The recipe query-encoder: a student in its teacher's own space, whose queries find what the teacher encoded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import RecipeError, StaticModel, train
from edge_potion.trainer.recipe import Recipe
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.teacher import load_teacher
from edge_potion.unit_length import unit_length

from ..models import DATA


def small(recipe: Recipe, dims: int = 8) -> Recipe:
    """A recipe, brought to the size of the small teacher and of our sentences."""
    return replace(
        recipe,
        corpus=replace(recipe.corpus, sentences=400),
        distill=replace(recipe.distill, dims=dims, vocabulary_size=250),
        contrast=replace(recipe.contrast, batch_size=32, epochs=8, learning_rate=0.03),
        pca=replace(recipe.pca, dims=dims),
    )


@pytest.fixture(scope="session")
def encoder(small_teacher, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("query_encoder") / "run"
    train(small(load_recipe("query-encoder")), out, teacher=small_teacher, corpus=[DATA], device="cpu")
    return out


@pytest.fixture(scope="session")
def texts(sentences) -> list[str]:
    """Those of our sentences whose letters the small teacher knows."""
    return [text for text in sentences if text.isascii() and len(text) >= 20]


@pytest.fixture(scope="session")
def by_teacher(small_teacher, texts) -> np.ndarray:
    """(N, 8) of length 1: what the teacher's own modules make of the texts."""
    teacher = load_teacher(small_teacher, device="cpu")
    return unit_length(teacher.vectors(teacher.sequences(texts, 128), pooling="model"))


def cosines(model: StaticModel, texts: list[str], by_teacher: np.ndarray) -> np.ndarray:
    """(N, N) of the model's vectors with the teacher's, both without what all share."""
    ours = unit_length(model.encode(texts) - model.encode(texts).mean(axis=0))
    return ours @ unit_length(by_teacher - by_teacher.mean(axis=0)).T


def test_the_students_vectors_are_near_the_teachers_own(encoder, small_teacher, texts, by_teacher, tmp_path):
    """With space = "own" and all else the same, they are as near one another, and not near the teacher's."""
    model = StaticModel.from_pretrained(encoder / "model")
    own = replace(small(load_recipe("query-encoder")), space="own")
    train(own, tmp_path / "run", teacher=small_teacher, corpus=[DATA], device="cpu")
    turned_away = StaticModel.from_pretrained(tmp_path / "run" / "model")
    assert (model.encode(texts) * by_teacher).sum(axis=1).mean() > 0.97
    assert (turned_away.encode(texts) * by_teacher).sum(axis=1).mean() < 0.5
    near, far = (np.diag(cosines(each, texts, by_teacher)).mean() for each in (model, turned_away))
    assert near > 0.8 and abs(far) < 0.5


def test_a_query_finds_the_text_that_the_teacher_encoded(encoder, texts, by_teacher):
    ranks = np.argsort(-cosines(StaticModel.from_pretrained(encoder / "model"), texts, by_teacher), axis=1)
    found = (ranks[:, :10] == np.arange(len(texts))[:, None]).any(axis=1).mean()
    assert found > 0.5  # of the ten nearest; by chance, a thirtieth


def test_power_and_pca_leave_the_table_as_it_was_trained(encoder):
    tables = [
        StaticModel.from_pretrained(encoder / stage / "model").table for stage in ("3-contrast", "5-power", "6-pca")
    ]
    assert np.array_equal(tables[0], tables[1]) and np.array_equal(tables[0], tables[2])


def test_its_card_and_configuration_say_whose_space_it_is(encoder):
    config = json.loads((encoder / "model" / "config.json").read_text())
    assert config["edge_potion"]["space"] == "teacher"
    card = (encoder / "model" / "README.md").read_text()
    assert "Its vectors lie in the space of small-bert" in card
    assert load_recipe(encoder / "model" / "recipe.toml").space == "teacher"


def test_a_run_of_it_goes_on_where_it_was(encoder, small_teacher, tmp_path, caplog):
    run = Path(shutil.copytree(encoder, tmp_path / "run"))
    shutil.rmtree(run / "4-born-again")
    with caplog.at_level("INFO"):
        train(small(load_recipe("query-encoder")), run, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert "2-pairs: done before" in caplog.text and "4-born-again: begins" in caplog.text


def test_a_width_that_is_not_the_teachers_is_refused(small_teacher, tmp_path):
    with pytest.raises(RecipeError, match=r"\[pca\] dims is 6, and the teacher's vectors have 8; .* ask for 8"):
        recipe = small(load_recipe("query-encoder"), dims=6)
        train(recipe, tmp_path / "run", teacher=small_teacher, corpus=[DATA], device="cpu")


def test_phrases_are_trained_in_the_teachers_space_too(small_teacher, texts, by_teacher, tmp_path):
    recipe = small(load_recipe("query-encoder"))
    how = {"loss": "cosine", "batch_size": 32, "epochs": 8, "learning_rate": 0.03}
    phrases = replace(recipe.phrases, count=40, least_count=2, **how)
    model = train(
        replace(recipe, phrases=phrases), tmp_path / "run", teacher=small_teacher, corpus=[DATA], device="cpu"
    ).model
    assert model.phrases is not None and len(model.phrases) == 40
    assert (model.encode(texts) * by_teacher).sum(axis=1).mean() > 0.97
    trained = StaticModel.from_pretrained(tmp_path / "run" / "4-phrases" / "model")
    assert np.array_equal(model.table, trained.table)
