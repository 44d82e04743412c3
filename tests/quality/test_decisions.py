"""The figures of a classifier's report, worked by hand; and files of it that strangers' labels cannot break."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from pydantic import TypeAdapter

from edge_potion import InputError
from edge_potion.benchmarks.quality.decisions import Block, Level, Report, decisions_of
from edge_potion.benchmarks.quality.decisions_page import as_page
from edge_potion.benchmarks.quality.decisions_report import as_json, as_markdown, write_report
from edge_potion.benchmarks.quality.decisions_words import facts_of, notes_of, percent, sentence_of
from edge_potion.training import Training

from ..peers import built_javascript

TRAINING = Training(
    head="hybrid",
    tune="head",
    why="on held-out rows the hybrid was right more often than the vector alone",
    candidates={"vector": 0.5, "hybrid": 0.75},
    rows=48,
    held_out=12,
    grams=321,
    temperature=1.0,
    ece_before=0.1,
    ece_after=0.05,
    threshold=None,
    threshold_precision=None,
    coverage=None,
    seconds=1.25,
    remarks=("3 rows are there twice",),
)
LABELS = ["card", "loan", "phone"]
HOSTILE = ['<script>alert("x")</script>', "a|b\n# c", "\x1b[31m\u202e`x`"]


def shares_of(given: list[tuple[int, float]], labels: int = 3) -> np.ndarray:
    """(N, C) of each row a label's probability, and the rest shared by the others."""
    shares = np.array([[(1 - sure) / (labels - 1)] * labels for _, sure in given])
    for row, (label, sure) in enumerate(given):
        shares[row, label] = sure
    return shares


def small(training: Training = TRAINING, labels: list[str] = LABELS, **options: object) -> Report:
    """Six rows: a loan is taken for a card twice, a card for a loan once."""
    truth = np.array([0, 0, 1, 1, 1, 2])
    shares = shares_of([(0, 0.9), (1, 0.6), (0, 0.8), (0, 0.7), (1, 0.9), (2, 1.0)])
    texts = ["my card", "a card for money", "money  for\na loan", "loan?", "a loan", "ring ring"]
    return decisions_of(labels, truth, shares, texts, training, **options)  # type: ignore[arg-type]  # options of any kind, by name


