"""Evaluation: our scores are mteb's on the same rows, and the report tells what was scored."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError, ModelFormatError, StaticModel, export
from edge_potion.benchmarks.quality.encoders import Encoder, open_encoder
from edge_potion.benchmarks.quality.evaluate import evaluate
from edge_potion.benchmarks.quality.mteb_suite import run_mteb
from edge_potion.benchmarks.quality.scoring import draws, pair_scores, sts_scores
from edge_potion.benchmarks.quality.suite import SUITE, Rows, Task, load_rows
from edge_potion.benchmarks.quality.task_score import averages, score_task
from edge_potion.golden import cosines

from ..models import phrases_of

STS, PAIRS, CLASSES = (
    Task(name, kind, "report")
    for name, kind in (("STS16", "STS"), ("TwitterURLCorpus", "PairClassification"), ("MTOPIntent", "Classification"))
)


@pytest.fixture
def rows(sentences) -> dict[str, Rows]:
    """Rows of each kind, made of our own sentences."""
    random = np.random.default_rng(0)
    half = len(sentences) // 2
    sides = [{"sentence1": a, "sentence2": b} for a, b in zip(sentences[:half], sentences[half:], strict=False)]
    texts = [{"text": text, "label": str(len(text) // 25)} for text in sentences]
    return {
        "STS": Rows([{**side, "score": float(random.uniform(0, 5))} for side in sides]),
        "PairClassification": Rows([{**side, "label": int(random.integers(2))} for side in sides]),
        "Classification": Rows(texts[::2], texts[1::2]),
    }


@pytest.fixture
def suite(rows, tmp_path) -> Path:
    """A folder of three tasks of the suite."""
    for task in (STS, PAIRS, CLASSES):
        (tmp_path / "suite" / task.name).mkdir(parents=True)
        for split in ("test", "train"):
            with gzip.open(tmp_path / "suite" / task.name / f"{split}.jsonl.gz", "wt", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in getattr(rows[task.kind], split))
    return tmp_path / "suite"


def mteb_task(task: Task, rows: Rows):
    """mteb's own task over the same rows, offline."""
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.pair_classification import AbsTaskPairClassification
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata

    base, main = {
        "STS": (AbsTaskSTS, "cosine_spearman"),
        "PairClassification": (AbsTaskPairClassification, "max_ap"),
        "Classification": (AbsTaskClassification, "accuracy"),
    }[task.kind]
    splits = {"test": rows.test, **({"train": rows.train} if rows.train else {})}
    renamed = {name: [dict(row) for row in split] for name, split in splits.items()}
    if task.kind == "PairClassification":
        renamed = {name: [{**row, "labels": row.pop("label")} for row in split] for name, split in renamed.items()}

    def load_data(self, num_proc=None, **_):
        self.dataset = DatasetDict({name: Dataset.from_list(split) for name, split in renamed.items()})
        self.data_loaded = True

    metadata = TaskMetadata(
        dataset={"path": "local", "revision": "local"},
        name=f"Local{task.name}",
        description="local rows",
        type=task.kind,
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=main,
    )
    members = {"metadata": metadata, "load_data": load_data}
    if task.kind == "Classification":
        members["samples_per_label"] = task.examples
    return type(f"Local{task.name}", (base,), members)()


def held_to_mteb(task: Task, rows: Rows, encoder: Encoder) -> None:
    ours = score_task(task, rows, encoder.encode).scores
    theirs = run_mteb(encoder, [mteb_task(task, rows)])[f"Local{task.name}"]
    assert ours["main"] == pytest.approx(theirs["main"], abs=1e-6)
    if task.kind == "Classification":
        assert ours["experiments"] == [each["accuracy"] for each in theirs["mteb"][0]["scores_per_experiment"]]
    if task.kind == "PairClassification":
        assert ours["cosine_ap"] == pytest.approx(theirs["mteb"][0]["cosine_ap"], abs=1e-6)


@pytest.mark.parametrize("task", [STS, PAIRS, CLASSES], ids=lambda task: task.kind)
def test_our_scores_are_mtebs_on_our_rows(task, rows, distilled_folder):
    held_to_mteb(task, rows[task.kind], open_encoder(str(distilled_folder)))


