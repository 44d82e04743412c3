"""The examples in C, built as their page says against the engine, by gcc and by clang, give Python's numbers."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.head import Head

from ..models import CHECKOUT

MODEL = BUILT_IN_FOLDER / BUILT_IN / "onnx" / "text_quantized.onnx"
PAGE = CHECKOUT / "examples" / "c" / "README.md"
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
PAIRS = [
    ("It is raining.", "The weather is wet."),
    ("my bread did not rise", "Yeast needs warmth."),
    ("naïve café", "日本語のテキスト"),
    ("the same words", "the same words"),
    ("rain", ""),
    ("", ""),
]


def needs(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A folder that looks like the checkout, in which what is built stays out of it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("native", "examples", "edge_potion"):
        (folder / name).symlink_to(CHECKOUT / name)
    return folder


@pytest.fixture(scope="module")
def engine(checkout) -> Path:
    """The folder of the engine's library, built by the first commands of the page; what they print is in said.txt."""
    needs("cmake", "c++", "cc")
    (checkout / "build").mkdir(exist_ok=True)
    done = shell(commands()[0], checkout)
    (checkout / "build" / "said.txt").write_text(done.stdout)
    return checkout / "build" / "engine"


def commands() -> list[str]:
    return re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))


def shell(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["sh", "-ec", block], cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(params=["gcc", "clang"])
def similar(request, engine, tmp_path) -> Path:
    return compiled(request.param, "similar", engine, tmp_path)


@pytest.fixture(params=["gcc", "clang"])
def classify(request, engine, tmp_path) -> Path:
    return compiled(request.param, "classify", engine, tmp_path)


def compiled(compiler: str, name: str, engine: Path, folder: Path) -> Path:
    needs(compiler)
    program, source = folder / name, CHECKOUT / "examples" / "c" / f"{name}.c"
    linked = [f"-I{CHECKOUT / 'native' / 'include'}", f"-L{engine}", f"-Wl,-rpath,{engine}", "-ledge_potion", "-lm"]
    subprocess.run([compiler, *STRICT, source, *linked, "-o", program], check=True)
    return program


def rain_and_wet() -> str:
    """What the page's own two texts come to."""
    one, other = EdgeModel.from_pretrained().encode(["It is raining.", "The weather is wet."])
    return f"{one @ other:.3f}"


def run(program: Path, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_its_cosines_are_those_of_python(similar):
    model = EdgeModel.from_pretrained(engine="onnxruntime")
    for one, other in PAIRS:
        done = run(similar, MODEL, one, other)
        expected = float(model.encode(one) @ model.encode(other))
        assert (done.returncode, done.stderr) == (0, "")
        assert float(done.stdout) == pytest.approx(expected, abs=6e-4), (one, other)


def test_its_labels_are_those_of_onnxruntime(classify, tmp_path):
    model = StaticModel.from_pretrained()
    weights = np.random.default_rng(0).normal(size=(model.dim + 2, 3)).astype(np.float32)
    gram = np.array([[model.tokenizer.token_to_id("rain"), -1]], np.int32)
    head = Head(("a", "é", "😀"), weights[:-2], weights[-2], gram, weights[-1:], threshold=0.6)
    bundle = export(replace(model, head=head), tmp_path / "bundle", quantize="int8", graphs="text")
    graph, texts = bundle.folder / "onnx" / "text_quantized.onnx", [text for pair in PAIRS for text in pair]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    shares, labels = session.run(
        ["probabilities", "label"], {"text": np.frombuffer("\0".join(texts).encode(), np.uint8)}
    )
    names = ["-" if label < 0 else head.labels[label] for label in labels]
    done = run(classify, graph, *texts)
    assert (done.returncode, done.stderr) == (0, "") and len(set(names)) > 1
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[1:] for line in lines] == [[name, text] for name, text in zip(names, texts, strict=True)]
    assert np.abs(np.array([float(line[0]) for line in lines]) - shares.max(axis=1)).max() < 6e-4
    for words, code, said in (
        ([MODEL, "a"], 1, "error: the model is no classifier"),
        ([graph], 2, "usage: classify MODEL"),
    ):
        done = run(classify, *words)
        assert (done.returncode, done.stdout) == (code, "") and done.stderr.startswith(said)


def test_its_errors_are_one_line_and_a_code(similar, tmp_path):
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(b"no graph of ours")
    for words, code, said in (
        (["nowhere.onnx", "a", "b"], 1, "error: nowhere.onnx cannot be read: "),
        ([foreign, "a", "b"], 1, "error: the file is damaged: "),
        ([], 2, "usage: similar MODEL.onnx TEXT TEXT"),
        ([MODEL, "a"], 2, "usage: similar MODEL.onnx TEXT TEXT"),
        ([MODEL, "a", "b", "c"], 2, "usage: similar MODEL.onnx TEXT TEXT"),
    ):
        done = run(similar, *words)
        assert (done.returncode, done.stdout) == (code, "") and done.stderr.startswith(said)
        assert done.stderr.count("\n") == 1


def test_the_commands_of_its_page_build_it_and_the_engine(engine):
    assert (engine.parent / "said.txt").read_text().splitlines()[-1] == rain_and_wet()


def test_the_engine_is_built_without_cmake_too(checkout):
    needs("c++", "cc")
    shell(commands()[1], checkout)
    done = run(checkout / "build" / "by-hand" / "similar", MODEL, *PAIRS[0], cwd=checkout)  # its rpath begins there
    assert (done.returncode, done.stdout) == (0, f"{rain_and_wet()}\n"), done.stderr
