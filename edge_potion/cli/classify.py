"""The command `classify`: train a classifier on rows, or make one from labels alone; and run it on texts."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_potion.errors import InputError, require
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .layout import Command, Group
from .options import (
    FileArgument,
    ModelOption,
    PrecisionOption,
    TextColumnOption,
    ThreadsOption,
    refuse_closed_stdout,
)

if TYPE_CHECKING:
    from edge_potion.columns import Row

__all__ = ["classify"]

log = logging.getLogger("edge_potion")

Format = Literal["tsv", "csv", "jsonl"]
FORMATS = "tsv|csv|jsonl"
USUAL_TEXT = "text"  # the column of texts

classify = typer.Typer(
    name="classify",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Give texts labels: train a classifier on rows, or make one from labels alone, and run it.\n\n"
    "A classifier is a model folder with a head beside its table: `export` writes its bundle, one ONNX file from a "
    "text to its label and probability.\n\nExample: edge-potion classify train tickets.csv --out my-classifier",
)

OutOption = Annotated[Path, typer.Option(metavar="FOLDER", help="Of the classifier to write.")]


@classify.command(cls=Command)
def train(
    data: Annotated[
        str,
        typer.Argument(
            help="Rows to learn from: .csv, .tsv, .jsonl (also .gz, .bz2, .xz, .zst of these) or .parquet, with "
            "a column of texts and one of labels; or a folder with train.jsonl and perhaps test.jsonl."
        ),
    ],
    out: OutOption,
    text: Annotated[str, typer.Option(metavar="NAME", help="Column or key of the texts.")] = "text",
    label: Annotated[str, typer.Option(metavar="NAME", help="Column or key of the labels.")] = "label",
    model: ModelOption = BUILT_IN,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Rows to judge it by, which it does not learn from; else by rows that are held out."
        ),
    ] = None,
    tune: Annotated[
        Literal["auto", "head", "table"],
        typer.Option(
            metavar="auto|head|table",
            help="head learns on the model's vectors as they are, in seconds; table trains the model's table too, by "
            "torch; auto takes what is better on held-out rows.",
        ),
    ] = "auto",
    head: Annotated[
        Literal["auto", "vector", "hybrid"],
        typer.Option(
            metavar="auto|vector|hybrid",
            help="vector learns from a text's vector alone; hybrid has weights for pieces of words and pairs of them "
            "beside it, which is better with many rows a label; auto takes what is better on held-out rows.",
        ),
    ] = "auto",
    multi_label: Annotated[
        bool,
        typer.Option(
            "--multi-label", help="A text may have any number of labels: a list in .jsonl, a|b in .csv and .tsv."
        ),
    ] = False,
    precision_at_least: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Answer none of these where it is too unsure: choose the threshold from which on so large a share of "
            "the answers is right, such as 0.95.",
        ),
    ] = None,
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(metavar="balanced", help="Have every label count alike, however few rows it has."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the choice of rows that are held out.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For report.json, report.md and report.html: confusion matrix, reliability, most confused pairs.",
        ),
    ] = None,
) -> None:
    """Train a classifier on rows of texts and labels, and tell how good it is.

    What is better on held-out rows is chosen, and told. Probabilities are calibrated: of answers with 0.9, nine in ten
    are right. The classifier is a model folder, which `classify run`, `export` and Python's TextClassifier take.

    Example: edge-potion classify train tickets.csv --text body --label queue --out my-classifier --report my-report

    Example: edge-potion classify train train.jsonl --test test.jsonl --out my-classifier --precision-at-least 0.95
    """
    from edge_potion.benchmarks.quality.decisions_words import facts_of, notes_of, sentence_of
    from edge_potion.benchmarks.quality.judge import judge, unseen
    from edge_potion.classifier import TextClassifier
    from edge_potion.labelled import read_train_and_test
    from edge_potion.writing import make_folder, refuse_unwritable

    refuse_unwritable(out)
    if report is not None:
        require("jinja2", "markupsafe", extra="classify", purpose="the report's page")
        make_folder(report)
    rows = read_train_and_test(data, test, text, label, multi_label)
    unseen_test = unseen(rows)
    classifier = TextClassifier(
        model,
        head=head,
        tune=tune,
        multi_label=multi_label,
        class_weight=class_weight,
        precision_at_least=precision_at_least,
        seed=seed,
    ).fit(rows.train.texts, rows.train.labels, told=log.info)
    judged = judge(classifier, unseen_test)
    classifier.save_pretrained(out)
    print(f"{terminal(sentence_of(judged))}.")
    for name, words in facts_of(judged).items():
        print(f"{name:12} {terminal(words)}")
    for remark in (*judged.training.remarks, *notes_of(judged)):
        log.warning("note: %s", terminal(remark.removesuffix(".")))
    if report is not None:
        from edge_potion.benchmarks.quality.decisions_report import write_report

        write_report(report, judged)
        print(f"{report}: report.json, report.md, report.html")
    print(f"{out}: {len(judged.labels):,} labels")
    _tell_what_is_next(out)


@classify.command(cls=Command)
def from_labels(
    labels: Annotated[
        str,
        typer.Argument(
            help="A label a line; or .csv, .tsv, .jsonl or .parquet with a column of labels and perhaps one of example "
            "texts, a row an example."
        ),
    ],
    out: OutOption,
    text: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column or key of the example texts; text, where there is one.")
    ] = None,
    label: Annotated[str, typer.Option(metavar="NAME", help="Column or key of the labels.")] = "label",
    model: ModelOption = BUILT_IN,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="P", min=0, max=1, help="Answer none of these below this probability; else never."),
    ] = None,
) -> None:
    """Make a classifier from labels alone, or from some example texts of each: the nearest in meaning is given.

    Nothing is trained, and nothing is held out: its probabilities say which label is nearer, not how often it is right.
    A few rows a label are better (`classify train`).

    Example: edge-potion classify from-labels labels.txt --out my-router
    """
    from edge_potion.classifier import TextClassifier
    from edge_potion.writing import refuse_unwritable

    refuse_unwritable(out)
    examples = _examples(labels, text, label)
    TextClassifier.from_labels(examples, model, threshold=threshold).save_pretrained(out)
    count = sum(map(len, examples.values()))
    print(f"{out}: {len(examples):,} labels, {f'by {count:,} examples' if count else 'by their names'}")
    _tell_what_is_next(out)


@classify.command(cls=Command)
def run(
    classifier: Annotated[
        str, typer.Argument(help="Folder of `classify train` or `from-labels`, a bundle of it, or a hub id.")
    ],
    file: FileArgument,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="The N likeliest labels of each text, likely enough or not."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="P", min=0, max=1, help="Probability below which the answer is none of these; by default its own."
        ),
    ] = None,
    text_column: TextColumnOption = "text",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here; its ending, .tsv, .csv or .jsonl, is the format.")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(metavar=FORMATS, help="tsv has a line a text, csv a header and the text too, jsonl an object."),
    ] = None,
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Give each text its label and probability: label, tab, probability; a line a text, in their order.

    An empty label is none of these: no label is as likely as the threshold, and the probability is that of the
    likeliest. With --top, labels and probabilities take turns. Several labels of a text have | between them.

    Example: edge-potion classify run my-classifier tickets.txt

    Example: edge-potion classify run my-classifier tickets.csv --text-column body --out labels.csv
    """
    from edge_potion.classifier import TextClassifier
    from edge_potion.texts import read_texts
    from edge_potion.writing import file_written_whole

    from .answers import answers_to, write_answers

    if top is not None and threshold is not None:
        raise InputError("--top lists labels, likely or not, and --threshold decides; leave one out")
    form = format or _format_of(out)
    if out is None:
        refuse_closed_stdout("; name a file with --out")
    texts = read_texts(file, text_column)
    opened = TextClassifier.from_pretrained(classifier, precision=precision, threads=threads)
    answers = answers_to(opened, texts, top, threshold)
    if out is None:
        write_answers(answers, form, sys.stdout)
        return
    with file_written_whole(out) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        count = write_answers(answers, form, stream)
    print(f"{out}: {count:,} texts")


