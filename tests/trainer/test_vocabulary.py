"""The student's vocabulary: what a text can reach stays, or is named; and as many tokens as were asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edge_potion import ModelFormatError, RecipeError, train
from edge_potion.tokens import plain
from edge_potion.trainer.distill import distill
from edge_potion.trainer.recipe import DistillRecipe
from edge_potion.trainer.vocabulary import build_vocabulary, check_size, frequent_words, new_rules

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[unused0]",
    "a",
    "b",
    "c",
    "##a",
    "##b",
    "##c",
    "cab",
    "##ab",
    "cb",
    "ab",
]


@pytest.fixture
def teacher() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(PIECES[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    return [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]


def test_added_words_become_pieces_and_those_that_cannot_are_named(teacher, caplog):
    teacher.add_tokens(["H2O", "kx-200", "été", "two words", "ab"])
    ids = {word: teacher.token_to_id(word) for word in ("H2O", "été")}
    made = build_vocabulary(teacher)
    assert pieces_of(made.tokenizer)[-2:] == ["h2o", "ete"]  # as the normalizer makes them
    assert made.sequences[-2:] == [[2, ids["H2O"], 3], [2, ids["été"], 3]]  # distilled from the teacher's own rows
    assert made.tokenizer.encode("water is H2O").tokens[-1] == "h2o"
    assert not json.loads(made.tokenizer.to_str())["added_tokens"][4:]  # what the text graph needs
    assert "2 of 5 words added to the teacher are left out" in caplog.text and "kx-200, two words" in caplog.text


def test_special_tokens_that_were_added_stay_out(teacher):
    teacher.add_special_tokens(["[QUERY]"])
    assert "[QUERY]" not in build_vocabulary(teacher).tokenizer.get_vocab()


def test_unused_pieces_go_where_no_text_reaches_them_and_stay_where_one_does(teacher):
    assert "[unused0]" not in build_vocabulary(teacher).tokenizer.get_vocab()
    teacher.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kept = build_vocabulary(teacher).tokenizer
    assert kept.encode("a [unused0]").tokens == ["a", "[unused0]"]


def test_a_smaller_vocabulary_keeps_letters_and_what_the_most_frequent_words_take(teacher):
    words = frequent_words(["cab cab cab", "ab ab", "cb"], teacher)
    made = build_vocabulary(teacher, words, 9)
    assert pieces_of(made.tokenizer) == [*PIECES[:4], "a", "c", "##a", "##b", "cab"]  # no word begins with b
    assert made.tokenizer.encode("cab ab cb").tokens == ["cab", "a", "##b", "c", "##b"]  # no word is lost
    assert made.added == [] and len(made.sequences) == 9
    more = build_vocabulary(teacher, words, 10)
    assert set(pieces_of(more.tokenizer)) - set(pieces_of(made.tokenizer)) == {"ab"}


def test_what_counts_is_how_often_words_take_a_piece_and_not_which_word_is_first(teacher):
    words = {"cb": 5, "abab": 3, "cab": 3, "aab": 3}  # "##ab" is taken six times in all
    assert "##ab" in build_vocabulary(teacher, words, 10).tokenizer.get_vocab()
    assert "cb" not in build_vocabulary(teacher, words, 9).tokenizer.get_vocab()


def test_words_that_so_few_pieces_do_not_know_are_named_with_their_share(teacher, caplog):
    build_vocabulary(teacher, {"cab": 3, "ab": 1}, 6)  # two of the letters c, ##a, ##b and a
    assert "do not know 100.0 % of the words, such as cab, ab" in caplog.text
    caplog.clear()
    build_vocabulary(teacher, {"cab": 3, "ab": 1}, 8)
    assert "do not know" not in caplog.text


def test_words_that_are_left_out_are_named_and_counted(teacher, caplog):
    build_vocabulary(teacher, ["kx-200", "Cab", "x" * 25, "\x1b[2J", "cab"])
    assert "1 words left out, split by the pre-tokenizer: kx-200" in caplog.text
    assert "2 words left out, changed by the normalizer: Cab, \\x1b[2J" in caplog.text  # no command to a terminal
    assert "1 words left out, too long: xxx" in caplog.text and ": cab" not in caplog.text


def test_an_added_word_of_another_case_takes_the_row_of_the_piece_that_it_comes_before(teacher):
    """The teacher looks for it in normalized text: there, "ab" is the added token and never the piece."""
    teacher.add_tokens(["AB"])
    own = teacher.token_to_id("AB")
    assert teacher.encode("ab", add_special_tokens=False).ids == [own]
    made = build_vocabulary(teacher)
    place = made.tokenizer.encode("ab", add_special_tokens=False).ids
    assert [made.sequences[each] for each in place] == [[2, own, 3]]


def test_added_words_stay_when_a_vocabulary_is_cut(teacher):
    teacher.add_tokens(["H2O"])
    assert pieces_of(build_vocabulary(teacher, {"cab": 9}, 6).tokenizer)[-1] == "h2o"


def test_only_what_newer_rules_change_is_made_anew(teacher):
    """Runs of the first version of stage 1 are gone on with where their vocabulary was the same."""
    assert new_rules(teacher, None) == new_rules(teacher, 14) == new_rules(teacher, 500) == ""
    assert new_rules(teacher, 13) == "pruned"
    teacher.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert new_rules(teacher, None) == "unused pieces that a text reaches"
    teacher.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    teacher.add_tokens(["h2o"])
    assert new_rules(teacher, None) == "added words kept"


def test_a_bpe_has_no_newer_rules_and_a_unigram_where_a_size_is_asked_for(other_tokenizer):
    is_unigram = isinstance(other_tokenizer.model, models.Unigram)
    assert new_rules(other_tokenizer, 1) == ("pieces and words of Unigram chosen" if is_unigram else "")
    assert new_rules(other_tokenizer, None) == ""


def test_without_words_the_first_pieces_stay(teacher):
    assert pieces_of(build_vocabulary(teacher, (), 7).tokenizer) == [*PIECES[:4], "a", "b", "c"]


def test_as_many_as_there_are_change_nothing(teacher):
    whole = build_vocabulary(teacher)
    assert build_vocabulary(teacher, ("xyz",), 14).tokenizer.to_str() == whole.tokenizer.to_str()


@pytest.mark.parametrize("size", [1, 4])
def test_too_small_for_the_special_tokens_is_refused(teacher, size):
    with pytest.raises(RecipeError, match="4 special tokens; ask for more"):
        build_vocabulary(teacher, (), size)


def test_a_bpe_is_not_cut(other_tokenizer):
    content = json.loads(other_tokenizer.to_str())
    tokens = other_tokenizer.get_vocab_size()
    check_size(content, None)
    check_size(content, tokens)
    if isinstance(other_tokenizer.model, models.Unigram):
        check_size(content, tokens - 1)
        return
    with pytest.raises(RecipeError, match=f"{tokens} tokens, which hang together"):
        check_size(content, tokens - 1)


def test_distil_gives_as_many_rows_as_were_asked_for(bert_teacher):
    model = distill(bert_teacher, DistillRecipe(dims=4, vocabulary_size=6), device="cpu")
    assert len(model.table) == 6 and model.encode("cat").any()


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ("[distill]\ndims = 16\n[pca]\ndims = 9", r"\[pca\] dims is 9, and the teacher's token vectors have 8 values"),
        ("[distill]\nvocabulary_size = 3\ndims = 8\n[pca]\ndims = 1", "vocabulary_size is 3"),
    ],
)
def test_what_a_teacher_cannot_give_is_refused_before_anything_is_made(small_teacher, tmp_path, recipe, reason):
    (tmp_path / "mine.toml").write_text(recipe)
    (tmp_path / "corpus.txt").write_text("It is raining and the bread did not rise.\n" * 3)
    with pytest.raises(RecipeError, match=reason):
        train(tmp_path / "mine.toml", tmp_path / "run", teacher=small_teacher, corpus=tmp_path / "corpus.txt")
    assert not (tmp_path / "run").exists()


def test_a_static_model_as_teacher_is_refused_before_anything_is_made(hand_folder, tmp_path):
    (tmp_path / "corpus.txt").write_text("It is raining.\n")
    with pytest.raises(ModelFormatError, match="begins with the module StaticEmbedding"):
        train("tiny", tmp_path / "run", teacher=hand_folder, corpus=tmp_path / "corpus.txt")
    assert not (tmp_path / "run").exists()


def test_the_student_of_a_teacher_with_added_words_knows_them(bert_teacher, bert_tokenizer):
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    bert_tokenizer.add_tokens(["h2o"])
    sizes = {"vocab_size": 11, "hidden_size": 6, "intermediate_size": 8}
    BertModel(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)).save_pretrained(bert_teacher)
    PreTrainedTokenizerFast(tokenizer_object=bert_tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        Path(bert_teacher)
    )
    model = distill(bert_teacher, DistillRecipe(dims=4, vocabulary_size=None), device="cpu")
    assert model.encode("h2o").any() and plain(model.tokenizer).encode("a h2o").tokens == ["a", "h2o"]
