"""`edge-potion classify`: from a small file to labels on stdout, and one line for what is wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from edge_potion import TextClassifier

from .test_cli import edge_potion, error_of

WORDS = {
    "card": ("card", "bank card", "credit card"),
    "login": ("password", "login", "account name"),
    "refund": ("refund", "money back", "reimbursement"),
    "weather": ("rain", "sunshine", "snow"),
}
PHRASES = ("where is my {}?", "tell me about the {} please", "there is a problem with the {}", "no {} again today")
ROWS = [(phrase.format(word), label) for label, words in WORDS.items() for word in words for phrase in PHRASES]
TEST = [
    ("I lost my credit card", "card"),
    ("the password is forgotten", "login"),
    ("will there be snow tomorrow", "weather"),
    ("Where is my  CARD?", "card"),  # learnt from too, but for case and spaces
    ("how much tax do I pay", "tax"),  # not learnt
]


def write_csv(file: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With a classifier, and what was said while it was trained: stdout.txt, stderr.txt."""
    folder = tmp_path_factory.mktemp("classify")
    data = write_csv(folder / "rows.csv", ROWS, ("body", "queue"))
    test = write_csv(folder / "test.csv", TEST, ("body", "queue"))
    words = ("--text", "body", "--label", "queue", "--test", test, "--report", folder / "report")
    done = edge_potion(
        "classify", "train", data, *words, "--head", "vector", "--tune", "head", "--out", folder / "mine"
    )
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    (folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def classifier(folder) -> Path:
    return folder / "mine"


def said(folder: Path, stream: str) -> str:
    return (folder / f"{stream}.txt").read_text(encoding="utf-8").replace(str(folder), "HERE")


def test_training_says_how_good_the_classifier_is_and_why_it_is_as_it_is(folder):
    first, *facts = said(folder, "stdout").splitlines()
    assert first == "Accuracy 75.0 % on 4 rows of test.csv."
    names = [line.split(maxsplit=1)[0] for line in facts]
    assert names[:5] == ["trained", "head", "why", "rows", "temperature"]
    assert "calibration error was" in facts[4] and "48 to learn from" in facts[3]
    assert facts[-2:] == ["HERE/report: report.json, report.md, report.html", "HERE/mine: 4 labels"]


def test_progress_notes_and_what_is_next_are_on_stderr(folder):
    lines = said(folder, "stderr").splitlines()
    assert "embedding 48 texts" in lines[0]
    notes = [line for line in lines if line.startswith("note: ")]
    assert "note: 1 of 5 rows have a text that is learnt from too, and are left out: the first is line 5" in notes
    assert "note: Labels that were not learnt: tax" in notes
    assert any(note.startswith("note: 1 rows have a label that was not learnt") for note in notes)
    assert lines[-1] == "next: edge-potion classify run HERE/mine FILE; edge-potion export HERE/mine --quantize int8"


def test_the_report_is_of_the_rows_that_were_named(folder):
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["rows"] == 4 and report["accuracy"] == 0.75 and report["unknown_rows"] == 1
    assert not report["is_chosen_by"] and report["labels"] == sorted(WORDS)
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Accuracy 75.0 % on 4 rows" in page and "<svg" in page


def test_run_prints_label_tab_probability_a_line_a_text(classifier):
    texts = ["my card is lost", "what rain", "reimbursement please"]
    done = edge_potion("classify", "run", classifier, "-", stdin="\n".join(texts) + "\n")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [label for label, _ in lines] == ["card", "weather", "refund"]
    expected = TextClassifier.from_pretrained(classifier).predict_proba(texts).max(axis=1)
    np.testing.assert_allclose([float(share) for _, share in lines], expected, atol=6e-5)


def test_none_of_these_is_an_empty_label_with_the_probability_of_the_likeliest(classifier):
    done = edge_potion("classify", "run", classifier, "-", "--threshold", 0.99, stdin="so what\n")
    label, share = done.stdout.rstrip("\n").split("\t")
    assert label == "" and 0.25 <= float(share) < 0.99
    row = edge_potion("classify", "run", classifier, "-", "--threshold", 0.99, "--format", "jsonl", stdin="so what\n")
    assert json.loads(row.stdout)["label"] is None
    assert edge_potion("classify", "run", classifier, "-", "--threshold", 0, stdin="so what\n").stdout[0] != "\t"


def test_top_lists_the_likeliest_labels(classifier):
    done = edge_potion("classify", "run", classifier, "-", "--top", 2, stdin="what rain\n")
    first, sure, second, less = done.stdout.rstrip("\n").split("\t")
    assert first == "weather" and second in WORDS and float(sure) > float(less)
    done = edge_potion("classify", "run", classifier, "-", "--top", 9, "--format", "jsonl", stdin="what rain\n")
    ranked = json.loads(done.stdout)["top"]
    assert {each["label"] for each in ranked} == set(WORDS)
    assert sum(each["probability"] for each in ranked) == pytest.approx(1, abs=1e-5)


def test_run_reads_a_column_and_writes_the_format_that_the_name_says(folder, classifier, tmp_path):
    words = ("classify", "run", classifier, folder / "rows.csv", "--text-column", "body", "--out")
    assert edge_potion(*words, tmp_path / "out.csv").stdout == f"{tmp_path / 'out.csv'}: 48 texts\n"
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == [text for text, _ in ROWS] and set(rows[0]) == {
        "text",
        "label",
        "probability",
    }
    assert np.mean([row["label"] == label for row, (_, label) in zip(rows, ROWS, strict=True)]) > 0.9
    edge_potion(*words, tmp_path / "out.jsonl", "--top", 1)
    first = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["text"] == ROWS[0][0] and first["top"][0]["label"] == rows[0]["label"]
    edge_potion(*words, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")[0] == rows[0]["label"]


def test_a_text_of_several_lines_is_a_line_of_the_answer(classifier, tmp_path):
    write_csv(tmp_path / "texts.csv", [("my\ncard\tis\nlost", ""), ("rain", "")])
    done = edge_potion("classify", "run", classifier, tmp_path / "texts.csv")
    assert len(done.stdout.splitlines()) == 2
    rows = list(
        csv.reader(
            io.StringIO(edge_potion("classify", "run", classifier, tmp_path / "texts.csv", "--format", "csv").stdout)
        )
    )
    assert rows[0] == ["text", "label", "probability"] and rows[1][0] == "my\ncard\tis\nlost"


def test_no_texts_have_no_answers(classifier, tmp_path):
    assert edge_potion("classify", "run", classifier, "-").stdout == ""
    assert edge_potion("classify", "run", classifier, "-", "--format", "csv", "--top", 2).stdout == (
        "text,label_1,probability_1,label_2,probability_2\n"
    )


def test_quiet_leaves_stderr_empty(classifier):
    done = edge_potion("classify", "run", classifier, "-", "-q", stdin="what rain\n")
    assert done.stderr == "" and done.stdout.startswith("weather\t")
    assert edge_potion("classify", "-q", "run", classifier, "-", stdin="what rain\n").stderr == ""


def test_a_precision_that_is_asked_for_becomes_a_threshold_that_is_told(tmp_path, door):
    odd = [(text, "card") for text, label in ROWS if label == "weather"]  # so that not all can be right
    write_csv(tmp_path / "rows.csv", [*ROWS, *((f"{text} ok", label) for text, label in odd)])
    words = ("--head", "vector", "--tune", "head", "--precision-at-least", "0.9")
    done = door("classify", "train", tmp_path / "rows.csv", "--out", tmp_path / "mine", *words)
    assert done.code == 0, done.stderr
    assert "chosen for a precision of 90.0 %" in done.stdout
    assert "precision it answers" in done.stdout.splitlines()[0]
    assert TextClassifier.from_pretrained(tmp_path / "mine").head_.threshold is not None


def test_a_text_may_have_several_labels(tmp_path, door):
    rows = [{"text": text, "label": [label, *(["urgent"] if "problem" in text else [])]} for text, label in ROWS]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    words = ("--multi-label", "--head", "vector", "--tune", "head", "--report", tmp_path / "report")
    done = door("classify", "train", tmp_path / "rows.jsonl", "--out", tmp_path / "mine", *words)
    assert done.code == 0 and done.stdout.startswith("Micro F1 "), done.stderr
    assert "there is no confusion matrix" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    (tmp_path / "texts.txt").write_text("there is a problem with the bank card\n", encoding="utf-8")
    ran = door("classify", "run", tmp_path / "mine", tmp_path / "texts.txt")
    assert set(ran.stdout.split("\t")[0].split("|")) == {"card", "urgent"}
    ran = door("classify", "run", tmp_path / "mine", tmp_path / "texts.txt", "--format", "jsonl")
    assert set(json.loads(ran.stdout)["labels"]) == {"card", "urgent"}


def test_a_folder_gives_rows_to_learn_from_and_a_test(tmp_path, door):
    for name, rows in (("train", ROWS), ("test", TEST)):
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = door("classify", "train", tmp_path, "--out", tmp_path / "mine", "--head", "vector", "--tune", "head")
    assert done.code == 0 and "on 4 rows of test.jsonl" in done.stdout, done.stderr


def test_from_labels_takes_names(tmp_path, door):
    (tmp_path / "labels.txt").write_text("weather forecast\n\nbank card\n cooking recipe \n", encoding="utf-8")
    done = door("classify", "from-labels", tmp_path / "labels.txt", "--out", tmp_path / "router")
    assert done.stdout == f"{tmp_path / 'router'}: 3 labels, by their names\n", done.stderr
    (tmp_path / "texts.txt").write_text("will it rain\nhow long do I boil rice\n", encoding="utf-8")
    ran = door("classify", "run", tmp_path / "router", tmp_path / "texts.txt")
    assert [line.split("\t")[0] for line in ran.stdout.splitlines()] == ["weather forecast", "cooking recipe"]


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("labels.csv", "label,text\nA,rain and snow\nA,sunshine\nB,credit card\n", "by 3 examples"),
        (
            "labels.jsonl",
            '{"label": "A", "text": "rain and snow"}\n{"label": "B", "text": "credit card"}\n',
            "by 2 examples",
        ),
        ("labels.csv", "label\nrain and snow\ncredit card\n", "by their names"),
        ("labels.tsv", "text\tlabel\n\train and snow\ncredit card\tB\n", "by 1 examples"),
    ],
)
def test_from_labels_takes_examples_where_there_are_some(name, content, count, tmp_path, door):
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = door("classify", "from-labels", tmp_path / name, "--out", tmp_path / "router", "--threshold", 0.1)
    assert done.code == 0 and done.stdout.endswith(f": 2 labels, {count}\n"), done.stderr
    opened = TextClassifier.from_pretrained(tmp_path / "router")
    assert opened.predict(["it will snow"])[0] == opened.classes_[0] and opened.head_.threshold == pytest.approx(0.1)