def _format_of(out: Path | None) -> str:
    if out is None:
        return "tsv"
    ending = out.suffix.removeprefix(".")
    if ending not in FORMATS.split("|"):
        raise InputError(f"{out} ends in none of .tsv, .csv and .jsonl; name it so, or add --format")
    return ending


def _examples(file: str, text: str | None, label: str) -> dict[str, list[str]]:
    """Example texts by label; none where the file has labels alone."""
    from edge_potion.labelled import label_of
    from edge_potion.texts import kind_of, read_texts

    if kind_of(file) in (None, ".txt"):
        lines = (line.strip() for line in read_texts(file))
        return {line: [] for line in lines if line}
    examples: dict[str, list[str]] = {}
    for row in _rows(file, text, label):
        name = label_of(row.values[0], label, row.where)
        texts = ["" if value is None else str(value).strip() for value in row.values[1:]]
        if name in examples and not texts:
            raise InputError(
                f"{row.where}: the label {name!r} is there twice, and {file} has no column {USUAL_TEXT!r} of examples; "
                "name theirs with --text"
            )
        examples.setdefault(name, []).extend(filter(None, texts))
    return examples


def _rows(file: str, text: str | None, label: str) -> Iterator["Row"]:
    """Labels and texts; labels alone where no column of texts was named, and the usual one is not there."""
    from edge_potion.columns import read_columns

    rows = read_columns(file, (label, text or USUAL_TEXT))
    try:
        first = next(rows, None)
    except InputError:
        if text is not None:
            raise
        yield from read_columns(file, (label,))
        return
    if first is not None:
        yield first
    yield from rows


def _tell_what_is_next(out: Path) -> None:
    print(f"next: edge-potion classify run {out} FILE; edge-potion export {out} --quantize int8", file=sys.stderr)