# Classification is held to mteb's on rows of ours, too; on those of the suite it is half a minute of regressions each.
@pytest.mark.parametrize(
    "name",
    [
        *("STSBenchmark", "QQP"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("AmazonCounterfactual", "Banking77")),
    ],
)
def test_our_scores_are_mtebs_on_the_suites_rows(name, shared, distilled_folder):
    task = next(task for task in SUITE if task.name == name)
    rows = load_rows(shared / "eval", task)
    held_to_mteb(task, Rows(rows.test[:2000], rows.train), open_encoder(str(distilled_folder)))


def test_sts_and_pairs_by_hand():
    first = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    second = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
    assert sts_scores(first, second, [5, 4, 1])["main"] == pytest.approx(1)
    assert sts_scores(first, second, [1, 4, 5])["main"] == pytest.approx(-1)
    # Ranked by cosine, the true pairs are first and third: precision 1 at recall 1/2, 2/3 at recall 1.
    assert pair_scores(first, second, [1, 0, 1])["cosine_ap"] == pytest.approx((1 + 2 / 3) / 2)


def test_draws_take_each_label_as_often_as_there_are_examples():
    labels = ["a"] * 50 + ["b"] * 50 + ["c"] * 3
    chosen = draws(labels, 8)
    assert len(chosen) == 10 and chosen == draws(labels, 8)
    for rows in chosen:
        assert [sum(labels[row] == label for row in rows) for label in "abc"] == [8, 8, 3]
    assert len({tuple(rows) for rows in chosen}) == 10


def test_the_halves_do_not_share_rows(shared):
    """What is tuned on is not reported: SICK-R's 500 rows are left out of its test split."""
    tuned, reported = (next(t for t in SUITE if t.name == "SICK-R" and t.half == half) for half in ("tuning", "report"))
    pairs = [
        {(r["sentence1"], r["sentence2"]) for r in load_rows(shared / "eval", task).test} for task in (tuned, reported)
    ]
    assert not pairs[0] & pairs[1] and len(pairs[1]) > 9000
    assert len({(task.name, task.split) for task in SUITE}) == len(SUITE) == 18


def test_evaluate_reports_what_it_scored_and_twice_the_same(suite, distilled_folder, bundle, tmp_path):
    models = [str(distilled_folder), f"{bundle.folder}@int8", f"{bundle.folder}@float32"]
    reports = [evaluate(models, suite, tmp_path / f"report{number}") for number in range(2)]
    told = [[(model["name"], model["tasks"], model["averages"]) for model in report["models"]] for report in reports]
    assert told[0] == told[1]
    report = json.loads((tmp_path / "report0" / "report.json").read_text())
    numpy, int8, float32 = report["models"]
    assert [task["task"] for task in numpy["tasks"]] == ["STS16", "TwitterURLCorpus", "MTOPIntent"]
    assert "STS12" in report["missing"] and "int8" in int8["what"] and int8["size_mb"] < numpy["size_mb"] / 3
    for task, same in zip(numpy["tasks"], float32["tasks"], strict=True):
        assert task["scores"]["main"] == pytest.approx(same["scores"]["main"], abs=0.01)
    means = numpy["averages"]["report"]
    assert means["CatAVG"] == pytest.approx((means["STS"] + means["Classification"] + means["PairClassification"]) / 3)
    markdown = (tmp_path / "report0" / "report.md").read_text()
    assert "| STS16 | STS | 315 |" in markdown and "Not there, and not scored: STS12" in markdown
    assert (tmp_path / "report0" / "report.png").read_bytes()[:4] == b"\x89PNG"


@pytest.fixture
def with_phrases(tiny_run, sentences) -> StaticModel:
    """A trained model with rows for the commonest pairs of the sentences that are scored, of any direction."""
    return phrases_of(StaticModel.from_pretrained(tiny_run / "model"), sentences, 40)


