"""The command `dedupe`: the texts of a file without those that are like one before them."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN

from .options import (
    CONTROL,
    FileArgument,
    GraphOption,
    ModelOption,
    PrecisionOption,
    ProviderOption,
    TextColumnOption,
    ThreadsOption,
    refuse_closed_stdout,
)
from .spool import Spool

if TYPE_CHECKING:
    from edge_potion.duplicates import Duplicates

__all__ = ["dedupe"]

log = logging.getLogger("edge_potion")


def dedupe(
    file: FileArgument,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="What is kept; by default on stdout.", show_default=False)
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A JSON object a line for each kept text that has duplicates: `kept` (number, text) and `duplicates` "
            "(number, text, cosine).",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(metavar="COSINE", help="From which on two texts are alike: above 0, at most 1.")
    ] = 0.9,
    as_json: Annotated[
        bool, typer.Option("--json", help="Of what is kept, a JSON object a line: number and text.")
    ] = False,
    model: ModelOption = BUILT_IN,
    text_column: TextColumnOption = "text",
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Leave out the texts of a file that are equal to one before them, or like one that is kept.

    What is kept stays as it stands: lines, whole records of .jsonl, .csv and .tsv; of .parquet the texts alone, one a
    line. Alike are two texts whose vectors have a cosine of the threshold or more; none is missed. How many are left
    out is said on stderr. A number is the line's, or the record's.

    Example: edge-potion dedupe notes.txt --out kept.txt --groups groups.jsonl
    """
    from edge_potion.duplicates import check_threshold, find_duplicates
    from edge_potion.language import watched
    from edge_potion.runtime import EdgeModel
    from edge_potion.text_records import Records

    check_threshold(threshold)
    if out is None:
        refuse_closed_stdout("; name a file with --out")
    if "-" in (out, groups):
        raise InputError("- is no file to write to; without --out, what is kept goes to stdout")
    if out is not None and groups is not None and Path(out).resolve() == Path(groups).resolve():
        raise InputError(f"--out and --groups are both {out}; name two files")
    records = Records(file, text_column)
    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    with ExitStack() as stack:
        kept_file = sys.stdout if out is None else stack.enter_context(_written_whole(out))
        groups_file = None if groups is None else stack.enter_context(_written_whole(groups))
        spool = stack.enter_context(Spool())
        texts = watched(spool.texts_of(records), runner.bundle)
        found = find_duplicates(runner, texts, threshold, threads=threads, show_progress=True)
        for line in _kept_lines(found, spool, records.header, as_json):
            print(line if kept_file is not sys.stdout else _shown(line), file=kept_file)
        for places in found.groups() if groups_file else ():
            print(json.dumps(_group(places, found, spool), ensure_ascii=False), file=groups_file)
    log.info(
        "%d texts: %d kept; left out: %d equal to one before, %d near one that is kept",
        len(found.leaders),
        len(found.kept),
        found.exact,
        found.near,
    )


@contextmanager
def _written_whole(file: str) -> Iterator[TextIO]:
    from edge_potion.writing import file_written_whole

    with file_written_whole(Path(file)) as new, new.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _kept_lines(found: "Duplicates", spool: Spool, header: str | None, as_json: bool) -> Iterator[str]:
    if header is not None and not as_json:
        yield header
    for place in found.kept:
        yield json.dumps(_numbered(place, spool), ensure_ascii=False) if as_json else spool.source(place)


def _shown(line: str) -> str:
    """What goes to stdout: on a terminal, without what commands it."""
    return CONTROL.sub(" ", line) if sys.stdout.isatty() else line


def _numbered(place: int, spool: Spool) -> dict[str, Any]:
    return {"number": int(place) + 1, "text": spool.text(place)}


def _group(places: Any, found: "Duplicates", spool: Spool) -> dict[str, Any]:
    """Of `places` (G,) int64, the kept text and its duplicates."""
    kept, *others = places
    duplicates = [{**_numbered(place, spool), "cosine": float(found.cosines[place])} for place in others]
    return {"kept": _numbered(kept, spool), "duplicates": duplicates}
