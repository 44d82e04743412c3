"""`evaluate` on retrieval sets: folders of ours and of BEIR's layout, what a report tells, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_potion import InputError
from edge_potion.benchmarks.quality.evaluate import evaluate
from edge_potion.benchmarks.quality.report import as_markdown, as_table, unscored
from edge_potion.benchmarks.quality.retrieval_rows import METRICS, searchers
from edge_potion.benchmarks.quality.retrieval_set import read_set, sets_there

from .test_evaluate_faults import rows_of, write_task

DOCUMENTS = [
    {"_id": "d1", "title": "", "text": "the cat sat on the mat"},
    {"_id": "d2", "title": "the dog", "text": "ran a mile"},
    {"_id": "d3", "title": None, "text": " the cat and the dog "},
    {"_id": 4, "text": "on the mat"},
]
QUERIES = [{"_id": "q1", "text": "a cat on a mat"}, {"_id": "q2", "text": "a dog"}, {"_id": "q3", "text": "a b"}]
JUDGED = [("q1", "d1", 2), ("q1", "4", 1), ("q2", "d2", 1), ("q2", "d3", 0), ("q2", "gone", 1)]


def write_set(
    folder: Path,
    documents: Sequence[Any] = DOCUMENTS,
    queries: Sequence[Any] = QUERIES,
    judged: Sequence[Any] = JUDGED,
    packing: str = ".gz",
) -> Path:
    """A set in our layout; rows that are no objects are lines as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [dict(zip(("query", "doc", "score"), each, strict=True)) if type(each) is tuple else each for each in judged]
    for name, some in (("corpus", documents), ("queries", queries), ("qrels", rows)):
        lines = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in some).encode()
        (folder / f"{name}.jsonl{packing}").write_bytes(gzip.compress(lines) if packing else lines)
    return folder


def write_beir(folder: Path, lines: Sequence[str] = ()) -> Path:
    """The same in BEIR's layout."""
    write_set(folder, packing="")
    (folder / "qrels.jsonl").unlink()
    (folder / "qrels").mkdir()
    given = lines or ["\t".join(map(str, each)) for each in JUDGED]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *given]) + "\n")
    return folder


def fault_of(folder: Path) -> str:
    with pytest.raises(InputError) as raised:
        read_set(folder)
    assert "\n" not in str(raised.value) and str(folder.parent) not in str(raised.value)
    return str(raised.value)


def test_a_set_is_read_as_mteb_reads_it(tmp_path):
    rows = read_set(write_set(tmp_path / "Pets"))
    assert rows.name == "Pets" and rows.ids == ["d1", "d2", "d3", "4"]
    assert rows.documents == ["the cat sat on the mat", "the dog ran a mile", "the cat and the dog", "on the mat"]
    assert rows.query_ids == ["q1", "q2"] and rows.queries == ["a cat on a mat", "a dog"]
    assert rows.judged == [{"d1": 2, "4": 1}, {"d2": 1, "d3": 0, "gone": 1}]


def test_beirs_layout_holds_the_same_set(tmp_path):
    ours, beirs = read_set(write_set(tmp_path / "a" / "Pets")), read_set(write_beir(tmp_path / "b" / "Pets"))
    assert ours == beirs and ours.digest == beirs.digest
    assert read_set(write_set(tmp_path / "c" / "Pets", packing="")) == ours
    assert read_set(write_set(tmp_path / "d" / "Pets", judged=JUDGED[:3])).digest != ours.digest


