"""Students of many languages: a teacher whose tokenizer is Unigram, and sentences drawn from each language."""

from __future__ import annotations

import base64
import json
import lzma
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError, RecipeError, StaticModel, distill, export, train
from edge_potion.benchmarks.studies.rehearsal_standins import XLMR_SPECIALS, Shape, write_xlmr_teacher
from edge_potion.exporters.precompiled import charsmap_of
from edge_potion.tokens import tokenize
from edge_potion.trainer.corpus import sample_corpus
from edge_potion.trainer.explained import explained
from edge_potion.trainer.language_shares import language_shares
from edge_potion.trainer.recipe import CorpusRecipe, DistillRecipe, Recipe
from edge_potion.trainer.recipe_file import load_recipe, to_toml
from edge_potion.trainer.teacher import load_teacher
from edge_potion.trainer.vocabulary import build_vocabulary, frequent_words, new_rules

from ..exporters.unigram_tokenizers import CHARSMAP
from ..models import bits

LANGUAGES = ("en", "uk", "ja")
ALL_TOKENS = DistillRecipe(dims=4, vocabulary_size=None)


@pytest.fixture(scope="module")
def xlmr(sentences, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "small-xlmr"
    shape = Shape(layers=1, width=8, heads=2, inner=16)
    return write_xlmr_teacher(folder, shape, sentences, 2000, base64.b64decode(charsmap_of(CHARSMAP)))


def test_the_student_of_a_unigram_teacher_cuts_as_the_teacher_does(xlmr, sentences):
    teacher = load_teacher(xlmr, device="cpu")
    student = distill(teacher, ALL_TOKENS)
    theirs = json.loads((xlmr / "tokenizer.json").read_text(encoding="utf-8"))
    ours = json.loads(student.tokenizer.to_str())
    for part in ("model", "normalizer", "pre_tokenizer"):
        assert ours[part] == theirs[part]
    assert ours["post_processor"] is None
    ids = tokenize(student.tokenizer, sentences, None).split()
    assert [row.tolist() for row in ids] == [
        teacher.tokenizer.encode(text, add_special_tokens=False).ids for text in sentences
    ]
    assert len(student.table) == len(theirs["model"]["vocab"])


def test_every_special_token_of_a_unigram_student_counts_for_nothing(xlmr):
    """A text that spells one has it as a token: its pieces are in the lattice."""
    student = distill(load_teacher(xlmr, device="cpu"), ALL_TOKENS)
    places = [student.tokenizer.token_to_id(name) for name in XLMR_SPECIALS]
    assert not student.table[places].any()
    assert np.abs(np.delete(student.table, places, axis=0)).sum(axis=1).all()
    assert places[2] in student.tokenizer.encode("bread</s>", add_special_tokens=False).ids


def test_a_unigram_student_with_words_of_its_own_is_exported_with_its_text_graph(xlmr, sentences, tmp_path):
    """Also for texts that spell special tokens, which have rows of zeros."""
    teacher = load_teacher(xlmr, device="cpu")
    assert new_rules(teacher.tokenizer, None) == "special tokens of Unigram count for nothing"
    words = frequent_words(sentences, teacher.tokenizer)
    student = distill(teacher, replace(ALL_TOKENS, vocabulary_size=1500), words=words)
    more = distill(teacher, replace(ALL_TOKENS, vocabulary_size=2500), words=words)
    assert len(student.table) == 1500 and len(more.table) == 2500
    texts = [*sentences, "<s> bread</s>", "<mask>", "a<s>b <unk> <pad>"]
    for model in (student, more):
        bundle = export(model, tmp_path / str(len(model.table)), quantize="none")
        found = EdgeModel.from_pretrained(bundle.folder, graph="text").encode(texts)
        assert np.abs(found - model.encode(texts)).max() < 1e-5
        np.testing.assert_allclose(found[-2], model.encode("▁"), atol=1e-5)  # what stands before <mask>


def test_a_row_of_a_unigram_student_is_of_the_teachers_own_special_tokens_around_it(xlmr):
    vocabulary = build_vocabulary(load_teacher(xlmr, device="cpu").tokenizer)
    assert vocabulary.sequences[7] == [0, 7, 2]  # <s> piece </s>


def write_languages(folder: Path, sizes: dict[str, int]) -> Path:
    """A file of numbered sentences for each language; the name of all."""
    for language, size in sizes.items():
        lines = [f"{language}: this is sentence {number} of {size}." for number in range(size)]
        (folder / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder / "{language}.txt"


def sampled(folder: Path, recipe: CorpusRecipe, file: Path) -> list[str]:
    sample_corpus(recipe, folder / "out", [file])
    return (folder / "out").read_text(encoding="utf-8").splitlines()


def test_shares_by_hand():
    """16^0.5 : 4^0.5 : 1 = 4 : 2 : 1."""
    assert language_shares({"a": 16, "b": 4, "c": 1}, 7, 0.5) == {"a": 4, "b": 2, "c": 1}
    assert language_shares({"a": 100, "b": 100}, 7, 0) == {"a": 4, "b": 3}
    assert language_shares({"a": 1000, "b": 1, "c": 1000}, 21, 0.0) == {"a": 10, "b": 1, "c": 10}
    assert language_shares({"a": 3, "b": 2}, 9, 0.3) == {"a": 3, "b": 2}


def test_a_small_language_gives_more_than_its_part(tmp_path):
    file = write_languages(tmp_path, {"de": 2000, "sw": 100})
    recipe = CorpusRecipe(sentences=100, languages=("de", "sw"))
    lines = sampled(tmp_path, recipe, file)
    assert len(lines) == len(set(lines)) == 100
    assert sum(line.startswith("sw") for line in lines) == round(100 * 100**0.3 / (100**0.3 + 2000**0.3))
    assert {line[:2] for line in lines[:10]} == {"de", "sw"}  # shuffled
    assert sampled(tmp_path, recipe, file) == lines
    assert sampled(tmp_path, replace(recipe, languages=("sw", "de")), file) == lines
    assert sampled(tmp_path, replace(recipe, seed=1), file) != lines


def test_a_language_with_too_few_sentences_gives_all_and_it_is_said(tmp_path, caplog):
    file = write_languages(tmp_path, {"de": 500, "fr": 400, "sw": 3})
    lines = sampled(tmp_path, CorpusRecipe(sentences=200, languages=("de", "fr", "sw")), file)
    assert len(lines) == 200 and sum(line.startswith("sw") for line in lines) == 3
    assert "corpus: of sw there are 3 sentences, and its share would be" in caplog.text


def test_a_sentence_of_two_languages_is_taken_once(tmp_path):
    for language in ("de", "nl"):
        (tmp_path / f"{language}.txt").write_text(f"Internet, radio, and film.\nOnly in {language} it says so.")
    recipe = CorpusRecipe(sentences=10, languages=("de", "nl"))
    report = sample_corpus(recipe, tmp_path / "out", [tmp_path / "{language}.txt"])
    assert (report.sentences, report.languages, report.skipped) == (3, {"de": 2, "nl": 1}, {"duplicate": 1})


def test_of_a_hub_set_each_language_gives_the_same(tmp_path):
    """`datasets` itself, streaming; the set lies in a folder, as no hub is reached here."""
    (tmp_path / "set").mkdir()
    for language, size in (("de", 100), ("ja", 50)):
        end = "。" if language == "ja" else ". "
        rows = [json.dumps({"text": f"Satz {n} steht hier{end}Noch einer, {n}{end}"}) for n in range(size)]
        (tmp_path / "set" / f"{language}.jsonl").write_text("\n".join(rows))
    configs = "".join(f"- config_name: {each}\n  data_files: {each}.jsonl\n" for each in ("de", "ja"))
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    recipe = CorpusRecipe(str(tmp_path / "set"), "{language}", sentences=20, min_characters=1, languages=("de", "ja"))
    report = sample_corpus(recipe, tmp_path / "out")
    assert report.languages == {"de": 10, "ja": 10} and report.seen < 150
    assert max(map(len, (tmp_path / "out").read_text(encoding="utf-8").splitlines())) < 25  # cut at 。 too


@pytest.mark.parametrize(
    ("languages", "name", "reason"),
    [
        (("de", "sw"), "{language}.txt", "there is no corpus file .*sw.txt, of language sw"),
        (("de",), "de.txt", r"of languages de, .*de.txt names none; write \{language\} in its place"),
        ((), "{language}.txt", "is of several languages; say which"),
    ],
)
def test_a_language_without_a_file_is_refused_by_name(xlmr, tmp_path, languages, name, reason):
    write_languages(tmp_path, {"de": 3})
    with pytest.raises(InputError, match=reason):
        train("tiny", tmp_path / "run", teacher=xlmr, corpus=tmp_path / name, languages=languages)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('["de", "fr", "de"]', "languages has de twice"),
        ('["../de"]', "languages has '../de'"),
        ('"de"', "languages is 'de'; a list of words in quotes"),
    ],
)
def test_languages_of_a_recipe_are_looked_at(tmp_path, text, reason):
    (tmp_path / "mine.toml").write_text(f"[corpus]\nlanguages = {text}\n")
    with pytest.raises(RecipeError, match=reason):
        load_recipe(tmp_path / "mine.toml")


