"""Phrases in training: which are chosen, the bags they stand in, where their rows begin, and whole runs with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError, RecipeError, StaticModel, train
from edge_potion.grams import gram_keys, grams_of
from edge_potion.phrases import Phrases
from edge_potion.tokens import TokenIds, tokenize
from edge_potion.trainer import phrases as choosing
from edge_potion.trainer.classifier import fit_classifier
from edge_potion.trainer.contrast import split_rows
from edge_potion.trainer.distill import distill
from edge_potion.trainer.pairs import Pairs, open_pairs
from edge_potion.trainer.phrase_bags import open_bags, write_bags, write_sentences
from edge_potion.trainer.phrase_rows import SHARE, rows_by_teacher
from edge_potion.trainer.phrases import choose_phrases
from edge_potion.trainer.recipe import DistillRecipe, PhrasesRecipe, Recipe
from edge_potion.trainer.recipe_file import fingerprint, load_recipe, to_toml
from edge_potion.trainer.shards import open_features
from edge_potion.trainer.teacher import load_teacher

from ..models import DATA, bits
from .test_run_folder import KILLING, ages

TINY = load_recipe("tiny")
WITH_PHRASES = replace(TINY, phrases=PhrasesRecipe(count=50, batch_size=32, least_count=2, begin="teacher"))
UNK, PAD = 1, 0
# 2 3 stand side by side three times, 4 5 twice and never apart; 6 [UNK] 7 are no pair, and no text goes on in the next.
SENTENCES = TokenIds.of([[2, 3, 2], [4, 5, 2, 3], [6, UNK, 7], [2, 2, 3], [7, 4, 5], [3, 6]])


def chosen(count: int, rows: int = len(SENTENCES.lengths), **how) -> list[list[int]]:
    recipe = PhrasesRecipe(count=count, **{"least_count": 1, **how})
    return choose_phrases(SENTENCES, np.arange(rows), recipe, tokens=8, left_out=(PAD, UNK)).tolist()


def test_pairs_that_stand_most_often_are_taken_and_of_equals_the_lower_ids():
    assert chosen(4, choice="count") == [[2, 3], [4, 5], [2, 2], [3, 2]]
    assert chosen(99, choice="count") == [[2, 3], [4, 5], [2, 2], [3, 2], [3, 6], [5, 2], [7, 4]]
    assert chosen(99, choice="count", least_count=2) == [[2, 3], [4, 5]]
    assert chosen(2, choice="count", most_share=0.4) == [[4, 5], [2, 2]]  # of 6 sentences; 2 3 stands there 3 times


def test_by_pmi_two_tokens_that_never_stand_apart_come_first():
    """Of 10 pairs and 13 tokens, 2 is there five times, 3 four times, 2 3 and 3 2 three times; 4 5 twice."""
    sentences = TokenIds.of([[2, 3, 2, 2, 3, 3, 2, 3, 2], [4, 5], [4, 5]])
    how = {"tokens": 6, "left_out": (PAD, UNK)}
    found = choose_phrases(sentences, np.arange(3), PhrasesRecipe(count=2, least_count=2), **how)
    assert found.tolist() == [[4, 5], [2, 3]]
    uses = choosing._uses(sentences, np.arange(3), np.ones(6, bool))
    assert (uses.tokens.tolist(), uses.pairs) == ([0, 0, 5, 4, 2, 2], 10)
    wanted = [
        np.log((2 / 10) / (2 / 13 * 2 / 13)) / -np.log(2 / 10) * np.log(2),
        np.log((3 / 10) / (5 / 13 * 4 / 13)) / -np.log(3 / 10) * np.log(3),
    ]
    np.testing.assert_allclose(choosing._association(gram_keys(found), np.array([2, 3]), uses), wanted)
    one_pair = choosing.Uses(np.array([0, 0, 4, 4]), 4)
    assert np.isfinite(choosing._association(gram_keys(np.array([[2, 3]])), np.array([4]), one_pair)).all()


def test_rows_that_are_not_looked_at_do_not_count():
    assert chosen(99, rows=2, choice="count") == [[2, 3], [3, 2], [4, 5], [5, 2]]


@pytest.mark.parametrize("choice", ["pmi", "count"])
def test_pairs_counted_a_few_at_a_time_are_the_same(choice, monkeypatch):
    at_once = chosen(6, choice=choice)
    monkeypatch.setattr(choosing, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(choosing, "CHUNK", 2)
    assert chosen(6, choice=choice) == at_once


def test_too_few_pairs_are_told_and_none_refused(caplog):
    assert len(chosen(99)) == 7
    assert "99 were asked for, and 7 pairs of tokens stand in the sentences 1 times or more" in caplog.text
    with pytest.raises(RecipeError, match="least_count is 9, and no two tokens stand side by side so often in 6"):
        chosen(99, least_count=9)


TEXTS = ["the cat ☃ sat", "☃☃", "left out", "the cat", "a ☃ b", "a b"]
ROWS = [0, 3, 4, 5]  # of TEXTS, those that became pairs


def pairs_of(model: StaticModel, texts: list[str]) -> Pairs:
    known = [[int(each) for each in row if each != UNK] for row in tokenize(model.tokenizer, texts, None).split()]
    starts = np.cumsum([0, *map(len, known)])
    return Pairs(np.concatenate(known).astype(np.int32), starts, np.zeros((len(texts), 8), np.float16))


def test_sentences_are_found_again_with_what_is_unknown_where_it_stood(hand_model, tmp_path):
    pairs = pairs_of(hand_model, [TEXTS[place] for place in ROWS])
    found = write_sentences([TEXTS[:3], TEXTS[3:]], hand_model, pairs, tmp_path / "ids")
    assert [row.tolist() for row in found.split()] == [[5, 6, 1, 7], [5, 6], [14, 1, 15], [14, 15]]
    with pytest.raises(InputError, match="no text for row 3 of the pairs"):
        write_sentences([TEXTS[:5]], hand_model, pairs, tmp_path / "ids")


def test_a_bag_holds_known_tokens_and_phrases_that_cross_nothing(hand_model, tmp_path):
    pairs = pairs_of(hand_model, [TEXTS[place] for place in ROWS])
    sentences = write_sentences([TEXTS], hand_model, pairs, tmp_path / "ids")
    phrases = Phrases(np.array([[14, 15], [5, 6], [6, 7]], np.int32), 32)
    write_bags(sentences, phrases, pairs, hand_model.dropped_ids, tmp_path)
    bags = open_bags(tmp_path, pairs).bags(np.arange(4))
    assert [row.tolist() for row in np.split(bags.ids, bags.starts[1:])] == [
        [5, 6, 7, 33],  # "cat [UNK] sat" holds no phrase
        [5, 6, 33],
        [14, 15],
        [14, 15, 32],
    ]


def test_a_row_that_begins_at_the_teacher_turns_its_tokens_to_the_teachers_vector_of_the_pair(small_teacher):
    teacher = load_teacher(small_teacher, device="cpu")
    distilled = distill(teacher, DistillRecipe(dims=8, vocabulary_size=None), words=["zzxy"])
    ids = [teacher.tokenizer.token_to_id(piece) for piece in ("the", "of", "and")]
    ours = [distilled.tokenizer.token_to_id(piece) for piece in ("the", "of", "and", "zzxy")]
    pairs = np.array([[ours[0], ours[1]], [ours[1], ours[2]], [ours[3], ours[0]]], np.int32)
    rows = rows_by_teacher(teacher, distilled, 1e-4, distilled.table, pairs)
    assert rows.shape == (3, 8) and rows.dtype == np.float32
    own = teacher.vectors([[2, ids[0], ids[1], 3], [2, ids[1], ids[2], 3]])
    # A PCA to all dimensions is a turn about the mean of the tokens' vectors: cosines tell whether it was found.
    read = [[2, token, 3] for token in range(2, 250)] + [teacher.tokenizer.encode("zzxy").ids]
    mean = teacher.vectors(read).mean(axis=0)
    cosine = cosine_of(*(own - mean))
    sums = distilled.table[pairs].sum(axis=1) + rows / SHARE
    turned = rows.any(axis=1)
    assert turned[:2].all()
    assert cosine_of(*sums[:2]) == pytest.approx(cosine, abs=1e-3)
    np.testing.assert_allclose((rows * sums).sum(axis=1), 0, atol=1e-5)  # none of it lies along what it turns to


def cosine_of(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.fixture(scope="module")
def phrase_run(small_teacher, tmp_path_factory) -> Path:
    """An undisturbed run with phrases."""
    out = tmp_path_factory.mktemp("phrase_run") / "run"
    train(WITH_PHRASES, out, teacher=small_teacher, corpus=[DATA], device="cpu")
    return out


def texts_of(run: Path) -> list[str]:
    """The sentences with a known token, in the order of the pairs."""
    texts = [text for shard in open_features(run / "2-featurize").shards() for text in shard.texts]
    known = StaticModel.from_pretrained(run / "1-distill" / "model").encode(texts).any(axis=1)
    return [text for text, is_known in zip(texts, known, strict=True) if is_known]


def test_a_run_ends_in_a_model_with_phrases_and_the_tokens_trained_alone(phrase_run, tiny_run):
    model = StaticModel.from_pretrained(phrase_run / "model")
    assert (model.pieces, len(model.phrases), model.table.shape) == (300, 50, (350, 4))
    assert model.table[300:].any(axis=1).all()
    alone = StaticModel.from_pretrained(phrase_run / "model" / "without_phrases")
    assert alone.phrases is None
    assert np.array_equal(alone.table, StaticModel.from_pretrained(tiny_run / "model").table)
    for name in ("recipe.toml", "model.safetensors", "tokenizer.json"):
        ours, theirs = (folder / name for folder in (phrase_run / "model" / "without_phrases", tiny_run / "model"))
        assert ours.read_bytes() == theirs.read_bytes()
    from model2vec import StaticModel as Theirs

    texts = ["The council voted.", "日本"]
    vectors = Theirs.from_pretrained(str(phrase_run / "model" / "without_phrases")).encode(texts)
    np.testing.assert_allclose(vectors, alone.encode(texts), atol=1e-5)


def test_what_was_trained_is_what_the_model_gives(phrase_run):
    """The bags of training are those of the oracle, [UNK] and all."""
    trained = StaticModel.from_pretrained(phrase_run / "4-phrases" / "model")
    pairs = open_pairs(phrase_run / "2-pairs")
    bags = open_bags(phrase_run / "4-phrases", pairs)
    texts = texts_of(phrase_run)
    assert len(texts) == len(pairs)
    wanted = bags.means(trained.table, np.arange(len(pairs)))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(trained.encode(texts), wanted, atol=1e-5)


def test_pairs_are_chosen_by_the_sentences_that_are_trained_on(phrase_run):
    model = StaticModel.from_pretrained(phrase_run / "model")
    texts = texts_of(phrase_run)
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    rows = split_rows(len(texts), WITH_PHRASES.phrases).training
    wanted = choose_phrases(ids, rows, WITH_PHRASES.phrases, tokens=300, left_out=model.dropped_ids)
    assert np.array_equal(model.phrases.pairs, wanted)


def test_the_summary_and_the_cards_tell_of_the_phrases(phrase_run):
    summary = {row["stage"]: row for row in json.loads((phrase_run / "summary.json").read_text())}
    assert list(summary)[-5:] == [
        *("4-phrases", "5-power-without-phrases", "6-pca-without-phrases", "5-power", "6-pca"),
    ]
    told = summary["4-phrases"]
    assert told["phrases"] == 50 and told["phrases_a_sentence"] > 0 and 0 < told["validation_loss"] < 20
    assert all(-1 <= row["agreement"] <= 1 for name, row in summary.items() if name[0] in "13456")
    card, alone = ((phrase_run / "model" / name / "README.md").read_text() for name in ("", "without_phrases"))
    for words in (
        "300 tokens and 50 phrases",
        "pointwise mutual information",
        "`without_phrases`",
        "| 4-phrases | phr",
    ):
        assert words in card
    assert "library_name: edge-potion" in card and "model2vec import" not in card
    assert "library_name: model2vec" in alone and "phrases, trained" not in alone and "4-phrases" not in alone
    recipe = load_recipe(phrase_run / "model" / "recipe.toml")
    assert recipe.phrases == WITH_PHRASES.phrases
    assert "[phrases]" in (phrase_run / "5-power" / "model" / "recipe.toml").read_text()


def test_without_phrases_recipes_and_fingerprints_are_what_they_were():
    """Those that the version before phrases gave."""
    assert [fingerprint(recipe) for recipe in (Recipe(), TINY)] == ["eda04da8f763", "afd3350c7239"]


def test_a_run_without_phrases_goes_on_to_them_and_back(run_folder, tiny_run, phrase_run, small_teacher):
    before = ages(run_folder)
    train(WITH_PHRASES, run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    kept = [name for name, age in ages(run_folder).items() if before.get(name) == age]
    assert kept == ["0-corpus", "1-distill", "2-featurize", "2-pairs", "3-contrast", "4-born-again"]
    assert bits(run_folder) == bits(phrase_run)
    shutil.rmtree(run_folder / "4-phrases")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder)["model/model.safetensors"] == bits(tiny_run)["model/model.safetensors"]
    assert not (run_folder / "model" / "without_phrases").exists()


def test_rows_of_zeros_trained_tokens_and_a_fit_to_tokens_alone_are_other_models(phrase_run, small_teacher, tmp_path):
    tables = [StaticModel.from_pretrained(phrase_run / "model").table]
    out = Path(shutil.copytree(phrase_run, tmp_path / "run"))
    for phrases, fitted_to in (({"begin": "zeros"}, "all"), ({"start": "trained"}, "all"), ({}, "tokens")):
        recipe = replace(
            WITH_PHRASES,
            phrases=replace(WITH_PHRASES.phrases, **phrases),
            pca=replace(WITH_PHRASES.pca, fitted_to=fitted_to),
        )
        tables.append(train(recipe, out, teacher=small_teacher, corpus=[DATA], device="cpu").model.table)
        assert all(not np.array_equal(tables[-1], other) for other in tables[:-1])
    power, pca = (StaticModel.from_pretrained(out / name / "model").table for name in ("5-power", "6-pca"))
    known = power[2:300].astype(np.float64)
    centred = power[2:] - known.mean(axis=0)
    vectors = np.linalg.eigh((known - known.mean(axis=0)).T @ (known - known.mean(axis=0))).eigenvectors
    np.testing.assert_allclose(np.abs(pca[2:]), np.abs(centred @ vectors[:, ::-1][:, :4]), atol=1e-4)


# Where a run with phrases is killed, and goes on; as in `test_run_folder`.
KILLS = [
    ("edge_potion.trainer.steps.write_sentences", 1),
    ("edge_potion.trainer.steps.choose_phrases", 1),
    ("edge_potion.trainer.phrase_bags.open_bags", 1),
    ("edge_potion.trainer.steps.rows_by_teacher", 1),
    ("edge_potion.trainer.student.Student.update", 2),
    ("edge_potion.trainer.student.Student.update", 13),
    ("edge_potion.trainer.contrast._save", 1),
    ("edge_potion.trainer.steps.power_normalized", 1),
    ("edge_potion.trainer.steps.power_normalized", 2),
    ("edge_potion.trainer.pipeline.write_model_files", 1),
]


@pytest.mark.slow
def test_a_run_that_is_killed_among_its_phrases_ends_in_the_same_bits(run_folder, phrase_run, small_teacher, tmp_path):
    (tmp_path / "phrases.toml").write_text(to_toml(WITH_PHRASES))
    script = KILLING.replace('"tiny"', repr(str(tmp_path / "phrases.toml")))
    kills = [f"{target}:{count}" for target, count in KILLS]
    command = [sys.executable, "-c", script, small_teacher, DATA, run_folder, *kills]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*(f"{target} -9" for target, _ in KILLS), "finished 0"], done.stderr
    assert bits(run_folder) == bits(phrase_run)


def test_the_table_of_a_classifier_is_trained_with_its_phrases(phrase_model):
    """Which of two words comes first, no table of tokens tells; rows of phrases learn it, and the oracle finds them."""
    texts = [f"{words} {'mat ' * (number % 5)}on" for number in range(40) for words in ("a b", "b a")]
    labels = ["one", "other"] * 40
    model = fit_classifier(phrase_model, phrase_model.encode, texts, labels, head="vector", tune="table").model
    grams = grams_of(tokenize(model.tokenizer, texts, None))
    assert (model.head.logits(model.encode(texts), grams).argmax(axis=1) == [0, 1] * 40).all()
    assert model.phrases is phrase_model.phrases
    changed = (model.table != phrase_model.table).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [8, 9, 14, 15, 32 + 2, 32 + 3]
