"""The model that comes with the package: whole, what its golden.json says, found without a name or a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError, StaticModel, export, verify
from edge_potion.benchmarks.studies.built_in import DIMS, write_packaged
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.origin import scores_of, teachers_of

FOLDER = BUILT_IN_FOLDER / BUILT_IN


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads((FOLDER / "golden.json").read_text(encoding="ascii"))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(lengths > 0, (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1), ~(a.any(1) | b.any(1)))


def test_the_shipped_graphs_give_what_its_golden_json_says(golden):
    wanted, known = np.array(golden["vectors"], np.float32), np.array(golden["known_tokens"])
    tolerance = golden["tolerance"]["int8"]
    for graph, precision in EdgeModel.from_pretrained().bundle.graphs:
        model = EdgeModel.from_pretrained(graph=graph, precision=precision, provider="cpu")
        agreement = cosines(model.encode(golden["texts"]), wanted)
        assert np.median(agreement) >= tolerance["median_cosine"]
        assert agreement[known >= golden["short_text"]].min() >= tolerance["cosine"]
        assert agreement[known < golden["short_text"]].min() >= tolerance["short_cosine"]


def test_its_table_is_the_same_model(golden):
    wanted = np.array(golden["vectors"], np.float32)
    assert np.median(cosines(StaticModel.from_pretrained().encode(golden["texts"]), wanted)) > 0.9999


def test_it_is_small_and_says_what_it_is():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) <= 20e6
    scores = scores_of(json.loads((FOLDER / "config.json").read_text(encoding="utf-8")))
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert list(scores) == ["256", "128", "64"]
    for each in scores.values():
        assert each["CatAVG"] == pytest.approx(
            np.mean([score for kind, score in each.items() if kind != "CatAVG"]), abs=0.01
        )
        assert f"{each['CatAVG']:.2f}" in card
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    for word in (*teachers_of(config), "Apache-2.0", "Trained on", "English"):
        assert word in card
    assert (FOLDER / "recipe.toml").is_file()


def test_what_is_packaged_of_a_bundle_is_all_of_the_model_once(phrase_model, tmp_path):
    card = replace(phrase_model.card, config={"edge_potion": {"teacher": "one", "others": [{"teacher": "two"}]}})
    bundle = export(replace(phrase_model, card=card), tmp_path / "bundle", quantize="int8", graphs="text").folder
    folder = tmp_path / "packaged"
    folder.mkdir()
    write_packaged(bundle, folder, {str(dims): {"STS": 1.5, "CatAVG": 1.5} for dims in DIMS})
    there = {file.relative_to(folder).as_posix(): file.stat().st_size for file in folder.rglob("*.*")}
    assert not {"model.safetensors", "golden.bin"} & set(there) and "phrases.safetensors" in there
    page = (folder / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\S+)` \| ([\d,]+) \|$", page, re.MULTILINE))
    sizes = {name: f"{size:,}" for name, size in there.items() if name not in ("README.md", "manifest.json")}
    assert listed == sizes and "golden.bin" not in page
    assert f"EdgeModel.from_pretrained({BUILT_IN!r})".replace("'", '"') + "\n" in page
    assert "distilled from one and two" in page and "| 64 | 1.50 | 1.50 |" in page
    assert all(verdict.passed for verdict in verify(folder))
    texts = ["the cat sat", "a b a"]
    assert np.array_equal(
        EdgeModel.from_pretrained(folder).encode(texts), EdgeModel.from_pretrained(bundle).encode(texts)
    )


def test_other_libraries_refuse_it_instead_of_giving_other_vectors():
    from model2vec import StaticModel as Model2Vec
    from sentence_transformers import SentenceTransformer

    for opened in (Model2Vec.from_pretrained, SentenceTransformer):
        with pytest.raises(ValueError, match="Could not find"):
            opened(str(FOLDER))


def test_without_phrases_it_is_another_model_and_the_error_says_which(tmp_path):
    with pytest.raises(InputError, match="train --recipe potion-256d-minilm makes a model without any"):
        export(BUILT_IN, tmp_path / "out", without_phrases=True)


def test_it_needs_no_name_and_no_network():
    script = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from edge_potion import EdgeModel\n"
        "print(EdgeModel.from_pretrained().encode(['rain', 'It is raining.']).shape)\n"
        f"print(EdgeModel.from_pretrained({BUILT_IN!r}).dim)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(2, 256)", "256"]


def test_every_command_takes_it_where_no_model_is_named(tmp_path):
    def said(*words: object, stdin: str = "") -> str:
        command = [Path(sys.executable).parent / "edge-potion", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True, input=stdin, cwd=tmp_path).stdout

    assert json.loads(said("encode", stdin="rain\n"))["text"] == "rain"
    (tmp_path / "notes.txt").write_text("I like cheese.\nIt is raining.\n")
    assert "It is raining." in said("search", "notes.txt", "wet weather", "--top", 1)
    told = said("info")
    for word in ("256 dimensions", "all-MiniLM-L6-v2", "scores at 128 dimensions", "licence", "limits", "trained on"):
        assert word in told
    said("export", "--quantize", "float16", "--graphs", "bag")
    assert (tmp_path / f"{BUILT_IN}-onnx" / "onnx" / "bag_fp16.onnx").is_file()


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch, hand_folder):
    hand_folder_copy = tmp_path / BUILT_IN
    StaticModel.from_pretrained(hand_folder).save_pretrained(hand_folder_copy)
    monkeypatch.chdir(tmp_path)
    assert StaticModel.from_pretrained(BUILT_IN).dim == 8
    assert StaticModel.from_pretrained().dim == 256


def test_it_has_no_revisions():
    with pytest.raises(InputError, match="for hub ids"):
        EdgeModel.from_pretrained(revision="main")


def test_fewer_dimensions_are_unit_vectors():
    vectors = EdgeModel.from_pretrained().encode(["rain", "It is raining."], truncate_dim=64)
    assert vectors.shape == (2, 64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
