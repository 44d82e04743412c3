"""Retrieval: our numbers are those of mteb's code on the same rows, and searches are those of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_potion import EdgeModel, Index
from edge_potion.benchmarks.quality import evaluate as evaluating
from edge_potion.benchmarks.quality.encoders import Encoder, open_encoder
from edge_potion.benchmarks.quality.mteb_suite import ENGLISH_TASKS, english_tasks, run_mteb
from edge_potion.benchmarks.quality.report import as_markdown, as_table
from edge_potion.benchmarks.quality.retrieval_rows import METRICS, RETRIEVAL, searchers
from edge_potion.benchmarks.quality.retrieval_score import bm25, cosines, scores_of
from edge_potion.benchmarks.quality.retrieval_set import SAME_IDS_DROPPED, RetrievalSet, read_set, sets_there
from edge_potion.benchmarks.quality.scoring import NoScore, places_of, retrieval_scores, rows_found
from edge_potion.benchmarks.quality.suite import Rows, Task
from edge_potion.search.scores import ordering_scores
from edge_potion.unit_length import unit_length

from .test_evaluate import mteb_task as sts_task

IDS = ("a", "b", "B", "aa", "é", "10", "9", "z", "A1", "q2", "m", "n")


def mteb_scores(scores: np.ndarray, ids: Sequence[str], judged: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """The numbers that mteb's code gives, before it rounds them: scores (Q, N), -inf where nothing was found."""
    from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores

    found = {
        f"q{number}": {name: float(score) for name, score in zip(ids, row, strict=True) if score > -np.inf}
        for number, row in enumerate(scores)
    }
    result = calculate_retrieval_scores(
        found, {f"q{number}": dict(grades) for number, grades in enumerate(judged)}, [1, 10, 100]
    )
    names = {"ndcg_at_10": "ndcg_cut_10", "recall_at_100": "recall_100"}
    each = list(result.all_scores.values())
    means = {ours: float(np.mean([one[theirs] for one in each])) for ours, theirs in names.items()}
    return {**means, "mrr_at_10": result.mrr["MRR@10"]}


def our_scores(scores: np.ndarray, ids: Sequence[str], judged: Sequence[Mapping[str, int]]) -> dict[str, float]:
    places = places_of(ids)
    found = [[ids[row] for row in rows_found(each, places)] for each in scores]
    given = retrieval_scores(found, judged)
    assert given.pop("main") == given["ndcg_at_10"]
    return given


def held_to_mteb(scores: Any, ids: Sequence[str], judged: Sequence[Mapping[str, int]]) -> dict[str, float]:
    scores = np.asarray(scores, np.float32)
    ours = our_scores(scores, ids, judged)
    assert ours == pytest.approx(mteb_scores(scores, ids, judged), abs=1e-9)
    return ours


@pytest.mark.parametrize("documents", [3, 9, 12, 300])
@pytest.mark.parametrize("kind", ["apart", "tied", "few found"])
def test_numbers_are_mtebs_of_any_run(documents, kind):
    """Graded judgements, some of no document that is there; scores with ties, and queries that find few."""
    random = np.random.default_rng(documents)
    ids = [str(number) for number in random.permutation(documents)] if documents > len(IDS) else list(IDS[:documents])
    scores = random.normal(size=(40, documents)).astype(np.float32)
    if kind == "tied":
        scores = np.round(scores)
    if kind == "few found":
        scores[random.random(scores.shape) < 0.9] = -np.inf
    names = [*ids, "gone"]
    judged = [
        {str(name): int(random.integers(-1, 4)) for name in random.choice(names, size=random.integers(1, len(names)))}
        for _ in scores
    ]
    held_to_mteb(scores, ids, judged)


def test_numbers_by_hand():
    ids = ("a", "b", "c")
    ours = held_to_mteb([[3, 2, 1]], ids, [{"b": 2, "c": 1}])
    gained, best = 2 / np.log2(3) + 1 / np.log2(4), 2 + 1 / np.log2(3)
    assert ours == pytest.approx({"ndcg_at_10": gained / best, "recall_at_100": 1, "mrr_at_10": 1 / 2})


