"""The study of retrieval runs, its rules are those it names, and its page says what its report says."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from edge_potion.benchmarks.quality.encoders import open_encoder
from edge_potion.benchmarks.quality.retrieval_score import Bm25, bm25
from edge_potion.benchmarks.quality.retrieval_set import RetrievalSet
from edge_potion.benchmarks.speed.environments import Missing, python_of
from edge_potion.benchmarks.studies import retrieval
from edge_potion.benchmarks.studies.retrieval_page import retrieval_page
from edge_potion.find import BUILT_IN
from edge_potion.search.postings import Weights

SIZES = retrieval.Sizes(sentences=40, queries=5, rounds=1)


@pytest.fixture
def rows(sentences) -> RetrievalSet:
    """Queries of a few words of documents, which they answer."""
    documents = list(sentences[:60])
    queries = [" ".join(text.split()[:3]) for text in documents[:9]]
    numbers = [f"d{number}" for number in range(60)]
    return RetrievalSet("Sentences", numbers, documents, numbers[:9], queries, [{name: 1} for name in numbers[:9]])


def of_words(*scores: float) -> Bm25:
    return Bm25(np.array(scores, np.float32), Weights({}, 1.0, 1.0))


def test_reciprocal_ranks_by_hand():
    meaning, words = np.array([0.9, 0.1, 0.5], np.float32), of_words(0, 3, 1)
    expected = [1 / 61, 1 / 63 + 1 / 61, 1 / 62 + 1 / 62]
    np.testing.assert_allclose(retrieval.reciprocal_ranks(meaning, words), expected)


def test_a_standardized_sum_by_hand():
    both = retrieval.standardized_sum(np.array([1, 3], np.float32), of_words(4, 0))
    np.testing.assert_allclose(both, [0, 0], atol=1e-6)
    alike = retrieval.standardized_sum(np.array([1, 3], np.float32), of_words(2, 2))
    np.testing.assert_allclose(alike, [-1, 1], atol=1e-6)


def test_pairs_are_a_set_of_texts_that_each_answer_their_own(tmp_path):
    pairs = [("a", "x"), ("b", "x"), ("a", "y"), ("c", "z"), ("d", "w")]
    file = tmp_path / "qa.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"a": query, "b": document}) + "\n" for query, document in pairs)
    rows = retrieval.pair_set(file, documents=3, queries=2)
    assert rows.name == "qa" and list(rows.documents) == ["x", "y", "z"] and list(rows.queries) == ["a", "b"]
    assert rows.judged == [{"d0": 1, "d1": 1}, {"d0": 1}] and rows.ids == ["d0", "d1", "d2"]


@pytest.mark.peers
def test_the_study_runs_and_the_page_shows_it(built, rows, tmp_path):
    try:
        python_of(retrieval.BM25S)
    except Missing as reason:
        pytest.skip(f"{reason} (`make environments` does it)")
    report = retrieval.measured([rows], {"edge-potion": open_encoder(BUILT_IN)})
    file = tmp_path / "sentences.txt"
    file.write_text("\n".join(rows.documents), encoding="utf-8")
    report["held_out"] = {**report}
    report["costs"] = retrieval.costs([rows], file, SIZES)
    assert json.loads(json.dumps(report)) == report
    by = {(one["name"], one["by"]): one["sets"]["Sentences"]["ndcg_at_10"] for one in report["searchers"]}
    assert list(by) == [
        ("BM25", "words"),
        ("bm25s", "words"),
        *(("edge-potion", each) for each in ("vectors", "hybrid", "standardized sum", "reciprocal ranks")),
    ]
    assert all(0.3 < each <= 1 for each in by.values())
    small, large = report["costs"]["corpora"]
    assert (small["rows"], large["rows"]) == (60, 40) and small["bytes_a_row"]["vectors"] == 256 + 4
    assert set(small["ms_a_query"]) == {"meaning", "words", "hybrid"}
    page = retrieval_page(report, "x_retrieval.json")["results/retrieval.md"]
    assert f"| **edge-potion + words** | {100 * by['edge-potion', 'hybrid']:.1f} |" in page
    assert "x\\_retrieval.json" in page and "hybrid, ms" in page
    for one in report["costs"]["corpora"]:
        one["ms_a_query"] = {}
    assert ", ms" not in retrieval_page(report, "x")["results/retrieval.md"]


@pytest.mark.peers
def test_our_words_find_what_those_of_bm25s_do(built, rows):
    """Stop words and what a word is differ a little; the best document of these queries does not."""
    try:
        theirs = retrieval.found_by_bm25s(rows)
    except Missing as reason:
        pytest.skip(f"{reason} (`make environments` does it)")
    ours = [rows.ids[int(np.argmax(bm25(rows.documents)(query).scores))] for query in rows.queries]
    assert sum(one == other[0] for one, other in zip(ours, theirs, strict=True)) >= 8
