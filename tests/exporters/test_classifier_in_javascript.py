"""A classifier's bundle in JavaScript: its graphs in both packages of ONNX Runtime, and transformers.js's pipeline."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge_potion import export
from edge_potion.benchmarks.speed.environments import TRANSFORMERS_JS
from edge_potion.calls import FEEDS, joined
from edge_potion.golden import Golden, read_golden
from edge_potion.tokens import TokenIds

from ..models import CHECKOUT
from ..peers import built_javascript
from .test_head import random_head

pytestmark = pytest.mark.browser

HERE = CHECKOUT / "tests" / "exporters"
LABELS = 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.fixture(scope="module", params=["one label", "any number of labels"])
def classifier(request, distilled, sentences, tmp_path_factory) -> Path:
    several = {"multi_label": True, "threshold": 0.5} if request.param != "one label" else {"threshold": 0.4}
    head = random_head(distilled, sentences[:300], LABELS, **several)
    out = tmp_path_factory.mktemp("classifier") / "bundle"
    return export(replace(distilled, head=head), out, quantize="int8", graphs=["text", "tokens"]).folder


def feeds_of(graph: str, golden: Golden) -> dict[str, np.ndarray]:
    if graph == "text":
        return {"text": joined(golden.texts)}
    ids = TokenIds.of(golden.ids)
    return FEEDS["tokens"](ids, np.arange(len(golden.ids)))


def by_python(file: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def by_javascript(runtime: str, file: Path, feeds: dict[str, np.ndarray], tmp_path: Path) -> dict[str, np.ndarray]:
    told = {
        name: {"type": str(array.dtype), "dims": list(array.shape), "data": array.ravel().tolist()}
        for name, array in feeds.items()
    }
    (tmp_path / "feeds.json").write_text(json.dumps(told))
    script = shutil.copy(HERE / "run_graph.mjs", built_javascript())
    outputs = json.loads(node(script, runtime, file, tmp_path / "feeds.json"))
    return {name: np.array(each["data"]).reshape(each["dims"]) for name, each in outputs.items()}


def by_transformers_js(folder: Path, texts: str | list[str], tmp_path: Path, **options: Any) -> Any:
    """What `pipeline("text-classification", folder)` gives."""
    script = shutil.copy(HERE / "classify.mjs", built_javascript(TRANSFORMERS_JS))
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    return json.loads(node(script, folder, tmp_path / "texts.json", json.dumps(options)))


def node(*words: str | Path) -> str:
    done = subprocess.run(["node", *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", ["node", "web"])
def test_the_text_graph_in_javascript_gives_the_labels_of_python(runtime, classifier, tmp_path):
    file, feeds = classifier / "onnx" / "text_quantized.onnx", feeds_of("text", read_golden(classifier))
    expected, found = by_python(file, feeds), by_javascript(runtime, file, feeds, tmp_path)
    assert list(found) == list(expected)
    assert found["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found["sentence_embedding"].astype(np.float32), expected["sentence_embedding"])


@pytest.mark.parametrize("runtime", ["node", "web"])
def test_logits_in_javascript_are_those_of_python_bit_for_bit(runtime, classifier, tmp_path):
    file, feeds = classifier / "onnx" / "model_quantized.onnx", feeds_of("tokens", read_golden(classifier))
    expected, found = by_python(file, feeds), by_javascript(runtime, file, feeds, tmp_path)
    logits = found["logits"].astype(np.float32)
    np.testing.assert_array_equal(logits.view(np.uint32), expected["logits"].view(np.uint32))


def test_transformers_js_gives_each_label_the_probability_of_python(classifier, tmp_path):
    golden = read_golden(classifier)
    head = golden.head
    assert head is not None
    found = by_transformers_js(classifier, list(golden.texts), tmp_path, top_k=None)
    names = head.labels.names
    shares = np.array([[{one["label"]: one["score"] for one in told}[name] for name in names] for told in found])
    logits = by_python(classifier / "onnx" / "model_quantized.onnx", feeds_of("tokens", golden))["logits"]
    strays = np.abs(shares - head.labels.probabilities(logits)).max(axis=1)
    # "[PAD]" in a text is a token there, and plain text here.
    plain = np.array([not any(special in text for special in SPECIAL) for text in golden.texts])
    assert (~plain).sum() == 3 and strays[plain].max() < 1e-6
    assert np.abs(shares - head.probabilities)[plain].max() <= head.strays["int8"]


def test_transformers_js_takes_a_text_by_itself_and_as_many_labels_as_are_asked_for(classifier, tmp_path):
    golden = read_golden(classifier)
    assert golden.head is not None
    text, best = golden.texts[3], golden.head.labels.names[int(golden.head.probabilities[3].argmax())]
    (alone,) = by_transformers_js(classifier, text, tmp_path)
    assert alone["label"] == best
    three = by_transformers_js(classifier, text, tmp_path, top_k=3)
    assert len(three) == 3 and three[0] == alone and three[0]["score"] >= three[1]["score"] >= three[2]["score"]
    assert [told[0] for told in by_transformers_js(classifier, [text, text], tmp_path, top_k=2)] == [alone, alone]
