"""A bundle without model.safetensors: its table is read from its text graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.errors import ModelFormatError
from edge_potion.manifest import write_manifest

TEXTS = ["the cat sat on the mat", "dogs ran", "", "a b a \N{SNOWMAN} b a", "日本 pad, 1"]


def lone(model: StaticModel, out: Path, *precisions: str, graphs: tuple[str, ...] = ("text",)) -> Path:
    """A bundle that holds its table in graphs alone."""
    folder = export(model, out, quantize=list(precisions), graphs=list(graphs)).folder
    (folder / "model.safetensors").unlink()
    write_manifest(folder)
    return folder


@pytest.mark.parametrize("normalize", [True, False], ids=["unit length", "means"])
@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
@pytest.mark.parametrize("kind", ["hand_model", "phrase_model"])
def test_the_vectors_are_those_of_the_graph(kind, precision, normalize, request, tmp_path):
    model = request.getfixturevalue(kind)
    model = replace(model, card=replace(model.card, normalize=normalize))
    folder = lone(model, tmp_path / "bundle", precision)
    opened = StaticModel.from_pretrained(folder)
    assert opened.table.shape == model.table.shape and (opened.phrases is None) == (model.phrases is None)
    ours, graphs = opened.encode(TEXTS), EdgeModel.from_pretrained(folder).encode(TEXTS)
    assert np.allclose(ours, graphs, rtol=1e-5, atol=1e-6) and graphs.any(axis=1).sum() == len(TEXTS) - 1


def test_rows_that_need_more_than_one_digit_are_put_together_again(hand_model, tmp_path):
    table = hand_model.table.copy()
    table[5] *= 1e-5
    folder = lone(replace(hand_model, table=table), tmp_path / "bundle", "int8")
    row = StaticModel.from_pretrained(folder).table[5]
    assert row @ table[5] / np.linalg.norm(row) / np.linalg.norm(table[5]) > 0.995  # what is asked of a row


def test_of_several_graphs_the_finest_is_read(hand_model, tmp_path):
    folder = lone(hand_model, tmp_path / "bundle", "int8", "float32")
    ours, theirs = StaticModel.from_pretrained(folder).table, hand_model.table
    assert np.allclose(ours / np.abs(ours).max(), theirs / np.abs(theirs).max(), atol=1e-6)


def test_a_graph_that_was_changed_is_refused(hand_model, tmp_path):
    folder = lone(hand_model, tmp_path / "bundle", "int8")
    file = folder / "onnx" / "text_quantized.onnx"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"text_quantized\.onnx"):
        StaticModel.from_pretrained(folder)


def test_a_bundle_without_a_text_graph_or_a_table_says_what_is_missing(hand_model, tmp_path):
    folder = lone(hand_model, tmp_path / "bundle", "int8", graphs=("bag",))
    with pytest.raises(ModelFormatError, match=r"holds no model\.safetensors"):
        StaticModel.from_pretrained(folder)


@pytest.mark.parametrize("has_manifest", [True, False])
def test_a_table_that_was_there_and_is_missing_is_no_bundle_without_one(hand_model, tmp_path, has_manifest):
    folder = export(hand_model, tmp_path / "bundle", quantize=["int8"], graphs=["text"]).folder
    (folder / "model.safetensors").unlink()
    if not has_manifest:
        (folder / "manifest.json").unlink()
    with pytest.raises(ModelFormatError, match=r"holds no model\.safetensors"):
        StaticModel.from_pretrained(folder)
