"""The door: `edge-potion COMMAND`. Parse, call, print. stdout holds the result, stderr the progress."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from errno import ENOSPC, EPIPE
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle
from edge_potion.cli_benchmark import benchmark
from edge_potion.cli_training import RevisionOption, distill, evaluate, featurize, train
from edge_potion.errors import EdgePotionError, InputError
from edge_potion.folders import BUILT_IN, origin_of, scores_of

app = typer.Typer(
    name="edge-potion",
    help="Static text embeddings: distil a sentence-transformer, export it to ONNX, run it anywhere.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERDICTS = {True: "ok", False: "FAILED", None: "-"}
PRECISION_WORDS = {"none": "float32"}  # --quantize none: what people type for "leave it alone"

MODEL_HELP = (
    f"Bundle or model folder, or a hub id such as minishlab/potion-base-8M; by default the built-in {BUILT_IN}."
)
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
    """Entry point: errors of ours are one line on stderr and exit code 1; anything else is a bug with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding="utf-8", errors="backslashreplace"
            )  # texts are in every script, on every console
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("edge_potion").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing half-written stays
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:  # None when it was closed before we started
                sys.stdout.flush()
    except EdgePotionError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno not in (EPIPE, ENOSPC) or sys.stdout is None:
            raise
        # stdout is closed (`... | head`) or full: Python would try to flush it once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1 if error.errno == EPIPE else f"error: cannot write the result: {error.strerror}")


for command in (distill, train, featurize):
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
    print(f"opset {OPSET}, IR version {IR_VERSION}; every graph agrees with the oracle on the golden texts")


@app.command()
def encode(
    file: Annotated[str, typer.Argument(help="UTF-8 file with one text a line; - for stdin.")] = "-",
    model: ModelOption = BUILT_IN,
    out: Annotated[
        Path | None, typer.Option(help="vectors.npy, .parquet or .jsonl; by default JSON lines on stdout.")
    ] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Keep the first values of each vector only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Most texts a call.")] = 1024,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut texts here; by default the model's limit.")] = None,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Embed the lines of a file.

    Example: edge-potion encode texts.txt --out vectors.npy
    """
    from edge_potion.runtime import EdgeModel
    from edge_potion.static_model import UNSET
    from edge_potion.vector_files import check_format, print_jsonl, read_texts, write_vectors

    if out is not None:
        check_format(out)
    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    waiting: deque[str] = deque()  # texts that `stream` has taken and not yet given back as vectors

    def taken() -> Iterator[str]:
        for text in read_texts(file):
            waiting.append(text)
            yield text

    vectors = runner.stream(
        taken(),
        batch_size=batch_size,
        max_tokens=UNSET if max_tokens is None else max_tokens,
        dim=dim,
        show_progress=True,
    )
    batches = (([waiting.popleft() for _ in part], part) for part in vectors)
    if out is None:
        print_jsonl(batches, sys.stdout)
        return
    count = write_vectors(out, batches, dim or runner.dim)
    print(f"{out}: {count} x {dim or runner.dim} float32")


@app.command()
def search(
    file: Annotated[str, typer.Argument(help="UTF-8 file with one text a line; - for stdin.")],
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    model: ModelOption = BUILT_IN,
    top: Annotated[int, typer.Option(min=1, help="How many lines to show.")] = 10,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Find the lines of a file that mean what the query means. Prints score, line number and line.

    Example: edge-potion search notes.txt "my bread did not rise" --top 5
    """
    from edge_potion.runtime import EdgeModel
    from edge_potion.vector_files import read_texts

    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    texts = list(read_texts(file))
    scores = runner.similarity([query], texts)[0]  # (N,)
    for place in np.argsort(-scores, kind="stable")[:top]:
        print(f"{scores[place]:.3f}\t{place + 1}\t{texts[place]}")


app.command()(evaluate)
app.command()(benchmark)


@app.command()
def verify(
    model: ModelArgument = BUILT_IN,
    provider: Annotated[str, typer.Option(help="Where to run: cpu, cuda, openvino, ...")] = "cpu",
) -> None:
    """Check a bundle's files, and whether this machine computes what it should: the first thing to run on a new device.

    Replays golden.json through every graph and precision. One line each; exit code 1 where one strays.

    Example: edge-potion verify my-bundle --provider openvino
    """
    from edge_potion.folders import find_folder
    from edge_potion.verify import verify as replay

    failed = False
    for verdict in replay(find_folder(model), provider):
        failed |= verdict.passed is False
        print(f"{VERDICTS[verdict.passed]:6}  {verdict.what:15}  {verdict.told}", flush=True)
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
    print(
        f"{bundle.folder}: {bundle.dim} dimensions, {'normalized' if bundle.normalize else 'not normalized'}, {limit}"
    )
    for key in ("teacher", "teacher_revision", "recipe_fingerprint", "version", "licence", "trained_on", "limits"):
        if origin.get(key):
            print(f"{key.replace('_', ' ')}: {origin[key]}")
    for dims, scores in scores_of(bundle.config).items():
        print(f"scores at {dims} dimensions: " + ", ".join(f"{kind} {score}" for kind, score in scores.items()))
    for (graph, precision), file in sorted(bundle.graphs.items(), key=lambda item: list(PRECISIONS).index(item[0][1])):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {precision:8}  {graph:7} {file.relative_to(bundle.folder)}")
    tables = bundle.folder / "model.safetensors"
    if tables.is_file():
        dtype = bundle.config.get("embedding_dtype", "")
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
