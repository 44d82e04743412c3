"""The whole recipe: from a teacher's name to a model that encodes, and what it is made from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError, ModelFormatError, StaticModel, export, train
from edge_potion.trainer.recipe_file import load_recipe

from ..models import DATA, bits

STAGES = ["0-corpus", "1-distill", "2-featurize", "2-pairs", "3-contrast", "4-born-again", "5-power", "6-pca"]
TINY = load_recipe("tiny")


def test_tiny_from_teacher_to_vectors(small_teacher, tiny_run, tmp_path):
    """distill -> featurize -> contrast -> born-again -> power -> PCA -> export -> encode."""
    assert [each.name for each in sorted(tiny_run.iterdir()) if each.is_dir()] == [*STAGES, "model"]
    model = StaticModel.from_pretrained(tiny_run / "model")
    assert model.table.shape == (300, 4)  # 250 of the teacher and 50 words of the corpus
    assert not model.table[list(model.dropped_ids)].any()
    bundle = export(tiny_run / "model", tmp_path / "bundle")
    texts = ["The council voted.", "", "日本"]
    np.testing.assert_allclose(EdgeModel.from_pretrained(bundle.folder).encode(texts), model.encode(texts), atol=0.02)
    assert np.array_equal(model.table, StaticModel.from_pretrained(tiny_run / "6-pca" / "model").table)


def test_every_stage_is_a_model_folder_that_follows_from_the_one_before(tiny_run):
    tables = {
        name: StaticModel.from_pretrained(tiny_run / name / "model").table for name in STAGES if name[0] in "13456"
    }
    born, power, pca = tables["4-born-again"], tables["5-power"], tables["6-pca"]
    np.testing.assert_allclose(power, np.sign(born) * np.abs(born) ** 0.7, rtol=1e-6)
    known = power[2:].astype(np.float64)  # [PAD] and [UNK] are tokens 0 and 1
    centred = known - known.mean(axis=0)
    vectors = np.linalg.eigh(centred.T @ centred).eigenvectors
    wanted = centred @ vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(pca[2:]), np.abs(wanted), atol=1e-4)
    assert not np.array_equal(tables["1-distill"], tables["3-contrast"])


def test_the_card_tells_how_the_model_was_made(tiny_run):
    from huggingface_hub import ModelCard

    card = ModelCard.load(tiny_run / "model" / "README.md")
    assert card.data.library_name == "model2vec" and card.data.base_model == "small-bert"
    assert card.data.tags == ["embeddings", "static-embeddings", "sentence-transformers"]
    for told in ("small-bert", "sentences.txt", "torch 2", "| 4-born-again |", "validation loss"):
        assert told in card.text
    config = json.loads((tiny_run / "model" / "config.json").read_text())
    assert config["edge_potion"]["recipe_fingerprint"] in card.text
    recipe = load_recipe(tiny_run / "model" / "recipe.toml")
    used = replace(TINY, teacher="small-bert", corpus=replace(TINY.corpus, source="sentences.txt", subset=""))
    assert recipe == used  # what was really used, not what the recipe's defaults name
    assert "[born_again]" in (tiny_run / "5-power" / "model" / "recipe.toml").read_text()


def test_the_summary_tells_losses_times_and_memory(tiny_run):
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert [row["stage"] for row in summary] == STAGES
    assert all(row["seconds"] >= 0 and row["peak_memory_mb"] > 10 for row in summary)
    assert all(0 < row["validation_loss"] < 20 for row in summary if row["stage"][0] in "34")
    assert all(-1 <= row["agreement"] <= 1 for row in summary if row["stage"][0] in "13456")
    for name in ("3-contrast", "4-born-again"):
        assert (tiny_run / name / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_the_ending_of_a_corpus_file_counts(small_teacher, tmp_path):
    """The same bytes are other sentences as .txt and as .jsonl."""
    lines = [json.dumps({"text": line}) for line in DATA.read_text(encoding="utf-8").splitlines()]
    for ending in (".txt", ".jsonl"):
        (tmp_path / f"corpus{ending}").write_text("\n".join(lines))
        train("tiny", tmp_path / "run", teacher=small_teacher, corpus=tmp_path / f"corpus{ending}", device="cpu")
        first = (tmp_path / "run" / "0-corpus" / "sentences.txt").read_text()
        assert first.startswith("{") == (ending == ".txt")


def test_half_precision_weights_are_widened(small_teacher, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    from edge_potion.trainer.teacher import load_teacher

    teacher = Path(shutil.copytree(small_teacher, tmp_path / "small-bert"))
    weights = {name: value.half() for name, value in load_file(teacher / "model.safetensors").items()}
    save_file(weights, teacher / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((teacher / "config.json").read_text())
    (teacher / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    assert {value.dtype for value in load_teacher(teacher, device="cpu").model.parameters()} == {torch.float32}


def test_features_made_elsewhere_take_the_place_of_stage_2(tiny_run, small_teacher, tmp_path):
    out = tmp_path / "run"
    train("tiny", out, teacher=small_teacher, corpus=[DATA], features=tiny_run, device="cpu")
    assert not (out / "2-featurize").exists()
    assert bits(out)["6-pca/model/model.safetensors"] == bits(tiny_run)["6-pca/model/model.safetensors"]


def test_without_a_corpus_the_texts_of_the_features_are_it(tiny_run, small_teacher, tmp_path):
    out = tmp_path / "run"
    train("tiny", out, teacher=small_teacher, features=tiny_run / "2-featurize", device="cpu")
    ours, theirs = ((each / "0-corpus" / "sentences.txt").read_text() for each in (out, tiny_run))
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_features_that_are_not_whole_are_refused(run_folder, small_teacher, tmp_path):
    (run_folder / "2-featurize" / "train-00003.parquet").unlink()
    with pytest.raises(ModelFormatError, match="lacks shard 3"):
        train("tiny", tmp_path / "new", teacher=small_teacher, corpus=[DATA], features=run_folder, device="cpu")


def test_features_made_otherwise_are_told_in_the_recipe(run_folder, small_teacher, tmp_path, caplog):
    manifest = run_folder / "2-featurize" / "features.json"
    made = {"pooling": "model", "prompt": "query: "}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **made}))
    train("tiny", tmp_path / "new", teacher=small_teacher, corpus=[DATA], features=run_folder, device="cpu")
    assert "made with pooling = 'model', where the recipe has 'tokens'" in caplog.text
    assert "made with prompt = 'query: ', where the recipe has ''" in caplog.text
    told = load_recipe(tmp_path / "new" / "model" / "recipe.toml").featurize
    assert (told.pooling, told.prompt) == ("model", "query: ")
    assert ', with "query: " before each text\n' in (tmp_path / "new" / "model" / "README.md").read_text()


def test_features_of_another_teacher_are_refused(tiny_run, bert_teacher, tmp_path):
    with pytest.raises(InputError, match=r"were made by small-bert \(\w+\), and .*tiny-bert is"):
        train("tiny", tmp_path / "run", teacher=bert_teacher, corpus=[DATA], features=tiny_run, device="cpu")


def test_bad_lines_and_nan_rows_are_counted_in_the_summary(small_teacher, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    teacher = Path(shutil.copytree(small_teacher, tmp_path / "small-bert"))
    weights = load_file(teacher / "model.safetensors")
    weights["embeddings.position_embeddings.weight"][40:] = float("nan")  # spoils what is longer than 40 tokens
    save_file(weights, teacher / "model.safetensors", metadata={"format": "pt"})
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(DATA.read_bytes() + b"this line is not UTF-8: \xff\xfe and it is long enough\n")
    summary = train("tiny", tmp_path / "run", teacher=teacher, corpus=[corpus], device="cpu").summary
    by_stage = {row["stage"]: row for row in summary}
    assert by_stage["0-corpus"]["skipped"]["not UTF-8"] == 1
    assert by_stage["2-featurize"]["skipped"]["NaN or inf"] > 0
    assert by_stage["2-featurize"]["rows"] + by_stage["2-featurize"]["skipped"]["NaN or inf"] == 400
    assert torch.isfinite(load_file(tmp_path / "run" / "model" / "model.safetensors")["embeddings"]).all()


def test_bad_arguments_of_the_command_are_one_line(small_teacher, tmp_path, door):
    for arguments, message in (
        (["tinny"], "there is no recipe tinny; name a .toml file, or one of"),
        (["tiny", "--teacher", tmp_path / "nowhere"], "no such folder"),
        (["tiny", "--teacher", small_teacher, "--corpus", tmp_path / "no.txt"], "there is no corpus file"),
        (["tiny", "--teacher", small_teacher, "--device", "abacus"], "device 'abacus' cannot be used here"),
        (["tiny", "--teacher", small_teacher, "--from-stage", "9"], "from_stage is 9; a stage from 1 to 6"),
        (["tiny", "--teacher", small_teacher, "--features", tmp_path], "holds no .parquet or .safetensors file"),
    ):
        ended = door("train", "--out", tmp_path / "run", "--recipe", *arguments)
        assert ended.code == 1 and message in ended.error


def test_it_runs_where_only_torch_transformers_tokenizers_and_safetensors_are(small_teacher, tmp_path):
    """A bare GPU box: no pyarrow, datasets, matplotlib, onnx, onnxruntime, scikit-learn."""
    script = """
