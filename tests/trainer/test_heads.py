"""How a head is fitted: the regression, grams as a matrix, folds, and the choice between heads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from edge_potion.grams import grams_of
from edge_potion.tokens import TokenIds
from edge_potion.trainer.candidates import MOST_GRAMS, Rows
from edge_potion.trainer.folds import folds, remarks_of
from edge_potion.trainer.gram_features import gram_space
from edge_potion.trainer.heads import fit_head
from edge_potion.trainer.logistic import Examples, Weights, regress, residuals, scores
from edge_potion.trainer.tune_table import tune_table


def random_examples(multi_label: bool, labels: int = 4, rows: int = 300) -> Examples:
    """Rows that follow weights, with noise."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(rows, 6)).astype(np.float32)
    grams = csr_matrix(random.binomial(1, 0.2, size=(rows, 9)).astype(np.float32))
    logits = vectors @ random.normal(size=(6, labels)) + grams @ random.normal(size=(9, labels))
    logits += random.normal(size=logits.shape)
    targets = logits > 0.5 if multi_label else np.eye(labels)[logits.argmax(axis=1)]
    weights = random.uniform(0.5, 1.5, rows).astype(np.float32)
    return Examples(vectors, grams, targets.astype(np.float32), weights, multi_label)


def test_the_regression_is_scikit_learns():
    examples = random_examples(multi_label=False)
    rows = len(examples.vectors)
    found = regress(examples, 1 / (3 * rows), 1 / (3 * rows), 2000)
    matrix = np.hstack([examples.vectors, examples.grams.toarray()])
    theirs = LogisticRegression(C=3.0, max_iter=5000, tol=1e-8)
    theirs.fit(matrix, examples.targets.argmax(axis=1), sample_weight=examples.weights)
    ours = scores(found, examples.vectors, examples.grams)
    wanted = theirs.decision_function(matrix)
    differences = (ours - ours.mean(axis=1, keepdims=True)) - (wanted - wanted.mean(axis=1, keepdims=True))
    assert np.abs(differences).max() < 0.05
    assert np.abs(found.dense.T - theirs.coef_[:, :6]).max() < 0.05


def test_with_several_labels_a_row_it_is_one_regression_a_label():
    examples = random_examples(multi_label=True)
    rows = len(examples.vectors)
    found = regress(examples, 1 / (3 * rows), 1 / (3 * rows), 2000)
    matrix = np.hstack([examples.vectors, examples.grams.toarray()])
    for label in range(4):
        theirs = LogisticRegression(C=3.0, max_iter=5000, tol=1e-8)
        theirs.fit(matrix, examples.targets[:, label], sample_weight=examples.weights)
        assert np.abs(found.dense[:, label] - theirs.coef_[0, :6]).max() < 0.05


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_gradient_is_that_of_the_loss(multi_label):
    examples = random_examples(multi_label, rows=20)
    logits = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    _, gradient = residuals(logits.copy(), examples)
    for place in ((0, 0), (7, 2), (19, 3)):
        step = np.zeros_like(logits)
        step[place] = 0.01
        above, below = (residuals(logits + sign * step, examples)[0] for sign in (1, -1))
        assert (above - below) / 0.02 == pytest.approx(gradient[place], abs=1e-4)