BAD_ROWS = {
    "nothing.csv": (None, "nothing.csv"),
    "columns.csv": ("body,queue\na,b\n", "no column 'text'"),
    "one.csv": ("text,label\na,x\nb,x\n", "a single label, 'x'"),
    "blank.csv": ("text,label\na,x\n ,y\n", "line 3: 'text' is blank"),
    "latin.csv": ("text,label\ncaf\xe9,x\nb,y\n".encode("latin-1"), "is not UTF-8"),
    "empty.csv": ("text,label\n", "no row"),
    "none.csv": ("text,label\na,x\nb,\n", "line 3: 'label' is empty"),
    "many.csv": ("text,label\n" + "".join(f"text {n},{n}\n" for n in range(10_000)), "at most 1,024"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_cannot_be_learnt_from_are_one_line(name, tmp_path, door):
    content, complaint = BAD_ROWS[name]
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    done = door("classify", "train", tmp_path / name, "--out", tmp_path / "mine")
    assert done.code == 1 and complaint in done.error and done.stdout == "" and not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("train", "rows.csv", "--out", "mine", "--precision-at-least", "95"), "between 0 and 1"),
        (("train", "rows.csv", "--out", "taken"), "taken exists and"),
        (("train", "rows.csv", "--out", "mine", "--report", "rows.csv"), "rows.csv"),
        (("train", "rows.csv", "--out", "mine", "--test", "others.csv"), "others.csv"),
        (("train", "rows.csv", "--out", "mine", "--test", "rows.csv", "--tune", "head"), "nothing is left to judge by"),
        (("from-labels", "one.txt", "--out", "mine"), "1 labels"),
        (("from-labels", "rows.csv", "--label", "kind", "--out", "mine"), "kind"),
        (("from-labels", "rows.csv", "--text", "body", "--out", "mine"), "body"),
        (("from-labels", "gap.csv", "--out", "mine"), "gap.csv, line 3: 'label' is empty"),
        (("run", "nowhere", "one.txt"), "nowhere"),
        (("run", "potion-256d-minilm", "one.txt"), "a model without a head"),
        (("run", "nowhere", "one.txt", "--top", "2", "--threshold", "0.5"), "leave one out"),
        (("run", "nowhere", "one.txt", "--out", "labels.xlsx"), "ends in none of .tsv, .csv and .jsonl"),
    ],
)
def test_what_is_wrong_with_the_words_is_one_line(words, complaint, tmp_path, door, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "rows.csv", ROWS[::3])
    write_csv(tmp_path / "others.csv", [("a", "p"), ("b", "q")])
    (tmp_path / "one.txt").write_text("alone\n", encoding="utf-8")
    (tmp_path / "gap.csv").write_text('label\nx\n""\n', encoding="utf-8")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").touch()
    done = door("classify", *words)
    assert done.code == 1 and complaint in done.error and done.stdout == ""
    assert not (tmp_path / "mine").exists()


