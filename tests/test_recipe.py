"""Recipes: the published defaults, TOML over them, and errors that name what was meant."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion import RecipeError
from edge_potion.trainer.postprocess import power_normalized
from edge_potion.trainer.recipe import DistilRecipe, PowerRecipe, Recipe, fingerprint, load_recipe, to_toml


def test_the_shipped_default_is_the_published_recipe():
    """Card of potion-256d-v3: 500K sentences of English C4, distilled at 512, power 0.7, PCA to 256."""
    recipe = load_recipe("potion-256d")
    assert recipe == Recipe()
    assert (recipe.corpus.source, recipe.corpus.subset, recipe.corpus.sentences) == ("allenai/c4", "en", 500_000)
    assert (recipe.distil.dims, recipe.power.exponent, recipe.pca.dims) == (512, 0.7, 256)


@pytest.mark.parametrize("name", ["potion-256d", "potion-256d-minilm", "tiny"])
def test_every_shipped_recipe_reads_and_writes(name, tmp_path):
    recipe = load_recipe(name)
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_toml_overrides_defaults_and_false_means_none(tmp_path):
    (tmp_path / "mine.toml").write_text("[distil]\nsif_coefficient = false\n[power]\nexponent = 1\n")
    recipe = load_recipe(tmp_path / "mine.toml")
    assert recipe.distil == DistilRecipe(sif_coefficient=None)
    assert recipe.power.exponent == 1.0
    assert "sif_coefficient = false" in to_toml(recipe)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[distil]\ndim = 3", r"mine.toml, \[distil\]: there is no 'dim'; did you mean 'dims'\?"),
        ("[distill]\ndims = 3", r"there is no 'distill'; did you mean 'distil'\?"),
        ("distil = 3", r"distil is 3; a section \[distil\] was expected"),
        ("[distil]\ndims = '256'", "dims is '256'; a whole number was expected"),
        ("[distil]\ndims = true", "dims is True; a whole number was expected"),
        ("[corpus]\nsentences = false", "sentences is False; a whole number was expected"),
        ("[distil]\ndims = 0", "dims is 0; at least 1 was expected"),
        ("[corpus]\nmin_characters = 9\nmax_characters = 8", "max_characters is 8; at least 9"),
        ("[power]\nexponent = 0", "exponent is 0"),
        ("[contrast]\nepochs = 0", "epochs is 0; at least 1"),
        ("[contrast]\nfewest_epochs = 0", "there is no 'fewest_epochs'"),
        ("[pca", "cannot be read as TOML"),
    ],
)
def test_a_recipe_that_is_wrong_says_where_and_what_was_meant(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "mine.toml")


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path):
    for name in ("potion", tmp_path / "missing.toml"):
        with pytest.raises(RecipeError, match="one of potion-256d, potion-256d-minilm, tiny"):
            load_recipe(name)


def test_a_fingerprint_changes_with_a_section_and_with_what_came_before():
    first = fingerprint(DistilRecipe())
    assert first != fingerprint(DistilRecipe(dims=256))
    assert fingerprint(PowerRecipe(), first) != fingerprint(PowerRecipe(), "other")
    assert first == fingerprint(DistilRecipe())


def test_power_normalization_by_hand():
    table = np.array([[0.0, 1.0, -4.0, 0.25]], np.float32)
    np.testing.assert_allclose(power_normalized(table, PowerRecipe(0.5)), [[0, 1, -2, 0.5]])
    assert np.array_equal(power_normalized(table, PowerRecipe(1.0)), table)
    assert power_normalized(table, PowerRecipe()).dtype == np.float32
