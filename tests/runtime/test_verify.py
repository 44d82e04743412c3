"""`edge-potion verify`: whole files and right numbers pass; anything else is named, with exit code 1."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from edge_potion import ModelFormatError, export
from edge_potion.manifest import MANIFEST, write_manifest
from edge_potion.replay import verify

from ..peers import run_in_peer

COMMAND = [sys.executable, "-m", "edge_potion", "verify"]


def said_of(folder: Path | None, *options: str) -> subprocess.CompletedProcess[str]:
    words = [] if folder is None else [str(folder)]
    return subprocess.run([*COMMAND, *words, *options], capture_output=True, text=True, check=False)


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "copy"))


def test_the_built_in_model_is_right_on_this_machine():
    done = said_of(None)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok") and "are as they were exported" in lines[0]
    assert [line.split()[:3] for line in lines[1:]] == [["ok", "text", "int8"]] * 2


def test_each_graph_and_precision_is_a_line(bundle):
    verdicts = list(verify(bundle.folder))
    named = {f"{graph} {precision}" for graph, precision in bundle.graphs}
    named |= {f"text {precision} native" for graph, precision in bundle.graphs if graph == "text"}
    assert {verdict.what for verdict in verdicts} == {"files", *named} and all(verdict.passed for verdict in verdicts)


def test_a_flipped_bit_fails_the_files_and_the_graph(copy):
    file = copy / "onnx" / "bag.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = said_of(copy)
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 2 and "bag.onnx is damaged" in failed[0] and "bag float32" in failed[1]
    assert sum(line.startswith("ok") for line in done.stdout.splitlines()) == 11


def test_a_graph_that_fails_when_it_runs_is_one_line_and_the_others_are_tried(copy):
    file = copy / "onnx" / "bag.onnx"
    model = onnx.load(file)
    (last,) = (node for node in model.graph.node if "sentence_embedding" in node.output)
    last.output[0] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**6], np.int64), "beyond"))
    model.graph.node.append(onnx.helper.make_node("Gather", ["before", "beyond"], ["sentence_embedding"]))
    onnx.save(model, file)
    write_manifest(copy)
    failed = [verdict for verdict in verify(copy) if not verdict.passed]
    assert [verdict.what for verdict in failed] == ["bag float32"]
    assert "indices element out of data bounds" in failed[0].message and "\n" not in failed[0].message


def test_a_machine_that_computes_something_else_is_found_by_the_vectors_alone(copy):
    """As a machine's kernels cannot be broken here, the answers are: every file is as its manifest says."""
    golden = json.loads((copy / "golden.json").read_text())
    golden["vectors"][3] = golden["vectors"][4]
    (copy / "golden.json").write_text(json.dumps(golden))
    write_manifest(copy)
    done = said_of(copy)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("ok")
    assert all("strays from the oracle" in line for line in done.stdout.splitlines()[1:])


def scale_output(file: Path, factor: float) -> None:
    """A broken normalization: the graph's vectors, times a factor."""
    model = onnx.load(file)
    (last,) = (node for node in model.graph.node if "sentence_embedding" in node.output)
    last.output[0] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["before", "factor"], ["sentence_embedding"]))
    onnx.save(model, file)


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.005, 3])
@pytest.mark.parametrize("name", ["text_quantized", "bag_fp16", "model", "model_quantized"])
def test_vectors_of_another_length_than_one_fail_in_every_graph_and_precision(name, factor, copy):
    scale_output(copy / "onnx" / f"{name}.onnx", factor)
    write_manifest(copy)
    (failed,) = [verdict for verdict in verify(copy) if verdict.passed is False]  # the engine takes no such graph
    assert "strays from the oracle" in failed.message
    assert "length of a vector off by" in failed.message or name == "model"