def test_of_equal_scores_the_later_id_stands_first():
    assert held_to_mteb([[1, 1]], ("a", "b"), [{"b": 1}])["mrr_at_10"] == 1
    assert held_to_mteb([[1, 1]], ("b", "é"), [{"b": 1}])["mrr_at_10"] == 1 / 2
    assert held_to_mteb([[1, 1]], ("10", "9"), [{"9": 1}])["mrr_at_10"] == 1


def test_a_query_that_only_wrong_documents_are_judged_of_counts_as_zero():
    assert held_to_mteb([[1, 0], [1, 0]], ("a", "b"), [{"a": 1}, {"a": 0}])["ndcg_at_10"] == 1 / 2


def test_a_query_that_finds_nothing_counts_as_zero():
    nothing = [-np.inf, -np.inf]
    assert held_to_mteb([[1, 0], nothing], ("a", "b"), [{"a": 1}, {"a": 1}])["recall_at_100"] == 1 / 2


def test_without_a_query_there_is_no_score():
    with pytest.raises(NoScore, match="no query has a judgement"):
        retrieval_scores([], [])


def test_the_ends_of_many_ties_are_found_as_by_a_whole_sort():
    random = np.random.default_rng(0)
    scores, places = random.integers(0, 4, 5000).astype(np.float32), random.permutation(5000)
    whole = np.lexsort((places, scores))[::-1]
    np.testing.assert_array_equal(rows_found(scores, places), whole[:100])


# Tasks of mteb.


