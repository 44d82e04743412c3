"""`evaluate` on translations: our accuracy is mteb's on the same rows, what a report tells, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_potion import InputError
from edge_potion.benchmarks.quality.bitext_rows import finders
from edge_potion.benchmarks.quality.bitext_score import nearest, score_bitext
from edge_potion.benchmarks.quality.bitext_set import Bitext, read_bitexts
from edge_potion.benchmarks.quality.encoders import Encoder, open_encoder
from edge_potion.benchmarks.quality.evaluate import evaluate
from edge_potion.benchmarks.quality.mteb_suite import run_mteb
from edge_potion.benchmarks.quality.report import as_markdown, as_table, unscored
from edge_potion.benchmarks.quality.scoring import NOTHING, NoScore, bitext_scores

from .test_evaluate_faults import rows_of, write_task
from .test_retrieval_sets import write_set

ENGLISH = ["the cat", "a dog ran", "on the mat", "the dog sat"]
ROWS = [
    *({"language": "eng", "text": each, "english": each} for each in ENGLISH),
    *({"language": "bad", "text": other, "english": each} for each, other in zip(ENGLISH, ENGLISH[::-1], strict=True)),
]


def write_pairs(folder: Path, rows: Sequence[Any] = ROWS, packing: str = ".gz") -> Path:
    """A set; rows that are strings are lines as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()
    (folder / f"pairs.jsonl{packing}").write_bytes(gzip.compress(lines) if packing else lines)
    return folder


def mteb_task(bitext: Bitext) -> Any:
    """mteb's own task over the same rows, offline."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskBitextMining
    from mteb.abstasks.task_metadata import TaskMetadata

    def load_data(self: Any, num_proc: int | None = None, **_: Any) -> None:
        rows = {"sentence1": list(bitext.texts), "sentence2": list(bitext.english)}
        self.dataset = {"default": {"test": Dataset.from_dict(rows)}}
        self.data_loaded = True

    name = f"Local{bitext.language}"
    metadata = TaskMetadata(
        dataset={"path": "local", "revision": "local"},
        name=name,
        description="local rows",
        type="BitextMining",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="f1",
    )
    return type(name, (AbsTaskBitextMining,), {"metadata": metadata, "load_data": load_data})()


def held_to_mteb(bitext: Bitext, encoder: Encoder, rows_apart: int = 0) -> dict[str, float]:
    """Our scores, which are mteb's but for so many rows of which two candidates are equally near, up to rounding."""
    pytest.importorskip("mteb", reason="mteb is not here: skipping what holds our scores to its own")
    ours = score_bitext(bitext, encoder.encode)
    theirs = run_mteb(encoder, [mteb_task(bitext)])[f"Local{bitext.language}"]["mteb"][0]
    for name in ("accuracy", "f1"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-5 + rows_apart / len(bitext.texts)), bitext.language
    assert theirs["main_score"] == theirs["f1"] and ours["main"] == ours["accuracy"]
    return ours


def test_a_models_scores_are_mtebs(sentences, distilled_folder):
    """Texts are the ends of sentences, some of others; some English sides come twice."""
    english = [*sentences[:150], *sentences[:20]]
    texts = [" ".join(each.split()[2:]) or each for each in english]
    texts[30:60] = texts[60:90]
    scores = held_to_mteb(Bitext("Set", "deu", texts, english), open_encoder(str(distilled_folder)))
    assert 0.2 < scores["f1"] < scores["accuracy"] < 0.9


def test_tatoebas_scores_are_mtebs(shared, distilled_folder):
    if not (shared / "tatoeba-112").is_dir():
        pytest.skip("../shared/data/tatoeba-112 is not here: skipping its translations")
    there = {each.language: each for each in read_bitexts(shared / "tatoeba-112")}
    assert len(there) == 112 and sum(len(each.texts) for each in there.values()) == 88_877
    for language in ("deu", "ang", "tam"):
        held_to_mteb(there[language], open_encoder(str(distilled_folder)), rows_apart=2)


