"""StaticModel: the oracle by hand, every layout it reads, and what it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edge_potion import StaticModel
from edge_potion.golden import cosines
from edge_potion.static_model import Card
from edge_potion.tokens import tokenize

TEXTS = ["the cat sat on the mat.", "dogs running", "", "日本 é", "☃", "[PAD] the", "a" * 200, "the ☃ cat"]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_vector_is_the_normalized_mean_of_the_rows(hand_model, hand_table):
    expected = unit((hand_table[5] + hand_table[6] + hand_table[6]) / 3)
    np.testing.assert_allclose(hand_model.encode("the cat cat"), expected, atol=1e-7)


def test_without_normalization_a_vector_is_the_mean(hand_table, hand_tokenizer):
    model = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False))
    np.testing.assert_allclose(model.encode("the cat"), (hand_table[5] + hand_table[6]) / 2, atol=1e-6)


def test_unknown_tokens_count_for_nothing(hand_table, hand_tokenizer):
    model = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False))
    np.testing.assert_allclose(model.encode("☃ cat ☃"), hand_table[6], atol=1e-6)


def test_a_text_without_known_tokens_gives_zeros(hand_model):
    assert not hand_model.encode(["", " \t\n", "☃ ☃", "z" * 200]).any()


def test_no_texts_give_an_empty_array(hand_model):
    assert hand_model.encode([]).shape == (0, 8)
    assert hand_model.encode([]).dtype == np.float32


def test_a_text_is_cut_before_unknown_tokens_are_dropped(hand_table, hand_tokenizer):
    model = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False, max_tokens=2))
    np.testing.assert_allclose(model.encode("☃ cat dog"), hand_table[6], atol=1e-6)
    np.testing.assert_allclose(model.encode("☃ cat dog", max_tokens=1), np.zeros(8))
    both = (hand_table[6] + hand_table[10]) / 2
    np.testing.assert_allclose(model.encode("☃ cat dog", max_tokens=None), both, atol=1e-6)


def test_special_strings_inside_a_text_are_plain_text(hand_model):
    ids = tokenize(hand_model.tokenizer, ["[PAD] [UNK] the"], None).flat.tolist()
    assert ids == [23, 25, 24, 23, 26, 24, 5]  # [ pad ] [ unk ] the


def test_rows_of_pad_and_unk_are_zero_whatever_the_file_says(hand_model):
    assert not hand_model.table[:2].any()


def test_the_table_cannot_be_written_to(hand_model):
    with pytest.raises(ValueError, match="read-only"):
        hand_model.table[5] = 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("with_mapping", [False, True])
def test_every_model2vec_tensor_layout_is_read(hand_folder, hand_table, dtype, with_weights, with_mapping):
    rows = hand_table[::2] if with_mapping else hand_table
    mapping = (np.arange(32) // 2).astype(np.int32)
    weights = np.linspace(0.5, 2, 32).astype(np.float32)
    tensors = {"embeddings": np.ascontiguousarray(rows.astype(dtype))}
    expected = rows.astype(dtype).astype(np.float32)
    if with_mapping:
        tensors["mapping"] = mapping
        expected = expected[mapping]
    if with_weights:
        tensors["weights"] = weights
        expected = expected * weights[:, None]
    save_file(tensors, hand_folder / "model.safetensors")
    np.testing.assert_allclose(StaticModel.from_pretrained(hand_folder).table[2:], expected[2:], rtol=1e-6)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_sentence_transformers_folders_are_read(hand_model, tmp_path, normalized, nested):
    """Written by sentence-transformers itself: alone in the root, or beside another module in 0_StaticEmbedding."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    modules = [StaticEmbedding(hand_model.tokenizer, embedding_weights=np.array(hand_model.table))]
    SentenceTransformer(modules=[*modules, Normalize()] if normalized else modules, device="cpu").save(str(tmp_path))
    if nested and not (tmp_path / "0_StaticEmbedding").is_dir():  # older versions of the library write it there
        (tmp_path / "0_StaticEmbedding").mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (tmp_path / name).rename(tmp_path / "0_StaticEmbedding" / name)
        listed = json.loads((tmp_path / "modules.json").read_text())
        listed[0]["path"] = "0_StaticEmbedding"
        (tmp_path / "modules.json").write_text(json.dumps(listed))
    read = StaticModel.from_pretrained(tmp_path)
    theirs = SentenceTransformer(str(tmp_path), device="cpu").encode(["the cat sat", "dogs . on the mat"])
    assert read.card.normalize is normalized
    assert read.card.max_tokens is None
    np.testing.assert_allclose(read.encode(["the cat sat", "dogs . on the mat"]), theirs, atol=1e-6)


def test_what_is_saved_is_read_back_bit_by_bit(hand_model, tmp_path):
    back = StaticModel.from_pretrained(hand_model.save_pretrained(tmp_path / "out"))
    assert np.array_equal(back.table, hand_model.table)
    assert back.card.max_tokens == 16
    assert np.array_equal(back.encode(TEXTS), hand_model.encode(TEXTS))


