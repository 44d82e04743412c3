"""The door: `edge-potion COMMAND`. Parse, call, print. stdout holds the result, stderr the progress."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from errno import EBADF, EFBIG, EIO, ENOSPC, EPIPE
from pathlib import Path
from typing import Annotated, TextIO, cast

import numpy as np
import typer

from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle
from edge_potion.cli_benchmark import benchmark
from edge_potion.cli_training import RevisionOption, TextColumnOption, distill, evaluate, featurize, recipe, train
from edge_potion.errors import EdgePotionError, InputError
from edge_potion.escaping import terminal
from edge_potion.folders import BUILT_IN, origin_of, scores_of
from edge_potion.progress import Unfailing

app = typer.Typer(
    name="edge-potion",
    help="Static text embeddings: distil a sentence-transformer, export it to ONNX, run it anywhere.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

log = logging.getLogger("edge_potion")

CONTROL = re.compile(r"[\x00-\x08\n-\x1f\x7f-\x9f]")  # what commands a terminal, and ends a line
BREAK = re.compile(r"[\n\r]")
# What writing to a stream without a name may meet: ours is stdout.
STREAM_ERRORS = (EPIPE, ENOSPC, EIO, EBADF, EFBIG)
VERDICTS = {True: "ok", False: "FAILED", None: "-"}
PRECISION_WORDS = {"none": "float32"}  # --quantize none: what people type for "leave it alone"

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
ModelOption = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP, show_default=False)]
ProviderOption = Annotated[
    str, typer.Option(help="Where to run: auto, cpu, cuda, openvino, ... or ONNX Runtime's own name.")
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="int8, float16 or float32; by default the smallest the provider runs well.")
]
GraphOption = Annotated[str, typer.Option(help="text, bag or tokens; auto takes the provider's fastest.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Most threads at work; by default one a core.")]


def main() -> None:
    """Entry point: what is wrong on the caller's side, or the system's, is one line on stderr and exit code 1.

    Anything else is a bug with a traceback.
    """
    _open_standard_streams()
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("edge_potion").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing half-written stays
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:  # None when it was closed before we started
                sys.stdout.flush()
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        sys.exit(f"error: {CONTROL.sub(_escaped, told)}" if told else 1)


def _open_standard_streams() -> None:
    """Have stdout and stderr take texts in every script, stderr never end the work, and closed ones keep their numbers.

    Where 0, 1 or 2 is free, the next file that is opened gets it: the file of vectors, say, into which ONNX Runtime
    would then write its warnings.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # no /dev here
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.stderr = cast(TextIO, Unfailing(sys.stderr))


def _told(error: Exception) -> str | None:
    """What to say of an error; "" for nothing, None for a bug."""
    if isinstance(error, EdgePotionError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory {error}".rstrip()
    if isinstance(error, OSError):
        return _told_of_the_system(error)
    if isinstance(error, UnicodeEncodeError) and any("\udc80" <= letter <= "\udcff" for letter in error.object):
        return f"the name {error.object!r} is not UTF-8, and is to be handed to a library that needs it; rename it"
    if isinstance(error, RuntimeError) and str(error).startswith(("Symlink loop", "Could not determine home")):
        return f"a name cannot be followed: {error}"
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return f"a name holds NUL, which no file system takes ({error})"
    return None


def _told_of_the_system(error: OSError) -> str:
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if sys.stdout is None or error.errno not in STREAM_ERRORS:
        return str(error.strerror or error)
    # stdout is closed (`... | head`), full or gone: Python would try to flush it once more, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "" if error.errno == EPIPE else f"cannot write the result: {error.strerror}"


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


for command in (distill, train, featurize, recipe):
    app.command()(command)


@app.command()
def export(
    model: ModelArgument = BUILT_IN,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle; by default the model's name + '-onnx'.")
    ] = None,
    quantize: Annotated[str, typer.Option(help="Precisions, by comma: int8, float16, none.")] = "int8",
    graphs: Annotated[str, typer.Option(help=f"Graphs, by comma: {', '.join(GRAPHS)}; or all.")] = "all",
    token_embeddings: Annotated[
        bool, typer.Option(help="Give the tokens graph an output with each token's vector (transformers.js needs it).")
    ] = False,
    mobile: Annotated[
        bool,
        typer.Option("--mobile", help="Add mobile/: .ort files for phones, and a graph of fixed shape with int32 ids."),
    ] = False,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens that the graph of fixed shape takes.")] = 128,
    revision: RevisionOption = None,
) -> None:
    """Write a bundle: ONNX graphs with a quantized table, checked against the oracle before they are handed out.

    Example: edge-potion export my-model --quantize int8,float16 --out my-bundle
    """
    from edge_potion.exporters.export import export as write_bundle
    from edge_potion.exporters.graph_builder import IR_VERSION, OPSET
    from edge_potion.exporters.mobile import DETAILS, MOBILE

    logging.getLogger("edge_potion.export").setLevel(logging.ERROR)  # what it warns of is told below
    precisions = [PRECISION_WORDS.get(word, word) for word in _words(quantize)]
    bundle = write_bundle(
        model,
        out or Path(f"{_short_name(model)}-onnx"),
        quantize=precisions,
        graphs="all" if graphs == "all" else _words(graphs),
        token_embeddings=token_embeddings,
        mobile_tokens=max_tokens if mobile else None,
        revision=revision,
    )
    _print_bundle(bundle)
    if mobile:
        page = (bundle.folder / MOBILE / "README.md").read_text(encoding="utf-8")
        print(f"\n{page.partition(DETAILS)[0].strip()}\n\n{bundle.folder / MOBILE / 'README.md'} has the details")
    for remark in bundle.remarks:
        print(f"note: {terminal(remark)}")
    print(
        f"opset {OPSET}, IR version {IR_VERSION}; every graph agrees with the oracle on the golden texts and on every "
        "token that a text can have"
    )