@pytest.mark.parametrize(
    ("found", "accuracy", "f1"),
    [([0, 1, 2], 1, 1), ([0, 0, 2], 2 / 3, (2 / 3 + 1) / 3), ([1, 0, NOTHING], 0, 0), ([NOTHING, 1, 1], 1 / 3, 2 / 9)],
    ids=str,
)
def test_numbers_by_hand_and_by_scikit_learn(found, accuracy, f1):
    from sklearn.metrics import f1_score

    scores = bitext_scores(np.array(found))
    assert scores == pytest.approx({"main": accuracy, "accuracy": accuracy, "f1": f1})
    assert f1_score(range(3), found, average="weighted", zero_division=0) == pytest.approx(f1)
    with pytest.raises(NoScore):
        bitext_scores(np.array([], np.int64))


def test_of_equal_candidates_the_first_is_found_and_a_vector_of_zeros_finds_nothing():
    candidates = np.array([[0, 0], [1, 0], [2, 0], [0, 1]], np.float32)
    texts = np.array([[3, 0], [0, 0], [0, 5]], np.float32)
    assert nearest(texts, candidates).tolist() == [1, NOTHING, 3]


def test_empty_texts_and_sides_without_a_vector_give_numbers(hand_folder):
    encode = open_encoder(str(hand_folder)).encode
    found = score_bitext(Bitext("Set", "deu", ["", "ψ", "the cat"], ["the cat", "", "the cat"]), encode)
    assert found == {"main": 0, "accuracy": 0, "f1": 0}  # of sides that come twice the first is found
    assert score_bitext(Bitext("Set", "deu", [""], [""]), encode)["accuracy"] == 0