def test_saved_tokenizer_adds_pads_and_cuts_nothing_but_at_max_length(hand_folder):
    content = json.loads((hand_folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["post_processor"] is None
    assert content["padding"] is None
    assert content["truncation"]["max_length"] == 16


def test_model2vec_and_sentence_transformers_load_what_is_saved(distilled, distilled_folder, sentences):
    """Contract: both peers, run for real, give our vectors at float32 (cosine >= 0.99999)."""
    from model2vec import StaticModel as Peer
    from sentence_transformers import SentenceTransformer

    ours = distilled.encode(sentences)
    theirs = Peer.from_pretrained(str(distilled_folder)).encode(sentences)
    assert cosines(ours, theirs).min() >= 0.99999
    transformers = SentenceTransformer(str(distilled_folder), device="cpu").encode(sentences)
    assert cosines(ours, transformers).min() >= 0.99999


def test_parity_with_both_peers_on_the_shared_corpus(distilled, distilled_folder, shared_sentences):
    from model2vec import StaticModel as Peer
    from sentence_transformers import SentenceTransformer

    ours = distilled.encode(shared_sentences)
    assert cosines(ours, Peer.from_pretrained(str(distilled_folder)).encode(shared_sentences)).min() >= 0.99999
    transformers = SentenceTransformer(str(distilled_folder), device="cpu").encode(shared_sentences)
    assert cosines(ours, transformers).min() >= 0.99999


def test_where_we_differ_from_the_peers_on_purpose(distilled, distilled_folder):
    """DESIGN section 2: model2vec takes "[PAD]" for the token, and cuts the string before it tokenizes."""
    from model2vec import StaticModel as Peer

    peer = Peer.from_pretrained(str(distilled_folder))
    assert not peer.encode(["[PAD]"]).any()
    assert distilled.encode(["[PAD]"]).any()
    hidden = "x" * 5000 + " cat"
    assert not peer.encode([hidden]).any()
    np.testing.assert_allclose(distilled.encode(hidden), distilled.encode("cat"), atol=1e-7)


def test_other_tokenizer_families_work(other_tokenizer, sentences, tmp_path):
    from model2vec import StaticModel as Peer

    size = other_tokenizer.get_vocab_size()
    table = np.random.default_rng(5).standard_normal((size, 16)).astype(np.float32)
    model = StaticModel(table, other_tokenizer, Card("other"))
    folder = model.save_pretrained(tmp_path / "other")
    assert np.array_equal(StaticModel.from_pretrained(folder).encode(sentences), model.encode(sentences))
    theirs = Peer.from_pretrained(str(folder)).encode(sentences)
    ours = model.encode(sentences)
    assert (np.linalg.norm(ours, axis=1) > 0).mean() > 0.5
    assert cosines(ours, theirs).min() >= 0.99999


def test_a_tokenizer_that_is_not_plain_is_made_so(hand_model, hand_table):
    """Padding, truncation, special tokens: whoever makes a StaticModel by hand need not know."""
    import copy
    import pickle

    tokenizer = copy.deepcopy(hand_model.tokenizer)  # loses encode_special_tokens
    tokenizer.enable_padding(length=10)
    tokenizer.enable_truncation(2)
    by_hand = StaticModel(hand_table, tokenizer, hand_model.card)
    assert tokenizer.padding is not None  # the caller's own is left alone
    for model in (by_hand, copy.deepcopy(by_hand), pickle.loads(pickle.dumps(by_hand))):
        assert np.array_equal(model.encode(TEXTS), hand_model.encode(TEXTS))
        assert not model.table.flags.writeable


def test_unigram_takes_special_strings_for_tokens(sentences):
    """A limit, written down: its special pieces are in the lattice, whatever encode_special_tokens says."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.Unigram([("<pad>", 0.0), ("<unk>", 0.0), ("a", -1.0)], unk_id=1, byte_fallback=False))
    model = StaticModel(np.ones((3, 4), np.float32), tokenizer, Card("unigram"))
    assert tokenize(model.tokenizer, ["<pad>a"], None).flat.tolist() == [0, 2]


def test_id_0_is_not_taken_for_padding_when_it_is_a_real_token(hand_table, sentences):
    """A tokenizer.json's padding section defaults to id 0, which byte-level BPE gives to a letter."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"cat": 0, "dog": 1, "<unk>": 2}, unk_token="<unk>"))
    model = StaticModel(hand_table[5:8], tokenizer, Card("words"))
    assert model.pad_id is None
    np.testing.assert_allclose(model.encode("cat"), unit(hand_table[5]), atol=1e-7)


def test_saving_replaces_a_model_as_a_whole(hand_model, hand_folder):
    (hand_folder / "golden.json").write_text("from an older bundle")
    hand_model.save_pretrained(hand_folder)
    assert not (hand_folder / "golden.json").exists()
    assert sorted(load_file(hand_folder / "model.safetensors")) == ["embeddings"]
    assert not [path for path in hand_folder.parent.iterdir() if path.name.startswith(".")]
