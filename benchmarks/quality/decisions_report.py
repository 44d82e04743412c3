"""A classifier's report on the disk: report.json, report.md, report.html."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edge_potion.escaping import markdown
from edge_potion.writing import file_written_whole, make_folder

from .decisions import Block, Report
from .decisions_page import as_page
from .decisions_words import NO_MATRIX, facts_of, notes_of, percent, sentence_of

__all__ = ["FORMAT", "as_json", "as_markdown", "write_report"]

FORMAT = 1  # of report.json; grows when a field changes its meaning or goes
WIDEST_MATRIX = 12  # labels of a matrix that Markdown has room for
MARKDOWN_LEVELS = 11  # thresholds that Markdown tells of: the page has a curve


def write_report(folder: Path, report: Report) -> None:
    """Write report.json, report.md and report.html into `folder`, which is made where it is not there.

    Raises:
        InputError: it cannot be written to; the old files are as they were.
    """
    make_folder(folder)
    contents = {"report.json": as_json(report), "report.md": as_markdown(report), "report.html": as_page(report)}
    for name, content in contents.items():
        with file_written_whole(folder / name) as beside:
            beside.write_text(content, encoding="utf-8")


def as_json(report: Report) -> str:
    """report.json.

    Raises:
        ValueError: a number is NaN or inf.
    """
    content = {"format": FORMAT, "sentence": sentence_of(report), **asdict(report)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(report: Report) -> str:
    """report.md."""
    parts = (_opening, _training, _confused, _by_label, _matrix, _calibration, _coverage)
    return "\n".join(line for part in parts for line in part(report)).rstrip("\n") + "\n"


def _opening(report: Report) -> Iterator[str]:
    yield from ("# Classifier", "", f"**{markdown(sentence_of(report))}.**", "")
    shares = {"accuracy": report.accuracy, "macro F1": report.macro_f1}
    if report.multi_label:
        shares = {"micro F1": report.micro_f1, "macro F1": report.macro_f1, "whole rows right": report.accuracy}
    shares |= {"calibration error": report.calibration_error}
    yield from _table(list(shares), [[percent(share) for share in shares.values()]], words=0)
    yield from (f"* {markdown(note)}" for note in notes_of(report))
    yield ""


def _training(report: Report) -> Iterator[str]:
    yield from ("## How it was trained", "")
    yield from (f"* {markdown(name)}: {markdown(words)}" for name, words in facts_of(report).items())
    yield from (f"* {markdown(remark)}" for remark in report.training.remarks)
    yield ""


def _confused(report: Report) -> Iterator[str]:
    if not report.confused:
        return
    yield from ("## Most confused", "")
    for pair in report.confused:
        first, second = markdown(pair.first), markdown(pair.second)
        yield (
            f"* **{first}** and **{second}**, {pair.count:,}: {pair.first_as_second:,} of the former were given the "
            f"latter, {pair.second_as_first:,} of the latter the former"
        )
        for example in pair.examples:
            given = f"given {markdown(example.given)}, {percent(example.probability)}"
            yield f"  * {markdown(example.text)} (is {markdown(example.truth)}, {given})"
    yield ""


def _by_label(report: Report) -> Iterator[str]:
    yield from ("## By label", "")
    rows = [
        [score.label, *map(percent, (score.precision, score.recall, score.f1)), f"{score.support:,}"]
        for score in report.by_label
    ]
    yield from _table(["label", "precision", "recall", "F1", "rows"], rows)


def _matrix(report: Report) -> Iterator[str]:
    yield from ("## Confusion matrix", "")
    if report.matrix is None:
        yield from (NO_MATRIX, "")
        return
    block = _narrowed(report.matrix)
    left_out = f" The {block.left_out} labels that are confused less are not shown." if block.left_out else ""
    yield from (f"A row a label; in its columns, how many of its rows were given each.{left_out}", "")
    numbers = range(1, len(block.labels) + 1)
    rows = [
        [f"{number}: {label}", *(f"{count:,}" if count else "" for count in counts)]
        for number, label, counts in zip(numbers, block.labels, block.counts, strict=True)
    ]
    yield from _table(["", *map(str, numbers)], rows)


def _narrowed(block: Block) -> Block:
    """What Markdown has room for: the labels with the most faults."""
    if len(block.labels) <= WIDEST_MATRIX:
        return block
    counts = np.array(block.counts)
    faults = counts + counts.T
    np.fill_diagonal(faults, 0)
    shown = np.sort(np.argsort(-faults.sum(axis=1), kind="stable")[:WIDEST_MATRIX])
    labels = [block.labels[number] for number in shown]
    left_out = block.left_out + len(block.labels) - WIDEST_MATRIX
    return Block(labels, counts[np.ix_(shown, shown)].tolist(), left_out)


def _calibration(report: Report) -> Iterator[str]:
    yield from ("## Reliability", "")
    yield "Answers by their probability: where the share that is right is the mean probability, one may believe it."
    yield ""
    rows = [
        [f"{each.low:.2f} to {each.high:.2f}", f"{each.count:,}", percent(each.confidence), percent(each.accuracy)]
        for each in report.reliability
        if each.count
    ]
    yield from _table(["probability", "answers", "mean probability", "right"], rows)


def _coverage(report: Report) -> Iterator[str]:
    yield from ("## What a threshold leaves", "")
    chosen = report.chosen
    if chosen is not None:
        yield (
            f"The classifier's is {chosen.threshold:.3f}: it answers {percent(chosen.coverage)} of the rows, and "
            f"{percent(chosen.precision)} of its answers are right."
        )
        yield ""
    places = np.unique(np.linspace(0, len(report.levels) - 1, MARKDOWN_LEVELS).round().astype(int))
    rows = [
        [f"{level.threshold:.3f}", percent(level.coverage), percent(level.precision)]
        for level in (report.levels[place] for place in places)
    ]
    yield from _table(["threshold", "answered", "right of these"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Iterator[str]:
    """A table whose first columns, so many as `words`, are words; the others are numbers."""
    yield f"| {' | '.join(map(markdown, heads))} |"
    yield f"|{'---|' * words}{'---:|' * (len(heads) - words)}"
    yield from (f"| {' | '.join(map(markdown, row))} |" for row in rows)
    yield ""
