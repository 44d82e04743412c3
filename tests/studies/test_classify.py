"""The study of labels: its draws are as told, what was stopped goes on, and its page says what its report says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError
from edge_potion.benchmarks.speed.environments import Missing, python_of
from edge_potion.benchmarks.studies import classify, classify_contestants, classify_trust
from edge_potion.benchmarks.studies.classify_page import Accuracies, classify_page
from edge_potion.benchmarks.studies.classify_picture import APART, names_apart
from edge_potion.benchmarks.studies.classify_tasks import ALL, Texts, drawn, folds, read_tasks

from ..models import CHECKOUT

RESULTS = sorted((CHECKOUT / "benchmarks" / "studies" / "results").glob("*_classify.json"))
LABELS = ["b", "a", "b", "b", "a", "c", "b"]
SAID = {
    "joy": ["what a lovely day", "so happy today", "i feel great"],
    "fear": ["i am afraid", "so scared", "a fright"],
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of one task, of six rows a split."""
    folder = tmp_path / "suite" / "Emotion"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [{"text": text, "label": label} for label, texts in SAID.items() for text in texts]
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder.parent


def test_a_draw_takes_so_many_rows_of_each_label_and_all_where_there_are_fewer():
    rows = drawn(LABELS, 2, seed=0)
    assert sorted(LABELS[row] for row in rows) == ["a", "a", "b", "b", "c"] and list(rows) == sorted(rows)
    assert list(drawn(LABELS, 2, seed=0)) == list(rows)
    assert len({tuple(drawn(LABELS, 2, seed)) for seed in range(20)}) > 1
    assert list(drawn(LABELS, ALL, seed=3)) == list(range(7))


def test_a_draw_is_numpys_permutation_label_by_label_in_sorted_order():
    rng = np.random.default_rng(4)
    of_a, of_b = rng.permutation([1, 4])[:1], rng.permutation([0, 2, 3, 6])[:1]
    assert list(drawn(LABELS, 1, seed=4)) == sorted([*of_a, *of_b, 5])


def test_folds_share_every_label_out():
    parts = folds(["a"] * 10 + ["b"] * 5, 5, seed=0)
    assert sorted(np.concatenate(parts)) == list(range(15))
    assert [sum(row < 10 for row in part) for part in parts] == [2] * 5


def test_labels_that_are_numbers_become_strings_and_an_unknown_task_is_named(suite):
    (task,) = read_tasks(suite)
    assert task.name == "Emotion" and len(task.train) == 6 and set(task.test.labels) == {"joy", "fear"}
    with pytest.raises(InputError, match=r"no classification task STS12; one of AmazonCounterfactual, "):
        read_tasks(suite, ["STS12"])


def test_what_is_in_the_report_is_not_run_again_and_what_leaves_nothing_to_chance_is_run_once_on_all_rows():
    done = {"contestant": "tf-idf", "task": "Emotion", "rows_a_label": 8, "seed": 1}
    left = list(classify.left_to_run({"runs": [done]}, ["tf-idf", "fasttext"], ["Emotion"], [8, ALL], 2))
    assert left == [
        ("tf-idf", "Emotion", 8, 0),
        ("tf-idf", "Emotion", ALL, 0),
        ("fasttext", "Emotion", 8, 0),
        ("fasttext", "Emotion", 8, 1),
        ("fasttext", "Emotion", ALL, 0),
        ("fasttext", "Emotion", ALL, 1),
    ]


def test_a_run_that_was_stopped_goes_on(suite, tmp_path):
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", classify.__name__, suite, "--json", file, "--scratch", tmp_path]
    command += ["--only", "tf-idf", "--sizes", "2", "all"]
    said = [
        subprocess.run([*command, "--seeds", seeds], capture_output=True, text=True, check=True).stderr
        for seeds in ("1", "2")
    ]
    assert [len(each.splitlines()) for each in said] == [2, 1]
    report = json.loads(file.read_text(encoding="utf-8"))
    assert [(run["rows_a_label"], run["seed"], run["rows"]) for run in report["runs"]] == [
        (2, 0, 4),
        (None, 0, 6),
        (2, 1, 4),
    ]
    assert report["runs"][1]["accuracy"] == 1 and report["versions"]["fasttext"] == "0.9.3"
    assert len(file.read_text(encoding="utf-8").splitlines()) == len(report) + 2 + 3 + 1  # a line a run


