"""`export --mobile`: .ort files and a graph of fixed shape, held to the oracle, and what a reduced build needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import InputError, StaticModel, export
from edge_potion.manifest import check_files, read_manifest
from edge_potion.tokens import tokenize

PRECISIONS = {"int8": "_quantized", "float16": "_fp16", "float32": ""}
TEXTS = ["It is raining.", "naïve café", "", "日本語のテキスト", "word " * 300]
TOKENS = 32
FIXED_FILES = ("fixed_quantized.onnx", "fixed_quantized.ort")


@pytest.fixture(scope="module")
def mobile(distilled, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mobile") / "bundle"
    return export(distilled, out, quantize=list(PRECISIONS), mobile=True, max_tokens=TOKENS).folder


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ort_files_give_the_vectors_of_the_graphs_that_they_are_made_from(precision, mobile):
    text = {"text": np.frombuffer("\0".join(TEXTS).encode(), np.uint8)}
    name = f"text{PRECISIONS[precision]}"
    found = session(mobile / "mobile" / f"{name}.ort").run(None, text)[0]
    expected = session(mobile / "onnx" / f"{name}.onnx").run(None, text)[0]
    if precision == "int8":
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["onnx", "ort"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_graph_of_fixed_shape_takes_int32_and_cuts(precision, kind, mobile, distilled):
    runner = session(mobile / "mobile" / f"fixed{PRECISIONS[precision]}.{kind}")
    assert {(each.name, each.type, tuple(each.shape)) for each in runner.get_inputs()} == {
        ("input_ids", "tensor(int32)", (1, TOKENS)),
        ("attention_mask", "tensor(int32)", (1, TOKENS)),
    }
    assert runner.get_outputs()[0].shape == [1, distilled.dim]
    expected = distilled.encode(TEXTS, max_tokens=TOKENS)
    for ids, vector in zip(tokenize(distilled.tokenizer, TEXTS, TOKENS).split(), expected, strict=True):
        grid, mask = np.full((1, TOKENS), 5, np.int32), np.zeros((1, TOKENS), np.int32)
        grid[0, : len(ids)], mask[0, : len(ids)] = ids, 1
        found = runner.run(None, {"input_ids": grid, "attention_mask": mask})[0][0]
        np.testing.assert_allclose(found, vector, atol=2e-2 if precision == "int8" else 1e-3)
        assert vector.any() == found.any()


def test_there_is_an_ort_file_for_every_graph_and_all_are_in_the_manifest(mobile):
    stems = [f"{stem}{suffix}" for stem in ("text", "bag", "model", "fixed") for suffix in PRECISIONS.values()]
    held = {file.name for file in (mobile / "mobile").iterdir()}
    fixed = {f"fixed{suffix}.onnx" for suffix in PRECISIONS.values()}
    assert held == {f"{stem}.ort" for stem in stems} | fixed | {"README.md", "required_operators.config"}
    sums = read_manifest(mobile)
    assert {f"mobile/{name}" for name in held} <= set(sums)
    check_files(mobile, sums, sums)


def test_required_operators_tell_operators_and_types(mobile):
    """In the format of ONNX Runtime's reduced builds: domain;opset;operators, with types in braces."""
    lines = [line for line in (mobile / "mobile" / "required_operators.config").read_text().splitlines() if line]
    operators = "".join(line for line in lines if line.startswith("ai.onnx;"))  # a line for each opset they came in
    for name in ("Gather", "MatMulInteger", "BitShift", "CumSum"):
        assert f"{name}{{" in operators or f",{name}" in operators or f";{name}" in operators
    assert '"inputs"' in operators and "uint8_t" in operators


def page_of(bundle: Path) -> str:
    return (bundle / "mobile" / "README.md").read_text(encoding="utf-8")


def files_to_ship(bundle: Path) -> list[str]:
    """Of each row of the page's table, once its size is seen to be right."""
    rows = re.findall(r"(?m)^\| .+ \| `(\S+)` \| ([\d.]+) \|$", page_of(bundle))
    for name, size in rows:
        assert size == f"{(bundle / name).stat().st_size / 1e6:.2f}"
    return [name for name, _ in rows]


def test_the_page_names_one_file_for_each_need_the_engines_first(mobile):
    page, text = page_of(mobile), "onnx/text_quantized.onnx"
    ort = [f"mobile/{stem}_quantized.ort" for stem in ("text", "bag", "model")]
    assert files_to_ship(mobile) == [text, text, *ort, "mobile/fixed_quantized.onnx", "mobile/fixed_quantized.ort"]
    assert "These are int8; files with `_fp16` are float16; files without a suffix are float32." in page
    assert page.count("|---|") == 1  # one table


def test_every_file_of_the_folder_is_one_to_ship_or_is_told_of(mobile):
    told = {Path(name).name for name in files_to_ship(mobile)} | {"README.md", "required_operators.config"}
    for suffix in ("_fp16", ""):  # of the other precisions
        told |= {name.replace("_quantized", suffix) for name in told}
    assert {file.name for file in (mobile / "mobile").iterdir()} <= told


def test_the_page_tells_the_build_command_and_the_checkers_verdict_and_no_path(mobile):
    page = page_of(mobile)
    assert "--include_ops_by_config" in page and "(1, 32)" in page
    assert "NNAPI (Android) and CoreML (iOS): use the CPU provider for every graph here." in page
    assert page.count("\n    Checking NNAPI\n") == 3 * 3 + 3
    assert str(mobile.parent) not in page and "/tmp" not in page


def test_a_smaller_export_is_held_to_the_same(hand_model, tmp_path):
    folder = export(
        hand_model, tmp_path / "hand", quantize=["int8"], graphs=["tokens"], mobile=True, max_tokens=4
    ).folder
    assert {file.name for file in (folder / "mobile").glob("*.ort")} == {"model_quantized.ort", "fixed_quantized.ort"}
    page = page_of(folder)
    assert files_to_ship(folder) == [f"mobile/{name}" for name in ("model_quantized.ort", *FIXED_FILES)]
    assert "These are int8. `fixed*` take one text" in page
    assert "native engine" not in page  # it runs text graphs alone
    again = export(hand_model, tmp_path / "hand", quantize=["int8"], graphs=["tokens"]).folder
    assert not (again / "mobile").exists()  # replaced as a whole


@pytest.mark.parametrize("tokens", [0, -1, 10**6, True, 1.5])
def test_a_foolish_number_of_tokens_is_refused(tokens, hand_model, tmp_path):
    with pytest.raises(InputError, match="max_tokens"):
        export(hand_model, tmp_path / "out", mobile=True, max_tokens=tokens)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_sizes_and_verdict(hand_model, tmp_path):
    hand_model.save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "edge_potion", "export", tmp_path / "model", "--out", tmp_path / "out"]
    done = subprocess.run([*command, "--mobile", "--max-tokens", "16"], capture_output=True, text=True, check=True)
    for words in ("| `mobile/fixed_quantized.ort` |", "use the CPU provider for every graph", "(1, 16)"):
        assert words in done.stdout
    assert "Partition" not in done.stdout and "Created config" not in done.stderr
    assert session(tmp_path / "out" / "mobile" / "fixed_quantized.ort").get_inputs()[0].shape == [1, 16]
    assert isinstance(StaticModel.from_pretrained(tmp_path / "out"), StaticModel)
