"""The door: `edge-potion COMMAND`. Parse, call, print. stdout holds the result, stderr the progress."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle
from edge_potion.errors import EdgePotionError, InputError

app = typer.Typer(
    name="edge-potion",
    help="Static text embeddings: distil a sentence-transformer, export it to ONNX, run it anywhere.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WINDOW = 8192  # texts in hand at once, in commands that stream
PRECISION_WORDS = {"none": "float32"}  # --quantize none: what people type for "leave it alone"

Model = Annotated[str, typer.Argument(help="Bundle or model folder, or a hub id such as minishlab/potion-base-8M.")]
ProviderOption = Annotated[
    str, typer.Option(help="Where to run: auto, cpu, cuda, openvino, ... or ONNX Runtime's own name.")
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="int8, float16 or float32; by default the smallest the provider runs well.")
]
GraphOption = Annotated[str | None, typer.Option(help="bag or tokens; by default the fastest the bundle holds.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads inside one call; by default one a core.")]


def main() -> None:
    """Entry point: errors of ours are one line on stderr and exit code 1; anything else is a bug with a traceback."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("edge_potion").setLevel(logging.INFO)
    try:
        app()
    except EdgePotionError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # `edge-potion encode ... | head`
        sys.stderr.close()
        sys.exit(1)


@app.command()
def distill(
    teacher: Annotated[
        str, typer.Argument(help="Folder or hub id of a transformers encoder (a sentence-transformer).")
    ],
    out: Annotated[Path, typer.Argument(help="Folder of the static model to write.")],
    dims: Annotated[int, typer.Option(min=1, help="Width of the vectors, by PCA.")] = 256,
    words: Annotated[
        Path | None, typer.Option(help="File of extra words for the vocabulary, one a line, most frequent first.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Run Python code that comes with the teacher.")] = False,
) -> None:
    """Turn a sentence-transformer into a static model, without any training text (Model2Vec's method).

    Example: edge-potion distill sentence-transformers/all-MiniLM-L6-v2 my-model --dims 256
    """
    from edge_potion.trainer.distill import distil
    from edge_potion.trainer.recipe import DistilRecipe
    from edge_potion.vector_files import read_texts

    model = distil(
        teacher,
        DistilRecipe(dims=dims),
        words=read_texts(words) if words else (),
        revision=revision,
        device=device,
        trust_remote_code=trust_remote_code,
        show_progress=True,
    )
    model.save(out)
    print(f"{out}: {len(model.table)} tokens x {model.dim} dimensions")
    print(f"next: edge-potion export {out} --quantize int8", file=sys.stderr)


@app.command()
def export(
    model: Model,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle; by default the model's name + '-onnx'.")
    ] = None,
    quantize: Annotated[str, typer.Option(help="Precisions, by comma: int8, float16, none.")] = "int8",
    graphs: Annotated[str, typer.Option(help=f"Graphs, by comma: {', '.join(GRAPHS)}; or all.")] = "all",
    token_embeddings: Annotated[
        bool, typer.Option(help="Give the tokens graph an output with each token's vector (transformers.js needs it).")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
) -> None:
    """Write a bundle: ONNX graphs with a quantized table, checked against the oracle before they are handed out.

    Example: edge-potion export my-model --quantize int8,float16 --out my-bundle
    """
    from edge_potion.exporters.export import export as write_bundle
    from edge_potion.exporters.graph_builder import IR_VERSION, OPSET
    from edge_potion.static_model import StaticModel

    precisions = [PRECISION_WORDS.get(word, word) for word in _words(quantize)]
    bundle = write_bundle(
        StaticModel.from_pretrained(model, revision),
        out or Path(f"{Path(model).name}-onnx"),
        quantize=precisions,
        graphs=list(GRAPHS) if graphs == "all" else _words(graphs),
        token_embeddings=token_embeddings,
    )
    _print_bundle(bundle)
    print(f"opset {OPSET}, IR version {IR_VERSION}; every graph agrees with the oracle on the golden texts")


