"""Scores of own rows, worked by hand: ranks, recall, MRR, nDCG, macro F1, splits and the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, ndcg_score

from edge_potion import InputError
from edge_potion.benchmarks.quality.bootstrap import RESAMPLES, interval_of, means, resampled
from edge_potion.benchmarks.quality.own_labels import LabelQuestion, macro_f1
from edge_potion.benchmarks.quality.own_pairs import PairQuestion, ranks_of, retrieval_values
from edge_potion.benchmarks.quality.own_split import split_of
from edge_potion.labelled import Labelled, Pairs, TrainAndTest


def labelled(*rows: tuple[str, str], where: str = "my.csv") -> Labelled:
    return Labelled([text for text, _ in rows], [label for _, label in rows], where, list(range(2, 2 + len(rows))))


def answered(question: LabelQuestion | PairQuestion, vectors: dict[str, tuple[float, ...]]):
    return question.answer(np.array([vectors[text] for text in question.texts], np.float32), lambda _: None)


def test_ranks_count_the_passages_that_are_nearer_and_as_near():
    queries = np.array([[1, 0], [0, 1]], np.float32)
    passages = np.array([[1, 0], [0.8, 0.6], [0, 1], [0, 1]], np.float32)
    ranks = ranks_of(queries, passages, [np.array([1]), np.array([2])])
    assert [own.tolist() for own in ranks] == [[2], [2]]  # the second query's own is as near as another: behind it
    several = ranks_of(queries[:1], passages, [np.array([3, 0])])
    assert several[0].tolist() == [1, 4]  # nearest first; passage 2 is as near as the own one with rank 4
    zeros = ranks_of(np.zeros((1, 2), np.float32), passages, [np.array([0])])
    assert zeros[0].tolist() == [4]  # a query without a known token has found nothing


def test_recall_mrr_and_ndcg_by_hand():
    values = retrieval_values([np.array([1]), np.array([2]), np.array([6]), np.array([11]), np.array([2, 12])])
    assert values["recall_at_1"].tolist() == [1, 0, 0, 0, 0]
    assert values["recall_at_5"].tolist() == [1, 1, 0, 0, 0.5]
    assert values["recall_at_10"].tolist() == [1, 1, 1, 0, 0.5]
    assert values["mrr_at_10"].tolist() == [1, 1 / 2, 1 / 6, 0, 1 / 2]
    two = (1 / math.log2(3)) / (1 + 1 / math.log2(3))  # one of two own passages at rank 2
    expected = [1, 1 / math.log2(3), 1 / math.log2(7), 0, two]
    np.testing.assert_allclose(values["ndcg_at_10"], expected)


def test_ndcg_is_that_of_scikit_learn_where_nothing_is_as_near():
    random = np.random.default_rng(0)
    queries, passages = random.normal(size=(20, 8)), random.normal(size=(60, 8))
    relevant = [random.choice(60, size=1 + place % 12, replace=False) for place in range(20)]
    ours = retrieval_values(ranks_of(queries, passages, relevant))["ndcg_at_10"]
    gold = np.zeros((20, 60))
    for place, own in enumerate(relevant):
        gold[place, own] = 1
    theirs = [ndcg_score(gold[[place]], (queries @ passages.T)[[place]], k=10) for place in range(20)]
    np.testing.assert_allclose(ours, theirs)


def test_a_query_that_comes_twice_has_two_passages_and_a_row_that_comes_twice_counts_once():
    pairs = Pairs(["a", "a", "b", "a", "c"], ["x", "y", "z", "x", "c"], "my.csv")
    question = PairQuestion(pairs)
    assert question.queries == ["a", "b", "c"] and question.passages == ["x", "y", "z", "c"]
    assert [own.tolist() for own in question.relevant] == [[0, 1], [2], [3]]
    assert question.remarks == [
        "1 of 5 rows are there already, and count once",
        "1 of 4 rows have the query as its passage, which any model finds",
    ]
    axes = {text: tuple(np.eye(4)[place]) for place, text in enumerate(("x", "y", "z", "c"))}
    answer = answered(question, {**axes, "a": axes["x"], "b": axes["y"]})
    # a finds x; y is as near as the other two, and behind them. b finds y; z is last of the rest. c finds itself.
    assert answer.seeds["recall_at_1"] == [pytest.approx((1 / 2 + 0 + 1) / 3)]
    assert answer.seeds["mrr_at_10"] == [pytest.approx((1 + 1 / 4 + 1) / 3)]


def test_macro_f1_is_that_of_scikit_learn_also_of_rows_that_are_drawn_again():
    random = np.random.default_rng(1)
    gold, predicted = random.integers(-1, 4, 50), random.integers(0, 5, 50)  # -1: not learnt; 4 is told, never given
    weights = random.integers(0, 3, (5, 50)).astype(float)
    for each, ours in zip(weights, macro_f1(weights, gold, predicted, 5), strict=True):
        drawn = np.repeat(np.arange(50), each.astype(int))
        assert ours == pytest.approx(f1_score(gold[drawn], predicted[drawn], average="macro", zero_division=0))


def test_accuracy_is_of_the_rows_of_the_test_and_a_label_that_is_not_learnt_is_missed():
    train = labelled(("up", "a"), ("upper", "a"), ("down", "b"), ("downer", "b"))
    test = labelled(("u", "a"), ("d", "b"), ("e", "b"), ("f", "c"), where="test.csv")
    question = LabelQuestion(split_of(TrainAndTest(train, test)), seeds=1)
    up, down = (1.0, 0.0), (0.0, 1.0)
    vectors = {"up": up, "upper": up, "down": down, "downer": down, "u": up, "d": down, "e": up, "f": up}
    answer = answered(question, vectors)
    assert answer.seeds["accuracy"] == [accuracy_score(["a", "b", "b", "c"], ["a", "b", "a", "a"])] == [0.5]
    expected = f1_score(["a", "b", "b", "c"], ["a", "b", "a", "a"], average="macro", zero_division=0)
    assert answer.seeds["macro_f1"] == [pytest.approx(expected)]
    assert question.remarks == ["1 of 4 rows of the test have a label that is not learnt, and count as missed: c"]


def test_each_seed_learns_from_nine_tenths_of_each_label_and_a_single_one_from_all():
    rows = labelled(*((f"{label}{number}", label) for label in "ab" for number in range(20)))
    test = labelled(("x", "a"), ("y", "b"))
    question = LabelQuestion(split_of(TrainAndTest(rows, test)), seeds=3)
    drawn = [question.rows_of(seed) for seed in range(3)]
    assert [[int((one < 20).sum()), int((one >= 20).sum())] for one in drawn] == [[18, 18]] * 3
    assert len({tuple(one) for one in drawn}) == 3 and (question.rows_of(0) == drawn[0]).all()
    assert LabelQuestion(question.split, seeds=1).rows_of(0).tolist() == list(range(40))


def test_a_split_takes_a_fifth_of_each_label_and_leaves_a_single_row_to_learn_from():
    rows = [*((f"a{n}", "a") for n in range(20)), *((f"b{n}", "b") for n in range(10)), ("c0", "c"), ("c1", "c")]
    split = split_of(TrainAndTest(labelled(*rows, ("d0", "d")), None))
    assert sorted(split.test.labels) == ["a"] * 4 + ["b"] * 2 + ["c"]
    assert sorted(split.train.labels) == ["a"] * 16 + ["b"] * 8 + ["c", "d"]
    assert {*split.train.texts, *split.test.texts} == {text for text, _ in rows} | {"d0"}
    assert split.remarks == ["one label has a single row, which is learnt from and never scored: d"]
    again = split_of(TrainAndTest(labelled(*rows, ("d0", "d")), None))
    assert again.test == split.test and [int(text[1:]) for text in split.test.texts] != [0, 1, 2, 3, 0, 1, 0]


def test_texts_on_both_sides_are_named_and_taken_out_of_the_test():
    train = labelled(("Where is my card?", "card"), ("refund", "money"))
    test = labelled(("where is  my CARD?", "card"), ("new", "card"), ("refund", "money"), where="test.csv")
    split = split_of(TrainAndTest(train, test))
    assert split.test.texts == ["new"] and split.duplicates.numbers == [2, 4]
    assert split.remarks == [
        "2 of 3 rows of the test have a text that is learnt from too, and are left out: "
        "'where is  my CARD?' (line 2), 'refund' (line 4)"
    ]
    with pytest.raises(InputError, match=r"test\.csv: every text to score is learnt from too"):
        split_of(TrainAndTest(train, labelled(("refund", "money"), where="test.csv")))
    with pytest.raises(InputError, match=r"my\.csv: no label has two rows, one to learn from and one to score"):
        split_of(TrainAndTest(train, None))


def test_the_bootstrap_of_two_rows_is_that_of_a_coin():
    """Both rows, or one of them twice: the mean is 0, 1/2 and 1 in a quarter, a half and a quarter of the draws."""
    draws = resampled(means({"hits": np.array([0.0, 1.0])}))["hits"]
    assert draws.shape == (RESAMPLES,) and set(draws) == {0.0, 0.5, 1.0}
    assert (draws == 0.5).mean() == pytest.approx(0.5, abs=0.05) and draws.mean() == pytest.approx(0.5, abs=0.03)
    interval = interval_of(np.zeros(RESAMPLES), draws)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_an_interval_is_paired_and_as_wide_as_theory_says():
    random = np.random.default_rng(2)
    first = (random.random(2000) < 0.7).astype(float)
    draws = resampled(means({"hits": first}))["hits"]
    better = resampled(means({"hits": np.clip(first + 0.1, 0, None)}))["hits"]
    interval = interval_of(draws, better)  # each row has the same more: no draw says anything else
    assert interval.low == pytest.approx(0.1) and interval.high == pytest.approx(0.1)
    other = (random.random(2000) < 0.7).astype(float)
    apart = other - first
    interval = interval_of(draws, resampled(means({"hits": other}))["hits"])
    half = 1.96 * apart.std() / math.sqrt(2000)
    assert interval.low == pytest.approx(apart.mean() - half, abs=0.004)
    assert interval.high == pytest.approx(apart.mean() + half, abs=0.004)
