"""Runs with several teachers: features of each, found, resumed and joined; and who the card names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError, RecipeError, StaticModel, train
from edge_potion.trainer.pipeline import featurize_corpus
from edge_potion.trainer.recipe import OtherRecipe, Recipe
from edge_potion.trainer.recipe_file import fingerprint, load_recipe, to_toml
from edge_potion.trainer.shards import Shard, open_features, write_shard
from edge_potion.trainer.sources import Given, find_sources

from ..models import DATA, bits

TINY = load_recipe("tiny")
LICENCES = {"small-bert": "mit", "other-bert": "apache-2.0"}


@pytest.fixture(scope="session")
def teachers(small_teacher, tmp_path_factory) -> list[Path]:
    """The small teacher, and one of 12 dimensions with the same tokenizer; each with a licence of its own."""
    import torch
    from transformers import BertConfig, BertModel

    home = tmp_path_factory.mktemp("teachers")
    folders = [Path(shutil.copytree(small_teacher, home / name)) for name in LICENCES]
    torch.manual_seed(1)
    sizes = {"vocab_size": 250, "hidden_size": 12, "intermediate_size": 16}
    BertModel(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)).save_pretrained(folders[1])
    for folder in folders:
        (folder / "README.md").write_text(f"---\nlicense: {LICENCES[folder.name]}\n---\n# {folder.name}\n")
    return folders


@pytest.fixture(scope="session")
def recipe(teachers) -> Recipe:
    return replace(TINY, others=(OtherRecipe(str(teachers[1]), weight=0.5, pooling="tokens"),))


@pytest.fixture(scope="session")
def joined_run(recipe, teachers, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("joined_run") / "run"
    train(recipe, out, teacher=teachers[0], corpus=[DATA], device="cpu")
    return out


def test_each_teacher_has_features_of_its_own_in_the_run(joined_run):
    widths = {}
    for name in ("2-featurize", "2-featurize-2"):
        shard = next(open_features(joined_run / name).shards())
        widths[name] = shard.vectors.shape[1]
        assert json.loads((joined_run / name / "features.json").read_text())["teacher"] in LICENCES
    assert widths == {"2-featurize": 8, "2-featurize-2": 12}
    summary = json.loads((joined_run / "summary.json").read_text())
    told = {row["stage"]: row for row in summary}
    assert [told[name]["teacher"] for name in widths] == ["small-bert", "other-bert"]
    assert told["2-pairs"]["teachers"] == ["small-bert", "other-bert x 0.5"]
    assert 0 < told["2-pairs"]["targets_explained"] < 1  # 6 of 20 dimensions
    assert StaticModel.from_pretrained(joined_run / "model").dim == 4


def test_the_card_names_all_teachers_with_weights_and_licences(joined_run):
    from huggingface_hub import ModelCard

    card = ModelCard.load(joined_run / "model" / "README.md")
    assert card.data.base_model == ["small-bert", "other-bert"]
    assert (card.data.license, card.data.license_name) == ("other", "mit-and-apache-2.0")
    lines = ["* Teacher: small-bert, weight 1, licence mit", "* Teacher: other-bert, weight 0.5, licence apache-2.0"]
    assert "\n".join(lines) in card.text
    assert "trained from small-bert and other-bert by edge-potion" in card.text
    assert "# potion-small-bert-and-other-bert-4d" in card.text
    config = json.loads((joined_run / "model" / "config.json").read_text())
    (other,) = config["edge_potion"]["others"]
    assert other == {"teacher": "other-bert", "licence": "apache-2.0", "revision": "", "weight": 0.5}
    kept = load_recipe(joined_run / "model" / "recipe.toml")
    assert kept.others == (OtherRecipe("other-bert", weight=0.5, pooling="tokens"),)


def test_a_run_goes_on_in_the_features_of_each_teacher(joined_run, recipe, teachers, tmp_path, caplog):
    run = Path(shutil.copytree(joined_run, tmp_path / "run"))
    (run / "2-featurize-2" / "train-00001.parquet").write_bytes(b"")
    with caplog.at_level("INFO"):
        train(recipe, run, teacher=teachers[0], corpus=[DATA], device="cpu")
    assert "2-featurize: done before" in caplog.text and "2-featurize-2: goes on" in caplog.text
    assert "features: going on after 6 whole shards" in caplog.text
    assert bits(run) == bits(joined_run)


def test_featurize_makes_the_features_of_all_or_of_one_and_train_takes_them(joined_run, recipe, teachers, tmp_path):
    given = {"teacher": teachers[0], "corpus": [DATA], "device": "cpu"}
    out = tmp_path / "features"
    assert featurize_corpus(recipe, out, only=2, **given) == [out / "2-featurize-2"]
    assert not (out / "2-featurize").exists()
    assert featurize_corpus(recipe, out, **given) == [out / "2-featurize", out / "2-featurize-2"]
    with pytest.raises(InputError, match="only is 3; the recipe's teachers are numbered from 1 to 2"):
        featurize_corpus(recipe, out, only=3, **given)
    for name, features in (("whole", out), ("each", [out, out / "2-featurize-2"])):
        train(recipe, tmp_path / name, features=features, **given)
        assert bits(tmp_path / name)["model/model.safetensors"] == bits(joined_run)["model/model.safetensors"]


def test_without_others_in_the_recipe_each_further_folder_is_a_teacher_of_weight_1(joined_run, teachers, tmp_path):
    features = [joined_run / "2-featurize", joined_run / "2-featurize-2"]
    train(TINY, tmp_path / "run", teacher=teachers[0], features=features, device="cpu")
    kept = load_recipe(tmp_path / "run" / "model" / "recipe.toml")
    assert kept.others == (OtherRecipe("other-bert", pooling="tokens"),)
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "* Teacher: other-bert, weight 1, licence apache-2.0" in card  # as its features tell: nobody looked for it
    ours, theirs = (np.fromfile(run / "2-pairs" / "targets.f16", np.float16) for run in (tmp_path / "run", joined_run))
    assert ours.shape == theirs.shape and not np.array_equal(ours, theirs)


@pytest.fixture
def found(teachers) -> Callable[..., object]:
    def found(recipe: Recipe, *features: Path) -> object:
        return find_sources(recipe, Given(teachers[0], features=features, device="cpu"))

    return found


def test_folders_that_do_not_fit_the_recipes_teachers_are_refused(joined_run, recipe, teachers, found, tmp_path):
    first, second = joined_run / "2-featurize", joined_run / "2-featurize-2"
    for features in ([first], [first, second, second]):
        with pytest.raises(InputError, match=rf"has 2 teachers, .* and {len(features)} folders of features are given"):
            found(recipe, *features)
    with pytest.raises(InputError, match=r"were made by other-bert .* and .*small-bert is"):
        found(recipe, second, first)
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    with pytest.raises(InputError, match=r"were made by small-bert .* and .*other-bert is"):
        found(recipe, first, copy)
    hub = replace(recipe, others=(OtherRecipe("someone/third-bert"),))
    with pytest.raises(
        InputError, match="were made by other-bert, and the recipe has someone/third-bert in that place"
    ):
        found(hub, first, second)
    named = found(replace(recipe, others=(OtherRecipe("someone/other-bert"),)), first, second)
    assert named.recipe.others == (OtherRecipe("other-bert", pooling="tokens"),)  # as it was made
    unnamed = Path(shutil.copytree(second, tmp_path / "unnamed"))
    (unnamed / "features.json").unlink()
    with pytest.raises(InputError, match="unnamed does not say which teacher made it; name that in"):
        found(TINY, first, unnamed)
    with pytest.raises(InputError, match="10 folders of features are given; at most 9 teachers"):
        found(TINY, *[first] * 10)


def test_a_run_of_more_teachers_than_the_recipe_has_is_refused(joined_run, recipe, teachers, found):
    """Which of them is meant is not told; its folders are, and a run's folder of one teacher is."""
    second = joined_run / "2-featurize-2"
    told = r"is a run with features of 2 teachers, and the recipe has {}; name the folder within it, as .*/2-featurize,"
    for features in ([joined_run], [joined_run, second]):
        with pytest.raises(InputError, match=told.format(1)):
            found(TINY, *features)
    three = replace(recipe, others=(*recipe.others, OtherRecipe("someone/third-bert")))
    with pytest.raises(InputError, match=told.format(3)):
        found(three, joined_run)
    assert not found(TINY, joined_run / "2-featurize").recipe.others
    assert len(found(recipe, joined_run).features) == len(found(recipe, joined_run, joined_run / second).features) == 2


