"""The commands that use a model on this screen: search, verify, info; `encode` has a file of its own."""

import json
import logging
import sys
from typing import Annotated

import typer

from edge_potion.errors import EdgePotionError
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .options import (
    FileArgument,
    GraphOption,
    ModelArgument,
    ModelOption,
    PrecisionOption,
    ProviderOption,
    TextColumnOption,
    ThreadsOption,
    one_line,
    refuse_closed_stdout,
)
from .show import print_bundle, print_other

__all__ = ["info", "search", "verify"]

log = logging.getLogger("edge_potion")

VERDICTS = {True: "ok", False: "FAILED", None: "-"}


def search(
    file: FileArgument,
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    model: ModelOption = BUILT_IN,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many lines to show.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line: score, number and text, as it is.")
    ] = False,
    text_column: TextColumnOption = "text",
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Find the lines of a file that mean what the query means. Prints score, number and text of each.

    The number is the line's, or the record's in a .jsonl, .csv, .tsv or .parquet file. Lines without a token that the
    model knows are never found; nor is anything by a query without one, which is said on stderr (exit code 0).

    Example: edge-potion search notes.txt "my bread did not rise" --top 5
    """
    from edge_potion.language import is_foreign, watched
    from edge_potion.nearest import search as find
    from edge_potion.runtime import EdgeModel
    from edge_potion.texts import read_texts

    refuse_closed_stdout()
    texts = read_texts(file, text_column)
    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    vector = runner.encode(query)  # (D,)
    is_told = is_foreign(query, runner.bundle)
    if not vector.any():
        log.warning("warning: no token of the query %r is known to the model: there is nothing to look for", query)
        return
    result = find(runner, vector, texts if is_told else watched(texts, runner.bundle), top)
    for hit in result.hits:
        if as_json:
            print(
                json.dumps({"score": round(hit.score, 6), "number": hit.number, "text": hit.text}, ensure_ascii=False)
            )
        else:
            print(f"{hit.score:.3f}\t{hit.number}\t{one_line(hit.text)}")
    if result.unknown:
        log.warning(
            "warning: %d of %d lines have no token that the model knows, and cannot be found",
            result.unknown,
            result.texts,
        )


def verify(
    model: ModelArgument = BUILT_IN,
    provider: ProviderOption = "cpu",
) -> None:
    """Check a bundle's files, and whether this machine computes what it should: the first thing to run on a new device.

    Replays golden.json through every graph and precision, and through the .ort files of mobile/ on the CPU, and asks of
    each vector its direction and its length. One line each; exit code 1 where one strays.

    Example: edge-potion verify my-bundle --provider openvino
    """
    from edge_potion.find import find_folder
    from edge_potion.replay import verify as replay

    failed = False
    for verdict in replay(find_folder(model), provider):
        failed |= verdict.passed is False
        print(f"{VERDICTS[verdict.passed]:6}  {verdict.what:20}  {terminal(verdict.message)}", flush=True)
    sys.exit(failed)


def info(
    model: ModelArgument = BUILT_IN,
) -> None:
    """Show what a bundle or a model folder holds, what it says of itself, and which providers this machine offers.

    Example: edge-potion info my-bundle
    """
    from edge_potion import __version__, providers
    from edge_potion.bundle import is_bundle, open_bundle
    from edge_potion.find import find_folder

    refuse_closed_stdout()
    folder = find_folder(model)
    if is_bundle(folder):
        print_bundle(open_bundle(folder))
    else:
        print_other(folder)
    try:
        offered = ", ".join(providers.available())
    except EdgePotionError as error:
        offered = str(error)
    print(f"providers here: {offered}")
    print(f"edge-potion {__version__}")
