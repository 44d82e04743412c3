"""The text graph in JavaScript: onnxruntime-node, and onnxruntime-web's WebAssembly, give what Python gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import StaticModel
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.golden import LONG_TEXT
from edge_potion.tokens import tokenize

from ..models import CHECKOUT, pieces_of
from ..peers import built_javascript

pytestmark = pytest.mark.browser

GOLDEN = json.loads((CHECKOUT / "exporters" / "golden_texts.json").read_text(encoding="ascii"))
NASTY = [
    *(
        "👩‍👩‍👧‍👦🇫🇷👍🏽 ok",
        "한국어 문장, 한국어",
        "가각힣 \u1112\u1161\u11ab",
        "e\u0301le\u0300ve a\u0300\u0301\u0302 \u0301",
    ),
    *("a" * 100, "a" * 101, "한" * 101, "é" * 101 + " cafe", "x" * 99 + "é.", "日本語テキスト", "\U0002000b\U0010ffff"),
    *(
        "İstanbul ﬁne Straße",
        "مرحبا שָׁלוֹם हिन्दी",
        "\u200b\ufeff\u00ad",
        "no\u00a0break\u3000space",
        "word " * 600,
        "",
        " ",
        "",
    ),
]
INPUTS = {
    "golden texts": "\0".join(text.replace("\0", "") for text in GOLDEN).encode(),
    "nasty texts": "\0".join(NASTY).encode(),
    "no UTF-8": b"cut \xe2\x82\0\xff\xfe ok\0\xed\xa0\x80 surrogate\0\xc0\x80\0a\xf0\x9f\x98",
    "one text": b"A single text, all by itself.",
    "an empty text": b"",
}


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    built_javascript()


@pytest.fixture(scope="module")
def model() -> StaticModel:
    return pieces_of(StaticModel.from_pretrained())


@pytest.fixture(scope="module")
def graphs(model, tmp_path_factory) -> dict[str, Path]:
    """The text graph of our tokens at every precision, and at int8 with rows of very different sizes."""
    files = {precision: tmp_path_factory.mktemp("text") / precision for precision in ("int8", "float16", "float32")}
    tables = family_of(model.tokenizer)
    for precision, file in files.items():
        pooling = Pooling(pack(model.table, precision), model.dropped_ids, model.card.normalize)
        file.write_bytes(text_graph(pooling, tables, model.card.max_tokens, {}).SerializeToString())
    sizes = 10.0 ** -np.random.default_rng(4).integers(0, 9, len(model.table))
    uneven = pack(model.table * sizes[:, None].astype(np.float32), "int8")
    assert len(uneven.row_digits) > 2
    files["uneven int8"] = files["int8"].with_name("uneven")
    graph = text_graph(Pooling(uneven, model.dropped_ids, model.card.normalize), tables, 512, {})
    files["uneven int8"].write_bytes(graph.SerializeToString())
    return files


def by_python(graph: Path) -> dict[str, np.ndarray]:
    """The vectors of each of INPUTS."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    return {name: session.run(None, {"text": np.frombuffer(text, np.uint8)})[0] for name, text in INPUTS.items()}


def by_javascript(runtime: str, graph: Path, tmp_path: Path) -> dict[str, np.ndarray]:
    """The vectors of each of INPUTS, by onnxruntime-`runtime`."""
    files = [(tmp_path / f"{name}.texts", tmp_path / f"{name}.vectors") for name in INPUTS]
    for (file, _), text in zip(files, INPUTS.values(), strict=True):
        file.write_bytes(text)
    script = shutil.copy(
        CHECKOUT / "tests" / "exporters" / "embed.mjs", built_javascript()
    )  # beside the packages that it imports
    command = ["node", script, runtime, graph, *chain(*files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    dims = map(json.loads, done.stdout.splitlines())
    return {
        file.stem: np.fromfile(file, np.float32).reshape(shape) for (_, file), shape in zip(files, dims, strict=True)
    }


@pytest.mark.parametrize("table", ["int8", "uneven int8"])
@pytest.mark.parametrize("runtime", ["node", "web"])
def test_int8_vectors_in_javascript_are_those_of_python_bit_for_bit(runtime, table, model, graphs, tmp_path):
    found = by_javascript(runtime, graphs[table], tmp_path)
    for name, expected in by_python(graphs[table]).items():
        assert expected.shape == (INPUTS[name].count(0) + 1, model.table.shape[1])
        np.testing.assert_array_equal(found[name].view(np.uint32), expected.view(np.uint32), name)


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("runtime", ["node", "web"])
def test_float_vectors_in_javascript_are_within_a_millionth_of_those_of_python(
    runtime, precision, model, graphs, tmp_path
):
    found = by_javascript(runtime, graphs[precision], tmp_path)
    for name, expected in by_python(graphs[precision]).items():
        assert found[name].shape == expected.shape
        texts = INPUTS[name].decode(errors="replace").split("\0")
        tokens = tokenize(model.tokenizer, texts, model.card.max_tokens).lengths
        bounds = 1e-6 * np.maximum(1, tokens / LONG_TEXT)  # longer sums round more often, as golden.py says
        strays = np.abs(found[name] - expected).max(axis=1) / bounds
        assert strays.max() <= 1, f"{name}: {texts[strays.argmax()][:40]!r}"