def test_sets_are_found_in_a_suite_and_a_set_is_a_suite_of_itself(tmp_path):
    for name in ("Pets", "Birds"):
        write_set(tmp_path / "suite" / name)
    write_task(tmp_path / "suite", "STS16", rows_of("STS16"))
    assert [each.name for each in sets_there(tmp_path / "suite")] == ["Birds", "Pets"]
    assert [each.name for each in sets_there(tmp_path / "suite" / "Pets")] == ["Pets"]
    assert sets_there(tmp_path / "nothere") == []


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ({"documents": [{"_id": "d1"}]}, "Pets/corpus.jsonl.gz, line 1 has no text"),
        ({"documents": [{"_id": None, "text": "a"}]}, "line 1: _id is None; a string or a whole number"),
        ({"documents": [{"_id": "d1", "text": "a", "title": 3}]}, "line 1: title is 3; a string"),
        (
            {"documents": [{"_id": 1, "text": "a"}, {"_id": "1", "text": "b"}]},
            "line 2: another row has the _id '1' too",
        ),
        ({"documents": ["{"]}, "Pets/corpus.jsonl.gz, line 1 is not JSON"),
        ({"documents": []}, "Pets: corpus.jsonl holds no row"),
        ({"queries": [{"_id": "q9", "text": "a"}]}, "Pets: none of the 1 queries has a judgement"),
        ({"queries": [{"_id": "q1", "text": 1}]}, "Pets/queries.jsonl.gz, line 1: text is 1"),
        ({"judged": [("q1", "d1", 0.5)]}, "Pets/qrels.jsonl.gz, line 1: score is 0.5; a whole number"),
        ({"judged": [("q1", "d1", True)]}, "line 1: score is True"),
        ({"judged": [("q1", "nothere", 1)]}, "Pets: no judgement is of a document that is there"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_row_that_is_not_what_it_should_be_is_named_by_file_and_line(rows, fault, tmp_path):
    assert fault in fault_of(write_set(tmp_path / "Pets", **rows))


@pytest.mark.parametrize("line", ["q1\td1", "q1 d1 1", "q1\td1\thalf", "q1\t0\td1\t1"])
def test_a_line_of_beirs_judgements_that_is_none_is_named(line, tmp_path):
    told = fault_of(write_beir(tmp_path / "Pets", ["q1\td1\t1", line]))
    assert told == "Pets/qrels/test.tsv, line 3: query-id, corpus-id and score between tabs were expected"


def test_a_missing_file_is_named(tmp_path):
    for name in ("queries", "qrels"):
        folder = write_set(tmp_path / name / "Pets")
        (folder / f"{name}.jsonl.gz").unlink()
        assert fault_of(folder) == f"Pets/{name}.jsonl.gz is not there"


def test_words_stand_once_and_each_model_by_vectors_and_with_words(hand_folder, tmp_path):
    write_set(tmp_path / "suite" / "Pets")
    write_beir(tmp_path / "suite" / "Birds")
    models = [str(hand_folder), f"{hand_folder}@4"]
    report = evaluate(models, tmp_path / "suite", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    assert not unscored(report) and report["complete"] and report["missing"] == []
    names = [each.name for each in searchers(report)]
    assert names == ["BM25", *(f"{model}, {by}" for model in models for by in ("vectors", "hybrid"))]
    for each in searchers(report):
        assert set(each.scores) == {"Birds", "Pets"} and each.scores["Birds"] == each.scores["Pets"]
        assert all(0 < each.mean(metric) <= 100 for metric in METRICS)
    assert set(report["models"][0]["averages"]) == {"retrieval"}
    table, told = as_table(report), as_markdown(report)
    assert table.startswith("retrieval sets\n") and sum(line.startswith("BM25 ") for line in table.splitlines()) == 1
    assert "| Pets | 2 |" in told and "| search | nDCG@10 | recall@100 | MRR@10 |" in told and "CatAVG" not in told
    assert (tmp_path / "out" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_retrieval_sets_change_no_mean_of_other_tasks(hand_folder, tmp_path):
    for task in ("STS16", "TwitterURLCorpus"):
        write_task(tmp_path / "suite", task, rows_of(task))
    alone = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "alone")
    write_set(tmp_path / "suite" / "Pets")
    beside = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "beside")
    before, after = alone["models"][0], beside["models"][0]
    assert after["averages"]["report"] == before["averages"]["report"] and before["tasks"] == after["tasks"][:-1]
    assert alone["missing"] == beside["missing"] and alone["suite"] == beside["suite"]
    assert "words" not in alone and "nDCG" not in as_markdown(alone) + as_table(alone)
    assert "## Retrieval sets, nDCG@10" in as_markdown(beside) and "CatAVG is the mean of the three" in as_markdown(
        beside
    )
    assert as_table(beside).splitlines()[:2] == as_table(alone).splitlines()[:2]
    assert (tmp_path / "beside" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_what_was_searched_before_is_not_searched_again(hand_folder, tmp_path, monkeypatch):
    write_set(tmp_path / "suite" / "Pets")
    first = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("edge_potion.benchmarks.quality.retrieval_score.scores_of", None)
        assert evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out") == first
    write_set(tmp_path / "suite" / "Pets", judged=[("q2", "d3", 1)])
    again = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out")
    assert again["words"][0]["rows"] == again["models"][0]["tasks"][0]["rows"] == 1


@pytest.mark.parametrize("edited", [7, {"Pets": 1}, [{"task": "Pets"}], [None]], ids=str)
def test_words_that_somebody_edited_are_counted_anew(edited, hand_folder, tmp_path):
    write_set(tmp_path / "suite" / "Pets")
    first = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out")
    file = tmp_path / "out" / "report.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "words": edited}))
    assert evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out") == first


def test_a_damaged_set_is_a_reason_told_once_and_the_others_are_scored(hand_folder, tmp_path):
    write_set(tmp_path / "suite" / "Birds", documents=["{"])
    write_set(tmp_path / "suite" / "Pets")
    report = evaluate([str(hand_folder), f"{hand_folder}@4"], tmp_path / "suite", tmp_path / "out")
    assert len(unscored(report)) == 1 and unscored(report)[0].startswith("Birds: Birds/corpus.jsonl.gz, line 1 is not")
    assert all(each.incomplete and set(each.scores) == {"Pets"} for each in searchers(report))
    assert as_table(report).count("*") > 6 and "over the tasks that have a score alone" in as_table(report)


def test_a_model_that_knows_no_token_has_no_score_and_words_do(hand_folder, tmp_path):
    documents = [{**each, "title": "", "text": "ψ" * (number + 1)} for number, each in enumerate(DOCUMENTS)]
    write_set(tmp_path / "suite" / "Pets", documents, [{"_id": "q1", "text": "ψ"}])
    report = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "out")
    assert [set(each.scores) for each in searchers(report)] == [{"Pets"}, set(), set()]
    assert "knows no token" in unscored(report)[0]
    assert (tmp_path / "out" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_prints_a_row_for_words_and_two_for_the_model(door, hand_folder, tmp_path):
    write_beir(tmp_path / "Pets")
    done = door("evaluate", hand_folder, "--suite", tmp_path / "Pets", "--out", tmp_path / "out")
    assert done.code == 0, done.stderr
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert rows[:3] == ["retrieval sets", "search", "BM25"]
    assert rows[3].endswith("hand, vectors") and rows[4].endswith("hand, hybrid")