import importlib.machinery, sys
ABSENT = {"pyarrow", "datasets", "matplotlib", "onnx", "onnxruntime", "sklearn", "scipy", "pandas", "zstandard", "PIL",
          "sentence_transformers", "model2vec", "dill", "multiprocess"}
real = importlib.machinery.PathFinder.find_spec
@staticmethod
def bare(name, path=None, target=None):
    return None if name.split(".")[0] in ABSENT else real(name, path, target)
importlib.machinery.PathFinder.find_spec = bare
from edge_potion.cli import main
main()
"""
    common = ["--recipe", "tiny", "--teacher", small_teacher, "--corpus", DATA, "--out", tmp_path / "run"]
    environment = {**os.environ, "USE_TF": "0"}
    for command in ("featurize", "train"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, *common], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "2-featurize" / "train-00000.safetensors").exists()
    assert "2-featurize: done before" in done.stderr and "no curves.png" in done.stderr
    assert StaticModel.from_pretrained(tmp_path / "run" / "model").table.shape == (300, 4)


def test_born_again_and_power_can_be_left_out(small_teacher, run_folder):
    recipe = replace(TINY, born_again=replace(TINY.born_again, epochs=0), power=replace(TINY.power, exponent=1.0))
    train(recipe, run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    tables = [
        StaticModel.from_pretrained(run_folder / name / "model").table
        for name in ("3-contrast", "4-born-again", "5-power")
    ]
    assert np.array_equal(tables[0], tables[1]) and np.array_equal(tables[1], tables[2])