def test_grams_are_counted_weighed_by_rarity_and_divided_by_the_root_of_the_tokens():
    grams = grams_of(TokenIds.of([[1, 2, 1], [1, 2], [3]]))
    space = gram_space(grams)
    # Tokens 1, 2, 3, and the pair (1, 2), which stands in two texts; (2, 1) stands in one.
    assert space.grams.tolist() == [[1, -1], [1, 2], [2, -1], [3, -1]]
    rare, common = np.log(4 / 2) + 1, np.log(4 / 3) + 1
    counts = np.array([[2, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]) * [common, common, common, rare]
    expected = counts / np.sqrt([[3], [2], [1]])
    expected /= np.sqrt((expected**2).sum() / 3)
    assert np.allclose(space.matrix(grams).toarray(), expected, atol=1e-6)
    assert space.matrix(grams_of(TokenIds.of([[9], []]))).nnz == 0


def test_the_grams_of_some_texts_are_those_of_their_ids():
    random = np.random.default_rng(0)
    texts = [random.integers(0, 50, random.integers(0, 9)).tolist() for _ in range(40)]
    places = random.permutation(40)[:17]
    some, same = grams_of(TokenIds.of(texts)).take(places), grams_of(TokenIds.of([texts[place] for place in places]))
    assert some.tokens.tolist() == same.tokens.tolist()
    pairs = [sorted(zip(each.text.tolist(), each.keys.tolist(), strict=True)) for each in (some, same)]
    assert pairs[0] == pairs[1]


def test_folds_hold_like_shares_of_each_label_and_no_text_twice():
    random = np.random.default_rng(0)
    texts = [f"text {number % 80}" for number in range(100)]  # twenty stand there twice
    kinds = [("a" if number % 80 < 40 else "b") for number in range(100)]
    found = folds(texts, kinds, 5, random)
    for kind in ("a", "b"):
        counts = np.bincount([fold for fold, each in zip(found, kinds, strict=True) if each == kind], minlength=5)
        assert counts.min() >= 8
    by_text = {}
    for text, fold in zip(texts, found, strict=True):
        assert by_text.setdefault(text.upper().lower(), fold) == fold
    assert found.tolist() == folds(texts, kinds, 5, np.random.default_rng(0)).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_two_texts_that_differ_are_in_two_folds(seed):
    assert len(set(folds(["one", "two"], ["a", "b"], 5, np.random.default_rng(seed)).tolist())) == 2


def test_what_is_odd_about_rows_is_named():
    texts = ["one", "One ", "two", "three", "four"]
    told = remarks_of(texts, ["a", "b", "a", "a", "rare"])
    assert "2 labels have fewer than 5 rows" not in told[0]
    assert "3 labels have fewer than 5 rows" in told[0]
    assert "'rare' (1)" in told[0]
    assert "1 row repeats the text of another" in told[1]
    assert "1 text has different labels" in told[2]
    assert "'one' is 'a' and 'b'" in told[2]
    assert remarks_of([f"text {number}" for number in range(10)], ["a"] * 5 + ["b"] * 5) == []


def rows_of(vectors: np.ndarray, ids: list[list[int]], truth: np.ndarray) -> Rows:
    targets = np.eye(int(truth.max()) + 1, dtype=np.float32)[truth]
    texts = [f"{number} {row}" for number, row in enumerate(ids)]
    tokens = TokenIds.of(ids)
    return Rows(texts, [str(each) for each in truth], vectors, tokens, grams_of(tokens), targets, False)


def test_grams_are_taken_where_a_small_word_decides_and_left_where_the_vector_does():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 400)
    vectors = random.normal(size=(400, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [[*random.integers(10, 60, 4), 1 + label] for label in truth]
    by_word = fit_head(rows_of(vectors, ids, truth), ["no", "yes"])
    assert by_word.training.head == "hybrid"
    assert by_word.training.candidates["vector"] < 0.65
    assert max(by_word.training.candidates.values()) > 0.95
    vectors[:, 0] += 4 * (truth - 0.5)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    by_vector = fit_head(rows_of(vectors, [row[:4] for row in ids], truth), ["no", "yes"], kind="vector")
    assert (by_vector.training.head, by_vector.training.grams) == ("vector", 0)
    assert "was asked for" in by_vector.training.why


def test_a_head_keeps_few_rows_and_is_the_same_for_one_seed():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    vectors = random.normal(size=(600, 8)).astype(np.float32)
    ids = [random.integers(100 * label, 100 * label + 9000, 12).tolist() for label in truth]
    one, other = (fit_head(rows_of(vectors, ids, truth), ["a", "b", "c"], kind="hybrid", seed=3) for _ in range(2))
    assert len(one.head.rows) == MOST_GRAMS
    assert np.array_equal(one.head.rows, other.head.rows)
    assert one.training.candidates == other.training.candidates


def test_a_table_that_knows_nothing_of_the_labels_learns_them():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    table = random.normal(size=(90, 8)).astype(np.float32)
    table[0] = 0  # of [UNK], say
    ids = [[*random.integers(30 * label, 30 * label + 30, 2), *random.integers(0, 90, 2)] for label in truth]
    vectors = np.stack([table[row].sum(axis=0) for row in ids])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fitted = fit_head(rows_of(vectors, ids, truth), ["a", "b", "c"], table, kind="vector", tune="table")
    assert fitted.training.tune == "table"
    assert fitted.training.candidates["table and head"] > fitted.training.candidates["vector"]
    assert fitted.table.shape == table.shape
    assert not fitted.table[0].any()
    assert "was asked for" in fitted.training.why
    new = np.stack([fitted.table[row].sum(axis=0) for row in ids])
    grams = grams_of(TokenIds.of(ids))
    before = fit_head(rows_of(vectors, ids, truth), ["a", "b", "c"], kind="vector").head
    right = [
        (head.logits(each, grams).argmax(axis=1) == truth).mean()
        for head, each in ((fitted.head, new), (before, vectors))
    ]
    assert right[0] > right[1]


def test_rows_of_the_table_that_no_text_has_stay_as_they_were():
    random = np.random.default_rng(0)
    table = random.normal(size=(20, 4)).astype(np.float32)
    ids = TokenIds.of([[1, 2], [3], [2, 3]] * 10)
    targets = np.eye(2, dtype=np.float32)[[0, 1, 1] * 10]
    nothing = (np.zeros((30, 4), np.float32), csr_matrix((30, 0), dtype=np.float32))
    examples = Examples(*nothing, targets, np.ones(30, np.float32), False)
    start = Weights(np.zeros((4, 2), np.float32), np.zeros(2, np.float32), np.zeros((0, 2), np.float32))
    tuned = tune_table(table, ids, examples, start, (0.01, 0.0), random, passes=40)
    assert tuned.passes == 40
    assert np.array_equal(tuned.table[4:], table[4:])
    assert (tuned.table[1:4] != table[1:4]).all()
    assert np.array_equal(tuned.table[0], table[0])