def many(labels: int, rows: int = 4000, seed: int = 0) -> Report:
    """Rows of which most are right, and label 7 is often taken for label 9."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, labels, rows)
    given = np.where(random.random(rows) < 0.9, truth, random.integers(0, labels, rows))
    given[(truth == 7) & (random.random(rows) < 0.5)] = 9
    sure = random.uniform(1 / labels + 0.1, 1, rows)
    shares = shares_of(list(zip(given.tolist(), sure.tolist(), strict=True)), labels)
    names = [f"label number {number} of them" for number in range(labels)]
    training = replace(TRAINING, threshold=0.6, temperature=1.4)
    return decisions_of(names, truth, shares, [f"text {row}" for row in range(rows)], training)


def several() -> Report:
    """Two labels, three rows that may have both."""
    truth = np.array([[1, 1], [1, 0], [0, 0]])
    shares = np.array([[0.9, 0.4], [0.8, 0.7], [0.2, 0.1]])
    return decisions_of(["new", "urgent"], truth, shares, ["a", "b", "c"], replace(TRAINING, threshold=0.5))


def test_accuracy_and_f1_are_worked_by_hand():
    report = small()
    assert report.accuracy == pytest.approx(3 / 6) and report.micro_f1 == pytest.approx(3 / 6)
    card, loan, phone = report.by_label
    assert (card.precision, card.recall, card.support) == (pytest.approx(1 / 3), 0.5, 2)
    assert (loan.precision, loan.recall, loan.support) == (0.5, pytest.approx(1 / 3), 3)
    assert card.f1 == pytest.approx(0.4) and loan.f1 == pytest.approx(0.4) and phone.f1 == 1.0
    assert report.macro_f1 == pytest.approx((0.4 + 0.4 + 1) / 3)
    assert report.matrix == Block(LABELS, [[1, 1, 0], [2, 1, 0], [0, 0, 1]], 0)


def test_figures_are_scikit_learns():
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    random = np.random.default_rng(3)
    truth = random.integers(0, 4, 500)  # of five labels, one never occurs
    shares = random.dirichlet(np.full(5, 0.4), 500)
    shares[:, 4] = 0
    given = shares.argmax(axis=1)
    report = decisions_of(list("abcde"), truth, shares, ["x"] * 500, TRAINING)
    assert report.macro_f1 == pytest.approx(f1_score(truth, given, average="macro"))
    theirs = precision_recall_fscore_support(truth, given, labels=range(4))
    ours = [(score.precision, score.recall, score.f1, score.support) for score in report.by_label]
    np.testing.assert_allclose(np.array(ours[:4], float), np.stack(theirs, axis=1))
    assert report.by_label[4].precision is report.by_label[4].recall is report.by_label[4].f1 is None
    assert (
        report.matrix is not None and report.matrix.counts == confusion_matrix(truth, given, labels=range(5)).tolist()
    )


def test_the_most_confused_pairs_come_first_with_the_surest_faults():
    (pair,) = small().confused
    assert (pair.first, pair.second, pair.first_as_second, pair.second_as_first) == ("card", "loan", 1, 2)
    assert [(each.text, each.truth, each.given) for each in pair.examples] == [
        ("money for a loan", "loan", "card"),
        ("loan?", "loan", "card"),
        ("a card for money", "card", "loan"),
    ]
    assert pair.examples[0].probability == pytest.approx(0.8)


def test_long_examples_are_cut():
    shares, training = shares_of([(1, 0.9)], 2), TRAINING
    report = decisions_of(["a", "b"], np.array([0]), shares, ["word " * 1000], training)
    assert len(report.confused[0].examples[0].text) == 160 and report.confused[0].examples[0].text.endswith("…")


def test_the_report_opens_with_a_sentence_that_answers():
    assert sentence_of(small()) == "Accuracy 50.0 % on 6 held-out rows; most confused: card and loan"
    chosen = small(replace(TRAINING, threshold=0.85), rows_of="rows of test.csv", is_chosen_by=False)
    assert sentence_of(chosen) == (
        "Accuracy 50.0 % on 6 rows of test.csv; at 100.0 % precision it answers 50.0 % of them; "
        "most confused: card and loan"
    )
    assert chosen.chosen == Level(pytest.approx(0.85), 1.0, 0.5)
    none = small(replace(TRAINING, threshold=1.0, temperature=2.0))
    assert "at 100.0 % precision it answers 16.7 % of them" in sentence_of(none)


def test_a_threshold_that_leaves_no_answer_is_told():
    report = decisions_of(["a", "b"], np.array([0]), shares_of([(0, 0.6)], 2), ["x"], replace(TRAINING, threshold=0.9))
    assert "its threshold leaves none of them an answer" in sentence_of(report)
    assert report.chosen is not None and report.chosen.precision == 0.0
    assert "NaN" not in as_json(report) and as_page(report)


def test_what_calibration_was_before_the_temperature_is_told():
    """Logits (2, 0): 0.881 at temperature 1, 0.731 at 2; half of the rows are right."""
    shares = np.exp([[1.0, 0], [1, 0]]) / np.exp([1.0, 0]).sum()
    report = decisions_of(["a", "b"], np.array([0, 1]), shares, ["x", "y"], replace(TRAINING, temperature=2.0))
    assert report.calibration_error == pytest.approx(1 / (1 + np.exp(-1)) - 0.5)
    assert report.calibration_error_before == pytest.approx(1 / (1 + np.exp(-2)) - 0.5)
    both = decisions_of(
        ["a", "b"], np.array([[1, 0]]), np.array([[0.731, 0.269]]), ["x"], replace(TRAINING, temperature=2)
    )
    assert both.calibration_error_before == pytest.approx(0.5 * 2 * (1 - 1 / (1 + np.exp(-2))), abs=2e-3)


def test_probabilities_of_zero_and_one_give_no_nan():
    shares = np.array([[1.0, 0, 0], [0, 1, 0]])
    for truth in (np.array([0, 0]), np.array([[1, 0, 0], [0, 0, 1]])):
        report = decisions_of(LABELS, truth, shares, ["x", "y"], replace(TRAINING, temperature=20.0, threshold=0.5))
        assert np.isfinite([report.calibration_error, report.calibration_error_before]).all()
        assert as_json(report) and as_page(report) and as_markdown(report)


def test_the_curve_of_precision_is_told_from_the_highest_threshold_on():
    levels = small().levels
    assert [level.threshold for level in levels] == [1.0, 0.9, 0.8, 0.7, 0.6]
    assert [round(level.precision, 3) for level in levels] == [1.0, 1.0, 0.75, 0.6, 0.5]
    assert levels[-1].coverage == 1.0
    assert len(many(20).levels) == 200


@pytest.mark.parametrize("labels", [30, 31, 150])
def test_of_many_labels_the_block_of_the_most_confused_is_shown(labels):
    report = many(labels)
    assert report.matrix is not None
    assert len(report.matrix.labels) == 30 and report.matrix.left_out == labels - 30
    assert {report.confused[0].first, report.confused[0].second} == {"label number 7 of them", "label number 9 of them"}
    if labels > 30:
        assert set(report.matrix.labels[:2]) == {"label number 7 of them", "label number 9 of them"}
        assert f"{labels - 30} others are not shown" in as_page(report)
    assert len(report.confused) == 10 and all(len(pair.examples) <= 3 for pair in report.confused)


def test_of_rows_with_several_labels_each_label_is_judged_and_there_is_no_matrix():
    report = several()
    assert report.matrix is None and report.confused == [] and report.accuracy == pytest.approx(1 / 3)
    new, urgent = report.by_label
    assert (new.precision, new.recall, new.f1) == (1, 1, 1) and (urgent.precision, urgent.recall, urgent.f1) == (
        0,
        0,
        0,
    )
    assert report.micro_f1 == pytest.approx(2 * 2 / (3 + 3)) and report.macro_f1 == 0.5
    assert sentence_of(report) == (
        "Micro F1 66.7 % and macro F1 50.0 % on 3 held-out rows; from a probability of 0.50 on, 66.7 % of the given "
        "labels are right, and 66.7 % of the rows have one"
    )
    assert "there is no confusion matrix" in as_page(report) and "there is no confusion matrix" in as_markdown(report)


def test_rows_of_labels_that_were_not_learnt_count_as_wrong_and_are_told():
    shares = shares_of([(0, 0.9), (1, 0.5), (2, 0.9)])
    report = decisions_of(LABELS, np.array([0, -1, -1]), shares, ["x"] * 3, replace(TRAINING, threshold=0.8))
    assert report.accuracy == pytest.approx(1 / 3) and report.unknown_rows == 2 and report.unknown_refused == 1
    assert report.matrix is not None and np.sum(report.matrix.counts) == 1
    assert any(
        "2 rows have a label that was not learnt" in note and "1 are answered" in note for note in notes_of(report)
    )


def test_what_flatters_the_figures_or_makes_them_little_worth_is_noted():
    words = " ".join(notes_of(small(replace(TRAINING, threshold=0.85))))
    assert "were chosen by these rows" in words and "is of 3 rows" in words
    assert "card, loan, phone: fewer than 10 rows" in words
    assert "were chosen by these rows" not in " ".join(notes_of(small(is_chosen_by=False)))
    all_answered = small(replace(TRAINING, threshold=0.0), precision_asked=0.4)
    assert "reached without a threshold" in " ".join(notes_of(all_answered))
    odd = replace(small(), remarks=["Labels that were not learnt: tax"])
    assert "Labels that were not learnt: tax." in notes_of(odd)


def test_how_it_was_trained_is_told():
    facts = facts_of(small(replace(TRAINING, threshold=0.85), precision_asked=0.95))
    assert facts["head"].startswith("hybrid, with weights of 321 grams")
    assert facts["why"] == TRAINING.why
    assert facts["threshold"] == "0.850, chosen for a precision of 95.0 %"
    assert "3 rows are there twice" in as_page(small()) and "3 rows are there twice" in as_markdown(small())


def test_shares_are_told_in_percent_and_never_rounded_to_all_or_nothing():
    assert [percent(share) for share in (0.0, 0.0001, 0.929, 0.9999, 1.0, None)] == [
        *("0.0 %", "< 0.1 %", "92.9 %", "99.9 %", "100.0 %", "–")
    ]


@pytest.mark.parametrize("report", [small(), several(), many(40)], ids=["small", "several", "many"])
def test_the_json_holds_what_the_report_is(report):
    content = json.loads(as_json(report))
    assert content.pop("format") == 1 and content.pop("sentence") == sentence_of(report)
    assert TypeAdapter(Report).validate_python(content).by_label == report.by_label
    assert content["accuracy"] == report.accuracy and content["training"]["head"] == "hybrid"


def test_a_strangers_labels_and_texts_are_words_everywhere(tmp_path):
    truth, shares = np.array([0, 1, 2]), shares_of([(1, 0.9), (2, 0.9), (0, 0.9)])
    report = decisions_of(HOSTILE, truth, shares, HOSTILE, replace(TRAINING, remarks=tuple(HOSTILE)))
    page, words = as_page(report), as_markdown(report)
    assert "<script" not in page and "\x1b" not in page and "\u202e" not in page
    assert "<script" not in words and "\x1b" not in words
    drawn = MarkdownIt("commonmark").enable("table").render(words)
    assert "<script" not in drawn and drawn.count("<h1>") == 1 and "<code>" not in drawn
    assert drawn.count("<tr>") == words.count("\n| ") + words.startswith("| ")
    assert json.loads(as_json(report))["labels"] == HOSTILE


class _Balanced(HTMLParser):
    """Refuses a page in which elements do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", [small(), several(), many(40)], ids=["small", "several", "many"])
def test_the_page_is_whole_and_asks_for_nothing_else(report):
    page = as_page(report)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert sentence_of(report) in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert len(page) < 300_000


def test_three_files_are_written_into_a_folder_that_is_made(tmp_path):
    write_report(tmp_path / "new" / "report", small())
    files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new" / "report").iterdir()}
    assert set(files) == {"report.json", "report.md", "report.html"}
    assert all("Accuracy 50.0 %" in content for content in files.values())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "file" / "x", small())


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("labels", [2, 12, 150])
def test_the_page_opens_on_a_phone_without_a_network(labels, dark, tmp_path):
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("Chromium is not installed: `make browser`")
    report = many(labels) if labels > 9 else several()
    write_report(tmp_path, report)
    script = built_javascript() / "screenshot.mjs"
    command = ["node", script, tmp_path / "report.html", tmp_path / "page.png", "--width", "390"]
    done = subprocess.run([*command, *["--dark"][:dark]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["width"] == 390 and seen["scroll_width"] <= 390
    assert sentence_of(report) in seen["text"] and all(label in seen["text"] for label in report.labels)
    assert Path(tmp_path / "page.png").stat().st_size > 5000
