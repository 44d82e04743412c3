"""The example in C++ on ONNX Runtime, built by CMake, gives Python's cosines and holds a device to golden.bin.

The library is the one in the onnxruntime wheel, which has no headers: these come from where a system keeps them.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import EdgeModel, export
from edge_potion.bundle import PRECISIONS
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.golden import read_golden
from edge_potion.golden_binary import GOLDEN_BINARY, golden_bytes

from ..models import CHECKOUT
from ..runtime.test_verify import scale_output

MODEL = BUILT_IN_FOLDER / BUILT_IN / "onnx" / "text_quantized.onnx"
HEADERS = (os.environ.get("ONNXRUNTIME_HEADERS", ""), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime")
STRICT = "-Wall -Wextra -Werror"


@pytest.fixture(scope="module")
def onnxruntime_folder(tmp_path_factory) -> Path:
    """ONNX Runtime as CMake looks for it: include/ and lib/."""
    found = [Path(folder) for folder in HEADERS if folder and (Path(folder) / "onnxruntime_cxx_api.h").is_file()]
    if not found:
        pytest.skip(
            "ONNX Runtime's C++ headers are not here: Debian 13's libonnxruntime-dev has them, and ONNXRUNTIME_HEADERS "
            "may name their folder"
        )
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*"))
    if not libraries:
        pytest.skip("this onnxruntime wheel has no libonnxruntime.so to link")
    folder = tmp_path_factory.mktemp("onnxruntime")
    (folder / "lib").mkdir()
    (folder / "include").symlink_to(found[0])
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # what the linker looks for, and what the loader does
        (folder / "lib" / name).symlink_to(libraries[0])
    return folder


@pytest.fixture(scope="module", params=["g++", "clang++"])
def programs(request, onnxruntime_folder, tmp_path_factory) -> Path:
    """The folder of similar and check."""
    for tool in ("cmake", "ninja", request.param):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    out = tmp_path_factory.mktemp("programs")
    choices = [f"-DCMAKE_PREFIX_PATH={onnxruntime_folder}", f"-DCMAKE_CXX_COMPILER={request.param}"]
    source = CHECKOUT / "examples" / "cpp"
    for command in (
        ["cmake", "-S", source, "-B", out, "-G", "Ninja", *choices, f"-DCMAKE_CXX_FLAGS={STRICT}"],
        ["cmake", "--build", out],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
    return out


def run(program: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def bundle(hand_model, tmp_path) -> Path:
    return export(hand_model, tmp_path / "bundle", quantize="int8", graphs=["bag", "text"]).folder


@pytest.fixture(params=[True, False], ids=["unit length", "any length"])
def mobile(request, hand_model, tmp_path) -> Path:
    """A bundle with .ort files, at every precision."""
    model = replace(hand_model, card=replace(hand_model.card, normalize=request.param))
    return export(model, tmp_path / "mobile", quantize=list(PRECISIONS), graphs=["text"], mobile=True).folder


def text_graphs(bundle: Path) -> Iterator[Path]:
    yield from sorted((bundle / "onnx").glob("text*.onnx"))
    yield from sorted((bundle / "mobile").glob("text*.ort"))


def test_cosines_are_those_of_python(programs):
    model = EdgeModel.from_pretrained()
    for one, other in (("It is raining.", "The weather is wet."), ("naïve café", "日本語"), ("rain", ""), ("", "")):
        done = run(programs / "similar", MODEL, one, other)
        assert (done.returncode, done.stderr) == (0, "")
        assert float(done.stdout) == pytest.approx(float(model.encode(one) @ model.encode(other)), abs=6e-4)


def test_every_text_graph_and_ort_file_passes_the_check(programs, mobile):
    files = list(text_graphs(mobile))
    assert len(files) == 2 * len(PRECISIONS)
    for file in files:
        done = run(programs / "check", file, mobile / GOLDEN_BINARY)
        assert done.returncode == 0 and done.stdout.startswith("ok: 0 of 216 texts stray, "), (file, done)
        assert run(programs / "similar", file, "the cat", "the cat").stdout == "1.000\n"


def test_what_strays_in_direction_or_in_length_fails_the_check(programs, mobile):
    golden = read_golden(mobile)
    whole = (mobile / GOLDEN_BINARY).read_bytes()
    known = np.flatnonzero(golden.vectors.any(axis=1))
    for at in (known[0], known[-1]):
        vectors = golden.vectors.copy()
        vectors[at] *= -1
        wrong = golden_bytes(replace(golden, vectors=vectors), golden.tolerance, 16)
        assert len(wrong) == len(whole)
        (mobile / "wrong.bin").write_bytes(wrong)
        for file in text_graphs(mobile):
            done = run(programs / "check", file, mobile / "wrong.bin")
            assert done.returncode == 1 and done.stdout.startswith("FAILED: 1 of 216 texts stray, "), (file, done)
    for file in sorted((mobile / "onnx").glob("text*.onnx")):
        scale_output(file, 3)  # which a cosine does not see
        done = run(programs / "check", file, mobile / GOLDEN_BINARY)
        assert done.returncode == 1 and done.stdout.startswith(f"FAILED: {len(known)} of 216 texts stray, "), (
            file,
            done,
        )


def test_errors_are_one_line_and_a_code(programs, bundle):
    whole = (bundle / GOLDEN_BINARY).read_bytes()
    graph, bag = (bundle / "onnx" / f"{stem}_quantized.onnx" for stem in ("text", "bag"))
    damaged = {"short.bin": whole[:-4], "version.bin": whole[:8] + struct.pack("<I", 2) + whole[12:], "empty.bin": b""}
    for name, content in damaged.items():
        (bundle / name).write_bytes(content)
    no_golden = " is no golden.bin of version 1, or only a part of one"
    for program, words, code, said in (
        ("similar", [], 2, "usage: similar MODEL TEXT TEXT"),
        ("similar", [graph, "a"], 2, "usage: similar MODEL TEXT TEXT"),
        ("check", [graph], 2, "usage: check MODEL golden.bin"),
        ("similar", ["nowhere.onnx", "a", "b"], 1, "error: Load model from nowhere.onnx failed"),
        ("similar", [bundle / "config.json", "a", "b"], 1, f"error: Load model from {bundle / 'config.json'} failed"),
        ("similar", [bag, "a", "b"], 1, "error: Invalid input name: text"),
        ("check", [graph, "nowhere.bin"], 1, f"error: nowhere.bin{no_golden}"),
        *(("check", [graph, bundle / name], 1, f"error: {bundle / name}{no_golden}") for name in damaged),
        ("check", [MODEL, bundle / GOLDEN_BINARY], 1, "error: golden.bin is of another model"),
    ):
        done = run(programs / program, *words)
        assert (done.returncode, done.stdout) == (code, "") and done.stderr.startswith(said), (words, done)
        assert done.stderr.count("\n") == 1


def test_a_golden_bin_whose_places_lie_outside_is_an_error_and_no_over_read(programs, bundle):
    whole = (bundle / GOLDEN_BINARY).read_bytes()
    for place in (12, 48, 52, 56, 68):  # the number of texts, and where in the file sections begin
        (bundle / "wrong.bin").write_bytes(whole[:place] + struct.pack("<I", 2**32 - 5) + whole[place + 4 :])
        done = run(programs / "check", bundle / "onnx" / "text_quantized.onnx", bundle / "wrong.bin")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: golden.bin is damaged\n")
