"""The command `encode`: texts to one file or stdout, or any number of inputs to a folder of shards."""

import logging
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_potion.errors import InputError
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .options import (
    AddressOption,
    GraphOption,
    ModelOption,
    PrecisionOption,
    ProviderOption,
    TextColumnOption,
    ThreadsOption,
    instead,
    refuse_closed_stdout,
    words_of,
)

__all__ = ["encode"]

log = logging.getLogger("edge_potion")

Dtype = Literal["float32", "float16", "int8", "binary"]
Format = Literal["parquet", "npy", "jsonl"]
OnBad = Literal["null", "skip", "fail"]
Engine = Literal["local", "ray"]

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="Texts in UTF-8: one a line, or .jsonl, .csv, .tsv; also .gz, .bz2, .xz, .zst of these; or .parquet; "
        "folders and globs of them; - for lines on stdin, which is what no name means.",
        show_default=False,
    ),
]
OutOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|DIR",
        help="A .npy, .parquet or .jsonl file; or a folder, which gets shards and goes on where it was stopped. By "
        "default JSON lines on stdout.",
    ),
]


def encode(
    inputs: InputsArgument = None,
    model: ModelOption = BUILT_IN,
    out: OutOption = None,
    truncate_dim: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep the first values of each vector only.")
    ] = None,
    dim: Annotated[
        str | None,
        typer.Option("--dim", hidden=True, expose_value=False, callback=instead("--dim is --truncate-dim N here")),
    ] = None,
    text_column: TextColumnOption = "text",
    keep: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Into a folder: columns that pass through; the text is one.")
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(
            metavar="float32|float16|int8|binary",
            help="Into a folder: of the vectors; int8 has a scale a row, binary is packed signs. By default float32.",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(metavar="parquet|npy|jsonl", help="Into a folder: of the shards. By default parquet."),
    ] = None,
    shard_rows: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Into a folder: rows of an input a shard; by default 131072.")
    ] = None,
    on_bad: Annotated[
        OnBad | None,
        typer.Option(
            metavar="null|skip|fail",
            help="Into a folder: a row without a usable text becomes a null vector (the default), no row, or an error.",
        ),
    ] = None,
    dedupe_window: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Into a folder: embed equal texts once within so many rows."),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Into a folder, of binary: center and rotate before the signs are taken.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Into a folder: processes; by default one a core, or all of the Ray cluster."
        ),
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(metavar="local|ray", help="Into a folder: this machine, or a Ray cluster. By default local."),
    ] = None,
    address: AddressOption = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Most texts a call of ONNX Runtime; by default 1024.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Cut texts here; by default the model's limit.")
    ] = None,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Embed texts: the lines of files, or the records of .jsonl, .csv, .tsv and .parquet files.

    A text without a token that the model knows gets zeros; how many there are is said on stderr. Into a folder go any
    number of inputs, a shard a slice of one; the same command goes on where it was stopped, and gives the same bytes.

    Example: edge-potion encode texts.txt --out vectors.npy

    Example: edge-potion encode logs/ --out vectors/ --keep id,url --dtype int8
    """
    named = inputs or ["-"]
    opened: dict[str, Any] = {"provider": provider, "precision": precision, "graph": graph}
    said: dict[str, Any] = {"dtype": dtype, "format": format, "shard_rows": shard_rows, "on_bad": on_bad}
    said |= {"dedupe_window": dedupe_window, "rotate": rotate or None}
    if out is not None and _is_folder(out):
        if keep is not None:
            said["keep"] = tuple(words_of(keep))
        options = {name: value for name, value in said.items() if value is not None}
        options |= {"text_column": text_column, "truncate_dim": truncate_dim, "max_tokens": max_tokens}
        options |= {"model": model, "threads": threads or 1, "batch_size": batch_size, **opened}
        _into_a_folder(named, Path(out), options, workers, engine or "local", address)
        return
    said |= {"keep": keep, "workers": workers, "engine": engine, "address": address}
    if idle := [name for name, value in said.items() if value is not None]:
        raise InputError(f"--{idle[0].replace('_', '-')} goes with a folder of shards: --out FOLDER/")
    _into_a_file(
        named, model, out, truncate_dim, text_column, batch_size or 1024, max_tokens, {**opened, "threads": threads}
    )


def _is_folder(out: str) -> bool:
    """Whether --out names a folder: one that is there, ends in a slash, or has no ending."""
    if out in ("", "-"):
        raise InputError(f"--out {out!r} names nothing; leave it out for JSON lines on stdout")
    try:
        return out.endswith(("/", os.sep)) or not Path(out).suffix or Path(out).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # what no file system takes; told where it is written
        return False


def _into_a_file(
    named: list[str],
    model: str,
    out: str | None,
    truncate_dim: int | None,
    text_column: str,
    batch_size: int,
    max_tokens: int | None,
    opened: dict[str, Any],
) -> None:
    from edge_potion.bulk.inputs import find_inputs
    from edge_potion.language import watched
    from edge_potion.nearest import without_tokens
    from edge_potion.runtime import Batch, EdgeModel
    from edge_potion.static_model import UNSET
    from edge_potion.texts import read_texts
    from edge_potion.vectors import check_format, print_jsonl, write_vectors

    file = None if out is None else Path(out)
    if file is None:
        refuse_closed_stdout("; name a file with --out")
    else:
        check_format(file)
    paths = named if len(named) == 1 else [one.path for one in find_inputs(named, file or Path("-"))]
    readers = [read_texts(path, text_column) for path in paths]
    texts = readers[0] if len(readers) == 1 else chain.from_iterable(readers)
    runner = EdgeModel.from_pretrained(model, **opened)
    unknown = 0

    def batches() -> Iterator[Batch]:
        nonlocal unknown
        for batch in runner.stream(
            watched(texts, runner.bundle),
            batch_size=batch_size,
            max_tokens=UNSET if max_tokens is None else max_tokens,
            truncate_dim=truncate_dim,
            show_progress=True,
        ):
            unknown += int(without_tokens(batch.vectors).sum())
            yield batch

    if file is None:
        count = print_jsonl(batches(), sys.stdout)
    else:
        count = write_vectors(file, batches(), truncate_dim or runner.dim)
        print(f"{file}: {count} x {truncate_dim or runner.dim} float32")
    _tell_of_unknown(unknown, count)


def _into_a_folder(
    named: list[str], out: Path, options: dict[str, Any], workers: int | None, engine: str, address: str | None
) -> None:
    from edge_potion.bulk.encode_files import encode_files
    from edge_potion.calls import cores

    if address is not None and engine != "ray":
        raise InputError("--address is of a Ray cluster; say --engine ray, too")
    on_cpu = options["provider"].lower() in ("auto", "cpu", "cpuexecutionprovider")
    summary = encode_files(
        named,
        out,
        workers=workers if workers or engine == "ray" else cores() if on_cpu else 1,
        engine=engine,
        address=address,
        show_progress=True,
        **options,
    )
    before = f" ({summary.shards - summary.made} were there)" if summary.made < summary.shards else ""
    shards = "1 shard" if summary.shards == 1 else f"{summary.shards} shards"
    print(f"{out}: {summary.rows} x {summary.dim} {summary.dtype} in {shards}{before}")
    _tell_of_unknown(summary.unknown, summary.rows)
    if summary.bad:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.bad.items()))
        log.warning(
            "warning: %d of the rows have no text that can be used (%s); the first: %s",
            sum(summary.bad.values()),
            reasons,
            terminal("; ".join(summary.bad_rows)),
        )


def _tell_of_unknown(unknown: int, count: int) -> None:
    if unknown:
        log.warning(
            "warning: %d of %d texts have no token that the model knows: their vectors are zeros", unknown, count
        )
