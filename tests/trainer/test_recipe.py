"""Recipes: the published defaults, TOML over them, and errors that name what was meant."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_potion import RecipeError
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.trainer.contrast import _is_looked_at
from edge_potion.trainer.explained import explained
from edge_potion.trainer.postprocess import power_normalized
from edge_potion.trainer.recipe import (
    ContrastRecipe,
    DistillRecipe,
    FeaturizeRecipe,
    OtherRecipe,
    PowerRecipe,
    Recipe,
    TargetsRecipe,
)
from edge_potion.trainer.recipe_file import fingerprint, load_recipe, shipped_recipes, to_toml


def test_the_shipped_default_is_the_published_recipe():
    """Card of potion-256d-v3: 500K sentences of English C4, distilled at 512, power 0.7, PCA to 256."""
    recipe = load_recipe("potion-256d")
    assert recipe == Recipe()
    assert (recipe.corpus.source, recipe.corpus.subset, recipe.corpus.sentences) == ("allenai/c4", "en", 500_000)
    assert (recipe.distill.dims, recipe.power.exponent, recipe.pca.dims) == (512, 0.7, 256)


@pytest.mark.parametrize(
    "name",
    ["potion-256d", "potion-256d-minilm", "potion-256d-minilm-e5", "potion-256d-multilingual", "query-encoder", "tiny"],
)
def test_every_shipped_recipe_reads_and_writes(name, tmp_path):
    recipe = load_recipe(name)
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_others_are_a_list_of_tables_that_is_written_and_explained_too(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[[others]]\nteacher = "a/b"\nweight = 2\n[[others]]\nteacher = "c"\npooling = "tokens"\n')
    recipe = load_recipe(file)
    assert recipe.others == (OtherRecipe("a/b", weight=2.0), OtherRecipe("c", pooling="tokens"))
    assert recipe.targets == TargetsRecipe("own", [1.0, 2.0, 1.0])
    for text in (to_toml(recipe), explained(recipe)):
        file.write_text(text)
        assert load_recipe(file) == recipe
    assert "# [[others]]" in explained(Recipe()) and load_recipe("potion-256d").targets is None


def test_toml_overrides_defaults_and_false_means_none(tmp_path):
    (tmp_path / "mine.toml").write_text("[distill]\nsif_coefficient = false\n[power]\nexponent = 1\n")
    recipe = load_recipe(tmp_path / "mine.toml")
    assert recipe.distill == DistillRecipe(sif_coefficient=None)
    assert recipe.power.exponent == 1.0
    assert "sif_coefficient = false" in to_toml(recipe)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[distill]\ndim = 3", r"mine.toml, \[distill\]: there is no 'dim'; did you mean 'dims'\?"),
        ("[distil]\ndims = 3\n[distill]\ndims = 3", r"\[distil\] and \[distill\], which are the same section"),
        ("distill = 3", r"distill is 3; a section \[distill\] was expected"),
        ("[distill]\ndims = '256'", "dims is '256'; a whole number was expected"),
        ("[distill]\ndims = true", "dims is True; a whole number was expected"),
        ("[corpus]\nsentences = false", "sentences is False; a whole number was expected"),
        ("[distill]\ndims = 0", "dims is 0; at least 1 was expected"),
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


def test_what_came_later_is_written_where_it_is_not_the_default(tmp_path):
    """Recipes without it keep their fingerprints."""
    (tmp_path / "mine.toml").write_text("[phrases]\ncount = 50\n[pca]\nfitted_to = 'tokens'\n")
    recipe = load_recipe(tmp_path / "mine.toml")
    assert (recipe.phrases.count, recipe.phrases.choice, recipe.pca.fitted_to) == (50, "pmi", "tokens")
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe
    assert "phrases" not in to_toml(Recipe()) and "fitted_to" not in to_toml(Recipe())


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path):
    for name in ("potion", tmp_path / "missing.toml"):
        with pytest.raises(
            RecipeError,
            match="one of potion-256d, potion-256d-minilm, potion-256d-minilm-e5, potion-256d-multilingual, "
            "query-encoder, tiny",
        ):
            load_recipe(name)


def test_a_fingerprint_changes_with_a_section_and_with_what_came_before():
    first = fingerprint(DistillRecipe())
    assert first != fingerprint(DistillRecipe(dims=256))
    assert fingerprint(PowerRecipe(), first) != fingerprint(PowerRecipe(), "other")
    assert first == fingerprint(DistillRecipe())


def test_power_normalization_by_hand():
    table = np.array([[0.0, 1.0, -4.0, 0.25]], np.float32)
    np.testing.assert_allclose(power_normalized(table, PowerRecipe(0.5)), [[0, 1, -2, 0.5]])
    assert np.array_equal(power_normalized(table, PowerRecipe(1.0)), table)
    assert power_normalized(table, PowerRecipe()).dtype == np.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[contrast]\nlr = 0.1", r"\[contrast\]: there is no 'lr'; did you mean 'learning_rate'\?"),
        (
            "[distill]\nlr_rate = 0.1",
            r"there is no 'lr_rate'; \[contrast\], \[born_again\], \[phrases\] have 'learning_rate'",
        ),
        ("[contrast]\nEpoch = 2", "there is no 'Epoch'; did you mean 'epochs'"),
        ("[born_again]\nbatch-size = 2", "there is no 'batch-size'; did you mean 'batch_size'"),
        ("lr = 0.1", r"there is no 'lr'; \[contrast\], \[born_again\], \[phrases\] have 'learning_rate'"),
        ("[distill]\nvocab_size = 5", "did you mean 'vocabulary_size'"),
        ("[pca]\nexponent = 0.5", r"\[power\] has 'exponent'"),
        ("[contrast]\nteacher = 'x'", "'teacher' stands at the top of a recipe"),
        ("[corpus]\nzzz = 1", "there is no 'zzz'; there are alpha, languages, max_characters, "),
        ("[contrast]\nepochs = 1e3", "epochs is 1000.0; a whole number was expected"),
        ("[contrast]\ntemperature = nan", "temperature is nan; a number from 0.001 to 1000"),
        ("[contrast]\nlearning_rate = inf", "learning_rate is inf"),
        ("[distill]\nsif_coefficient = nan", "sif_coefficient is nan"),
        ("[power]\nexponent = nan", "exponent is nan"),
        ("[born_again]\nalpha = nan", "alpha is nan"),
        ("[contrast]\ntoken_weights = 1", "token_weights is 1; true or false was expected"),
        ("teacher = 3", "teacher is 3; words in quotes was expected"),
        ('teacher = "a\\nb"', "a name without control characters"),
        ('[corpus]\nsource = "a\\u0000"', "a name without control characters"),
        ('[corpus]\nsubset = "\\u001b[2J"', "a name without control characters"),
        (f"[corpus]\nsentences = {10**30}", "sentences is 10{30}; at most"),
        (f"[featurize]\nmax_tokens = {10**9}", "at most 1,048,576"),
        (
            "[featurize]\nprompt = 'query: '",
            'prompt is \'query: \', and pooling = "tokens" would count its tokens as the text\'s; .* "model", or leave',
        ),
        ('[featurize]\nprompt = "\\u001b[2J"\npooling = "model"', "prompt is .* without control characters"),
        ("[featurize]\nprefix = 'query: '", "there is no 'prefix'; did you mean 'prompt'"),
        ("[[others]]\nteacher = 'a'\npooling = 'tokens'\nprompt = 'q: '", r"\[\[others\]\] 1: prompt is 'q: '"),
        (f"[contrast]\nlearning_rate = {10**400}", "learning_rate is a number of more than 40 digits"),
        ("[born_again]\nepochs = 10001", "epochs is 10001; at most 10,000"),
        ("[contrast]\nseed = -1", "seed is -1; at least 0"),
        ("[distill]\ndims = 6\n[pca]\ndims = 512", r"\[pca\] dims is 512, .* has \[distill\] dims = 6"),
        ("[pca]\ndims = 513", r"\[pca\] dims is 513, .* = 512"),
        ("[corpus]\nsentences = 100", "sentences is 100, which fills no batch"),
        (
            "[corpus]\nsentences = 600\n[phrases]\ncount = 9\nbatch_size = 601",
            r"fills no batch of \[phrases\] batch_size = 601",
        ),
        ("[phrases]\ncount = -1", "count is -1; at least 0 was expected"),
        ("[phrases]\ncount = 16777217", "count is 16777217; at most 16,777,216"),
        ("[phrases]\nchoice = 'npmi'", r"\[phrases\]: choice is 'npmi'; one of pmi, count was expected"),
        ("[phrases]\nbegin = 'ones'", "begin is 'ones'; one of zeros, teacher was expected"),
        ("[phrases]\nstart = 'zeros'", "start is 'zeros'; one of distilled, trained was expected"),
        ("[phrases]\nleast_count = 0", "least_count is 0; at least 1"),
        ("[phrases]\nmost_share = 0", "most_share is 0.0; a number from 1e-09 to 1"),
        ("[phrases]\nleast = 3", "there is no 'least'; did you mean 'least_count'"),
        ("[phrases]\nepochs = 0", "epochs is 0; at least 1"),
        ("[pca]\nfitted_to = 'phrases'", r"\[pca\]: fitted_to is 'phrases'; one of all, tokens was expected"),
        ("[[others]]\nweights = 2", r"\[\[others\]\] 1: there is no 'weights'; did you mean 'weight'\?"),
        ("[[others]]\nteacher = 'a'\n[[others]]\nmodel = 'b'", r"\[\[others\]\] 2: .* did you mean 'teacher'"),
        ("[[others]]\nweight = 2", "teacher is ''; a name was expected"),
        ("[[others]]\nteacher = 'a'\nweight = 0", "weight is 0.0; a number from 0.001 to 1000"),
        ("[[others]]\nteacher = 'a'\npooling = 'sum'", "pooling is 'sum'; one of tokens, model"),
        ("[others]\nteacher = 'a'", r"others is {'teacher': 'a'}; tables \[\[others\]\] were expected"),
        ("weight = 2", r"there is no 'weight'; \[\[others\]\] has 'weight'"),
        ("[[teachers]]\nteacher = 'a'", "did you mean '(teacher|others)'"),
        ("[[others]]\nteacher = 'a'\n" * 9, "there are 9 others beside the teacher; at most 8"),
        ("space = 'mine'", "space is 'mine'; one of own, teacher"),
        ("space = 'teacher'", r"\[power\] exponent is 0.7, which bends the space"),
        ("space = 'teacher'\n[power]\nexponent = 1", r"\[pca\] dims is 256 and \[distill\] dims 512; with space"),
        ("space = 'teacher'\n[[others]]\nteacher = 'a'", 'space = "teacher" is that of one teacher'),
        (
            "space = 'teacher'\n[power]\nexponent = 1\n[phrases]\ncount = 9\nbegin = 'teacher'",
            'begin = "teacher" is for rows that have not been moved',
        ),
    ],
)
def test_what_a_recipe_cannot_mean_or_give_is_refused_before_it_runs(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(RecipeError, match=message) as told:
        load_recipe(tmp_path / "mine.toml")
    assert "\n" not in str(told.value)


def test_a_prompt_is_written_and_read_again_and_others_keep_their_fingerprints(tmp_path):
    prompt = 'Instruct: find what answers "it"\nQuery: '  # of two lines, as those of some teachers
    recipe = Recipe(
        featurize=FeaturizeRecipe(pooling="model", prompt=prompt), others=(OtherRecipe("b", prompt="query: "),)
    )
    for text in (to_toml(recipe), explained(recipe)):
        (tmp_path / "mine.toml").write_text(text)
        assert load_recipe(tmp_path / "mine.toml") == recipe
    assert [section.prompt for section in recipe.featurized_by] == [prompt, "query: "]
    assert "prompt" not in to_toml(Recipe()) and "prompt" not in to_toml(OtherRecipe("b"))


def test_a_byte_order_mark_and_the_ends_of_lines_of_windows_are_read(tmp_path):
    (tmp_path / "mine.toml").write_bytes("\ufeff[pca]\r\ndims = 8\r\n".encode())
    assert load_recipe(tmp_path / "mine.toml").pca.dims == 8


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# " + b"x" * 2**20, "larger than 1,048,576 bytes"),
        ("[pca]\ndims = 8".encode("utf-16"), "cannot be read as TOML"),
        (b"a = " + b"[" * 100_000, "cannot be read as TOML"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(tmp_path, content, reason):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=reason) as told:
        load_recipe(tmp_path / "mine.toml")
    assert "\n" not in str(told.value)


def keys_of(recipe: Recipe) -> set[str]:
    return {key for each in vars(recipe).values() if is_dataclass(each) for key in vars(each)}


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_is_explained_key_by_key_and_read_back(name, tmp_path):
    recipe = load_recipe(name)
    text = explained(recipe)
    (tmp_path / "again.toml").write_text(text)
    assert load_recipe(tmp_path / "again.toml") == recipe
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            assert lines[place - 1].startswith("#"), f"{line} is not explained"
    assert all(f"\n{key} = " in text for key in keys_of(recipe))


def test_the_recipe_command_lists_and_prints(tmp_path):
    command = [Path(sys.executable).parent / "edge-potion", "recipe"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped_recipes())
    printed = subprocess.run([*command, "tiny"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "mine.toml").write_text(printed)
    assert load_recipe(tmp_path / "mine.toml") == load_recipe("tiny")
    assert "dims = 6  # by default 512" in printed
    wrong = subprocess.run([*command, "tyni"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1) and "potion-256d" in wrong.stderr


def test_evaluations_are_at_even_distances_and_need_no_list_of_them():
    for steps, evaluations, epochs in ((1, 1, 3), (3, 4, 2), (7, 3, 5), (195, 4, 2), (10, 25, 2), (527, 7, 3)):
        wanted = {round(steps * look / evaluations) for look in range(1, epochs * evaluations + 1)} - {0}
        assert wanted == {step for step in range(1, steps * epochs + 1) if _is_looked_at(step, steps, evaluations)}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: DistillRecipe(dims="6"), "dims is '6'; a whole number was expected"),
        (lambda: DistillRecipe(dims=np.int64(6)), "a whole number was expected"),
        (lambda: DistillRecipe(sif_coefficient="x"), "sif_coefficient is 'x'"),
        (lambda: ContrastRecipe(temperature=None), "temperature is None; a number from"),
        (lambda: ContrastRecipe(batch_size=True), "batch_size is True"),
        (lambda: ContrastRecipe(token_weights=1), "token_weights is 1; true or false"),
        (lambda: ContrastRecipe(batch_size=10**400), "batch_size is a number of more than 40 digits; at most"),
        (lambda: ContrastRecipe(seed=-(10**5000)), "seed is a number of more than 40 digits; at least 0"),
        (lambda: PowerRecipe("x"), "exponent is 'x'"),
        (lambda: Recipe(teacher=""), "teacher is ''; a name was expected"),
        (lambda: Recipe(teacher=5), "teacher is 5"),
    ],
)
def test_a_recipe_made_in_python_is_held_to_the_same(make, reason):
    with pytest.raises(RecipeError, match=reason):
        make()


@pytest.mark.parametrize("key", ["[corpus]\nsentences", "[contrast]\nseed", "[featurize]\nshard_rows", "[pca]\ndims"])
def test_numbers_that_python_does_not_write_are_one_line(tmp_path, key):
    for number in (f"0x{'f' * 9000}", "9" * 300, "9" * 9000):
        (tmp_path / "mine.toml").write_text(f"{key} = {number}")
        with pytest.raises(RecipeError) as told:
            load_recipe(tmp_path / "mine.toml")
        assert len(str(told.value)) < 400


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe.toml", "folder.toml"):
        with pytest.raises(RecipeError, match="it is no file"):
            load_recipe(tmp_path / name)


def test_a_recipe_of_an_earlier_version_is_read(tmp_path):
    """As 0.1 kept it beside its models."""
    new = BUILT_IN_FOLDER / BUILT_IN / "recipe.toml"
    text = new.read_text(encoding="utf-8")
    assert "[distill]" in text
    (tmp_path / "kept.toml").write_text(text.replace("[distill]", "[distil]"), encoding="utf-8")
    assert load_recipe(tmp_path / "kept.toml") == load_recipe(new)
