"""The command `serve`: an HTTP server for OpenAI's clients, TEI's and the browser."""

import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_potion.errors import require
from edge_potion.find import BUILT_IN

from .layout import QUIET
from .options import ThreadsOption

__all__ = ["serve"]

MIB = 2**20


def serve(
    context: typer.Context,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="Bundle, model or classifier folder, or a hub id; NAME=FOLDER serves it as NAME. May be given several "
            f"times; the first answers where a request names none. By default the built-in {BUILT_IN}.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="Of an index to search, or NAME=FOLDER. May be given several times.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="To listen on; 0.0.0.0 for all of IPv4.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8080,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of keys, one a line: who asks must send one. By default anyone may ask."),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes; they share the memory of the models' tables.")
    ] = 1,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Of web pages that may call it, such as https://example.com, or *. May be given several times.",
            show_default=False,
        ),
    ] = None,
    max_texts: Annotated[int, typer.Option(metavar="N", min=1, help="Most texts a call.")] = 4096,
    max_body: Annotated[int, typer.Option(metavar="MIB", min=1, help="Largest body, in MiB.")] = 16,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", min=1, help="Most long requests at work or waiting, a process; more get 429.")
    ] = 64,
    deadline: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="For a body to come, and for its answer to be worked out."),
    ] = 30.0,
    access_log: Annotated[
        Literal["stderr", "none"],
        typer.Option(metavar="stderr|none", help="Where a JSON line a request goes; no text is ever in it."),
    ] = "stderr",
    threads: ThreadsOption = None,
) -> None:
    """Serve models over HTTP: OpenAI's /v1/embeddings, TEI's /embed, search, rerank and labels.

    The URL is told on stderr; a page to try it is at /, and what can be asked at /openapi.json. SIGTERM answers what is
    at work and ends with exit code 0; Ctrl-C does so with 130.

    Example: edge-potion serve --port 8080

    Example: edge-potion serve --model my-model --index my-index --api-key-file keys.txt --workers 4
    """
    modules = ("starlette", "uvicorn", "httptools", "orjson", "pybase64", "pydantic", "prometheus_client")
    require(*modules, extra="serve", purpose="serving")
    from edge_potion.calls import cores
    from edge_potion.serve.settings import Settings, read_keys
    from edge_potion.serve.workers import run

    settings = Settings(
        models=tuple(model or (BUILT_IN,)),
        indexes=tuple(index or ()),
        keys=read_keys(api_key_file) if api_key_file else (),
        origins=tuple(cors or ()),
        access_log=access_log == "stderr" and not context.meta.get(QUIET),
        max_body_bytes=max_body * MIB,
        max_held_bytes=max(16 * max_body, 256) * MIB,
        max_texts=max_texts,
        max_waiting=max_waiting,
        deadline_s=deadline,
        threads=threads or max(1, cores() // workers),
    )
    if run(settings, host, port, workers) == signal.SIGINT:
        raise typer.Exit(128 + signal.SIGINT)
