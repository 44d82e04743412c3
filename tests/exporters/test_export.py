"""Bundles: the files that are promised, what other programs read in them, and golden.json as a port's own test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.bundle import open_bundle
from edge_potion.golden import cosines
from edge_potion.static_model import Card
from edge_potion.tokens import open_tokenizer
from edge_potion.trainer.card import PhrasesTold, trained_card
from edge_potion.trainer.credits import Credit

PROMISED = [
    "README.md",
    "config.json",
    "golden.bin",
    "golden.json",
    "manifest.json",
    "model.safetensors",
    "modules.json",
    "onnx/bag.onnx",
    "onnx/bag_fp16.onnx",
    "onnx/bag_quantized.onnx",
    "onnx/model.onnx",
    "onnx/model_fp16.onnx",
    "onnx/model_quantized.onnx",
    "onnx/text.onnx",
    "onnx/text_fp16.onnx",
    "onnx/text_quantized.onnx",
    "recipe.toml",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
]


def test_a_bundle_holds_what_is_promised(bundle):
    files = sorted(path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file())
    assert files == PROMISED


def test_default_is_int8_with_every_graph(hand_model, tmp_path):
    bundle = export(hand_model, tmp_path / "out")
    assert sorted(bundle.graphs) == [("bag", "int8"), ("text", "int8"), ("tokens", "int8")]
    assert load_file(bundle.folder / "model.safetensors")["embeddings"].dtype == np.int8


def test_a_normalizer_that_keeps_control_characters_is_exported_too(hand_model, tmp_path):
    content = json.loads(hand_model.tokenizer.to_str())
    content["normalizer"] = {**content["normalizer"], "type": "BertNormalizer", "clean_text": False}
    kept = replace(hand_model, tokenizer=Tokenizer.from_str(json.dumps(content)))
    model = EdgeModel.from_pretrained(export(kept, tmp_path / "out", quantize="float32").folder)
    assert model.graph == "text"
    assert np.array_equal(model.encode("c\0at"), model.encode("cat"))  # NUL alone is dropped, as it ends a text
    assert not model.encode("c\x01at").any()


def test_safetensors_holds_the_first_precision(hand_model, tmp_path):
    for first, dtype in (("float16", np.float16), ("float32", np.float32)):
        folder = export(hand_model, tmp_path / "out", quantize=[first, "int8"]).folder
        assert load_file(folder / "model.safetensors")["embeddings"].dtype == dtype


def test_files_for_fastembed_and_transformers_js(bundle):
    config = json.loads((bundle.folder / "config.json").read_text())
    assert config["pad_token_id"] == 0
    assert config["model_type"] == "model2vec"
    tokenizer = json.loads((bundle.folder / "tokenizer_config.json").read_text())
    assert tokenizer == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
    }
    assert json.loads((bundle.folder / "special_tokens_map.json").read_text())["pad_token"] == "[PAD]"


def test_files_can_be_read_by_everyone(bundle):
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in bundle.folder.rglob("*"))


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_peers_load_the_folder_at_every_precision(distilled, sentences, tmp_path, precision):
    """Contract: the quantized model.safetensors is one that Model2Vec and sentence-transformers load."""
    from model2vec import StaticModel as Peer
    from sentence_transformers import SentenceTransformer

    folder = export(distilled, tmp_path / "out", quantize=[precision], graphs=["tokens"]).folder
    expected = distilled.encode(sentences)
    least = {"int8": 0.9995, "float16": 0.99999, "float32": 0.99999}[precision]
    for vectors in (
        Peer.from_pretrained(str(folder)).encode(sentences),
        SentenceTransformer(str(folder), device="cpu").encode(sentences),
        StaticModel.from_pretrained(folder).encode(sentences),
    ):
        assert cosines(vectors, expected).min() >= least


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_peers_give_no_nan_for_an_empty_text(distilled, tmp_path, precision):
    from sentence_transformers import SentenceTransformer

    folder = export(distilled, tmp_path / "out", quantize=[precision], graphs=["tokens"]).folder
    assert np.isfinite(SentenceTransformer(str(folder), device="cpu").encode(["", "☃"])).all()


def test_golden_json_is_the_oracles_word(bundle, distilled):
    golden = json.loads((bundle.folder / "golden.json").read_text())
    assert len(golden["texts"]) >= 200
    assert {"", "!", "한국어", "a" * 101} <= set(golden["texts"])
    np.testing.assert_allclose(np.array(golden["vectors"]), distilled.encode(golden["texts"]), atol=1e-7)
    tokenizer = open_tokenizer(bundle.folder / "tokenizer.json")
    for text, ids in zip(golden["texts"], golden["ids"], strict=True):
        assert tokenizer.encode(text, add_special_tokens=False).ids[:512] == ids
    assert golden["tolerance"]["float32"] == {"max_abs_diff": 1e-6}
    assert golden["tolerance"]["int8"]["cosine"] == 0.9995


def test_the_card_keeps_the_models_metadata(bundle):
    from huggingface_hub import ModelCard

    data = ModelCard.load(bundle.folder / "README.md").data
    assert (data.library_name, data.license, data.base_model) == ("model2vec", "apache-2.0", "all-MiniLM-L6-v2")
    assert {"embeddings", "static-embeddings", "sentence-transformers", "onnx"} <= set(data.tags)


TWO_TEACHERS = {
    "teacher": "all-MiniLM-L6-v2",
    "others": [
        {"teacher": str(Path.home() / "multilingual-e5-small"), "licence": "mit", "revision": "", "weight": 1.0},
    ],
}


@pytest.mark.parametrize("has_card", [True, False])
def test_the_card_names_every_teacher(has_card, phrase_model, tmp_path):
    from huggingface_hub import ModelCard

    teachers = ["all-MiniLM-L6-v2", "multilingual-e5-small"]
    credits = [Credit(teachers[0], "apache-2.0"), Credit(teachers[1], "mit")]
    made = {"recipe_fingerprint": "0123456789ab"}
    told = ("two", made, credits, (32, 8), "sentences", [], {}, PhrasesTold(5, "pmi"), ["", "query: "])
    readme = trained_card(*told) if has_card else ""
    card = replace(phrase_model.card, readme=readme, config={"edge_potion": {**TWO_TEACHERS, **made}})
    folder = export(replace(phrase_model, card=card), tmp_path / "out", quantize="int8", graphs="text").folder
    page = ModelCard.load(folder / "README.md")
    assert "distilled from all-MiniLM-L6-v2 and multilingual-e5-small, exported" in page.text
    assert page.data.base_model == teachers and page.data.library_name == "edge-potion"
    assert "sentence-transformers" not in page.data.tags
    if has_card:
        assert (page.data.license, page.data.license_name) == ("other", "apache-2.0-and-mit")
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))["edge_potion"]
    assert [told["teacher"], told["others"][0]["teacher"]] == teachers and told["others"][0]["licence"] == "mit"


def test_info_names_every_teacher(hand_model, tmp_path, door):
    card = replace(hand_model.card, config={"edge_potion": TWO_TEACHERS})
    folder = export(replace(hand_model, card=card), tmp_path / "out", quantize="int8", graphs="text").folder
    assert "\nteachers: all-MiniLM-L6-v2 and multilingual-e5-small\n" in door("info", folder).stdout


def test_a_foreign_card_that_cannot_be_read_does_no_harm(hand_folder, tmp_path):
    (hand_folder / "README.md").write_text("---\n: : [broken\n---\n# model\n")
    assert "library_name: model2vec" in (export(hand_folder, tmp_path / "out").folder / "README.md").read_text()


def test_a_bundle_is_replaced_as_a_whole(hand_model, tmp_path):
    export(hand_model, tmp_path / "out", quantize=["float32", "float16"])
    bundle = export(hand_model, tmp_path / "out", quantize=["int8"], graphs=["bag"])
    assert list(bundle.graphs) == [("bag", "int8")]
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["out"]


def test_a_bundle_can_be_exported_again(bundle, distilled, tmp_path, sentences):
    """Its model.safetensors is a model like any other."""
    again = export(bundle.folder, tmp_path / "again", quantize=["float16"])
    assert open_bundle(Path(again.folder)).precisions == ["float16"]
    found = EdgeModel.from_pretrained(again.folder).encode(sentences)
    assert cosines(found, distilled.encode(sentences)).min() >= 0.9995


def test_every_tokenizer_family_exports(other_tokenizer, sentences, tmp_path):
    """bag and tokens start from ids, so the tokenizer does not matter to them."""
    size = other_tokenizer.get_vocab_size()
    table = np.random.default_rng(5).standard_normal((size, 16)).astype(np.float32)
    model = StaticModel(table, other_tokenizer, Card("other", max_tokens=None))
    bundle = export(model, tmp_path / "out", quantize=["int8", "float32"])
    found = EdgeModel.from_pretrained(bundle.folder, precision="float32").encode(sentences)
    np.testing.assert_allclose(found, model.encode(sentences), atol=1e-6)


def test_the_text_files_are_ascii_or_utf8_and_end_with_a_newline(bundle):
    for name in ("config.json", "modules.json", "golden.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert (bundle.folder / name).read_bytes().endswith(b"\n")
