"""The command `classify`: train a classifier on rows, or make one from labels alone; and run it on texts."""

import csv
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_potion.errors import InputError, require
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .layout import Command, Group
from .options import (
    FileArgument,
    ModelOption,
    PrecisionOption,
    ProviderOption,
    TextColumnOption,
    ThreadsOption,
    one_line,
    refuse_closed_stdout,
)

if TYPE_CHECKING:
    import numpy as np

    from edge_potion.benchmarks.quality.decisions import Report
    from edge_potion.classifier import TextClassifier

__all__ = ["classify"]

log = logging.getLogger("edge_potion")

Format = Literal["tsv", "csv", "jsonl"]
FORMATS = "tsv|csv|jsonl"
BATCH = 1024  # texts at once

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
            help="Rows to learn from: a .csv, .tsv or .jsonl (also .gz, .bz2, .xz, .zst of these) or .parquet file with "
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
            help="head learns on the model's vectors as they are, in seconds; table trains the model's table too, which "
            "takes torch and minutes; auto takes what is better on held-out rows.",
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
            help="Answer none of these where the label is too unsure: choose the threshold at which so large a share of "
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
            help="Write report.json, report.md and report.html: confusion matrix, reliability, the most confused pairs.",
        ),
    ] = None,
) -> None:
    """Train a classifier on rows of texts and labels, and tell how good it is.

    What is better on held-out rows is chosen, and told. Probabilities are calibrated: of answers with 0.9, nine in ten
    are right. The classifier is a model folder, which `classify run`, `export` and Python's TextClassifier take.

    Example: edge-potion classify train tickets.csv --text body --label queue --out my-classifier --report my-report

    Example: edge-potion classify train train.jsonl --test test.jsonl --out my-classifier --precision-at-least 0.95
    """
