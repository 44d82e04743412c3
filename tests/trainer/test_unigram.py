"""A Unigram teacher's vocabulary: what stays keeps its score, and words come out whole where nothing else changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from edge_potion import RecipeError
from edge_potion.tokens import pad_id, plain, unk_id
from edge_potion.trainer.distill import distill
from edge_potion.trainer.recipe import DistillRecipe
from edge_potion.trainer.special_tokens import silent_ids
from edge_potion.trainer.vocabulary import build_vocabulary, frequent_words

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SCORES = {"▁": -2.0, "a": -3.0, "b": -3.5, "c": -4.0, "▁a": -3.25, "ab": -4.5, "▁ab": -5.5, "▁cab": -6.5, "d": -9.0}


def by_hand(**options: object) -> Tokenizer:
    """A tokenizer like XLM-R's: specials of score 0 first, and <s> and </s> around every text."""
    pieces = [*((special, 0.0) for special in SPECIALS[:4]), *SCORES.items(), (SPECIALS[4], 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", **options)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


@pytest.fixture
def teacher() -> Tokenizer:
    return by_hand()


@pytest.fixture(scope="module")
def real(sentences) -> Tokenizer:
    """Of up to 2,000 pieces, trained on our sentences."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=2000, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    return [piece for piece, _ in json.loads(tokenizer.to_str())["model"]["vocab"]]


def scores_of(tokenizer: Tokenizer) -> dict[str, float]:
    return dict(json.loads(tokenizer.to_str())["model"]["vocab"])


def test_special_pieces_stay_and_so_do_all_others_where_no_size_is_asked_for(teacher):
    made = build_vocabulary(teacher)
    assert pieces_of(made.tokenizer) == [*SPECIALS[:4], *SCORES, SPECIALS[4]]
    assert (pad_id(made.tokenizer), unk_id(made.tokenizer)) == (1, 3)
    assert made.sequences[:2] == [[0, 0, 2], [0, 1, 2]]  # their ids of the teacher, <s> and </s> around
    assert silent_ids(made.tokenizer) == (1, 3, 0, 2, 13)  # a text that spells "<s>" has it as a token
    assert made.tokenizer.encode("<s> a").tokens == plain(by_hand()).encode("<s> a").tokens == ["▁", "<s>", "▁a"]


def test_a_word_comes_out_whole_and_no_other_text_is_cut_across(teacher):
    made = build_vocabulary(teacher, ["acab", "cab", "caba"])
    assert made.added == ["▁acab", "▁caba"] and made.skipped == {"already a piece": 1}
    assert made.sequences[-2:] == [[0, 8, 7, 9, 2], [0, 11, 5, 2]]  # ▁a c ab, and ▁cab a
    assert made.tokenizer.encode("acab").tokens == ["▁acab"]
    scores = scores_of(made.tokenizer)
    assert scores["▁acab"] == pytest.approx(-3.25 - 4.0 - 4.5 + 5e-3) and scores["▁caba"] > -6.5 - 3.0
    assert {piece: scores[piece] for piece in SCORES} == SCORES
    assert made.tokenizer.encode("acabc").tokens == ["▁acab", "c"]  # its pieces, joined
    assert made.tokenizer.encode("aca").tokens == ["▁a", "c", "a"]


def test_of_two_words_that_begin_alike_the_longer_one_wins(teacher):
    made = build_vocabulary(teacher, ["bc", "bca", "bcab"])
    assert [made.tokenizer.encode(word).tokens for word in ("bc", "bca", "bcab")] == [["▁bc"], ["▁bca"], ["▁bcab"]]


def test_words_of_real_texts_come_out_whole_and_others_are_joined_at_most(real, sentences):
    """As the docstring of `Pieces.with_words` says."""
    counts = frequent_words(sentences, real)
    words = [word for word in counts if word.removeprefix("▁").isalpha()][::2]
    before, made = build_vocabulary(real).tokenizer, build_vocabulary(real, words)
    assert len(made.added) > 500
    assert all(made.tokenizer.encode(word).tokens == [word] for word in made.added)
    own = {word: before.encode(word).tokens for word in made.added}
    for word in counts:
        found = made.tokenizer.encode(word).tokens
        assert [part for piece in found for part in own.get(piece, [piece])] == before.encode(word).tokens


def test_what_cannot_be_a_piece_is_counted_by_reason(teacher):
    words = ["bcb", "cab", "bcb,", "a b", "xyz", "a" * 30, "ﬁ"]
    made = build_vocabulary(teacher, words)
    assert made.added == ["▁bcb"]
    assert made.skipped == {
        "already a piece": 1,
        "not of letters alone": 1,
        "split by the pre-tokenizer": 1,
        "not known to the teacher": 2,  # xyz; "fi", which NFKC makes of a ligature
        "too long": 1,
    }


def test_words_stay_out_where_texts_are_not_cut_at_spaces():
    made = build_vocabulary(by_hand(split=False), ["bcb"])
    assert made.added == [] and made.skipped == {"as the tokenizer does not cut texts at spaces": 1}


def test_a_smaller_vocabulary_keeps_letters_and_what_the_words_take_most(teacher):
    words = frequent_words(["cab cab", "ab", "d"], teacher)
    assert words == {"▁cab": 2, "▁ab": 1, "▁d": 1}
    made = build_vocabulary(teacher, words, 12)
    # Special ones, the characters ▁ a b c d, of which d has the least score; then ▁cab stands twice, ▁ab once.
    assert pieces_of(made.tokenizer) == [*SPECIALS[:4], "▁", "a", "b", "c", "▁ab", "▁cab", "d", SPECIALS[4]]
    assert made.sequences[-4:-1] == [[0, 10, 2], [0, 11, 2], [0, 12, 2]] and made.added == []
    with pytest.raises(RecipeError, match=r"vocabulary_size is 9, and 10 pieces must stay .*; ask for more"):
        build_vocabulary(teacher, words, 9)


def test_scores_stay_to_the_bit_in_a_smaller_vocabulary(real, sentences):
    whole = scores_of(build_vocabulary(real).tokenizer)
    for words in (frequent_words(sentences, real), {}):
        made = build_vocabulary(real, words, 1500)
        assert len(made.sequences) == 1500 and scores_of(made.tokenizer).items() <= whole.items()


def test_without_words_the_pieces_of_the_highest_scores_stay(teacher):
    found = pieces_of(build_vocabulary(teacher, (), 11).tokenizer)
    assert found == [*SPECIALS[:4], "▁", "a", "b", "c", "▁a", "d", SPECIALS[4]]


def test_words_that_were_added_to_the_teacher_become_pieces_and_stay(teacher, caplog):
    teacher.add_tokens(["bcb", "two words", "ab"])
    teacher.add_special_tokens(["<extra>"])
    own = {word: teacher.token_to_id(word) for word in ("bcb", "ab")}
    assert own["ab"] < 13 < own["bcb"]  # the one is a piece
    for size in (None, 12):
        made = build_vocabulary(teacher, ["bcb"], size)
        assert pieces_of(made.tokenizer)[-1] == "▁bcb" and made.sequences[-1] == [0, own["bcb"], 2] and not made.added
        assert made.tokenizer.encode("c bcb").tokens == ["▁", "c", "▁bcb"]
        added = {token["content"] for token in json.loads(made.tokenizer.to_str())["added_tokens"]}
        assert added == set(SPECIALS)
        assert len(made.sequences) == (15 if size is None else 10)  # no other piece is of the corpus' letters alone
    assert "1 of 2 words added to the teacher are left out, as its pre-tokenizer splits them: two words" in caplog.text


def test_bytes_stay_and_spell_no_word():
    pieces = [
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("a", -3.0),
        ("b", -3.0),
        ("c", -3.0),
        *((f"<0x{byte:02X}>", -1.0) for byte in range(256)),
    ]
    teacher = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    teacher.pre_tokenizer = pre_tokenizers.Metaspace()
    made = build_vocabulary(teacher, ["aé", "aa"])
    assert made.added == ["▁aa"] and made.skipped == {"not known to the teacher": 1}
    small = build_vocabulary(teacher, {"▁aa": 1}, 259)
    assert len(small.sequences) == 259 and small.tokenizer.encode("é").tokens == ["▁", "<0xC3>", "<0xA9>"]


def test_rows_of_special_tokens_are_zero_beside_words(teacher, tmp_path):
    import torch
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 14, "hidden_size": 6, "intermediate_size": 8, "num_hidden_layers": 1}
    XLMRobertaModel(XLMRobertaConfig(num_attention_heads=2, pad_token_id=1, **sizes)).save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=teacher, pad_token="<pad>", unk_token="<unk>").save_pretrained(tmp_path)
    model = distill(tmp_path, DistillRecipe(dims=4, vocabulary_size=None), words=["bcb"], device="cpu")
    assert model.table.shape == (15, 4) and model.encode("a bcb").any()
    silent = list(silent_ids(model.tokenizer))
    assert not model.table[silent].any() and np.abs(np.delete(model.table, silent, axis=0)).sum(axis=1).all()


def test_an_added_word_of_a_pieces_spelling_gives_it_its_row(teacher):
    teacher.add_tokens(["cab"])
    own = teacher.token_to_id("cab")
    assert teacher.encode("a cab").ids[-2] == own
    made = build_vocabulary(teacher)
    assert made.tokenizer.encode("a cab").tokens == ["▁a", "▁cab"]
    assert made.sequences[made.tokenizer.token_to_id("▁cab")] == [0, own, 2] and len(made.sequences) == 14
