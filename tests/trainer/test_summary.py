"""The figure of agreement: on which rows each model of a run is scored, and what is said where none can be had."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edge_potion import train
from edge_potion.trainer.contrast import split_rows
from edge_potion.trainer.recipe import PhrasesRecipe, Recipe
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.summary import AGREEMENT_ROWS, as_table, scored_rows

from ..models import DATA

TINY = load_recipe("tiny")
PHRASES = PhrasesRecipe(count=50, batch_size=32, least_count=2)


def seeded(contrast: int, born_again: int, phrases: int | None = None, **of_phrases) -> Recipe:
    return replace(
        TINY,
        contrast=replace(TINY.contrast, seed=contrast),
        born_again=replace(TINY.born_again, seed=born_again),
        phrases=PhrasesRecipe() if phrases is None else replace(PHRASES, seed=phrases, **of_phrases),
    )


def held_out(recipe: Recipe, *sections: str, count: int = 5000) -> set[int]:
    rows = [set(split_rows(count, getattr(recipe, section)).held_out.tolist()) for section in sections]
    return set.intersection(*rows)


def test_with_one_seed_all_models_are_scored_on_the_same_rows():
    recipe = replace(seeded(3, 3, 3), phrases=replace(PHRASES, seed=3, validation_rows=90))
    rows = scored_rows(recipe, 5000)
    assert set(rows) == {
        *("1-distill", "3-contrast", "4-born-again", "4-phrases", "5-power", "6-pca"),
        *("5-power-without-phrases", "6-pca-without-phrases"),
    }
    assert all(set(each.tolist()) == held_out(recipe, "phrases") for each in rows.values())


def test_with_other_seeds_each_is_scored_on_rows_that_it_and_the_trainings_before_it_held_out():
    recipe = seeded(0, 1, 2)
    rows = {name: set(each.tolist()) for name, each in scored_rows(recipe, 5000).items()}
    first, both = held_out(recipe, "contrast"), held_out(recipe, "contrast", "born_again")
    assert rows["1-distill"] == rows["3-contrast"] == first and len(first) == 500
    assert rows["4-born-again"] == rows["6-pca-without-phrases"] == both and 0 < len(both) < 100
    assert rows["4-phrases"] == rows["6-pca"] == held_out(recipe, "phrases")  # begun from the distilled table
    trained = scored_rows(seeded(0, 1, 2, start="trained"), 5000)
    assert set(trained["6-pca"].tolist()) == held_out(recipe, "contrast", "born_again", "phrases")


def test_a_training_that_is_left_out_holds_nothing_out():
    recipe = seeded(0, 1)
    rows = scored_rows(replace(recipe, born_again=replace(recipe.born_again, epochs=0)), 5000)
    assert all(set(each.tolist()) == held_out(recipe, "contrast") for each in rows.values())
    assert scored_rows(TINY, 50_000)["6-pca"].size >= AGREEMENT_ROWS


@pytest.fixture(scope="module")
def without_common_rows() -> Recipe:
    """Of trainings whose held-out rows are not the same one: 40 sentences of 400 each, and none in common."""
    count = 400
    seeds = (seed for seed in range(1000) if len(held_out(seeded(0, seed), "contrast", "born_again", count=count)) == 0)
    return seeded(0, next(seeds), 5)


def test_summary_and_card_say_why_a_model_has_no_figure(without_common_rows, small_teacher, tmp_path):
    trained = train(without_common_rows, tmp_path / "run", teacher=small_teacher, corpus=[DATA], device="cpu")
    told = {row["stage"]: row for row in json.loads((tmp_path / "run" / "summary.json").read_text())}
    rows = scored_rows(without_common_rows, told["2-pairs"]["rows"])
    scored = {name for name, row in told.items() if "agreement" in row}
    assert scored == {name for name, each in rows.items() if len(each) > 2}
    assert {"1-distill", "3-contrast", "4-phrases", "6-pca"} <= scored
    reason = told["4-born-again"]["no_agreement"]
    few = len(rows["4-born-again"])
    assert reason.startswith(f"{few} sentences were held out by it and by the trainings before it, and 3 are needed")
    assert "seed" in reason
    assert told["6-pca-without-phrases"]["no_agreement"] == reason
    assert f"no agreement of 4-born-again: {reason}" in as_table(trained.summary)
    alone = (tmp_path / "run" / "model" / "without_phrases" / "README.md").read_text()
    assert f"4-born-again has no figure: {reason}" in alone
    assert "has no figure" not in alone.replace(reason, "").split("4-born-again has")[0]


def test_vectors_that_are_all_alike_have_no_figure_and_that_is_told(hand_model):
    from edge_potion.trainer.pairs import Pairs
    from edge_potion.trainer.summary import agreement

    ids = np.array([5, 5, 5, 5], np.int32)
    pairs = Pairs(ids, np.arange(5), np.eye(4, 8).astype(np.float16))
    assert "all cosines" in str(agreement(hand_model, pairs, np.arange(4)))
