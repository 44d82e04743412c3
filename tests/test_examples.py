"""The examples that can run here do what they say; the web page has tests of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_potion.folders import BUILT_IN, BUILT_IN_FOLDER

from .conftest import CHECKOUT, built_javascript
from .test_verify import scale_output

SENTENCES = CHECKOUT / "edge_potion" / "samples" / "sentences.txt"


def node(*words: str | Path) -> subprocess.CompletedProcess[str]:
    script = shutil.copy(CHECKOUT / "examples" / "node" / "search.mjs", built_javascript())  # beside onnxruntime-node
    return subprocess.run(["node", script, *words], capture_output=True, text=True, check=False, timeout=120)


def test_the_node_example_finds_the_right_line():
    done = node(BUILT_IN_FOLDER / BUILT_IN, SENTENCES, "my bread did not rise")
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert "yeast" in first and len(others) == 4
    assert first.split()[0] > others[0].split()[0]


def test_the_node_example_checks_its_machine(tmp_path):
    done = node(BUILT_IN_FOLDER / BUILT_IN, "--check")
    assert done.returncode == 0 and done.stdout.startswith("ok: 0 of 216 texts stray, median cosine 0.9999")
    copy = Path(shutil.copytree(BUILT_IN_FOLDER / BUILT_IN, tmp_path / "copy"))
    golden = json.loads((copy / "golden.json").read_text())
    golden["vectors"][7] = [-value for value in golden["vectors"][7]]
    (copy / "golden.json").write_text(json.dumps(golden))
    done = node(copy, "--check")
    assert done.returncode == 1 and done.stdout.startswith("FAILED: 1 of 216 texts stray, ")
    graph = copy / "onnx" / "text_quantized.onnx"
    right = graph.read_bytes()
    scale_output(graph, 3)
    done = node(copy, "--check")  # a cosine does not see that
    assert done.returncode == 1 and 150 < int(done.stdout.split()[1]) < 216 and " of 216 texts stray, " in done.stdout
    graph.write_bytes(right)
    golden["tolerance"]["int8"] |= {"cosine": -1, "short_cosine": -1, "median_cosine": 1}
    (copy / "golden.json").write_text(json.dumps(golden))
    done = node(copy, "--check")
    assert done.returncode == 1 and done.stdout.startswith("FAILED: 0 of 216 texts stray, ")


@pytest.mark.parametrize("file", ["android/EdgePotion.kt", "ios/EdgePotion.swift"])
def test_what_cannot_run_here_says_so_and_names_what_the_graph_and_golden_json_have(file):
    text = (CHECKOUT / "examples" / file).read_text(encoding="utf-8")
    assert "Not run by us" in text.splitlines()[0]
    for name in ("sentence_embedding", "text_quantized.onnx", "known_tokens", "short_text", "short_cosine"):
        assert name in text or (name == "sentence_embedding" and "result[0]" in text)
    golden = json.loads((BUILT_IN_FOLDER / BUILT_IN / "golden.json").read_text())
    assert {"texts", "known_tokens", "vectors", "short_text"} <= set(golden)
    assert {"cosine", "short_cosine"} <= set(golden["tolerance"]["int8"])
