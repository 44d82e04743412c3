"""Students of many languages: a teacher whose tokenizer is Unigram, and sentences drawn from each language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_potion import distill
from edge_potion.tokens import tokenize
from edge_potion.trainer.recipe import DistillRecipe
from edge_potion.trainer.teacher import load_teacher
from edge_potion.trainer.vocabulary import build_vocabulary, frequent_words, new_rules

from .xlmr_standin import SPECIALS, write_xlmr

ALL_TOKENS = DistillRecipe(dims=4, vocabulary_size=None)


@pytest.fixture(scope="module")
def xlmr(sentences, tmp_path_factory) -> Path:
    return write_xlmr(tmp_path_factory.mktemp("teacher") / "small-xlmr", sentences)


def test_the_student_of_a_unigram_teacher_cuts_as_the_teacher_does(xlmr, sentences):
    teacher = load_teacher(xlmr, device="cpu")
    student = distill(teacher, ALL_TOKENS)
    theirs = json.loads((xlmr / "tokenizer.json").read_text(encoding="utf-8"))
    ours = json.loads(student.tokenizer.to_str())
    for part in ("model", "normalizer", "pre_tokenizer"):
        assert ours[part] == theirs[part]
    assert ours["post_processor"] is None
    ids = tokenize(student.tokenizer, sentences, None).split()
    assert [row.tolist() for row in ids] == [
        teacher.tokenizer.encode(text, add_special_tokens=False).ids for text in sentences
    ]
    assert len(student.table) == len(theirs["model"]["vocab"])


def test_every_special_token_of_a_unigram_student_counts_for_nothing(xlmr):
    """A text that spells one has it as a token: its pieces are in the lattice."""
    student = distill(load_teacher(xlmr, device="cpu"), ALL_TOKENS)
    places = [student.tokenizer.token_to_id(name) for name in SPECIALS]
    assert not student.table[places].any()
    assert np.abs(np.delete(student.table, places, axis=0)).sum(axis=1).all()
    assert places[2] in student.tokenizer.encode("bread</s>", add_special_tokens=False).ids


def test_words_of_the_corpus_stay_out_of_a_unigram_vocabulary_and_it_is_said(xlmr, caplog):
    teacher = load_teacher(xlmr, device="cpu")
    assert frequent_words(["The council voted."], teacher.tokenizer) == {}
    assert "is Unigram, not WordPiece" in caplog.text and "a score above the sum of its pieces'" in caplog.text
    assert new_rules(teacher.tokenizer, None) == "special tokens of Unigram count for nothing"


def test_a_row_of_a_unigram_student_is_of_the_teachers_own_special_tokens_around_it(xlmr):
    vocabulary = build_vocabulary(load_teacher(xlmr, device="cpu").tokenizer)
    assert vocabulary.sequences[7] == [0, 7, 2]  # <s> piece </s>
