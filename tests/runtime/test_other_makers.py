"""Folders of other makers: no command shows their files as ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_potion import EdgeModel, ModelFormatError
from edge_potion.bundle import is_bundle, open_bundle


def said(command: str, *words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "edge_potion", command, *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture(params=["none", "of a web app", "of a pipeline"])
def theirs(request, hand_folder) -> Path:
    """A static model with graphs of its maker under the very names of ours."""
    (hand_folder / "onnx").mkdir()
    for name in ("model.onnx", "model_quantized.onnx", "text.onnx"):
        (hand_folder / "onnx" / name).write_bytes(b"\x08\x08\x12\x05other")
    if request.param == "of a web app":
        (hand_folder / "manifest.json").write_text('{"name": "App", "icons": []}')
    elif request.param == "of a pipeline":
        (hand_folder / "manifest.json").write_text('["model.onnx"]')
    return hand_folder


def test_info_tells_a_static_model_and_whose_the_graphs_are(theirs):
    done = said("info", theirs)
    assert done.returncode == 0, done.stderr
    first, second, third, *_ = done.stdout.splitlines()
    assert first == f"{theirs}: a static model of 32 tokens, 8 dimensions, normalized, cut at 16 tokens"
    assert "no graph of ours" in second
    assert third.startswith("of another maker") and "onnx/model_quantized.onnx" in third
    assert "MB" not in done.stdout  # no table of files


def test_info_says_what_the_runtime_does(theirs):
    """It exports the model anew, with the same limit."""
    model = EdgeModel.from_pretrained(theirs)
    assert (model.dim, model.bundle.max_tokens) == (8, 16)
    assert not model.bundle.folder.is_relative_to(theirs)


@pytest.mark.parametrize("command", ["verify", "benchmark"])
def test_commands_for_bundles_refuse_it(command, theirs):
    done = said(command, theirs)
    assert done.returncode == 1
    assert "no bundle of ours" in done.stderr and "edge-potion export" in done.stderr
    with pytest.raises(ModelFormatError, match="no bundle of ours"):
        open_bundle(theirs)
    assert not is_bundle(theirs)


def test_info_of_a_transformer_names_the_command_that_makes_a_static_model_of_it(bert_teacher):
    (bert_teacher / "onnx").mkdir()
    (bert_teacher / "onnx" / "model.onnx").write_bytes(b"\x08\x08\x12\x05other")
    done = said("info", bert_teacher)
    assert done.returncode == 0, done.stderr
    assert "a bert of 6 dimensions, no static model; edge-potion distill" in done.stdout
    assert "onnx/model.onnx" in done.stdout


@pytest.mark.parametrize("what", ["nothing", "a graph", "a table that is damaged"])
def test_info_of_what_we_do_not_take_is_one_line(what, hand_folder, tmp_path):
    folder = hand_folder
    if what == "a table that is damaged":
        (folder / "model.safetensors").write_bytes(b"short")
    else:
        shutil.rmtree(folder)
        (folder / "onnx").mkdir(parents=True)
        if what == "a graph":
            (folder / "onnx" / "model.onnx").write_bytes(b"\x08\x08")
            (folder / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    done = said("info", folder)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not done.stdout
