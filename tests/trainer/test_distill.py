"""Distilling: the vocabulary's rules by hand, PCA and SIF by hand, and the whole against model2vec's own code."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy.stats import spearmanr
from tokenizers import models

from edge_potion import AccessError, InputError, ModelFormatError, RecipeError, StaticModel, distill
from edge_potion.trainer.postprocess import fit_pca
from edge_potion.trainer.recipe import DistillRecipe
from edge_potion.trainer.teacher import load_teacher
from edge_potion.trainer.vocabulary import build_vocabulary


def test_unused_pieces_go_and_ids_close_up_in_order(bert_tokenizer):
    vocabulary = build_vocabulary(bert_tokenizer)
    ids = vocabulary.tokenizer.get_vocab()
    assert sorted(ids, key=ids.__getitem__) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "##s", "dog", "a"]
    assert vocabulary.sequences[4] == [3, 6, 4]  # [CLS] cat [SEP], in the teacher's ids
    assert vocabulary.tokenizer.encode("cats", add_special_tokens=False).tokens == ["cat", "##s"]


def test_extra_words_follow_the_pieces_and_the_rest_is_skipped_and_counted(bert_tokenizer):
    words = ["catdog", "cat", "Dog", "dog-cat", "x" * 25, "dogs", "catdog", "", "é"]
    vocabulary = build_vocabulary(bert_tokenizer, words)
    ids = vocabulary.tokenizer.get_vocab()
    assert (ids["catdog"], ids["dogs"], len(ids)) == (8, 9, 10)
    assert vocabulary.skipped == {
        "already a piece": 2,  # cat, and catdog the second time
        "changed by the normalizer": 2,  # Dog, é
        "split by the pre-tokenizer": 2,  # dog-cat, and ""
        "too long": 1,
    }
    assert vocabulary.sequences[9] == bert_tokenizer.encode("dogs").ids == [3, 8, 7, 4]
    assert vocabulary.tokenizer.encode("dogs", add_special_tokens=False).ids == [9]
    written = json.loads(vocabulary.tokenizer.to_str())
    assert all(token["special"] for token in written["added_tokens"])  # no added words


def test_no_extra_words_go_into_a_bpe(other_tokenizer):
    if not isinstance(other_tokenizer.model, models.Unigram):
        with pytest.raises(InputError, match="extra words need a WordPiece or Unigram teacher"):
            build_vocabulary(other_tokenizer, ["word"])
    assert len(build_vocabulary(other_tokenizer).sequences) == other_tokenizer.get_vocab_size()


def test_pca_is_centred_unwhitened_and_of_fixed_sign():
    """Points on a line through (1, 2) along (3, 4) / 5."""
    rows = np.array([1.0, 2.0]) + np.outer([-2, 0, 2, 4], [0.6, 0.8])
    pca = fit_pca([rows[:3], rows[3:]], 1)
    np.testing.assert_allclose(pca.components, [[0.6, 0.8]], atol=1e-12)
    np.testing.assert_allclose(pca.apply(rows)[:, 0], [-3, -1, 1, 3], atol=1e-6)
    assert pca.explained == pytest.approx(1)


def test_a_recipe_refuses_what_no_run_could_use():
    with pytest.raises(RecipeError, match="dims is 0"):
        DistillRecipe(dims=0)
    with pytest.raises(RecipeError, match="sif_coefficient is 2"):
        DistillRecipe(sif_coefficient=2)


def test_means_are_over_the_whole_sequence_in_the_order_given(teacher_folder):
    import torch

    teacher = load_teacher(teacher_folder, device="cpu")
    sequences = [teacher.tokenizer.encode(text).ids for text in ("a longer text comes first", "cat", "two words")]
    found = teacher.vectors(sequences)
    with torch.inference_mode():
        for row, sequence in zip(found, sequences, strict=True):
            states = teacher.model(torch.tensor([sequence])).last_hidden_state[0]
            np.testing.assert_allclose(row, states.mean(dim=0).numpy(), atol=1e-5)


def test_a_distilled_model_keeps_its_promises(distilled, distilled_folder):
    """DESIGN section 2: what a model folder of ours holds."""
    assert distilled.table.shape == (29528, 256)  # BERT's 30,522 less 994 unused
    assert distilled.table.dtype == np.float32
    assert not distilled.table[list(distilled.dropped_ids)].any()
    assert distilled.card.normalize and distilled.card.max_tokens == 512
    config = json.loads((distilled_folder / "config.json").read_text())
    assert config["edge_potion"]["teacher"] == "all-MiniLM-L6-v2"
    assert re.fullmatch("[0-9a-f]{12}", config["edge_potion"]["recipe_fingerprint"])
    assert "dims = 256" in (distilled_folder / "recipe.toml").read_text()
    assert "license: apache-2.0" in (distilled_folder / "README.md").read_text()
    tokenizer = json.loads((distilled_folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert not [token for token in tokenizer["added_tokens"] if not token["special"]]
    assert not [piece for piece in tokenizer["model"]["vocab"] if piece.startswith("[unused")]


def test_fixed_padding_in_the_teachers_tokenizer_is_switched_off(teacher_folder):
    """The MiniLM tokenizer.json pads every text to 128 tokens."""
    assert json.loads((teacher_folder / "tokenizer.json").read_text())["padding"]["strategy"] == {"Fixed": 128}
    assert len(load_teacher(teacher_folder, device="cpu").tokenizer.encode("cat").ids) == 3


@pytest.mark.peers
def test_similarities_agree_with_model2vecs_own_distillation(distilled, peer_distilled_folder, sentences):
    """Contract: Pearson correlation of the similarities of 2,000 sentence pairs >= 0.995."""
    peer = StaticModel.from_pretrained(peer_distilled_folder)
    pairs = np.random.default_rng(0).integers(0, len(sentences), (2000, 2))
    ours, theirs = distilled.encode(sentences), peer.encode(sentences)
    similarities = [(vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1) for vectors in (ours, theirs)]
    assert np.corrcoef(*similarities)[0, 1] >= 0.995


@pytest.mark.peers
def test_sts_benchmark_agrees_with_model2vecs_own_distillation(distilled, peer_distilled_folder, shared):
    """Contract: Spearman on the validation half of STSBenchmark within 0.3 points."""
    import gzip

    with gzip.open(shared / "eval" / "STSBenchmark" / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    points = []
    for model in (distilled, StaticModel.from_pretrained(peer_distilled_folder)):
        first, second = (model.encode([row[key] for row in rows]) for key in ("sentence1", "sentence2"))
        points.append(100 * spearmanr((first * second).sum(axis=1), [row["score"] for row in rows]).statistic)
    assert abs(points[0] - points[1]) <= 0.3
    assert points[0] > 65  # a distilled model that measures nothing would agree with another such


def test_more_dims_than_the_teacher_has_are_cut_and_said(bert_teacher, caplog):
    model = distill(bert_teacher, DistillRecipe(dims=512), device="cpu")
    assert model.dim == 6
    assert "512 were asked for, and this teacher and vocabulary give 6" in caplog.text


def test_sif_weights_by_hand(bert_teacher):
    """Without and with weights, rows differ by a / (a + p), p falling as 1 / (rank + 2)."""
    plain = distill(bert_teacher, DistillRecipe(dims=4, sif_coefficient=None), device="cpu").table
    weighted = distill(bert_teacher, DistillRecipe(dims=4, sif_coefficient=0.5), device="cpu").table
    share = 1 / np.arange(2, 10)
    share /= share.sum()
    np.testing.assert_allclose(weighted, plain * (0.5 / (0.5 + share))[:, None], rtol=1e-5)


def test_distilling_twice_gives_the_same_bits(bert_teacher):
    first, second = (distill(bert_teacher, DistillRecipe(dims=4), device="cpu").table for _ in range(2))
    assert np.array_equal(first, second)


def test_a_teacher_that_gives_nan_is_refused(bert_teacher):
    from safetensors.torch import load_file, save_file

    weights = load_file(bert_teacher / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][6] = float("nan")
    save_file(weights, bert_teacher / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFormatError, match="gives NaN or inf, first for token 4"):
        distill(bert_teacher, device="cpu")


def test_a_teacher_that_is_none(tmp_path, hand_folder):
    with pytest.raises(InputError, match="no such folder"):
        distill(tmp_path / "missing")
    with pytest.raises((AccessError, InputError), match="the model hub did not give it"):
        distill("nobody-here/no-such-teacher")
    with pytest.raises(ModelFormatError):
        distill(hand_folder, device="cpu")  # a static model is no transformer
    with pytest.raises(ModelFormatError):
        distill(tmp_path, device="cpu")  # an empty folder


def test_pickled_weights_are_never_loaded(bert_teacher):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(bert_teacher / "model.safetensors"), bert_teacher / "pytorch_model.bin")
    (bert_teacher / "model.safetensors").unlink()
    with pytest.raises(ModelFormatError, match="safetensors"):
        distill(bert_teacher, device="cpu")


def test_cuda_that_is_not_there_is_named(teacher_folder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(InputError, match=r"torch sees no CUDA device here; use --device cpu"):
        load_teacher(teacher_folder, device="cuda")


def test_the_fingerprint_knows_the_recipe_and_the_words(bert_teacher):
    prints = [
        distill(bert_teacher, recipe, words=words, device="cpu").card.config["edge_potion"]["recipe_fingerprint"]
        for recipe, words in (
            (DistillRecipe(dims=4), ()),
            (DistillRecipe(dims=5), ()),
            (DistillRecipe(dims=4), ["dogs"]),
        )
    ]
    assert len(set(prints)) == 3
    assert "1 extra words" in distill(bert_teacher, DistillRecipe(dims=4), words=["dogs"], device="cpu").card.recipe


def test_a_device_that_torch_does_not_know_is_named(bert_teacher):
    for device in ("gpu", "mps", "xpu"):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used here"):
            load_teacher(bert_teacher, device=device)


def test_a_tokenizer_that_is_larger_than_the_teacher_is_named(bert_teacher):
    tokenizer = json.loads((bert_teacher / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["bird"] = 10
    (bert_teacher / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFormatError, match="its tokenizer gives ids up to 10, and the model knows 10"):
        load_teacher(bert_teacher, device="cpu")


def test_an_encoder_with_a_decoder_is_named(bert_teacher):
    from transformers import T5Config, T5Model

    sizes = {"vocab_size": 10, "d_model": 6, "d_kv": 3, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(**sizes)).save_pretrained(bert_teacher)
    with pytest.raises(ModelFormatError, match="is an encoder with a decoder"):
        load_teacher(bert_teacher, device="cpu")


def test_a_teachers_card_that_cannot_be_read_does_no_harm(bert_teacher):
    (bert_teacher / "README.md").write_text("---\n: : [broken\n---\n")
    assert load_teacher(bert_teacher, device="cpu").licence == ""