def test_languages_are_written_and_read_again_and_others_keep_their_fingerprints(tmp_path):
    recipe = Recipe(corpus=CorpusRecipe(languages=("de", "zh-Hant"), alpha=0.5))
    for text in (to_toml(recipe), explained(recipe)):
        (tmp_path / "mine.toml").write_text(text)
        assert load_recipe(tmp_path / "mine.toml") == recipe
    assert "languages" not in to_toml(Recipe()) and "alpha" not in to_toml(Recipe().corpus)


@pytest.fixture(scope="module")
def corpus(sentences, tmp_path_factory) -> Path:
    """Sentences of three languages, by their script; the name of all."""
    folder = tmp_path_factory.mktemp("corpus")
    for language, letters in (("en", "[a-z]"), ("uk", "[а-я]"), ("ja", "[ぁ-ヿ一-龥]")):
        own = [text for text in sentences if len(re.findall(letters, text)) > len(text) / 2]
        assert len(own) > 15
        with lzma.open(folder / f"sentences.{language}.txt.xz", "wt", encoding="utf-8") as stream:
            stream.write("\n".join(own))
    return folder / "sentences.{language}.txt.xz"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The recipe that ships, of three languages and of sizes of seconds."""
    shipped = load_recipe("potion-256d-multilingual")
    small = replace(
        shipped,
        corpus=replace(shipped.corpus, sentences=200, languages=LANGUAGES),
        distill=replace(shipped.distill, dims=6, vocabulary_size=None),
        featurize=replace(shipped.featurize, shard_rows=64),
        contrast=replace(shipped.contrast, batch_size=32),
        born_again=replace(shipped.born_again, batch_size=32),
        pca=replace(shipped.pca, dims=4),
    )
    file = tmp_path_factory.mktemp("recipe") / "small.toml"
    file.write_text(to_toml(small), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(xlmr, corpus, recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    train(recipe, out, teacher=xlmr, corpus=corpus, device="cpu")
    return out


def test_a_run_of_three_languages_goes_from_teacher_to_vectors(run, xlmr):
    model = StaticModel.from_pretrained(run / "model")
    assert model.table.shape == (load_teacher(xlmr, device="cpu").tokenizer.get_vocab_size(), 4)
    assert not model.table[[model.tokenizer.get_vocab()[name] for name in XLMR_SPECIALS]].any()
    assert np.linalg.norm(model.encode(["It is raining.", "雨です。", "Йде дощ."]), axis=1) == pytest.approx(1)
    assert json.loads((run / "2-featurize" / "features.json").read_text())["prompt"] == "query: "
    assert 'with "query: " before each text' in (run / "model" / "README.md").read_text(encoding="utf-8")
    told = json.loads((run / "0-corpus" / "stage.json").read_text())["languages"]
    assert list(told) == list(LANGUAGES) and min(told.values()) > 15 and sum(told.values()) == 200
    used = load_recipe(run / "model" / "recipe.toml").corpus
    assert (used.source, used.languages) == ("sentences.{language}.txt.xz", LANGUAGES)


@pytest.mark.parametrize("stage", ["0-corpus", pytest.param("3-contrast", marks=pytest.mark.slow)])
def test_a_run_of_languages_that_was_killed_ends_in_the_same_bits(run, xlmr, corpus, recipe, tmp_path, stage):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "edge_potion", "train", "--recipe", recipe, "--teacher", xlmr, "--corpus", corpus]
    command += ["--languages", ",".join(LANGUAGES), "--device", "cpu", "--out", out]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if f"{stage}: begins" in line:
                process.kill()
    assert process.returncode == -9 and not (out / "model").exists()
    subprocess.run(command, capture_output=True, check=True)
    assert bits(out) == bits(run)


def test_a_model_of_three_languages_is_exported_with_its_text_graph(run, corpus, tmp_path):
    bundle = export(run / "model", tmp_path / "bundle", quantize="float16")
    assert ("text", "float16") in bundle.graphs
    texts = (run / "0-corpus" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    found = EdgeModel.from_pretrained(bundle.folder, graph="text").encode(texts)
    cosines = (found * StaticModel.from_pretrained(run / "model").encode(texts)).sum(axis=1)
    assert cosines.min() > 0.9999
