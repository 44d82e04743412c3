"""Static models with phrases: the oracle by hand, and what a folder of theirs holds."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edge_potion import InputError, ModelFormatError, StaticModel
from edge_potion.find import read_json
from edge_potion.phrases import Phrases
from edge_potion.static_model import Card
from edge_potion.tokens import TokenIds

TEXTS = ["the cat sat on the mat.", "a b a b", "a ☃ b", "dogs", "", "☃", "the", "mat the cat"]


@pytest.fixture
def mean_model(phrase_model) -> StaticModel:
    return replace(phrase_model, card=Card("hand", normalize=False, max_tokens=4))


@pytest.fixture
def phrase_folder(phrase_model, tmp_path):
    return phrase_model.save_pretrained(tmp_path / "phrases")


def mean_of(model: StaticModel, *rows: int) -> np.ndarray:
    return model.table[list(rows)].mean(axis=0)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("the cat sat", [5, 6, 7, 32, 33]),  # pairs overlap
        ("cat the", [6, 5]),  # the order counts
        ("a b a b", [14, 15, 14, 15, 34, 35, 34]),  # each time that a pair stands there
        ("dogs", [10, 12, 36]),  # within a word too
        ("the ☃ cat", [5, 6]),  # an unknown word parts what stands around it
        ("on on the cat sat", [8, 8, 5, 6, 32]),  # cut at four tokens, and so before the pair "cat sat"
        ("mat", [9]),
    ],
)
def test_a_vector_is_the_mean_of_pieces_and_phrases(mean_model, text, rows):
    np.testing.assert_allclose(mean_model.encode(text), mean_of(mean_model, *rows), atol=1e-6)


def test_texts_beside_one_another_share_no_phrase(phrase_model):
    together = phrase_model.encode(["the", "cat", "", "sat"])
    assert np.array_equal(together, np.stack([phrase_model.encode(text) for text in ["the", "cat", "", "sat"]]))


def test_ids_of_pieces_are_what_is_pooled(mean_model):
    found = mean_model.pool(TokenIds.of([[14, 15], [], [1, 1]]))
    np.testing.assert_allclose(found, [mean_of(mean_model, 14, 15, 34), np.zeros(8), np.zeros(8)], atol=1e-6)


def test_the_pieces_of_a_model_are_counted_without_its_phrases(phrase_model, hand_model):
    assert (phrase_model.pieces, len(phrase_model.phrases)) == (32, 5)
    assert (hand_model.pieces, hand_model.phrases) == (32, None)


def test_no_pair_at_all_is_a_model_without_phrases(hand_model):
    assert replace(hand_model, phrases=Phrases(np.empty((0, 2), np.int32), 32)).phrases is None


def test_a_pickled_model_keeps_its_phrases(phrase_model):
    back = pickle.loads(pickle.dumps(phrase_model))
    assert np.array_equal(back.encode(TEXTS), phrase_model.encode(TEXTS))


@pytest.mark.parametrize(
    ("pairs", "pieces", "words"),
    [
        ([[5, 6]], 32, "37 rows, 1 of them"),
        ([[5, 6], [6, 7], [1, 7], [8, 9], [9, 8]], 32, r"\[UNK\]"),
        ([[5, 6], [6, 7], [7, 0], [8, 9], [9, 8]], 32, r"\[PAD\]"),
        ([[5, 6], [6, 7], [7, 8], [8, 9], [9, 8]], 31, "of 31 tokens, and there are 32"),
    ],
)
def test_phrases_that_are_of_another_table_are_refused(phrase_model, pairs, pieces, words):
    with pytest.raises(ModelFormatError, match=words):
        replace(phrase_model, phrases=Phrases(np.array(pairs, np.int32), pieces))


def test_what_is_saved_is_read_back_bit_by_bit(phrase_model, phrase_folder):
    back = StaticModel.from_pretrained(phrase_folder)
    assert np.array_equal(back.table, phrase_model.table)
    assert np.array_equal(back.phrases.pairs, phrase_model.phrases.pairs)
    assert np.array_equal(back.encode(TEXTS), phrase_model.encode(TEXTS))


def test_a_folder_calls_its_table_by_another_name_and_tells_how_many_phrases_there_are(phrase_folder):
    assert list(load_file(phrase_folder / "model.safetensors")) == ["pieces_and_phrases"]
    assert load_file(phrase_folder / "phrases.safetensors")["pairs"].dtype == np.int32
    assert read_json(phrase_folder / "config.json")["phrases"] == 5


def test_a_model_without_phrases_says_nothing_of_them(hand_model, phrase_folder):
    hand_model.save_pretrained(phrase_folder)  # in the place of one with them
    assert not (phrase_folder / "phrases.safetensors").exists()
    assert "phrases" not in read_json(phrase_folder / "config.json")


def test_a_model_that_lost_its_phrases_does_not_keep_their_number(phrase_folder, hand_model, tmp_path):
    read = StaticModel.from_pretrained(phrase_folder)
    without = replace(read, table=read.table[:32], phrases=None).save_pretrained(tmp_path / "without")
    assert np.array_equal(StaticModel.from_pretrained(without).encode(TEXTS), hand_model.encode(TEXTS))


def test_saving_over_a_folder_does_not_lose_the_model_without_phrases_in_it(phrase_model, hand_model, phrase_folder):
    hand_model.save_pretrained(phrase_folder / "without_phrases")
    with pytest.raises(InputError, match="without_phrases is a model trained by itself, which would be lost"):
        phrase_model.save_pretrained(phrase_folder)
    kept = StaticModel.from_pretrained(phrase_folder / "without_phrases")
    assert np.array_equal(kept.table, hand_model.table)


def config_without(folder, key):
    config = read_json(folder / "config.json")
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))


def config_with(folder, **told):
    (folder / "config.json").write_text(json.dumps({**read_json(folder / "config.json"), **told}))


def renamed(folder, **names):
    tensors = load_file(folder / "model.safetensors")
    save_file({names.get(name, name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")


def also(folder, **tensors):
    save_file({**load_file(folder / "model.safetensors"), **tensors}, folder / "model.safetensors")


def pairs_of(folder, pairs, dtype=np.int32):
    save_file({"pairs": np.array(pairs, dtype)}, folder / "phrases.safetensors")


FOUR = [[5, 6], [6, 7], [14, 15], [15, 14]]
DAMAGES = {
    "rows without pairs": (lambda folder: (folder / "phrases.safetensors").unlink(), "phrases.safetensors is missing"),
    "pairs without rows": (lambda folder: renamed(folder, pieces_and_phrases="embeddings"), "rows of pieces alone"),
    "both tables": (lambda folder: also(folder, embeddings=np.ones((32, 8), np.float32)), "embeddings beside"),
    "a mapping": (lambda folder: also(folder, mapping=np.arange(37, dtype=np.int32)), "mapping beside"),
    "fewer pairs": (lambda folder: pairs_of(folder, FOUR), "holds 4 phrases, config.json tells of 5"),
    "an untold number": (lambda folder: config_without(folder, "phrases"), "config.json tells of 0"),
    "another number": (lambda folder: config_with(folder, phrases=6), "config.json tells of 6"),
    "a number that is none": (lambda folder: config_with(folder, phrases="5"), "phrases is '5'"),
    "a negative number": (lambda folder: config_with(folder, phrases=-5), "phrases is -5"),
    "a pair twice": (lambda folder: pairs_of(folder, [*FOUR, [5, 6]]), "twice"),
    "a pair of no piece": (lambda folder: pairs_of(folder, [*FOUR, [5, 32]]), "piece 32"),
    "a pair of a phrase": (lambda folder: pairs_of(folder, [*FOUR, [-1, 5]]), "piece"),
    "[UNK] in a pair": (lambda folder: pairs_of(folder, [*FOUR, [1, 5]]), "counts? for nothing"),
    "wide pairs": (lambda folder: pairs_of(folder, [*FOUR, [5, 9]], np.int64), "int64"),
    "flat pairs": (lambda folder: pairs_of(folder, range(5)), "shape"),
    "another tensor": (lambda folder: save_file({"pair": np.ones((5, 2))}, folder / "phrases.safetensors"), "'pairs'"),
    "no safetensors": (lambda folder: (folder / "phrases.safetensors").write_text("pairs"), "no safetensors file"),
    "one row fewer": (
        lambda folder: save_file({"pieces_and_phrases": np.ones((36, 8), np.float32)}, folder / "model.safetensors"),
        "36 rows, 5 of them of phrases, and the tokenizer 32",
    ),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused_by_name(phrase_folder, damage, words):
    damage(phrase_folder)
    with pytest.raises(ModelFormatError, match=words):
        StaticModel.from_pretrained(phrase_folder)


def test_a_number_without_rows_or_pairs_is_refused(hand_folder):
    config_with(hand_folder, phrases=5)
    with pytest.raises(ModelFormatError, match="tells of 5 phrases"):
        StaticModel.from_pretrained(hand_folder)


def test_pairs_beside_a_table_of_pieces_are_refused(hand_folder):
    pairs_of(hand_folder, FOUR)
    with pytest.raises(ModelFormatError, match="rows of pieces alone"):
        StaticModel.from_pretrained(hand_folder)


def test_model2vec_refuses_a_folder_with_phrases_and_loads_the_one_without(phrase_folder, hand_model):
    """Contract: other vectors in silence would be worse than none."""
    from model2vec import StaticModel as Peer

    with pytest.raises(Exception, match="embeddings"):
        Peer.from_pretrained(str(phrase_folder))
    without = hand_model.save_pretrained(phrase_folder / "without_phrases")
    texts = [text for text in TEXTS if "☃" not in text]
    theirs = Peer.from_pretrained(str(without)).encode(texts)
    np.testing.assert_allclose(theirs, hand_model.encode(texts), atol=1e-5)


def test_sentence_transformers_refuses_a_folder_with_phrases_and_loads_the_one_without(phrase_folder, hand_model):
    from sentence_transformers import SentenceTransformer

    with pytest.raises(Exception, match="embedding"):
        SentenceTransformer(str(phrase_folder), device="cpu")
    without = hand_model.save_pretrained(phrase_folder / "without_phrases")
    texts = [text for text in TEXTS if text and "☃" not in text]
    theirs = SentenceTransformer(str(without), device="cpu").encode(texts)
    np.testing.assert_allclose(theirs, hand_model.encode(texts), atol=1e-5)