def mteb_task(rows: RetrievalSet, titles: Sequence[str] = (), **members: Any) -> Any:
    """mteb's own task over the same rows, offline."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    documents = [{"id": name, "text": text} for name, text in zip(rows.ids, rows.documents, strict=True)]
    if titles:
        documents = [{**each, "title": title} for each, title in zip(documents, titles, strict=True)]

    def load_data(self: Any, num_proc: int | None = None, **_: Any) -> None:
        split = {
            "corpus": Dataset.from_list(documents),
            "queries": Dataset.from_list(
                [{"id": name, "text": text} for name, text in zip(rows.query_ids, rows.queries, strict=True)]
            ),
            "relevant_docs": {name: dict(grades) for name, grades in zip(rows.query_ids, rows.judged, strict=True)},
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True

    metadata = TaskMetadata(
        dataset={"path": "local", "revision": "local"},
        name=f"Local{rows.name}",
        description="local rows",
        type="Retrieval",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )
    kind = type(f"Local{rows.name}", (AbsTaskRetrieval,), {"metadata": metadata, "load_data": load_data, **members})
    return kind()


def vectors_held_to_mteb(rows: RetrievalSet, encoder: Encoder, **members: Any) -> None:
    documents, queries = (unit_length(encoder.encode(texts)) for texts in (rows.documents, rows.queries))
    ours = scores_of(rows, cosines(documents, queries))
    theirs = run_mteb(encoder, [mteb_task(rows, **members)])[f"Local{rows.name}"]
    assert theirs["main"] == theirs["ndcg_at_10"]
    for metric in METRICS:
        assert ours[metric] == pytest.approx(theirs[metric], abs=1e-5 if metric != "mrr_at_10" else 1e-6)  # rounded


@pytest.fixture
def rows(sentences) -> RetrievalSet:
    """Queries of a few words of documents, which they answer; numbered alike."""
    random = np.random.default_rng(0)
    documents = list(sentences[:200])
    queries = [" ".join(text.split()[:3]) for text in documents[:60]]
    judged = [{str(number): 2, str(int(random.integers(200))): 1} for number in range(60)]
    numbers = [str(number) for number in range(200)]
    return RetrievalSet("Sentences", numbers, documents, numbers[:60], queries, judged)


def test_a_models_scores_are_mtebs(rows, distilled_folder):
    vectors_held_to_mteb(rows, open_encoder(str(distilled_folder)))


def test_documents_with_the_querys_id_are_left_out_where_mteb_leaves_them_out(rows, distilled_folder):
    encoder = open_encoder(str(distilled_folder))
    arguana = replace(rows, name="ArguAna")
    assert arguana.drops_same_ids and not rows.drops_same_ids
    vectors_held_to_mteb(arguana, encoder, ignore_identical_ids=True)


def test_mtebs_retrieval_stands_beside_the_means_of_its_other_tasks(rows, distilled_folder, tmp_path, monkeypatch):
    sides = [{"sentence1": a, "sentence2": b} for a, b in zip(rows.documents[:90], rows.documents[90:180], strict=True)]
    pairs = Rows([{**each, "score": float(number % 5)} for number, each in enumerate(sides)])
    sts, sets = sts_task(Task("STS16", "STS", "report"), pairs), mteb_task(rows)
    monkeypatch.setattr(evaluating, "english_tasks", lambda: [sts, sets])
    monkeypatch.setattr(evaluating, "ENGLISH_TASKS", {"STS": (sts.metadata.name,), RETRIEVAL: (sets.metadata.name,)})
    report = evaluating.evaluate(str(distilled_folder), "mteb", tmp_path / "out")
    means = report["models"][0]["averages"]
    assert means["mteb"] == {"STS": means["mteb"]["STS"], "CatAVG": means["mteb"]["STS"]}
    assert [each.name for each in searchers(report)] == [f"{distilled_folder}, vectors"] and "words" not in report
    assert searchers(report)[0].mean("ndcg_at_10") == pytest.approx(means["retrieval"]["Retrieval"])
    assert "BM25" not in as_markdown(report) + as_table(report) and "## Retrieval sets, nDCG@10" in as_markdown(report)
    assert evaluating.evaluate(str(distilled_folder), "mteb", tmp_path / "out")["models"] == report["models"]


def test_sets_that_drop_the_querys_id_are_those_that_mteb_drops_it_of():
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    beir = [
        "ArguAna", "ClimateFEVER", "DBPedia", "FEVER", "FiQA2018", "HotpotQA", "MSMARCO", "NFCorpus", "NQ",
        "QuoraRetrieval", "SCIDOCS", "SciFact", "Touche2020", "TRECCOVID", *ENGLISH_TASKS[RETRIEVAL],
    ]  # fmt: skip
    for name in beir:
        task = mteb.get_task(name)
        assert isinstance(task, AbsTaskRetrieval)
        assert task.ignore_identical_ids == (name.casefold() in SAME_IDS_DROPPED), name


def test_mtebs_suite_has_nanobeir_beside_what_it_had():
    import mteb

    nano = {task.metadata.name for task in mteb.get_benchmark("NanoBEIR").tasks}
    assert set(ENGLISH_TASKS[RETRIEVAL]) == nano and len(nano) == 13
    asked = {task.metadata.name: task for task in english_tasks()}
    assert list(asked) == [name for names in ENGLISH_TASKS.values() for name in names]
    for name, task in asked.items():
        assert task.eval_splits == (["train"] if name in nano else ["test"])


# What an index finds.


@pytest.fixture(scope="module")
def built_in() -> EdgeModel:
    return EdgeModel.from_pretrained()


def test_words_and_both_find_what_an_index_finds(rows, built_in, tmp_path):
    index = Index.build(tmp_path / "index", rows.documents, ids=rows.ids)
    by_words, places = bm25(rows.documents), places_of(rows.ids)
    documents, queries = unit_length(built_in.encode(rows.documents)), unit_length(built_in.encode(rows.queries))
    for query, meaning in zip(rows.queries, cosines(documents, queries), strict=True):
        for mode, scores in (
            ("words", ordering_scores(None, *by_words(query))),
            ("hybrid", ordering_scores(meaning, *by_words(query))),
        ):
            hits = index.search(query, 10, mode=mode)
            best = rows_found(scores, places, 10)
            # The index holds vectors as int8, so that near ties may change places.
            np.testing.assert_allclose([hit.score for hit in hits], scores[best], rtol=0.02, atol=0.05)
            assert hits[0].id == rows.ids[best[0]] or hits[0].score == pytest.approx(scores[best[0]], abs=0.05)


def test_hybrid_is_above_words_and_vectors_on_each_shared_set(shared, built_in):
    for path in sets_there(shared / "retrieval"):
        rows = read_set(path)
        words = list(map(bm25(rows.documents), rows.queries))
        documents, queries = (unit_length(built_in.encode(texts)) for texts in (rows.documents, rows.queries))
        meaning = list(cosines(documents, queries))
        both = (ordering_scores(one, *each) for one, each in zip(meaning, words, strict=True))
        alone = [scores_of(rows, meaning), scores_of(rows, (ordering_scores(None, *each) for each in words))]
        assert scores_of(rows, both)["main"] > max(each["main"] for each in alone), rows.name
