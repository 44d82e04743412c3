"""The example in C, built as its page says against the engine, by gcc and by clang, gives Python's cosines."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_potion import EdgeModel
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER

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
    needs(request.param)
    program, source = tmp_path / "similar", CHECKOUT / "examples" / "c" / "similar.c"
    linked = [f"-I{CHECKOUT / 'native' / 'include'}", f"-L{engine}", f"-Wl,-rpath,{engine}", "-ledge_potion", "-lm"]
    subprocess.run([request.param, *STRICT, source, *linked, "-o", program], check=True)
    return program


def run(program: Path, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_its_cosines_are_those_of_python(similar):
    model = EdgeModel.from_pretrained(engine="onnxruntime")
    for one, other in PAIRS:
        done = run(similar, MODEL, one, other)
        expected = float(model.encode(one) @ model.encode(other))
        assert (done.returncode, done.stderr) == (0, "")
        assert float(done.stdout) == pytest.approx(expected, abs=6e-4), (one, other)


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
    assert (engine.parent / "said.txt").read_text().splitlines()[-1] == "0.752"


def test_the_engine_is_built_without_cmake_too(checkout):
    needs("c++", "cc")
    shell(commands()[1], checkout)
    done = run(checkout / "build" / "by-hand" / "similar", MODEL, *PAIRS[0], cwd=checkout)  # its rpath begins there
    assert (done.returncode, done.stdout) == (0, "0.752\n"), done.stderr