@app.command()
def encode(
    file: FileArgument = "-",
    model: ModelOption = BUILT_IN,
    out: Annotated[
        Path | None, typer.Option(help="vectors.npy, .parquet or .jsonl; by default JSON lines on stdout.")
    ] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Keep the first values of each vector only.")] = None,
    text_column: TextColumnOption = "text",
    batch_size: Annotated[int, typer.Option(min=1, help="Most texts a call.")] = 1024,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut texts here; by default the model's limit.")] = None,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Embed the texts of a file: its lines, or the records of a .jsonl, .csv, .tsv or .parquet file.

    A text without a token that the model knows gets zeros; how many there are is said on stderr.

    Example: edge-potion encode texts.txt --out vectors.npy
    """
    from edge_potion.language import watched
    from edge_potion.runtime import EdgeModel
    from edge_potion.search import without_tokens
    from edge_potion.static_model import UNSET
    from edge_potion.texts import read_texts
    from edge_potion.vector_files import check_format, print_jsonl, write_vectors

    if out is None:
        _refuse_closed_stdout("; name a file with --out")
    else:
        check_format(out)
    texts = read_texts(file, text_column)
    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    waiting: deque[str] = deque()  # texts that `stream` has taken and not yet given back as vectors
    unknown = 0

    def taken() -> Iterator[str]:
        for text in watched(texts, runner.bundle):
            waiting.append(text)
            yield text

    def batches() -> Iterator[tuple[list[str], np.ndarray]]:
        nonlocal unknown
        for vectors in runner.stream(
            taken(),
            batch_size=batch_size,
            max_tokens=UNSET if max_tokens is None else max_tokens,
            dim=dim,
            show_progress=True,
        ):
            unknown += int(without_tokens(vectors).sum())
            yield [waiting.popleft() for _ in vectors], vectors

    if out is None:
        count = print_jsonl(batches(), sys.stdout)
    else:
        count = write_vectors(out, batches(), dim or runner.dim)
        print(f"{out}: {count} x {dim or runner.dim} float32")
    if unknown:
        log.warning(
            "warning: %d of %d texts have no token that the model knows: their vectors are zeros", unknown, count
        )


@app.command()
def search(
    file: FileArgument,
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    model: ModelOption = BUILT_IN,
    top: Annotated[int, typer.Option(min=1, help="How many lines to show.")] = 10,
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
    from edge_potion.runtime import EdgeModel
    from edge_potion.search import search as find
    from edge_potion.texts import read_texts

    _refuse_closed_stdout()
    texts = read_texts(file, text_column)
    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    vector = runner.encode(query)  # (D,)
    told = is_foreign(query, runner.bundle)
    if not vector.any():
        log.warning("warning: no token of the query %r is known to the model: there is nothing to look for", query)
        return
    found = find(runner, vector, texts if told else watched(texts, runner.bundle), top)
    for hit in found.hits:
        print(f"{hit.score:.3f}\t{hit.number}\t{_one_line(hit.text)}")
    if found.unknown:
        log.warning(
            "warning: %d of %d lines have no token that the model knows, and cannot be found",
            found.unknown,
            found.texts,
        )


def _refuse_closed_stdout(advice: str = "") -> None:
    """Before the work, where stdout is to have the result."""
    if sys.stdout is None:
        raise InputError(f"stdout is closed, and the result goes there{advice}")


def _one_line(text: str) -> str:
    """A text as part of a line: without the breaks of a record; and for a terminal, without what commands it."""
    return (CONTROL if sys.stdout.isatty() else BREAK).sub(" ", text)


app.command()(evaluate)
app.command()(benchmark)


@app.command()
def verify(
    model: ModelArgument = BUILT_IN,
    provider: Annotated[str, typer.Option(help="Where to run: cpu, cuda, openvino, ...")] = "cpu",
) -> None:
    """Check a bundle's files, and whether this machine computes what it should: the first thing to run on a new device.

    Replays golden.json through every graph and precision, and through the .ort files of mobile/ on the CPU, and asks of
    each vector its direction and its length. One line each; exit code 1 where one strays.

    Example: edge-potion verify my-bundle --provider openvino
    """
    from edge_potion.folders import find_folder
    from edge_potion.verify import verify as replay

    failed = False
    for verdict in replay(find_folder(model), provider):
        failed |= verdict.passed is False
        print(f"{VERDICTS[verdict.passed]:6}  {verdict.what:20}  {terminal(verdict.told)}", flush=True)
    sys.exit(failed)


@app.command()
def info(
    model: ModelArgument = BUILT_IN,
) -> None:
    """Show what a bundle or a model folder holds, what it says of itself, and which providers this machine offers.

    Example: edge-potion info my-bundle
    """
    from edge_potion import __version__, providers
    from edge_potion.bundle import is_bundle, open_bundle
    from edge_potion.folders import find_folder

    _refuse_closed_stdout()
    folder = find_folder(model)
    if is_bundle(folder):
        _print_bundle(open_bundle(folder))
    else:
        _print_other(folder)
    try:
        offered = ", ".join(providers.available())
    except EdgePotionError as error:
        offered = str(error)
    print(f"providers here: {offered}")
    print(f"edge-potion {__version__}")


def _print_bundle(bundle: Bundle) -> None:
    origin = origin_of(bundle.config)
    limit = "never cut" if bundle.max_tokens is None else f"cut at {bundle.max_tokens} tokens"
    lengths = "normalized" if bundle.normalize else "not normalized"
    print(f"{terminal(bundle.folder)}: {bundle.dim} dimensions, {lengths}, {limit}")
    for key in ("teacher", "teacher_revision", "recipe_fingerprint", "version", "licence", "trained_on", "limits"):
        if origin.get(key):
            print(f"{key.replace('_', ' ')}: {terminal(origin[key])}")
    for dims, scores in scores_of(bundle.config).items():
        told = ", ".join(f"{kind} {score}" for kind, score in scores.items())
        print(terminal(f"scores at {dims} dimensions: {told}"))
    for (graph, precision), file in sorted(bundle.graphs.items(), key=lambda item: list(PRECISIONS).index(item[0][1])):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {precision:8}  {graph:7} {file.relative_to(bundle.folder)}")
    tables = bundle.folder / "model.safetensors"
    if tables.is_file():
        dtype = terminal(bundle.config.get("embedding_dtype", ""))
        print(f"{tables.stat().st_size / 1e6:8.2f} MB  {dtype:8}  table   {tables.name}")


def _print_other(folder: Path) -> None:
    """What a folder is that `export` did not write; ModelFormatError where it is nothing that we take."""
    from edge_potion.folders import read_json
    from edge_potion.static_model import StaticModel

    graphs = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.onnx"))
    try:
        static = StaticModel.from_pretrained(folder)
    except EdgePotionError:
        config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
        if "hidden_size" not in config:  # of a transformer
            raise
        kind = f"a {config.get('model_type', 'transformer')} of {config['hidden_size']} dimensions, no static model"
        print(f"{folder}: {kind}; edge-potion distill {folder} makes one of it")
    else:
        card = static.card
        limit = "never cut" if card.max_tokens is None else f"cut at {card.max_tokens} tokens"
        kind = f"{static.dim} dimensions, {'normalized' if card.normalize else 'not normalized'}, {limit}"
        print(f"{folder}: a static model of {len(static.table):,} tokens, {kind}")
        print("it holds no graph of ours: EdgeModel exports it once into the cache, or edge-potion export for good")
    if graphs:
        print(f"of another maker, and not used here: {', '.join(graphs)}")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError(f"{text!r} names nothing; give one or more words, by comma")
    return words


def _short_name(model: str) -> str:
    return Path(model).resolve().name if Path(model).is_dir() else Path(model).name


if __name__ == "__main__":
    main()