def test_every_language_is_told_and_the_table_has_their_mean(hand_folder, tmp_path):
    write_pairs(tmp_path / "suite" / "Tiny")
    models = [str(hand_folder), f"{hand_folder}@4"]
    report = evaluate(models, tmp_path / "suite", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    assert report["complete"] and not unscored(report) and report["missing"] == [] and "words" not in report
    tasks = {task["task"]: task for task in report["models"][0]["tasks"]}
    assert list(tasks) == ["Tiny/bad", "Tiny/eng"] and {task["kind"] for task in tasks.values()} == {"BitextMining"}
    assert tasks["Tiny/eng"]["scores"]["accuracy"] == 1 and tasks["Tiny/bad"]["scores"]["accuracy"] == 0
    assert [each.mean("accuracy") for each in finders(report)] == [50, 50]
    assert report["models"][0]["averages"] == {"translations": {"BitextMining": 50, "CatAVG": 50}}
    table, told = as_table(report), as_markdown(report)
    assert table.splitlines()[0] == "translations, Tiny: mean of 2 languages" and "bad" not in table
    assert "| eng | 4 | 100.00 | 100.00 |" in told and "| bad | 4 | 0.00 | 0.00 |" in told and "CatAVG" not in told
    assert (tmp_path / "out" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_translations_change_no_mean_of_other_tasks(hand_folder, tmp_path):
    write_task(tmp_path / "suite", "STS16", rows_of("STS16"))
    write_set(tmp_path / "suite" / "Pets")
    alone = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "alone")
    write_pairs(tmp_path / "suite" / "Tiny")
    beside = evaluate(str(hand_folder), tmp_path / "suite", tmp_path / "beside")
    before, after = alone["models"][0], beside["models"][0]
    assert {half: after["averages"][half] for half in before["averages"]} == before["averages"]
    assert after["tasks"][:-2] == before["tasks"] and alone["missing"] == beside["missing"]
    assert alone["suite"] == beside["suite"] and alone["sets"] == beside["sets"]
    assert "ranslations, Tiny" not in as_table(alone) + as_markdown(alone)
    assert as_table(beside).splitlines()[0] == "report half"
    assert (tmp_path / "beside" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_what_was_scored_before_is_not_scored_again(hand_folder, tmp_path, monkeypatch):
    suite = write_pairs(tmp_path / "Tiny")
    chosen = evaluate(str(hand_folder), suite, tmp_path / "out", languages=["eng"])
    assert [task["task"] for task in chosen["models"][0]["tasks"]] == ["Tiny/eng"]
    first = evaluate(str(hand_folder), suite, tmp_path / "out")
    monkeypatch.setattr("edge_potion.benchmarks.quality.asked.score_bitext", None)
    assert evaluate(str(hand_folder), suite, tmp_path / "out") == first


def test_a_language_that_is_not_there_is_refused_by_name(hand_folder, tmp_path):
    suite = write_pairs(tmp_path / "Tiny")
    for languages, fault in (
        (["eng", "xyz"], "no translations of 'xyz'; of 2 there are: bad, eng"),
        ([], "languages are chosen of translations, and no language is named"),
    ):
        with pytest.raises(InputError) as raised:
            evaluate(str(hand_folder), suite, tmp_path / "out", languages=languages)
        assert str(raised.value) == fault
    for place in ("mteb", write_set(tmp_path / "Pets")):
        with pytest.raises(InputError, match="there are no translations here"):
            evaluate(str(hand_folder), place, tmp_path / "out", languages=["eng"])
    with pytest.raises(InputError, match="there are no translations here"):
        evaluate(str(hand_folder), out=tmp_path / "out", pairs="pairs.csv", languages=["eng"])


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([{"language": "deu", "text": "a"}], "pairs.jsonl.gz, line 1 has no english"),
        ([ROWS[0], {"text": "a", "english": "b"}], "pairs.jsonl.gz, line 2 has no language"),
        ([{**ROWS[0], "text": None}], "line 1: text is None; a string"),
        ([{**ROWS[0], "language": "a/b"}], "line 1: language is 'a/b'; a language's code, such as deu, was expected"),
        (['{"language": "deu", "text": "a", "text": "b", "english": "c"}'], "line 1 is not JSON ('text' stands in it"),
        (["["], "pairs.jsonl.gz, line 1 is not JSON"),
        ([7], "line 1 is 7; an object with language, text, english was expected"),
        ([], "Tiny/pairs.jsonl.gz: it holds no row"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_row_that_is_not_what_it_should_be_is_named_by_file_and_line(rows, fault, tmp_path):
    with pytest.raises(InputError) as raised:
        read_bitexts(write_pairs(tmp_path / "Tiny", rows))
    assert fault in str(raised.value) and "\n" not in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_a_damaged_set_is_a_reason_told_once_and_the_others_are_scored(hand_folder, tmp_path):
    write_pairs(tmp_path / "suite" / "Broken", ["{"])
    write_pairs(tmp_path / "suite" / "Tiny", packing="")
    report = evaluate([str(hand_folder), f"{hand_folder}@4"], tmp_path / "suite", tmp_path / "out")
    assert len(unscored(report)) == 1 and unscored(report)[0].startswith("Broken: Broken/pairs.jsonl.gz, line 1 is not")
    table = as_table(report)
    assert "Tiny: mean of 2 languages" in table and "over the tasks that have a score alone" in table
    assert "Translations, Tiny" in as_markdown(report) and "Translations, Broken" not in as_markdown(report)


def test_the_command_scores_the_languages_that_are_named(door, hand_folder, tmp_path):
    suite = write_pairs(tmp_path / "Tiny")
    done = door("evaluate", hand_folder, "--suite", suite, "--languages", "eng", "--out", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert done.stdout.splitlines()[0] == "translations, Tiny: mean of 1 language"
    done = door("evaluate", hand_folder, "--suite", suite, "--languages", "eng,xyz", "--out", tmp_path / "out")
    assert done.code == 1 and done.stderr.strip() == "error: no translations of 'xyz'; of 2 there are: bad, eng"
    done = door("evaluate", hand_folder, "--pairs", "x.csv", "--languages", "eng")
    assert done.code == 2 and "--languages goes with --suite" in done.stderr