@pytest.mark.parametrize("normalize", [True, False])
def test_the_ort_files_are_replayed_too(normalize, hand_model, tmp_path):
    model = replace(hand_model, card=replace(hand_model.card, normalize=normalize))
    folder = export(model, tmp_path / "out", quantize=["int8", "float16"], mobile=True, max_tokens=4).folder
    verdicts = {verdict.what: verdict for verdict in verify(folder)}
    graphs = {f"{graph} {precision}" for graph in ("text", "bag", "tokens") for precision in ("int8", "float16")}
    fixed = {f"fixed {precision} .ort" for precision in ("int8", "float16")}
    native = {"text int8 native", "text float16 native"}
    assert set(verdicts) == {"files", *graphs, *native, *(f"{graph} .ort" for graph in graphs), *fixed}
    assert all(verdict.passed for verdict in verdicts.values())
    count = int(verdicts["fixed int8 .ort"].message.split()[0])
    assert 50 < count < 216  # the golden texts of at most four tokens
    # A file that is another one, one that is damaged, and one that no manifest names.
    mobile = folder / "mobile"
    (mobile / "bag_quantized.ort").write_bytes((mobile / "model_quantized.ort").read_bytes())
    content = bytearray((mobile / "fixed_fp16.ort").read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    (mobile / "fixed_fp16.ort").write_bytes(content)
    write_manifest(folder)
    done = said_of(folder)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    failed = [line.split()[1:4] for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == [["bag", "int8", ".ort"], ["fixed", "float16", ".ort"]]
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["mobile/text_fp16.ort"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert "manifest.json does not name mobile/text_fp16.ort" in next(verify(folder)).message


def test_an_ort_file_whose_vectors_have_another_length_fails(hand_model, tmp_path):
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    folder = export(hand_model, tmp_path / "out", graphs="text", mobile=True, max_tokens=4).folder
    stage = tmp_path / "stage"
    stage.mkdir()
    shutil.copy(folder / "onnx" / "text_quantized.onnx", stage)
    scale_output(stage / "text_quantized.onnx", 3)
    convert_onnx_models_to_ort(stage, output_dir=folder / "mobile", optimization_styles=[OptimizationStyle.Fixed])
    write_manifest(folder)
    (failed,) = [verdict for verdict in verify(folder) if not verdict.passed]
    assert failed.what == "text int8 .ort" and "length of a vector off by 2" in failed.message


def test_a_bundle_without_a_manifest_is_replayed_all_the_same(copy):
    (copy / MANIFEST).unlink()
    first, *others = list(verify(copy))
    assert first.passed is None and "no manifest.json" in first.message and all(verdict.passed for verdict in others)


def test_what_its_owner_left_out_or_wrote_is_told_and_no_failure(copy):
    """As from a hub, which hands out some files only, with a card that was edited there."""
    for name in ("special_tokens_map.json", "onnx/bag.onnx"):
        (copy / name).unlink()
    (copy / "README.md").write_text("mine")
    done = said_of(copy)
    assert done.returncode == 0
    assert "2 more are not here" in done.stdout and "README.md was edited" in done.stdout


def test_a_manifest_that_passes_over_a_file_is_no_manifest(copy):
    content = json.loads((copy / MANIFEST).read_text())
    del content["files"]["onnx/bag.onnx"]
    (copy / MANIFEST).write_text(json.dumps(content))
    done = said_of(copy)
    assert done.returncode == 1 and "manifest.json does not name onnx/bag.onnx" in done.stdout


@pytest.mark.peers
def test_another_provider_skips_what_it_cannot_run(bundle):
    script = (
        "import sys; from pathlib import Path; from edge_potion.replay import verify\n"
        "for verdict in verify(Path(sys.argv[1]), 'openvino'): print(verdict.what, verdict.passed, sep=': ')"
    )
    lines = dict(line.split(": ") for line in run_in_peer("openvino", script, str(bundle.folder)).splitlines())
    assert lines["text int8"] == "None" and lines["bag int8"] == lines["tokens float16"] == "True"


@pytest.mark.parametrize("damage", ["texts", "vectors", "tolerance", "ids", "format", "normalize", "known_tokens"])
def test_a_damaged_golden_file_is_an_error(damage, copy):
    golden = json.loads((copy / "golden.json").read_text())
    golden[damage] = {"texts": [1], "vectors": [[0.5], [0.5, 1]], "tolerance": {"int8": {"x": 1}}}.get(damage, "?")
    (copy / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ModelFormatError, match=r"golden\.json"):
        list(verify(copy))


def test_what_is_no_bundle_is_one_line(hand_folder):
    done = said_of(hand_folder)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "edge-potion export" in done.stderr
    unknown = said_of(None, "--provider", "abacus")
    assert unknown.returncode == 1 and "abacus" in unknown.stderr + unknown.stdout
