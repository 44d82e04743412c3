"""`evaluate --data` and `--pairs`: the built-in model on a user's own files, by the real command."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from matplotlib.image import imread

import edge_potion
from edge_potion import InputError, StaticModel
from edge_potion.benchmarks.quality import opened
from edge_potion.benchmarks.quality.encoders import Encoder, open_encoder
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER

MODEL, SHORT = f"{BUILT_IN}@int8", f"{BUILT_IN}@int8@32"
TOPICS = {
    "card": ["my bank card", "the credit card", "a debit card", "her new card", "this payment card", "his gold card"],
    "weather": ["the rain", "heavy snow", "a cold wind", "the thunderstorm", "morning fog", "bright sunshine"],
    "food": ["the tomato soup", "fresh bread", "a cheese sandwich", "this apple pie", "fried rice", "our pasta dinner"],
}
ENDS = ["is late again", "was a surprise to all of us", "makes me smile", "never came", "should be here by now"]
ROWS = [(f"{begin} {end}", label) for label, begins in TOPICS.items() for begin in begins for end in ENDS]
QUESTIONS = [
    ("Where do I report a stolen credit card?", "Call the bank at once when your card is lost or stolen."),
    ("How long does it snow in winter?", "Snowfall lasts from December to March in the mountains."),
    ("How do I bake bread?", "Mix flour, water, salt and yeast, and bake the dough for an hour."),
    ("How do I bake bread?", "A loaf needs a hot oven and some steam."),
    ("Why is the sky blue?", "Air scatters the blue of sunlight more than the red."),
    ("Who wrote Hamlet?", "The play Hamlet is by William Shakespeare."),
]


def write_csv(file: Path, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([heads, *rows])
    return file


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder to be in, with rows of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_csv(tmp_path / "my.csv", ("text", "label"), ROWS)
    write_csv(tmp_path / "faq.csv", ("q", "p"), QUESTIONS)
    return tmp_path


def saved(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"report.json holds {constant}")

    return json.loads((folder / "report.json").read_text(), parse_constant=refuse)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)


def test_own_labels_give_a_table_with_differences_and_a_report(here, door):
    ended = door("evaluate", MODEL, SHORT, "--data", "my.csv", "--seeds", 3, "--out", "new")
    assert ended.code == 0, ended.stderr
    first, _, heads, one, other, *_, last = ended.stdout.splitlines()
    assert first == "my.csv: 3 labels, learnt from 72 rows, told of 18"
    assert heads.split() == ["model", "accuracy", "macro", "F1", "Δ", "accuracy", "dims", "MB", "texts/s"]
    assert one.startswith(MODEL) and other.startswith(SHORT) and other.count("[") == 1 and "±" in one
    assert last == "new: report.json, report.md, report.png, report-dark.png"
    report = saved(here / "new")
    assert (
        report["complete"] and report["baseline"] == MODEL and (report["kind"], report["main"]) == ("data", "accuracy")
    )
    assert all(map(math.isfinite, numbers(report)))
    best, short = (model["scores"]["accuracy"] for model in report["models"])
    assert best["mean"] > 0.9 and best["difference"] is None and len(best["seeds"]) == 3
    assert best["mean"] == pytest.approx(np.mean(best["seeds"]))
    assert best["spread"] == pytest.approx(np.std(best["seeds"], ddof=1))
    apart = short["difference"]
    assert (
        apart["mean"] == pytest.approx(short["mean"] - best["mean"]) and apart["low"] <= apart["mean"] <= apart["high"]
    )
    words = (here / "new" / "report.md").read_text(encoding="utf-8")
    assert "| model | accuracy | macro F1 | Δ accuracy |" in words and f"## Differences to {BUILT_IN}@int8" in words
    assert MarkdownIt("commonmark").enable("table").render(words).count("<table>") == 2
    for name in ("report.png", "report-dark.png"):
        picture = imread(io.BytesIO((here / "new" / name).read_bytes()))
        edges = (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:])
        assert all((edge == picture[0, 0]).all() for edge in edges)


def test_the_same_rows_give_the_same_scores_from_any_kind_of_file_and_in_python(here):
    lines = "".join(json.dumps({"body": text, "kind": label}) + "\n" for text, label in ROWS)
    (here / "my.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    reports = [
        edge_potion.evaluate(MODEL, out="one", data="my.csv", seeds=2),
        edge_potion.evaluate(
            [MODEL], out=here / "two", data="my.jsonl.gz", text_column="body", label_column="kind", seeds=2
        ),
    ]
    assert reports[0]["models"][0]["scores"] == reports[1]["models"][0]["scores"]
    assert saved(here / "one")["models"] == reports[0]["models"]


def test_a_model_beside_itself_differs_by_nothing(here):
    report = edge_potion.evaluate([MODEL, MODEL], data="my.csv", seeds=1)
    for score in report["models"][1]["scores"].values():
        assert score["difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0} and score["spread"] is None


def test_a_test_of_ones_own_is_scored_without_what_is_learnt_from(here, door):
    rows = [("My Bank card  IS late again", "card"), ("a slice of pizza", "food"), ("hail all day", "weather")]
    write_csv(here / "test.csv", ("text", "label"), rows)
    ended = door("evaluate", MODEL, "--data", "my.csv", "--test", "test.csv", "--seeds", 1)
    assert ended.code == 0, ended.stderr
    assert "my.csv: 3 labels, learnt from 90 rows, told of 2" in ended.stdout
    assert "1 of 3 rows of the test have a text that is learnt from too, and are left out: 'My Bank" in ended.stdout
    told = saved(here / "quality")["data"]
    assert told["duplicates"] == 1 and told["duplicate_rows"] == [{"at": "line 2", "text": rows[0][0]}]
    assert saved(here / "quality")["models"][0]["scores"]["accuracy"]["mean"] == 1.0


def test_a_folder_with_train_and_test_is_data_too(here, door):
    (here / "mine").mkdir()
    for split, rows in (("train", ROWS[::2]), ("test", ROWS[1::2])):
        lines = "".join(json.dumps({"text": text, "label": list(TOPICS).index(label)}) + "\n" for text, label in rows)
        (here / "mine" / f"{split}.jsonl").write_text(lines)
    ended = door("evaluate", MODEL, "--data", "mine", "--seeds", 2)
    assert ended.stdout.startswith("mine: 3 labels, learnt from 45 rows, told of 45\n")


def test_own_pairs_are_searched_among_all_passages(here, door):
    ended = door("evaluate", MODEL, SHORT, "--pairs", "faq.csv", "--query", "q", "--passage", "p", "--out", "new")
    assert ended.code == 0, ended.stderr
    first, _, heads, *_ = ended.stdout.splitlines()
    assert first == "faq.csv: 5 queries, 6 passages"
    assert heads.split()[1:8] == ["recall@1", "recall@5", "recall@10", "MRR@10", "nDCG@10", "Δ", "nDCG@10"]
    scores = saved(here / "new")["models"][0]["scores"]
    model = StaticModel.from_pretrained(BUILT_IN_FOLDER / BUILT_IN)
    queries, passages = list(dict.fromkeys(q for q, _ in QUESTIONS)), [p for _, p in QUESTIONS]
    near = model.encode(queries) @ model.encode(passages).T
    nearest = [{passages[place] for place in np.argsort(-row)} and passages[int(row.argmax())] for row in near]
    own = [{p for q, p in QUESTIONS if q == query} for query in queries]
    hits = [(passage in mine) / len(mine) for passage, mine in zip(nearest, own, strict=True)]
    assert scores["recall_at_1"]["mean"] == pytest.approx(np.mean(hits))
    assert scores["recall_at_10"]["mean"] == 1.0 and scores["ndcg_at_10"]["mean"] > 0.8
    assert all(map(math.isfinite, numbers(saved(here / "new"))))


def test_a_model_without_a_score_says_why_and_differences_are_to_the_first_that_has_one(here, door, hand_folder):
    write_csv(here / "odd.csv", ("text", "label"), [(f"zzz{n} qqq", "xy"[n % 2]) for n in range(20)])
    ended = door("evaluate", hand_folder, "no/model/here", MODEL, SHORT, "--data", "odd.csv", "--seeds", 1)
    assert ended.code == 1 and ended.error == "error: not everything has a score; the table and report.md say why"
    report = saved(here / "quality")
    assert report["baseline"] == MODEL and report["complete"]
    assert [bool(model["scores"]) for model in report["models"]] == [False, False, True, True]
    assert "knows no token of its texts" in report["models"][0]["reason"]
    assert "no such folder" in report["models"][1]["reason"]
    assert f"  {hand_folder}: the model knows no token" in ended.stdout
    assert "## Not scored" in (here / "quality" / "report.md").read_text()


def test_a_model_that_gives_nan_has_no_score(here, door, monkeypatch):
    def broken(name: str) -> Encoder:
        encoder = open_encoder(MODEL)

        def encode(texts: Sequence[str]) -> np.ndarray:
            vectors = encoder.encode(texts)
            vectors[-1, 0] = np.nan
            return vectors

        return replace(encoder, encode=encode) if name == "broken" else encoder

    monkeypatch.setattr(opened, "open_encoder", broken)
    ended = door("evaluate", "broken", MODEL, "--data", "my.csv", "--seeds", 1)
    assert ended.code == 1
    assert "broken: the model gives NaN or inf for 'our pasta dinner should be here by now'" in ended.stdout
    assert saved(here / "quality")["models"][0]["scores"] == {}


def test_a_name_with_any_letters_is_on_one_line_and_no_formula(here, door):
    name = "a$\\frac$ |x|\x1b[31m.csv"
    shutil.copy(here / "my.csv", here / name)
    ended = door("evaluate", MODEL, "--data", name, "--seeds", 1)
    assert ended.code == 0 and "\x1b" not in ended.stdout and "is not drawn" not in ended.stderr
    assert "\x1b" not in (here / "quality" / "report.md").read_text()


def test_ctrl_c_leaves_the_models_before(here):
    """The second model takes its time: a named pipe in the place of its table is never written to."""
    command = [
        Path(sys.executable).parent / "edge-potion",
        "evaluate",
        MODEL,
        SHORT,
        "--data",
        "big.csv",
        "--seeds",
        "100",
    ]
    rows = [(f"{text} {number}", label) for number in range(12) for text, label in ROWS]
    write_csv(here / "big.csv", ("text", "label"), rows)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while not (here / "quality" / "report-dark.png").exists() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in said
    report = saved(here / "quality")
    assert not report["complete"] and report["models"][0]["scores"] and not report["models"][1]["scores"]
    assert report["models"][1]["reason"] == "the run was stopped before its turn"
    assert "**Partial report: the run was stopped.**" in (here / "quality" / "report.md").read_text()


def test_python_takes_exactly_one_source(here):
    for sources in ({}, {"data": "my.csv", "pairs": "faq.csv"}, {"suite": "mteb", "data": "my.csv"}):
        with pytest.raises(InputError, match="name one of suite, data and pairs"):
            edge_potion.evaluate(MODEL, **sources)
    with pytest.raises(InputError, match=r"test\.csv is a test without data to learn from"):
        edge_potion.evaluate(MODEL, pairs="faq.csv", test="test.csv")
    with pytest.raises(InputError, match="seeds is 0; 1 or more"):
        edge_potion.evaluate(MODEL, data="my.csv", seeds=0)
    with pytest.raises(InputError, match="no model is named"):
        edge_potion.evaluate([], data="my.csv")


ROW = "text,label\n"
BAD = {
    "a file that is not there": ("--data none.csv", None, "cannot read none.csv: No such file"),
    "a column that is not there": (
        "--data bad.csv --label labels",
        f"{ROW}a,x\n",
        "'labels'; there are label, text",
    ),
    "a text column that is not there": ("--data bad.csv --text body", f"{ROW}a,x\n", "no column 'body'; there are"),
    "one column twice": ("--data bad.csv --text label", f"{ROW}a,x\n", "'label' and 'label' are one column"),
    "Latin-1": ("--data bad.csv", f"{ROW}caf\xe9,x\n".encode("latin-1"), "line 2: the byte 0xe9 is not UTF-8; if the"),
    "an empty text": ("--data bad.csv", f"{ROW}a,x\n,y\n", "line 3: 'text' is empty; a text was expected"),
    "a blank text": ("--data bad.csv", f"{ROW}a,x\n  ,y\n", "line 3: 'text' is blank; a text was expected"),
    "an empty label": ("--data bad.csv", f"{ROW}a,x\nb,\n", "line 3: 'label' is empty; a label was expected"),
    "NaN": ("--data bad.csv", f"{ROW}a,x\nb,nan\n", "line 3: 'label' is 'nan'; a label was expected"),
    "null": ("--data bad.jsonl", '{"text": "a", "label": null}\n', "line 1: 'label' is null; a label was expected"),
    "one label": ("--data bad.csv", f"{ROW}a,x\nb,x\n", "its 2 rows have a single label, 'x'; two or more"),
    "10,000 labels": (
        "--data bad.csv",
        ROW + "".join(f"t,{n}\n" for n in range(10_000)),
        "10,000 different labels in 10,000 rows, such as '0', '1', '2'; at most 1,024",
    ),
    "free text": (
        "--data bad.csv --text label --label text",
        ROW + "".join(f"I have lost my card {n} times,card\n" for n in range(20)),
        "free text, it seems, and names of classes were expected. Is 'text' the wrong column?",
    ),
    "labels of one row each": ("--data bad.csv", f"{ROW}a,x\nb,y\n", "no label has two rows, one to learn from"),
    "a header alone": ("--data bad.csv", ROW, "bad.csv: it holds no row"),
    "an empty file": ("--data bad.csv", "", "bad.csv: it holds no row"),
    "an open quote": ("--data bad.csv", f'{ROW}"a,x\nb,y\n', "line 2: unexpected end of data; fields with quotes"),
    "fields too many": ("--data bad.csv", f"{ROW}a,b,x\n", "line 2: 3 fields, and the header has 2; put quotes"),
    "a spreadsheet": ("--data bad.xlsx", b"PK\3\4", "a .xlsx file has no text a line; save it as"),
    "a text file": ("--data bad.txt", "a\n", "a file that ends in .csv, .tsv, .jsonl or .parquet was expected"),
    "no JSON": ("--data bad.jsonl", "{'text': 'a'}\n", "line 1: no JSON ("),
    "damaged parquet": ("--data bad.parquet", b"PAR1junkPAR1", "cannot read bad.parquet"),
    "damaged gzip": ("--data bad.csv.gz", b"text,label\n", "it is damaged, or not packed as it says"),
    "a test without its labels": ("--data my.csv --test bad.csv", f"{ROW}a,x\n", "no label of its rows, such as 'x'"),
    "a test that is learnt from": (
        "--data my.csv --test bad.csv",
        f"{ROW}{ROWS[0][0]},{ROWS[0][1]}\n",
        "bad.csv: every text to score is learnt from too, so nothing is left to score",
    ),
    "a folder without train": ("--data .", None, ". is a folder without train.jsonl"),
    "one passage": ("--pairs bad.csv", "query,passage\na,x\nb,x\n", "all its rows have one passage"),
    "an empty passage": ("--pairs bad.csv", "query,passage\na,\n", "line 2: 'passage' is empty; a text was expected"),
    "no such query": (
        "--pairs bad.csv --query question",
        "query,passage\na,x\n",
        "no column 'question'; there are query",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_rows_that_cannot_be_used_are_one_line_on_stderr_and_exit_code_1(fault, here, door):
    words, content, expected = BAD[fault]
    if content is not None:
        name = next(word for word in words.split() if word.startswith("bad."))
        (here / name).write_bytes(content.encode() if isinstance(content, str) else content)
    ended = door("evaluate", MODEL, *words.split())
    assert (ended.code, ended.stdout) == (1, ""), ended.stdout
    assert expected in ended.error and ended.stderr.count("error: ") == 1 and "Traceback" not in ended.stderr
    assert not (here / "quality").exists()