@app.command()
def encode(
    model: Model,
    file: Annotated[str, typer.Argument(help="UTF-8 file with one text a line; - for stdin.")] = "-",
    out: Annotated[
        Path | None, typer.Option(help="vectors.npy, .parquet or .jsonl; by default JSON lines on stdout.")
    ] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Keep the first values of each vector only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Most texts a call.")] = 1024,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut texts here; by default the model's limit.")] = None,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Embed the lines of a file.

    Example: edge-potion encode my-bundle texts.txt --out vectors.npy
    """
    from edge_potion.runtime import EdgeModel
    from edge_potion.static_model import UNSET
    from edge_potion.vector_files import print_jsonl, read_texts, write_vectors

    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    texts = read_texts(file)

    def batches() -> Iterator[tuple[list[str], np.ndarray]]:
        with _progress("encode", " texts") as bar:
            while window := list(islice(texts, WINDOW)):
                limit = UNSET if max_tokens is None else max_tokens
                yield window, runner.encode(window, batch_size=batch_size, max_tokens=limit, dim=dim)
                bar.update(len(window))

    if out is None:
        print_jsonl(batches(), sys.stdout)
        return
    count = write_vectors(out, batches(), dim or runner.dim)
    print(f"{out}: {count} x {dim or runner.dim} float32")


@app.command()
def search(
    model: Model,
    file: Annotated[str, typer.Argument(help="UTF-8 file with one text a line; - for stdin.")],
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    top: Annotated[int, typer.Option(min=1, help="How many lines to show.")] = 10,
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find the lines of a file that mean what the query means. Prints score, line number and line.

    Example: edge-potion search my-bundle notes.txt "my bread did not rise" --top 5
    """
    from edge_potion.runtime import EdgeModel
    from edge_potion.vector_files import read_texts

    runner = EdgeModel.from_pretrained(model, provider=provider, precision=precision, graph=graph, threads=threads)
    texts = list(read_texts(file))
    scores = runner.similarity([query], texts)[0]  # (N,)
    for place in np.argsort(-scores, kind="stable")[:top]:
        print(f"{scores[place]:.3f}\t{place + 1}\t{texts[place]}")


@app.command()
def info(
    model: Annotated[str | None, typer.Argument(help="Bundle folder or hub id; without it, this machine only.")] = None,
) -> None:
    """Show what a bundle holds, what it says of itself, and which providers this machine offers."""
    from edge_potion import __version__, providers
    from edge_potion.bundle import open_bundle
    from edge_potion.folders import find_folder

    if model is not None:
        _print_bundle(open_bundle(find_folder(model)))
    try:
        offered = ", ".join(providers.available())
    except EdgePotionError as error:
        offered = str(error)
    print(f"providers here: {offered}")
    print(f"edge-potion {__version__}")


def _print_bundle(bundle: Bundle) -> None:
    origin = bundle.config.get("edge_potion", {})
    limit = "never cut" if bundle.max_tokens is None else f"cut at {bundle.max_tokens} tokens"
    print(
        f"{bundle.folder}: {bundle.dim} dimensions, {'normalized' if bundle.normalize else 'not normalized'}, {limit}"
    )
    for key in ("teacher", "teacher_revision", "recipe_fingerprint", "version"):
        if origin.get(key):
            print(f"{key.replace('_', ' ')}: {origin[key]}")
    for (graph, precision), file in sorted(bundle.graphs.items(), key=lambda item: list(PRECISIONS).index(item[0][1])):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {precision:8}  {graph:7} {file.relative_to(bundle.folder)}")
    tables = bundle.folder / "model.safetensors"
    if tables.is_file():
        dtype = bundle.config.get("embedding_dtype", "")
        print(f"{tables.stat().st_size / 1e6:8.2f} MB  {dtype:8}  table   {tables.name}")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError(f"{text!r} names nothing; give one or more words, by comma")
    return words


def _progress(title: str, unit: str) -> Any:
    from tqdm import tqdm

    return tqdm(desc=title, unit=unit, unit_scale=True, file=sys.stderr)


if __name__ == "__main__":
    main()