def test_the_best_candidate_is_that_which_labels_most_held_out_rows_right():
    rows = Texts(list("abcdefghij"), ["x", "y"] * 5)
    asked: list[int] = []

    def predicted(candidate: str, train: Texts, held_out: Texts) -> list[str]:
        asked.append(len(train))
        return [candidate] * len(held_out) if candidate != "right" else list(held_out.labels)

    assert classify_contestants.best(["x", "right", "y"], predicted, rows) == "right"
    assert asked == [8] * 15


@pytest.mark.peers
def test_fasttext_runs_in_an_environment_of_its_own(built):
    try:
        python_of(classify_contestants.FASTTEXT)
    except Missing as reason:
        pytest.skip(str(reason))
    texts = [text for of in SAID.values() for text in of]
    labels = [label for label, of in SAID.items() for _ in of]
    given, seconds = classify_contestants.by_fasttext(Texts(texts, labels), [*texts, ""], 1.0, 100)
    assert given[:-1] == labels and given[-1] in {"", "joy", "fear"} and seconds > 0


def test_probabilities_without_temperature_are_those_of_the_logits_themselves():
    logits = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 30.0]])
    scaled, plain = (np.exp(logits / t) / np.exp(logits / t).sum(axis=1, keepdims=True) for t in (2.5, 1.0))
    np.testing.assert_allclose(classify_trust.without_temperature(scaled, 2.5), plain, rtol=1e-6)


def test_everyday_requests_are_150_and_no_row_of_the_suites_tasks(shared):
    requests = classify_trust.everyday_requests()
    assert len(requests) == len(set(requests)) == 150 and all(request.strip() == request for request in requests)
    tasks = read_tasks(shared / "eval")
    assert not set(requests) & {text for task in tasks for part in (task.train, task.test) for text in part.texts}
    foreign = {task.name: classify_trust.foreign_rows(task, tasks) for task in tasks}
    assert len(foreign["MTOPDomain"]) == len(foreign["MassiveIntent"]) == 5 * classify_trust.FOREIGN_ROWS
    assert len(foreign["Banking77"]) == 8 * classify_trust.FOREIGN_ROWS


def test_a_mean_stands_where_all_tasks_were_run():
    runs = [
        {"contestant": "tf-idf", "task": task, "rows_a_label": size, "seed": seed, "accuracy": accuracy}
        for task, size, seed, accuracy in (("A", 8, 0, 0.5), ("A", 8, 1, 0.7), ("B", 8, 0, 0.2), ("A", None, 0, 0.9))
    ]
    found = Accuracies(runs)
    assert found.sizes == [8, None] and found.mean("tf-idf", 8) == pytest.approx(40)
    assert found.mean("tf-idf", None) is None and found.draws("tf-idf", 8) == 1


def test_the_page_says_what_the_report_says():
    report = json.loads(RESULTS[-1].read_text(encoding="utf-8"))
    page = classify_page(report, RESULTS[-1].name)["results/classify.md"]
    shown = {
        cells[0].strip("* "): [cell.strip() for cell in cells[1:]]
        for line in page.split("\n\n")[2].splitlines()
        for cells in [line.strip("| ").split(" | ")]
    }
    called = {"tf-idf": "tf-idf", "model2vec": "model2vec", "fasttext": "fastText", "edge-potion": "edge-potion"}
    for who in called.keys() & {run["contestant"] for run in report["runs"]}:
        for place, size in enumerate((8, 16, 64, None)):
            by_task: dict[str, list[float]] = {}
            for run in report["runs"]:
                if run["contestant"] == who and run["rows_a_label"] == size:
                    by_task.setdefault(run["task"], []).append(100 * run["accuracy"])
            mean = f"{np.mean([np.mean(each) for each in by_task.values()]):.2f}" if len(by_task) == 9 else "–"
            assert shown[called[who]][place] == mean
    assert RESULTS[-1].name.replace("_", r"\_") in page


def test_names_at_the_ends_of_lines_standnames_apart():
    moved = names_apart([100.0, 101.0, 102.0, 300.0])
    assert moved == sorted(moved) and min(np.diff(moved)) > APART - 0.1 and moved[3] == 300
