"""A recipe against its teacher, its corpus and its features: what cannot be had is refused before anything is made."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError, ModelFormatError, RecipeError, StaticModel, distill, train
from edge_potion.trainer.check_recipe import check_featurize, check_recipe
from edge_potion.trainer.contrast import Goal, contrast
from edge_potion.trainer.corpus import sample_corpus
from edge_potion.trainer.pipeline import featurize_corpus
from edge_potion.trainer.recipe import ContrastRecipe, CorpusRecipe, DistillRecipe, FeaturizeRecipe
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.shards import Shard, open_features, write_shard
from edge_potion.trainer.sources import Given, find_sources
from edge_potion.trainer.teacher import load_teacher

from ..models import DATA

TINY = load_recipe("tiny")


@pytest.fixture
def loaded(small_teacher):
    return load_teacher(small_teacher, device="cpu")


def changed(**sections):
    return replace(TINY, **{name: replace(getattr(TINY, name), **values) for name, values in sections.items()})


def found(recipe, teacher, **more):
    return find_sources(recipe, Given(teacher, **{"corpus": [DATA], "device": "cpu", **more}))


def test_what_the_teacher_can_give_passes(loaded):
    check_recipe(TINY, loaded, features_width=None)
    check_recipe(changed(distill={"dims": 8}, pca={"dims": 8}), loaded, features_width=8)


@pytest.mark.parametrize(
    ("sections", "features_width", "reason"),
    [
        (
            {"distill": {"dims": 9}, "pca": {"dims": 9}},
            None,
            "the teacher's token vectors have 8 values; ask for no more",
        ),
        ({"distill": {"vocabulary_size": 4}, "pca": {"dims": 2}}, None, "vocabulary_size is 4, .* 4 special tokens"),
        ({}, 5, r"the features have 5 dimensions, and the student of \[distill\] dims = 6"),
    ],
)
def test_what_it_cannot_is_refused(loaded, sections, features_width, reason):
    with pytest.raises(RecipeError, match=reason):
        check_recipe(changed(**sections), loaded, features_width=features_width)


def test_a_teacher_that_pools_to_fewer_dimensions_than_the_student_is_refused(small_teacher, tmp_path):
    teacher = Path(shutil.copytree(small_teacher, tmp_path / "narrow-bert"))
    steps = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    (teacher / "modules.json").write_text(json.dumps(steps))
    (teacher / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": 5}))
    recipe = changed(featurize={"pooling": "model"})
    with pytest.raises(RecipeError, match="pooling = 'model' gives vectors of 5 dimensions with this teacher"):
        check_recipe(recipe, load_teacher(teacher, device="cpu"), features_width=None)
    check_recipe(TINY, load_teacher(teacher, device="cpu"), features_width=None)  # its tokens are 8 wide


def test_a_teacher_that_cuts_before_the_recipe_does_is_told(loaded, caplog):
    check_featurize(FeaturizeRecipe(max_tokens=512), loaded)
    assert not caplog.text
    check_featurize(FeaturizeRecipe(max_tokens=600), loaded)
    assert "max_tokens is 600, and the teacher cuts at 512" in caplog.text
    with pytest.raises(RecipeError, match="puts 2 special tokens around each text; at least 3 was expected"):
        check_featurize(FeaturizeRecipe(max_tokens=3), replace(loaded, most_tokens=2))


def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(loaded):
    tokens = len(loaded.tokenizer.encode("it is raining", add_special_tokens=False).ids)
    recipe = FeaturizeRecipe(pooling="model", prompt="it is raining", max_tokens=tokens + 3)
    check_featurize(recipe, loaded)
    with pytest.raises(RecipeError, match=f"puts {tokens + 2} tokens of its prompt and special ones around each text"):
        check_featurize(replace(recipe, max_tokens=tokens + 2), loaded)


def test_a_recipe_of_fewer_tokens_than_dimensions_is_refused():
    with pytest.raises(RecipeError, match=r"the tokens of .* vocabulary_size = 5 span at most 3 dimensions"):
        changed(distill={"vocabulary_size": 5})


def test_a_corpus_of_too_few_words_ends_the_run_at_stage_1(bert_teacher, tmp_path):
    """A teacher of five tokens, two of which have no direction, and no word of the corpus beside them."""
    content = json.loads((bert_teacher / "tokenizer.json").read_text())
    content["model"]["vocab"] = {piece: at for piece, at in content["model"]["vocab"].items() if at < 5 or piece == "a"}
    (bert_teacher / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "corpus.txt").write_text("".join(f"{'a ' * number}\n" for number in range(10, 80)))
    recipe = changed(pca={"dims": 5}, distill={"vocabulary_size": 20}, corpus={"sentences": 40})
    with pytest.raises(RecipeError, match="this teacher and corpus give 5 tokens, which span 3 dimensions"):
        train(recipe, tmp_path / "run", teacher=bert_teacher, corpus=tmp_path / "corpus.txt", device="cpu")
    assert not (tmp_path / "run" / "2-featurize").exists()


def test_born_again_batches_count_where_the_stage_is_made():
    sections = {"corpus": {"sentences": 40}, "born_again": {"batch_size": 64}}
    with pytest.raises(RecipeError, match=r"fills no batch of \[born_again\] batch_size = 64"):
        changed(**sections)
    sections["born_again"]["epochs"] = 0
    assert changed(**sections).corpus.sentences == 40


def test_features_that_are_too_narrow_are_refused_whether_or_not_a_manifest_tells(small_teacher, tmp_path):
    texts = DATA.read_text(encoding="utf-8").splitlines()[:50]
    write_shard(tmp_path, 0, Shard(texts, np.random.default_rng(0).normal(size=(50, 5))))
    with pytest.raises(RecipeError, match="the features have 5 dimensions"):
        train(TINY, tmp_path / "run", teacher=small_teacher, features=tmp_path, device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ({"dims": 7}, "dims is 7, and the vectors have 6 dimensions"),
        ({"max_tokens": "128"}, "max_tokens is '128'"),
        ({"pooling": "sum"}, "pooling is 'sum'; one of tokens, model"),
    ],
)
def test_a_manifest_that_is_not_true_is_refused_by_name(small_teacher, tmp_path, manifest, reason):
    texts = DATA.read_text(encoding="utf-8").splitlines()[:50]
    write_shard(tmp_path, 0, Shard(texts, np.random.default_rng(0).normal(size=(50, 6))))
    (tmp_path / "features.json").write_text(json.dumps(manifest))
    assert open_features(tmp_path).manifest == manifest
    with pytest.raises(ModelFormatError, match=f"features.json: {reason}"):
        found(TINY, small_teacher, features=tmp_path)


def test_what_a_manifest_tells_beyond_what_we_know_is_named(small_teacher, tmp_path, caplog):
    write_shard(tmp_path, 0, Shard(["a text", "another"], np.random.default_rng(0).normal(size=(2, 6))))
    (tmp_path / "features.json").write_text(json.dumps({"quantized": True, "teacher": "x"}))
    found(TINY, small_teacher, features=tmp_path)
    assert "features.json tells quantized, which means nothing here" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"teacher": ""}, "teacher is empty"),
        ({"teacher": "  "}, "teacher is empty"),
        ({"features": ""}, "features is empty"),
        ({"from_stage": "2"}, "from_stage is '2'; a stage from 1 to 6"),
        ({"from_stage": True}, "from_stage is True"),
        ({"from_stage": 0}, "from_stage is 0"),
        ({"revision": "main"}, "revision='main' is for hub ids"),
    ],
)
def test_an_argument_that_means_nothing_is_refused_and_not_passed_over(small_teacher, tmp_path, arguments, reason):
    with pytest.raises(InputError, match=reason):
        train(TINY, tmp_path / "run", **{"teacher": small_teacher, "corpus": [DATA], "device": "cpu", **arguments})
    assert not (tmp_path / "run").exists()


def test_featurizing_asks_nothing_of_the_stages_behind_it(small_teacher, tmp_path):
    recipe = changed(distill={"dims": 64, "vocabulary_size": None}, pca={"dims": 64})  # wider than the teacher
    (tmp_path / "corpus.txt").write_text("".join(f"The cat number {number} sat down.\n" for number in range(40)))
    (folder,) = featurize_corpus(recipe, tmp_path / "run", teacher=small_teacher, corpus=[tmp_path / "corpus.txt"])
    assert open_features(folder).manifest["dims"] == 8


def test_a_run_that_was_made_before_the_size_was_honoured_is_not_gone_on_with(small_teacher):
    """What stage 1 is made from changes where its rules do, and nowhere else."""
    sizes = {size: found(changed(distill={"vocabulary_size": size}), small_teacher) for size in (300, 100)}
    assert sizes[300].vocabulary == sizes[300].teacher
    assert sizes[100].vocabulary.fingerprint != sizes[100].teacher.fingerprint


def test_corpus_files_of_any_name_and_number_are_named_in_the_recipe(small_teacher, tmp_path):
    odd = tmp_path / "two\nlines\u3000.txt"
    many = [tmp_path / f"{'long' * 20}-{number}.txt" for number in range(40)]
    for file in (odd, *many):
        file.write_text("A sentence of some length.\n")
    source = found(TINY, small_teacher, corpus=[odd]).recipe.corpus.source
    assert source.isprintable() and source.startswith("two lines")
    assert found(TINY, small_teacher, corpus=many).recipe.corpus.source.endswith("more")


def test_a_corpus_beside_features_is_said_to_give_words_alone(tiny_run, small_teacher, caplog):
    caplog.set_level("INFO")
    found(TINY, small_teacher, features=tiny_run)
    assert "its words fill the vocabulary; training is on the texts of the features" in caplog.text


def test_too_few_sentences_are_told_apart_from_fewer(tmp_path, caplog):
    (tmp_path / "few.txt").write_text("".join(f"sentence number {number}\n" for number in range(6)))
    sample_corpus(CorpusRecipe(min_characters=1), tmp_path / "out.txt", [tmp_path / "few.txt"])
    assert "there are 6; so few teach little" in caplog.text and "edge-potion distill" in caplog.text
    caplog.clear()
    (tmp_path / "more.txt").write_text("".join(f"sentence number {number}\n" for number in range(1500)))
    sample_corpus(CorpusRecipe(min_characters=1), tmp_path / "out.txt", [tmp_path / "more.txt"])
    assert "there are 1500; all are used, which is fine" in caplog.text


def test_more_evaluations_than_steps_are_said(hand_model, tmp_path, caplog):
    from edge_potion.trainer.pairs import Pairs

    random = np.random.default_rng(0)
    pairs = Pairs(
        random.integers(5, 12, 60).astype(np.int32), np.arange(0, 63, 3), random.normal(size=(20, 8)).astype(np.float16)
    )
    recipe = ContrastRecipe(batch_size=6, evaluations=7, epochs=1)
    contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], recipe, tmp_path, title="t")
    assert "evaluations: 7 an epoch were asked for, and it has 3 steps" in caplog.text


def test_distil_without_a_recipe_takes_every_token_of_any_tokenizer(bert_teacher):
    assert len(distill(bert_teacher, device="cpu").table) == 8


def test_distill_gives_the_width_that_was_asked_for_or_none(bert_teacher, tmp_path, door):
    command = ("distill", bert_teacher, "--out", tmp_path / "out")
    ended = door(*command, "--dims", 7)
    assert ended.code == 1 and "--dims is 7, and the teacher's vectors have 6" in ended.error
    assert not (tmp_path / "out").exists()
    assert door(*command).code == 0  # 256 is what it is by default, and the teacher is narrower
    assert StaticModel.from_pretrained(tmp_path / "out").dim == 6
    assert DistillRecipe().vocabulary_size == 63_000
