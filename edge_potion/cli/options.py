"""What the commands share: their options, and what of their words is checked alike."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN

CONTROL = re.compile(r"[\x00-\x08\n-\x1f\x7f-\x9f]")  # what commands a terminal, and ends a line
BREAK = re.compile(r"[\n\r]")

Graph = Literal["auto", "text", "bag", "tokens"]
Precision = Literal["int8", "float16", "float32"]
GRAPHS = "auto|text|bag|tokens"
PRECISIONS = "int8|float16|float32"

MODEL_HELP = (
    f"Bundle or model folder, or a hub id such as minishlab/potion-base-8M; by default the built-in {BUILT_IN}."
)
FileArgument = Annotated[
    str,
    typer.Argument(
        help="Texts in UTF-8: one a line, or .jsonl, .csv, .tsv; also .gz, .bz2, .xz, .zst of these; or .parquet; "
        "- for lines on stdin."
    ),
]
ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP, show_default=False)]
ModelOption = Annotated[str, typer.Option("--model", "-m", metavar="NAME", help=MODEL_HELP, show_default=False)]
ProviderOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where to run: auto, cpu, cuda, tensorrt, openvino, coreml, directml, migraphx, qnn, webgpu, xnnpack, "
        "nnapi, or ONNX Runtime's own name. `edge-potion info` tells which are here.",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(metavar=PRECISIONS, help="Of the table; by default the smallest that the provider runs well."),
]
GraphOption = Annotated[
    Graph, typer.Option(metavar=GRAPHS, help="Which graph of the bundle; auto takes the provider's fastest.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Most threads at work; by default one a core.")
]
TextColumnOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="Key or column of the texts in .jsonl, .csv, .tsv and .parquet files."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of the Ray cluster; by default the one around, or a new one."),
]
RevisionOption = Annotated[str | None, typer.Option(metavar="NAME", help="Branch, tag or commit of a hub id.")]


def instead(message: str) -> Callable[[typer.Context, str | None], None]:
    """What a hidden parameter does that people type out of habit: tell them what to type here."""

    def refuse(context: typer.Context, value: str | None) -> None:
        if value is not None:
            context.fail(message)

    return refuse


def elsewhere(option: str, message: str) -> Any:
    """A hidden option that is another command's: its name here tells what to type."""
    return typer.Option(option, hidden=True, expose_value=False, callback=instead(message))


def refuse_closed_stdout(advice: str = "") -> None:
    """Before the work, where stdout is to have the result."""
    if sys.stdout is None:
        raise InputError(f"stdout is closed, and the result goes there{advice}")


def one_line(text: str) -> str:
    """A text as part of a line: without the breaks of a record; and for a terminal, without what commands it."""
    return (CONTROL if sys.stdout.isatty() else BREAK).sub(" ", text)


def words_of(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError(f"{text!r} names nothing; give one or more words, by comma")
    return words


def short_name(model: str) -> str:
    return Path(model).resolve().name if Path(model).is_dir() else Path(model).name
