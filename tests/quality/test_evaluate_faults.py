"""One bad task, model, name or place: what was scored stays, and what has no score says why."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from edge_potion import AccessError, InputError, ModelFormatError, StaticModel
from edge_potion.benchmarks.quality import evaluate as evaluating
from edge_potion.benchmarks.quality import opened
from edge_potion.benchmarks.quality.encoders import Encoder, open_encoder
from edge_potion.benchmarks.quality.evaluate import evaluate
from edge_potion.benchmarks.quality.mteb_suite import run_mteb
from edge_potion.benchmarks.quality.report import as_markdown, as_table, unscored, write_report
from edge_potion.benchmarks.quality.scoring import NoScore, classification_scores, pair_scores, sts_scores
from edge_potion.benchmarks.quality.suite import Rows
from edge_potion.benchmarks.quality.task_score import score_task
from edge_potion.benchmarks.speed.benchmark import benchmark

from .test_evaluate import STS, mteb_task

WORDS = ("the", "cat", "sat", "on", "mat", "dog", "ran", "a", "b", "c")
NAMES = (
    "a|b",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "`code` **bold** __under__ ~~gone~~",
    "https://evil.example/x www.evil.example",
    "m$\\frac$ $x^2$",
    "one\r\n\n# two\n* three",
    "\x1b[31mred\x1b[0m\x07",
    "\u202edrawkcab\u2066",
    "not utf-8 \udcff",
    "\\",
    "日本 café",
    "n" * 3000,
)


def texts(*known: str) -> list[str]:
    """Nine texts of words that differ."""
    return [" ".join(known[place % len(known) :][:3]) + f" {known[place % 3]}" for place in range(9)]


def rows_of(task: str, words: Sequence[str] = WORDS) -> dict[str, list[dict[str, Any]]]:
    sides = zip(texts(*words), texts(*words[::-1]), strict=True)
    pairs = [{"sentence1": first, "sentence2": second} for first, second in sides]
    if task in ("STS12", "STS14", "STS16"):
        return {"test": [{**pair, "score": place % 5} for place, pair in enumerate(pairs)]}
    if task == "TwitterURLCorpus":
        return {"test": [{**pair, "label": place % 2} for place, pair in enumerate(pairs)]}
    some = [{"text": text, "label": "xy"[place % 2]} for place, text in enumerate(texts(*words))]
    return {"test": some, "train": some}


def write_task(suite: Path, task: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    (suite / task).mkdir(parents=True, exist_ok=True)
    for split, some in rows.items():
        with gzip.open(suite / task / f"{split}.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in some)


@pytest.fixture
def suite(tmp_path) -> Path:
    """STS12 and STS14, which are tuned on; STS16, pairs and classes, which are reported."""
    for task in ("STS12", "STS14", "STS16", "TwitterURLCorpus", "MTOPIntent"):
        write_task(tmp_path / "suite", task, rows_of(task))
    return tmp_path / "suite"


def command(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_potion", *map(str, words)], capture_output=True, text=True, cwd=cwd
    )


def saved(out: Path) -> dict[str, Any]:
    """report.json, which holds no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in report.json")

    return json.loads((out / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


def tasks_of(report: dict[str, Any], model: int = 0) -> dict[str, dict[str, Any]]:
    return {task["task"]: task for task in report["models"][model]["tasks"]}


@pytest.mark.parametrize("task", ["STS16", "TwitterURLCorpus", "MTOPIntent"])
def test_a_task_of_which_the_model_knows_no_word_has_no_score_and_the_others_do(task, suite, hand_folder, tmp_path):
    write_task(suite, task, rows_of(task, ("☃", "༒", "༓", "", "☂")))
    report = evaluate([str(hand_folder)], suite, tmp_path / "out")
    assert report == saved(tmp_path / "out")
    tasks = tasks_of(report)
    assert tasks[task]["scores"] == {} and "the model knows no token of its texts" in tasks[task]["reason"]
    assert all(
        one["reason"] is None and np.isfinite(one["scores"]["main"]) for name, one in tasks.items() if name != task
    )
    (model,) = report["models"]
    assert model["incomplete"] == ["report"] and "CatAVG" in model["averages"]["tuning"]
    means = {kind: mean for kind, mean in model["averages"]["report"].items() if kind != "CatAVG"}
    assert len(means) == 2 and model["averages"]["report"]["CatAVG"] == pytest.approx(sum(means.values()) / 2)
    table = as_table(report)
    assert re.search(rf"{means['STS']:.2f}\*" if task != "STS16" else r"\d\*", table)
    assert f"  {task}: the model knows no token" in table and "not comparable" in table
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert f"* {task}: the model knows no token" in markdown and "not comparable" in markdown
    assert f"{means.get('STS', 0):.2f}\\*" in markdown or task == "STS16"
    assert re.search(rf"\| {task} \| \w+ \| 9 \| – \|", markdown)


def test_damaged_rows_are_one_tasks_reason_for_all_models(suite, hand_folder, hand_model, tmp_path):
    other = hand_model.save_pretrained(tmp_path / "other")
    (suite / "STS16" / "test.jsonl.gz").write_bytes(b"not gzip")
    with gzip.open(suite / "MTOPIntent" / "train.jsonl.gz", "wt") as stream:
        stream.write('{"text": "the cat", "label": "x"}\n{"text": null, "label": "y"}\n')
    report = evaluate([str(hand_folder), str(other)], suite, tmp_path / "out")
    lines = unscored(report)
    assert len(lines) == 2
    assert lines[0].startswith("STS16: cannot read STS16/test.jsonl.gz: ")
    assert lines[1] == (
        "MTOPIntent: MTOPIntent/train.jsonl.gz, line 2: text is None; a string without lone surrogates was expected"
    )
    assert [len([one for one in tasks_of(report, model).values() if one["scores"]]) for model in (0, 1)] == [3, 3]


def test_a_task_whose_vectors_hold_nan_has_no_score(suite, hand_table, hand_model, tmp_path, monkeypatch):
    def broken(name: str) -> Encoder:
        whole = open_encoder(name)

        def encode(some: Sequence[str]) -> np.ndarray:
            vectors = whole.encode(some).copy()
            vectors[[("dog" in text) for text in some]] = np.nan
            return vectors

        return replace(whole, encode=encode)

    for task in ("STS12", "MTOPIntent"):
        write_task(suite, task, rows_of(task, ("the", "cat", "sat", "mat")))
    monkeypatch.setattr(opened, "open_encoder", broken)
    report = evaluate([str(hand_model.save_pretrained(tmp_path / "model"))], suite, tmp_path / "out")
    assert {name for name, one in tasks_of(report).items() if one["scores"]} == {"STS12", "MTOPIntent"}
    assert "gives NaN or inf for" in tasks_of(saved(tmp_path / "out"))["STS16"]["reason"]


@pytest.mark.parametrize(
    ("shape", "told"), [((8,), "shape \\(8,\\) for"), ((1, 8), "shape \\(1, 8\\)"), ((99, 8), "shape \\(99, 8\\)")]
)
def test_vectors_of_another_shape_are_no_vectors(shape, told):
    rows = Rows(rows_of("STS16")["test"])
    with pytest.raises(ModelFormatError, match=told):
        score_task(STS, rows, lambda some: np.ones(shape, np.float32))


def test_scores_are_numbers_or_not_there():
    ones, gold = np.ones((4, 3), np.float32), [1, 2, 3, 4]
    huge = (np.eye(4, 3) * 3e38).astype(np.float32)
    for first, second in ((ones, ones), (ones, -ones), (np.zeros((4, 3), np.float32), ones)):
        with pytest.raises(NoScore, match="all pairs have one cosine"):
            sts_scores(first, second, gold)
    with pytest.raises(NoScore):
        sts_scores(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[::-1] + 1, [2, 2, 2, 2])
    with pytest.raises(NoScore, match="could not be computed"):
        pair_scores(huge, -huge, [0, 1, 0, 1])
    with pytest.raises(NoScore, match="could not be computed"):
        classification_scores([(np.full((2, 3), np.nan, np.float32), ["a", "b"])], ones, list("abab"))
    with pytest.raises(NoScore, match="could not be computed"):
        classification_scores([(ones, ["a"] * 4)], ones, list("abab"))


def test_labels_that_numpy_would_take_for_one_are_told_apart():
    vectors = np.eye(2, dtype=np.float32)
    scores = classification_scores([(vectors, ["a", "a\0"])], vectors, ["a", "a\0"])
    assert scores["main"] == 1


def test_a_model_that_cannot_be_loaded_is_a_row_and_the_others_are_scored(suite, hand_folder, tmp_path):
    shutil.copytree(hand_folder, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no table")
    models = [tmp_path / "broken", tmp_path / "nowhere", hand_folder, f"st:{tmp_path / 'broken'}", f"{hand_folder}@99"]
    done = command("evaluate", *models, "n" * 300, "--suite", suite, "--out", tmp_path / "out")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: not everything has a score")
    report = saved(tmp_path / "out")
    assert [bool(model["reason"]) for model in report["models"]] == [True, True, False, True, True, True]
    assert report["complete"] and all(one["scores"] for one in tasks_of(report, 2).values())
    assert "no such folder" in report["models"][1]["reason"] and "asks for 99 dim" in report["models"][4]["reason"]
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for model in report["models"]:
        assert "\n" not in (model["reason"] or "")
        assert Path(model["name"]).name.replace("_", "\\_") in markdown
    assert (tmp_path / "out" / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_where_no_model_can_be_loaded_the_first_says_why(suite, tmp_path):
    done = command(
        "evaluate", tmp_path / "one", "~nobody-of-that-name/two", "--suite", suite, "--out", tmp_path / "out"
    )
    assert done.returncode == 1 and done.stderr.splitlines() == [f"error: no such folder: {tmp_path / 'one'}"]
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_sentence_transformer_that_breaks_while_it_encodes_is_a_reason(suite, small_teacher, tmp_path, monkeypatch):
    import sentence_transformers

    class Panic(BaseException):  # as pyo3's
        pass

    def encode(self: Any, some: Sequence[str], **_: Any) -> np.ndarray:
        raise Panic("range end index\nout of range")

    monkeypatch.setattr(sentence_transformers.SentenceTransformer, "encode", encode)
    report = evaluate([f"st:{small_teacher}"], suite, tmp_path / "out", tasks=[STS])
    assert tasks_of(report)["STS16"]["reason"].endswith("(range end index)")


# What was scored is kept.


class Watched:
    """Encoders of real models that count what they encode, and do something before one of their calls."""

    def __init__(self, at: int = -1, do: Callable[[], None] = lambda: None) -> None:
        self.calls: list[list[str]] = []
        self.at, self.do = at, do

    def __call__(self, name: str) -> Encoder:
        whole = open_encoder(name)

        def encode(some: Sequence[str]) -> np.ndarray:
            if len(self.calls) == self.at:
                self.do()
            self.calls.append(list(some))
            return whole.encode(some)

        return replace(whole, encode=encode)


def interrupt() -> None:
    raise KeyboardInterrupt


def fault() -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("stop", [interrupt, sys.exit, fault])
def test_what_was_scored_before_a_stop_is_kept_and_not_scored_again(stop, suite, hand_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "open_encoder", Watched(at=5, do=stop))  # the third task's second side
    with pytest.raises((KeyboardInterrupt, SystemExit, RuntimeError)):
        evaluate([str(hand_folder)], suite, tmp_path / "out")
    report = saved(tmp_path / "out")
    assert not report["complete"]
    scored = [name for name, one in tasks_of(report).items() if one["scores"]]
    assert scored == ["STS12", "STS14"]
    assert tasks_of(report)["STS16"]["reason"] == "the run was stopped before its turn"
    if stop is not fault:
        assert "Partial report" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    again = Watched()
    monkeypatch.setattr(opened, "open_encoder", again)
    whole = evaluate([str(hand_folder)], suite, tmp_path / "out")
    assert len(again.calls) == 6  # two of each task that is left
    assert whole["complete"] and not unscored(whole)
    assert tasks_of(whole)["STS12"] == tasks_of(report)["STS12"]
    assert whole["models"][0]["tasks"] == evaluate([str(hand_folder)], suite, tmp_path / "fresh")["models"][0]["tasks"]
    assert whole["models"][0]["texts"] >= 90  # of both runs: nine for each side of five tasks


def test_a_killed_process_leaves_the_tasks_before(suite, hand_folder, tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom dataclasses import replace\n"
        "from edge_potion.benchmarks.quality import evaluate as e, opened as o\n"
        "opened, calls = o.open_encoder(sys.argv[1]), []\n"
        "def encode(texts):\n    calls.append(1)\n    return opened.encode(texts) if len(calls) < 7 else os._exit(9)\n"
        "o.open_encoder = lambda name: replace(opened, encode=encode)\n"
        "e.evaluate(sys.argv[1:2], Path(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", script, hand_folder, suite, out])
    assert done.returncode == 9
    assert [bool(one["scores"]) for one in tasks_of(saved(out)).values()] == [True, True, True, False, False]


def test_only_the_task_whose_rows_changed_is_scored_again(suite, hand_folder, hand_model, tmp_path, monkeypatch):
    models = [str(hand_folder), str(hand_model.save_pretrained(tmp_path / "other"))]
    first = evaluate(models, suite, tmp_path / "out")
    write_task(suite, "STS14", rows_of("STS14", WORDS[:6]))
    again = Watched()
    monkeypatch.setattr(opened, "open_encoder", again)
    second = evaluate(models, suite, tmp_path / "out")
    assert len(again.calls) == 4
    for model in (0, 1):
        changed = {name for name, one in tasks_of(first, model).items() if tasks_of(second, model)[name] != one}
        assert changed == {"STS14"}


def test_a_model_whose_weights_changed_is_scored_again(suite, hand_model, hand_table, tmp_path):
    folder = hand_model.save_pretrained(tmp_path / "model")
    before = evaluate([str(folder)], suite, tmp_path / "out")
    replace(hand_model, table=hand_table[::-1].copy()).save_pretrained(folder)
    after = evaluate([str(folder)], suite, tmp_path / "out")
    assert after["models"][0]["digest"] != before["models"][0]["digest"]
    assert tasks_of(after)["STS16"]["scores"] != tasks_of(before)["STS16"]["scores"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: "{",
        lambda report: "[" * 100_000,
        lambda report: json.dumps({**report, "models": 3}),
        lambda report: json.dumps({**report, "models": [{**report["models"][0], "tasks": [None]}]}),
        lambda report: json.dumps({**report, "models": [{**report["models"][0], "texts": "many"}]}),
        lambda report: json.dumps({**report, "models": [{**report["models"][0], "name": ["x"]}]}),
        lambda report: re.sub(r'"main": [\d.e-]+', '"main": NaN', json.dumps(report)),
        lambda report: re.sub(r'"main": [\d.e-]+', '"main": "high"', json.dumps(report)),
        lambda report: json.dumps({**report, "schema": 1}),
    ],
)
def test_an_earlier_report_that_is_not_ours_counts_for_nothing(spoil, suite, hand_folder, tmp_path):
    first = evaluate([str(hand_folder)], suite, tmp_path / "out")
    (tmp_path / "out" / "report.json").write_text(spoil(first), encoding="utf-8")
    second = evaluate([str(hand_folder)], suite, tmp_path / "out")
    assert second["models"][0]["tasks"] == first["models"][0]["tasks"] == saved(tmp_path / "out")["models"][0]["tasks"]


def test_a_full_disk_is_one_line_and_leaves_the_old_report_whole(suite, hand_folder, small_disk):
    evaluate([str(hand_folder)], suite, small_disk / "out", tasks=[STS])
    before = {file.name: file.read_bytes() for file in (small_disk / "out").iterdir()}
    (small_disk / "filler").write_bytes(b"x" * 4096)
    with (small_disk / "filler").open("ab", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(b"x" * 512)
    with pytest.raises(AccessError, match="No space left"):
        evaluate([str(hand_folder)], suite, small_disk / "out")
    assert {file.name: file.read_bytes() for file in (small_disk / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "taken"], "taken cannot be written (File exists); name another folder"),
        (["--out", "taken/below"], "cannot be written (Not a directory)"),
        (["--out", "n" * 300], "cannot be written (File name too long)"),
        (["--suite", "nothere"], "nothere is not there; the folder of a suite was expected, or mteb"),
        (["--suite", "taken"], "taken is a file; the folder of a suite was expected"),
        (["--suite", "n" * 300], "cannot be read (File name too long)"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line_before_the_work(words, told, suite, hand_folder, tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = command("evaluate", hand_folder, "--suite", suite, *words, cwd=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and told in done.stderr


# Names go where they go as words.


def told_of(name: str) -> dict[str, Any]:
    """A report in which `name` stands wherever a stranger's words can."""
    task = {"task": name, "kind": "STS", "half": "report", "rows": 3, "sha256": "", "note": name, "reason": None}
    means = {"STS": 50.0, "CatAVG": 50.0}
    model = {"name": name, "what": name, "digest": "", "dims": 8, "size_mb": 1.0, "texts_per_s": 100, "reason": None}
    model |= {"averages": {"report": means}, "incomplete": ["report"]}
    bad = {**task, "task": "STS16", "scores": {}, "reason": name}
    lost = {**model, "averages": {}, "tasks": [], "reason": name, "dims": None, "size_mb": None, "texts_per_s": None}
    return {
        "complete": True,
        "versions": {"numpy": name},
        "protocol": {"seed": 1, "experiments": 1},
        "missing": [name],
        "models": [{**model, "tasks": [{**task, "scores": {"main": 0.5}}, bad]}, lost],
    }


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_strangers_words_are_words_in_every_output(name, tmp_path):
    report = told_of(name)
    plain = as_markdown(told_of("plain"))
    markdown = as_markdown(report)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    kinds = [token.type for token in parser.parse(markdown)]
    assert kinds == [token.type for token in parser.parse(plain)]
    spans = {child.type for token in parser.parse(markdown) for child in token.children or ()}
    assert spans <= {"text", "softbreak", "text_special"}
    for line in markdown.splitlines():
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    table = as_table(report)
    assert len(table.splitlines()) == len(as_table(told_of("plain")).splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", table)
    write_report(report, tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == markdown
    assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_a_setting_of_the_users_draws_no_formula(tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)  # a user without TeX would have no picture
    write_report(told_of("m$x$"), tmp_path)
    assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["a|b<i>", "m$\\frac$", "two\nlines", "[x](y) `z`"])
def test_models_in_folders_of_such_names_are_evaluated(name, suite, hand_model, tmp_path, monkeypatch):
    hand_model.save_pretrained(tmp_path / "model").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    report = evaluate([name, f"./{name}@4"], suite, tmp_path / "out", tasks=[STS])
    assert saved(tmp_path / "out") == report and not unscored(report)


def test_the_command_prints_no_name_that_a_terminal_obeys(suite, hand_model, tmp_path):
    name = "\x1b[31mred\u202e"
    hand_model.save_pretrained(tmp_path / "model").rename(tmp_path / name)
    done = command("evaluate", name, "./nothere\x1b[0m", "--suite", suite, "--out", "out", cwd=tmp_path)
    assert done.returncode == 1 and not re.search("[\x1b\u202e]", done.stdout + done.stderr.replace("\x1b[A", ""))
    assert "\\x1b[31mred\\u202e" in done.stdout and "nothere\\x1b[0m" in done.stdout


# What is another's.


@pytest.fixture
def foreign(hand_folder) -> Path:
    """A Model2Vec folder with graphs of its own maker, under the names that ours have."""
    (hand_folder / "onnx").mkdir()
    for name in ("model.onnx", "model_quantized.onnx"):
        (hand_folder / "onnx" / name).write_bytes(b"\x08\x08\x12\x05other")
    return hand_folder


def test_a_folder_with_graphs_of_another_maker_is_evaluated_as_the_table_it_is(foreign):
    encoder = open_encoder(str(foreign))
    assert encoder.what == "numpy float32, the table, not its onnx folder, which is another's"
    np.testing.assert_array_equal(encoder.encode(["the cat"]), StaticModel.from_pretrained(foreign).encode(["the cat"]))
    for precision in ("int8", "float32"):
        with pytest.raises(InputError, match=f"no bundle of ours, so there is no graph at {precision} in it"):
            open_encoder(f"{foreign}@{precision}")


def test_graphs_of_another_maker_are_not_timed_as_ours(foreign, tmp_path):
    with pytest.raises(ModelFormatError, match=r"is no bundle of ours .*; write one with `edge-potion export"):
        benchmark([str(foreign)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Tasks of mteb.


def test_a_task_that_mteb_cannot_run_is_a_reason(suite, hand_folder):
    task = mteb_task(STS, Rows(rows_of("STS16")["test"]))

    def load_data(self: Any, **_: Any) -> None:
        raise ConnectionError("the hub is away\nand more")

    broken = type("Broken", (type(task),), {"load_data": load_data})()
    with pytest.raises(NoScore, match=r"mteb could not run LocalSTS16: the hub is away$"):
        run_mteb(open_encoder(str(hand_folder)), [broken])


def test_a_task_of_which_mteb_gives_nan_is_a_reason(hand_folder):
    rows = Rows(rows_of("STS16", ("☃", "༒", "༓", "", "☂"))["test"])
    with pytest.raises(NoScore, match="nan as main score of LocalSTS16"):
        run_mteb(open_encoder(str(hand_folder)), [mteb_task(STS, rows)])


def test_a_failing_task_of_mtebs_suite_is_a_row(hand_folder, tmp_path, monkeypatch):
    good, odd = (
        mteb_task(replace(STS, name=name), Rows(rows_of("STS16", words)["test"]))
        for name, words in (("STS12", WORDS), ("STS16", ("☃", "༒", "༓", "", "☂")))
    )
    names = {"STS": (good.metadata.name, odd.metadata.name)}
    monkeypatch.setattr(evaluating, "ENGLISH_TASKS", names)
    monkeypatch.setattr(evaluating, "english_tasks", lambda: [good, odd])
    report = evaluate([str(hand_folder)], "mteb", tmp_path / "out")
    assert report == saved(tmp_path / "out")
    assert tasks_of(report)["LocalSTS12"]["scores"] and "nan" in tasks_of(report)["LocalSTS16"]["reason"]
    assert report["models"][0]["incomplete"] == ["mteb"]
    again = evaluate([str(hand_folder)], "mteb", tmp_path / "out")
    assert tasks_of(again) == tasks_of(report)
