"""The examples that can run here do what they say; the web page has tests of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.golden import read_golden

from ..js.packed import install_package
from ..models import CHECKOUT
from ..peers import run_in_peer

SENTENCES = CHECKOUT / "edge_potion" / "samples" / "sentences.txt"


@pytest.fixture(scope="module")
def search(tmp_path_factory) -> Path:
    """examples/node/search.mjs beside the package that it imports."""
    folder = tmp_path_factory.mktemp("node-example") / "installed"
    install_package(folder)
    return Path(shutil.copy(CHECKOUT / "examples" / "node" / "search.mjs", folder))


@pytest.fixture
def node(search) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["node", search, *words], capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.mark.browser
def test_the_node_example_finds_the_right_line(node):
    done = node(BUILT_IN_FOLDER / BUILT_IN, SENTENCES, "my bread did not rise")
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert "yeast" in first and len(others) == 4
    assert first.split()[0] > others[0].split()[0]


@pytest.mark.browser
def test_the_node_example_checks_its_machine(node, tmp_path):
    done = node(BUILT_IN_FOLDER / BUILT_IN, "--check")
    count = len(read_golden(BUILT_IN_FOLDER / BUILT_IN).texts)
    assert done.returncode == 0 and done.stdout.startswith(f"ok: {count} texts, least cosine 0.999")
    copy = Path(shutil.copytree(BUILT_IN_FOLDER / BUILT_IN, tmp_path / "copy"))
    golden = json.loads((copy / "golden.json").read_text())
    golden["vectors"][7] = [-value for value in golden["vectors"][7]]
    (copy / "golden.json").write_text(json.dumps(golden))
    done = node(copy, "--check")
    assert done.returncode == 1 and done.stdout.startswith("FAILED: a short text's cosine is -0.99")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "0 arguments given; usage: node search.mjs BUNDLE FILE"),
        (["BUNDLE"], 2, "1 arguments given; usage: "),
        (["BUNDLE", "lines.txt", "rain", "more"], 2, "4 arguments given; usage: "),
        (["BUNDLE", "--check", "more"], 2, "3 arguments given; usage: "),
        (["BUNDLE", "--chek"], 2, "there is no option --chek; usage: "),
        (["nowhere", "lines.txt", "rain"], 1, "nowhere/onnx/text_quantized.onnx is missing; write a bundle with: "),
        (["nowhere", "--check"], 1, "nowhere/onnx/text_quantized.onnx is missing; "),
        (["junk", "lines.txt", "rain"], 1, "junk/onnx/text_quantized.onnx cannot be opened: the file is damaged"),
        (["junk", "--check"], 1, "junk/golden.json is missing; "),
        (["BUNDLE", "nothing.txt", "rain"], 1, "nothing.txt cannot be read (ENOENT"),
        (["BUNDLE", "junk", "rain"], 1, "junk cannot be read (EISDIR"),
        (["BUNDLE", "latin-1.txt", "rain"], 1, "latin-1.txt cannot be read (The encoded data was not valid"),
        (["BUNDLE", "empty.txt", "rain"], 1, "empty.txt holds no text"),
        (["BUNDLE", "lines.txt", "🙂"], 1, "the model knows no word of the query"),
    ],
)
def test_the_node_example_says_in_one_line_what_is_wrong(node, tmp_path, monkeypatch, words, code, said):
    (tmp_path / "junk" / "onnx").mkdir(parents=True)
    (tmp_path / "junk" / "onnx" / "text_quantized.onnx").write_bytes(b"no graph")
    (tmp_path / "latin-1.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "lines.txt").write_text("rain\nsun\n")
    monkeypatch.chdir(tmp_path)
    done = node(*(str(BUILT_IN_FOLDER / BUILT_IN) if word == "BUNDLE" else word for word in words))
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (code, "") and line.startswith(f"error: {said}")


@pytest.mark.browser
def test_the_node_example_reads_lines_as_editors_of_windows_write_them(node, tmp_path):
    (tmp_path / "lines.txt").write_bytes("\ufeffa cat\r\n\r\nrain\r\n".encode())
    done = node(BUILT_IN_FOLDER / BUILT_IN, tmp_path / "lines.txt", "kitten")
    assert [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()] == ["a cat", "rain"]


@pytest.mark.browser
def test_the_node_example_tells_its_usage_and_without_its_package_what_to_install(node, tmp_path):
    done = node("--help")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("usage: ")
    alone = shutil.copy(CHECKOUT / "examples" / "node" / "search.mjs", tmp_path)
    command = ["node", alone, BUILT_IN_FOLDER / BUILT_IN, SENTENCES, "rain"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = "error: edge-potion is not installed; run npm install beside search.mjs\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.peers
def test_the_langchain_example_has_a_name_where_others_look_for_one():
    """llama-index's LangchainEmbedding takes `model_name`, else `model`, for the name of the model, a str."""
    said = run_in_peer(
        "langchain",
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from embeddings import EdgePotionEmbeddings\n"
        "for model in (None, sys.argv[2], Path(sys.argv[2])):\n"
        "    made = EdgePotionEmbeddings(model)\n"
        "    print(repr(getattr(made, 'model_name', made.model)), len(made.embed_query('rain')))\n",
        str(CHECKOUT / "examples" / "langchain"),
        str(BUILT_IN_FOLDER / BUILT_IN),
    )
    folder = str(BUILT_IN_FOLDER / BUILT_IN)
    assert said.splitlines() == [f"'{BUILT_IN}' 256", f"{folder!r} 256", f"{folder!r} 256"]


def test_the_page_server_names_a_port_that_it_cannot_have(tmp_path):
    for name in ("src/index.js", "dist/edge_potion.wasm"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        script = CHECKOUT / "examples" / "web" / "serve.py"
        command = [sys.executable, script, "--package", tmp_path, "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and done.stderr.startswith(f"error: port {port} cannot be had (")
    assert done.stderr.endswith("name another with --port\n") and done.stderr.count("\n") == 1