def test_a_run_that_holds_one_of_the_others_alone_is_that_ones(joined_run, recipe, teachers, found, tmp_path):
    shutil.copytree(joined_run / "2-featurize-2", tmp_path / "b" / "2-featurize-2")
    as_first = replace(TINY, distill=replace(TINY.distill, dims=6))
    sources = find_sources(as_first, Given(teachers[1], features=tmp_path / "b", device="cpu"))
    assert sources.features[0].folder == tmp_path / "b" / "2-featurize-2"
    assert len(found(TINY, joined_run / "2-featurize", tmp_path / "b").features) == 2


def test_a_teacher_that_is_named_twice_is_refused_before_it_is_looked_for(teachers, tmp_path):
    def refused(*others: str, teacher: Path | str = teachers[0], match: str) -> None:
        recipe = replace(TINY, others=tuple(map(OtherRecipe, others)))
        with pytest.raises(RecipeError, match=match):
            find_sources(recipe, Given(teacher, corpus=[DATA], device="cpu"))

    refused("nobody/there", "nobody/there", match="teacher nobody/there is named twice; each counts once")
    refused("nobody/there", teacher="nobody/there", match="teacher nobody/there is named twice")
    copy = shutil.copytree(teachers[0], tmp_path / "copy")
    refused(str(teachers[1]), str(copy), match=r"teacher .*copy is named twice, first as .*small-bert; each")


