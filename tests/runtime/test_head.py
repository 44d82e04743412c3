"""The head of a classifier: its sums by hand, its file there and back, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edge_potion import StaticModel
from edge_potion.errors import ModelFormatError
from edge_potion.grams import ALONE, gram_keys, grams_of
from edge_potion.head import HEAD_FILE, NONE_OF_THESE, Head
from edge_potion.tokens import TokenIds, tokenize

CAT, SAT = 6, 7  # of the hand vocabulary


def head_of(dim: int = 8, **changes) -> Head:
    """Three labels; the first is for vectors along the first axis, the second for "cat", the third for "cat sat"."""
    dense = np.zeros((dim, 3), np.float32)
    dense[0, 0] = 2
    grams = np.array([[CAT, ALONE], [CAT, SAT]], np.int32)
    rows = np.array([[0, 3, 0], [0, 0, 6]], np.float32)
    parts = {"labels": ("axis", "cat", "cat sat"), "dense": dense, "bias": np.array([0, 0.5, 0], np.float32)}
    return Head(**{**parts, "grams": grams, "rows": rows, **changes})


def test_the_grams_of_texts_are_their_tokens_and_their_pairs_and_none_reaches_over_a_text():
    grams = grams_of(TokenIds.of([[5, 6, 7], [], [6], [7, 7]]))
    pairs = [[5, -1], [6, -1], [7, -1], [6, -1], [7, -1], [7, -1], [5, 6], [6, 7], [7, 7]]
    assert grams.keys.tolist() == gram_keys(np.array(pairs)).tolist()
    assert grams.text.tolist() == [0, 0, 0, 2, 3, 3, 0, 0, 3]
    assert grams.tokens.tolist() == [3, 1, 1, 2]
    assert len(np.unique(gram_keys(np.array([[0, -1], [0, 0], [1, -1], [2**31 - 2, 2**31 - 2]])))) == 4


def test_logits_are_the_vectors_layer_the_rows_over_the_root_of_the_tokens_and_the_bias():
    vectors = np.zeros((3, 8), np.float32)
    vectors[0, :2] = 3, 4  # of length 5
    grams = grams_of(TokenIds.of([[CAT, SAT, 5, 5], [CAT, CAT], []]))
    logits = head_of().logits(vectors, grams)
    assert np.allclose(logits, [[2 * 3 / 5, 3 / 2 + 0.5, 6 / 2], [0, 6 / np.sqrt(2) + 0.5, 0], [0, 0.5, 0]], atol=1e-12)
    assert np.allclose(head_of(temperature=2.0).logits(vectors, grams), logits / 2, atol=1e-12)


def test_a_label_is_given_where_its_probability_is_at_the_threshold_or_above():
    logits = np.log([[0.5, 0.25, 0.25], [0.4, 0.35, 0.25]])
    assert head_of().decided(logits).tolist() == [0, 0]
    assert head_of(threshold=0.5).decided(logits).tolist() == [0, NONE_OF_THESE]
    shares = head_of().probabilities(np.array([[1e4, -1e4, 0.0]]))
    assert shares.tolist() == [[1, 0, 0]]
    each = head_of(multi_label=True).probabilities(np.array([[1e4, -1e4, 0.0]]))
    assert each.tolist() == [[1, 0, 0.5]]


def test_a_classifier_is_written_with_its_model_and_read_again_as_it_was(tmp_path, hand_model):
    head = head_of(temperature=1.25, threshold=0.4)
    replace(hand_model, head=head).save_pretrained(tmp_path / "classifier")
    read = StaticModel.from_pretrained(tmp_path / "classifier").head
    assert (read.labels, read.multi_label, read.temperature, read.threshold) == (head.labels, False, 1.25, 0.4)
    assert all(np.array_equal(getattr(read, name), getattr(head, name)) for name in ("dense", "bias", "grams", "rows"))
    config = json.loads((tmp_path / "classifier" / "config.json").read_text())
    assert config["id2label"] == {"0": "axis", "1": "cat", "2": "cat sat"}
    assert config["label2id"] == {"axis": 0, "cat": 1, "cat sat": 2}
    assert config["problem_type"] == "single_label_classification"
    # What is saved without its head is a model again, and says nothing of labels.
    replace(StaticModel.from_pretrained(tmp_path / "classifier"), head=None).save_pretrained(tmp_path / "model")
    assert StaticModel.from_pretrained(tmp_path / "model").head is None
    assert "id2label" not in json.loads((tmp_path / "model" / "config.json").read_text())


def test_a_head_counts_unknown_words_among_the_tokens_of_a_text(hand_model):
    head, texts = head_of(), ["cat", "cat qqq qqq qqq"]
    ids = tokenize(hand_model.tokenizer, texts, None)
    logits = head.logits(np.zeros((2, 8), np.float32), grams_of(ids))
    assert np.allclose(logits[:, 1], [3 + 0.5, 3 / 2 + 0.5])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": ("a", "a", "b")}, "3 labels, of which 2 differ"),
        ({"labels": ("a", "", "b")}, "not all names"),
        ({"bias": np.zeros(2, np.float32)}, "for 3 labels"),
        ({"bias": np.array([0, np.nan, 0], np.float32)}, "NaN"),
        ({"rows": np.full((2, 3), np.inf, np.float32)}, "NaN, inf"),
        ({"rows": np.zeros((2, 3), np.float64)}, "other types"),
        ({"grams": np.array([[6, 7], [6, 7]], np.int32)}, "twice"),
        ({"grams": np.array([[-1, 7], [6, 7]], np.int32)}, "no tokens"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_a_head_that_does_not_fit_itself_is_refused(changes, told):
    with pytest.raises(ModelFormatError, match=told):
        head_of(**changes)


def test_a_head_of_another_model_is_refused(hand_model):
    with pytest.raises(ModelFormatError, match="different models"):
        replace(hand_model, head=head_of(dim=9))
    with pytest.raises(ModelFormatError, match="different models"):
        replace(hand_model, head=head_of(grams=np.array([[6, -1], [6, 32]], np.int32)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda config: config["classifier"].update(format=2), "format 2"),
        (lambda config: config["classifier"].pop("temperature"), "damaged"),
        (lambda config: config["id2label"].pop("1"), "damaged"),
        (lambda config: config["label2id"].update(axis=1), "inverse"),
        (lambda config: config.update(problem_type="regression"), "damaged"),
        (lambda config: config.pop("classifier"), "says nothing"),
    ],
)
def test_a_config_that_does_not_fit_the_head_is_refused(tmp_path, hand_model, change, told):
    replace(hand_model, head=head_of()).save_pretrained(tmp_path / "classifier")
    file = tmp_path / "classifier" / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    with pytest.raises(ModelFormatError, match=told):
        StaticModel.from_pretrained(tmp_path / "classifier")


def test_a_head_file_that_is_missing_or_holds_other_tensors_is_refused(tmp_path, hand_model):
    replace(hand_model, head=head_of()).save_pretrained(tmp_path / "classifier")
    file = tmp_path / "classifier" / HEAD_FILE
    save_file({**load_file(file), "more": np.zeros(1, np.float32)}, file)
    with pytest.raises(ModelFormatError, match="more"):
        StaticModel.from_pretrained(tmp_path / "classifier")
    file.write_bytes(b"nothing")
    with pytest.raises(ModelFormatError, match="safetensors"):
        StaticModel.from_pretrained(tmp_path / "classifier")
    file.unlink()
    with pytest.raises(ModelFormatError, match=HEAD_FILE):
        StaticModel.from_pretrained(tmp_path / "classifier")