def test_a_bad_text_is_named_by_its_line(classifier, tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n', encoding="utf-8")
    assert "line 2" in error_of("classify", "run", classifier, tmp_path / "texts.jsonl")


def test_words_that_do_not_fit_are_a_usage_error():
    assert "'sideways'" in edge_potion("classify", "train", "x.csv", "--out", "y", "--tune", "sideways", code=2).stderr
    assert "No such command 'walk'" in edge_potion("classify", "walk", code=2).stderr
    assert "--out" in edge_potion("classify", "train", "x.csv", code=2).stderr


def test_examples_in_a_column_of_another_name_are_not_passed_over(tmp_path, door):
    file = tmp_path / "labels.csv"
    file.write_text("label,sentence\ncat,meow\ncat,purr\ndog,woof\n")
    done = door("classify", "from-labels", str(file), "--out", str(tmp_path / "router"))
    assert done.code == 1
    assert "'cat' is there twice" in done.stderr and "--text" in done.stderr
    assert door("classify", "from-labels", file, "--text", "sentence", "--out", tmp_path / "named").code == 0


def test_a_label_of_a_test_that_was_not_learnt_counts_as_missed_where_texts_have_several(tmp_path, door):
    rows = [(text, [label]) for text, label in ROWS]
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("".join(json.dumps({"text": text, "label": labels}) + "\n" for text, labels in rows))
    known = [{"text": f"{text} please", "label": labels} for text, labels in rows[:8]]
    strange = [{"text": "something else altogether", "label": ["tax"]}]
    shares = []
    for some in (known, known + strange):
        test.write_text("".join(json.dumps(row) + "\n" for row in some))
        door(
            "classify",
            "train",
            train,
            "--test",
            test,
            "--multi-label",
            "--out",
            tmp_path / "c",
            "--report",
            tmp_path / "r",
        )
        report = json.loads((tmp_path / "r" / "report.json").read_text())
        shares.append((report["accuracy"], report["micro_f1"]))
    assert shares[1][0] < shares[0][0]
    assert shares[1][1] < shares[0][1]