def test_the_same_features_given_twice_are_refused(joined_run, recipe, teachers, found, tmp_path):
    first, second = joined_run / "2-featurize", joined_run / "2-featurize-2"
    for features in ([first, first], [first, second, first / ".." / "2-featurize-2"]):
        with pytest.raises(InputError, match=r"the features in .* are given twice; give those of each teacher once"):
            found(TINY, *features)
    copy = Path(shutil.copytree(second, tmp_path / "copy"))
    with pytest.raises(InputError, match=r"copy holds the same features as .*2-featurize-2; leave it out"):
        found(TINY, first, second, copy)
    longer = replace(TINY, corpus=replace(TINY.corpus, sentences=100))
    again = featurize_corpus(longer, tmp_path / "again", teacher=teachers[1], corpus=[DATA], device="cpu")[0]
    with pytest.raises(InputError, match=r"2-featurize-2 and in .*again/2-featurize were both made by .*other-bert"):
        found(TINY, first, second, again)


@pytest.fixture(scope="session")
def spoilt(joined_run, tmp_path_factory) -> Path:
    """Features of other-bert as somebody else gives them: vectors of zeros among them, and NaN."""
    texts, vectors = [], []
    for shard in open_features(joined_run / "2-featurize-2").shards():
        texts += shard.texts
        vectors.append(shard.vectors)
    rows = np.concatenate(vectors)
    rows[[3, 5]], rows[8, 2] = 0, np.nan
    folder = tmp_path_factory.mktemp("spoilt") / "theirs"
    folder.mkdir()
    write_shard(folder, 0, Shard(texts, rows))
    return folder


def test_vectors_of_zeros_among_given_features_are_told_of_the_features(
    joined_run, recipe, teachers, spoilt, tmp_path, caplog
):
    told = f"features: 3 of the vectors in {spoilt} are zeros, or not finite in float16; their texts are left out"
    train(TINY, tmp_path / "one", teacher=teachers[1], features=spoilt, device="cpu")
    assert told in caplog.text
    caplog.clear()
    given = {"teacher": teachers[0], "device": "cpu"}
    train(recipe, tmp_path / "two", features=[joined_run / "2-featurize", spoilt], **given)
    assert told in caplog.text and caplog.text.count("their texts are left out") == 1
    few = tmp_path / "few"
    few.mkdir()
    texts = [text for shard in open_features(spoilt).shards() for text in shard.texts]
    write_shard(few, 0, Shard(texts, np.eye(len(texts), 8, dtype=np.float32) * (np.arange(len(texts)) < 3)[:, None]))
    with pytest.raises(InputError, match=r"3 sentences are too few .* left out: \d+ \(zero vector\)"):
        train(TINY, tmp_path / "none", features=few, **given)


def test_another_teacher_that_is_not_there_is_told_before_any_work(recipe, teachers, tmp_path):
    missing = replace(recipe, others=(OtherRecipe(str(tmp_path / "missing")),))
    with pytest.raises(InputError, match="missing"):
        train(missing, tmp_path / "run", teacher=teachers[0], corpus=[DATA], device="cpu")
    assert not (tmp_path / "run").exists()


def test_recipes_of_one_teacher_keep_their_texts_and_fingerprints():
    """What a run or a model of an earlier version was made by is still what it is made by."""
    marks = {"potion-256d": "eda04da8f763", "potion-256d-minilm": "9c256cf3303e", "tiny": "afd3350c7239"}
    assert {name: fingerprint(load_recipe(name)) for name in marks} == marks
    assert TINY.targets is None and "space" not in to_toml(TINY) and "others" not in to_toml(TINY)


def test_phrases_are_trained_on_joined_vectors_and_the_card_names_both_teachers(recipe, teachers, tmp_path):
    with_phrases = replace(recipe, phrases=replace(recipe.phrases, count=40, least_count=2, batch_size=32))
    model = train(with_phrases, tmp_path / "run", teacher=teachers[0], corpus=[DATA], device="cpu").model
    alone = StaticModel.from_pretrained(tmp_path / "run" / "model" / "without_phrases")
    assert model.phrases is not None and len(model.phrases) == 40 and alone.phrases is None
    for card in (model.card, alone.card):
        assert all(name in card.readme for name in LICENCES)
        assert [each["teacher"] for each in card.config["edge_potion"]["others"]] == ["other-bert"]