def test_a_model_with_phrases_is_scored_by_the_oracles_vectors_as_folder_and_as_bundle(
    suite, rows, sentences, with_phrases, tmp_path
):
    folder = with_phrases.save_pretrained(tmp_path / "model")
    bundle = export(with_phrases, tmp_path / "bundle", quantize=["int8", "float32"]).folder
    names = [str(folder), f"{bundle}@float32", f"{bundle}@int8"]
    wanted = with_phrases.encode(sentences)
    for name, least in zip(names, (1 - 1e-6, 1 - 1e-5, 0.999), strict=True):
        assert cosines(open_encoder(name).encode(sentences), wanted).min() > least
    without = replace(with_phrases, phrases=None, table=with_phrases.table[: with_phrases.pieces])
    models = evaluate(names, suite, tmp_path / "report")["models"]
    for place, task in enumerate((STS, PAIRS, CLASSES)):
        told = [model["tasks"][place]["scores"]["main"] for model in models]
        oracle = score_task(task, rows[task.kind], with_phrases.encode).scores["main"]
        assert told == pytest.approx([oracle] * 3, abs=0.02) and told[0] == pytest.approx(oracle, abs=1e-9)
        if task is STS:
            assert score_task(task, rows[task.kind], without.encode).scores["main"] != pytest.approx(oracle, abs=1e-3)


def test_the_same_rows_for_other_pairs_are_another_model(with_phrases, tmp_path):
    """Or scores of the one would be kept for the other."""
    turned = replace(with_phrases.phrases, pairs=with_phrases.phrases.pairs[::-1].copy())
    both = (with_phrases, replace(with_phrases, phrases=turned))
    folders = [model.save_pretrained(tmp_path / name) for model, name in zip(both, "ab", strict=True)]
    assert len({open_encoder(str(folder)).digest for folder in folders}) == 2


def test_what_was_scored_before_is_not_scored_again(suite, distilled_folder, tmp_path, monkeypatch):
    first = evaluate([str(distilled_folder)], suite, tmp_path / "report")
    with monkeypatch.context() as patch:
        patch.setattr("edge_potion.benchmarks.quality.asked.score_task", None)
        assert evaluate([str(distilled_folder)], suite, tmp_path / "report") == first
    with gzip.open(suite / "STS16" / "test.jsonl.gz", "wt", encoding="utf-8") as stream:  # other rows
        stream.writelines(
            json.dumps({"sentence1": a, "sentence2": "cat", "score": s}) + "\n" for s, a in enumerate("abc")
        )
    again = evaluate([str(distilled_folder)], suite, tmp_path / "report")
    assert again["models"][0]["tasks"][0]["rows"] == 3


def test_fewer_dimensions_are_a_model_of_their_own(distilled_folder):
    whole, cut = (open_encoder(name) for name in (str(distilled_folder), f"{distilled_folder}@16"))
    texts = ["It is raining.", "", "bread"]
    expected = whole.encode(texts)[:, :16]
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(cut.encode(texts), expected / np.where(lengths > 0, lengths, 1), atol=1e-6)
    assert cut.dims == 16 and cut.digest != whole.digest
    with pytest.raises(InputError, match="asks for 9999 dimensions"):
        open_encoder(f"{distilled_folder}@9999")


def test_categories_weigh_the_same(rows):
    scores = [
        score_task(
            task, rows[task.kind], lambda texts: np.eye(64, dtype=np.float32)[[len(text) % 64 for text in texts]]
        )
        for task in (STS, STS, CLASSES)
    ]
    means = averages(scores)["report"]
    assert means["CatAVG"] == pytest.approx((means["STS"] + means["Classification"]) / 2)


def test_a_sentence_transformer_is_evaluated_too(small_teacher, suite, tmp_path):
    report = evaluate([f"st:{small_teacher}"], suite, tmp_path / "report", tasks=[STS])
    assert report["models"][0]["dims"] == 8 and "sentence-transformers" in report["models"][0]["what"]


def test_a_model_that_gives_nan_is_an_error(rows):
    with pytest.raises(ModelFormatError, match="gives NaN or inf for"):
        score_task(STS, rows["STS"], lambda texts: np.full((len(texts), 3), np.nan, np.float32))


def test_a_suite_or_model_that_is_not_there_is_named(suite, distilled_folder, tmp_path):
    with pytest.raises(InputError, match="holds none of the suite's tasks"):
        evaluate([str(distilled_folder)], tmp_path, tmp_path / "report")
    with pytest.raises(InputError, match="no such folder"):
        evaluate([str(tmp_path / "nowhere")], suite, tmp_path / "report")
    with pytest.raises(InputError, match="no model is named"):
        evaluate([], suite, tmp_path / "report")


def test_the_command_prints_a_table(suite, distilled_folder, tmp_path):
    command = [Path(sys.executable).parent / "edge-potion", "evaluate", distilled_folder]
    command += ["--suite", suite, "--out", tmp_path / "report"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "CatAVG" in done.stdout and "report half" in done.stdout
