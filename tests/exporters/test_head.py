"""The head in the text graph: the oracle's probabilities and labels, at every precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_potion import export
from edge_potion.exporters.head import LONGEST_COLUMN, VECTOR_STEPS, pack_head
from edge_potion.exporters.make_golden import golden_of
from edge_potion.grams import grams_of
from edge_potion.head import Head
from edge_potion.tokens import TokenIds, tokenize


def random_head(model, texts, labels: int = 12, grams: int = 2000, **changes) -> Head:
    """A head of random weights, with rows for grams of the texts."""
    random = np.random.default_rng(1)
    keys = np.unique(grams_of(tokenize(model.tokenizer, texts, 512)).keys)
    keys = random.permutation(keys)[:grams]
    pairs = np.stack([keys >> 31, (keys & (2**31 - 1)) - 1], axis=1).astype(np.int32)
    weights = random.normal(0, 3, (model.dim + 1 + len(pairs), labels)).astype(np.float32)
    names = tuple(f"label {number}" for number in range(labels))
    parts = (weights[: model.dim], weights[model.dim], pairs, weights[model.dim + 1 :])
    return Head(names, *parts, **{"temperature": 1.5, **changes})


def outputs_of(bundle, suffix, texts):
    session = onnxruntime.InferenceSession(bundle.folder / "onnx" / f"text{suffix}.onnx")
    found = session.run(None, {"text": np.frombuffer("\0".join(texts).encode(), np.uint8)})
    return dict(zip((output.name for output in session.get_outputs()), found, strict=True))


@pytest.mark.parametrize("changes", [{}, {"threshold": 0.6}, {"multi_label": True, "threshold": 0.5}, {"grams": 0}])
def test_the_text_graph_gives_the_oracles_probabilities_and_labels(tmp_path, distilled, sentences, changes):
    texts = [*sentences[:300], *golden_of(distilled).texts, "", "☃"]
    head = random_head(distilled, texts, **changes)
    bundle = export(replace(distilled, head=head), tmp_path / "bundle", quantize=["float32", "int8"], graphs="text")
    ids = tokenize(distilled.tokenizer, texts, distilled.card.max_tokens)
    logits = head.logits(distilled.pool(ids), grams_of(ids))
    for suffix, bound, share in (("", 0.02, 0.99), ("_quantized", 0.1, 0.97)):
        found = outputs_of(bundle, suffix, texts)
        assert list(found) == ["probabilities", "label", "sentence_embedding"]
        assert np.abs(found["probabilities"] - head.probabilities(logits)).max() < bound
        assert (found["label"] == head.decided(logits)).mean() >= share
        assert np.isfinite(found["probabilities"]).all()


def test_packed_sums_fit_int32_and_are_close_to_the_head(distilled, sentences):
    head = random_head(distilled, sentences[:300])
    packed = pack_head(head)
    steps = packed.dense.astype(np.int64)
    assert np.sqrt((steps**2).sum(axis=0)).max() * VECTOR_STEPS < 2**31
    assert np.sqrt((steps**2).sum(axis=0)).max() <= LONGEST_COLUMN + 16
    assert np.abs(steps * packed.dense_scale * VECTOR_STEPS * head.temperature - head.dense).max() < 1e-3
    rows = packed.rows.astype(np.int64) * packed.row_weights[:, None] * packed.row_scale * head.temperature
    assert not rows[-1].any()
    assert np.abs(rows[:-1] - head.rows).max() < np.abs(head.rows).max() / 250


def test_the_empty_call_gives_one_empty_text_and_a_head_of_zeros_gives_no_nan(tmp_path, hand_model):
    zeros = {"dense": np.zeros((8, 2), np.float32), "bias": np.zeros(2, np.float32)}
    head = Head(("a", "b"), **zeros, grams=np.array([[6, -1]], np.int32), rows=np.zeros((1, 2), np.float32))
    bundle = export(replace(hand_model, head=head), tmp_path / "bundle", quantize="int8", graphs="text")
    found = outputs_of(bundle, "_quantized", [""])
    assert found["probabilities"].tolist() == [[0.5, 0.5]]
    assert found["label"].tolist() == [0]


def test_the_graph_is_of_standard_operators_and_opset_18(tmp_path, hand_model):
    head = random_head(hand_model, ["the cat sat on the mat"], labels=3)
    bundle = export(replace(hand_model, head=head), tmp_path / "bundle", quantize="int8", graphs="text")
    model = onnx.load(bundle.folder / "onnx" / "text_quantized.onnx")
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert not any(node.domain for node in model.graph.node)


def test_vectors_that_are_no_unit_vectors_are_brought_to_unit_length_for_the_head(tmp_path, hand_model):
    model = replace(hand_model, card=replace(hand_model.card, normalize=False))
    texts = ["the cat sat on the mat", "dog", "", "a b c", "日本 é"]
    head = random_head(model, texts, labels=3)
    bundle = export(replace(model, head=head), tmp_path / "bundle", quantize=["float32", "int8"], graphs="text")
    ids: TokenIds = tokenize(model.tokenizer, texts, 16)
    wanted = head.probabilities(head.logits(model.pool(ids), grams_of(ids)))
    for suffix, bound in (("", 0.01), ("_quantized", 0.05)):
        assert np.abs(outputs_of(bundle, suffix, texts)["probabilities"] - wanted).max() < bound
