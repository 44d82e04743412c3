"""The door: `edge-potion COMMAND`. Parse, call, print. stdout holds the result, stderr the progress."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from errno import EBADF, EFBIG, EIO, ENOSPC, EPIPE
from typing import Annotated, Any, TextIO, cast

import typer

from edge_potion.errors import EdgePotionError
from edge_potion.progress import Unfailing

from .classify import classify
from .dedupe import dedupe
from .encode import encode
from .find import index, search
from .import_ import import_word_vectors
from .layout import QUIET, Command, Group, help_pages, show_help
from .make import distill, export, featurize, push, recipe, train
from .measure import benchmark, evaluate
from .options import CONTROL
from .prune import prune
from .serve import serve
from .use import info, verify

__all__ = ["app", "help_pages", "main"]

NAME = "edge-potion"
VERBS = (
    distill,
    import_word_vectors,
    train,
    featurize,
    recipe,
    prune,
    classify,
    export,
    push,
    encode,
    index,
    search,
    dedupe,
    serve,
    evaluate,
    benchmark,
    verify,
    info,
)
# Bars of the libraries that we call, which fill a log with carriage returns: each reads its own when it is imported.
NO_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

# What writing to a stream without a name may meet: ours is stdout.
STREAM_ERRORS = (EPIPE, ENOSPC, EIO, EBADF, EFBIG)


class Door(Group):
    """The app. Its commands are listed in our order: typer would begin with those that have commands of their own."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*(str(verb.info.name) if isinstance(verb, typer.Typer) else verb.__name__ for verb in VERBS), "help"]


app = typer.Typer(
    name=NAME,
    cls=Door,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich cuts names where lines are short, and costs half of the start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 an error, told in one line on stderr; 2 a command line that is wrong; 130 stopped by "
    "Ctrl-C. The result goes to stdout, progress and notes to stderr.",
)
for verb in VERBS:
    if isinstance(verb, typer.Typer):
        app.add_typer(verb)
    else:
        app.command(cls=Command)(verb)
app.command("help", cls=Command)(show_help)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edge_potion import __version__

        print(f"{NAME} {__version__}")
        raise typer.Exit


def _remember_quiet(context: typer.Context, wanted: bool) -> None:
    context.meta[QUIET] = wanted or context.meta.get(QUIET, False)


@app.callback()
def edge_potion(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No progress, no notes and no warnings on stderr: errors alone.",
            callback=_remember_quiet,
            expose_value=False,
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Static text embeddings: distill a sentence-transformer, export it to ONNX, run it anywhere."""


def main() -> None:
    """Entry point: what is wrong on the caller's side, or the system's, is one line on stderr and exit code 1.

    Anything else is a bug with a traceback.
    """
    _open_standard_streams()
    if not sys.stderr.isatty():
        os.environ.update(NO_BARS)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("edge_potion").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing half-written stays
    try:
        try:
            app(prog_name=NAME)
        finally:
            if sys.stdout is not None:  # None when it was closed before we started
                sys.stdout.flush()
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        sys.exit(f"error: {CONTROL.sub(_escaped, message)}" if message else 1)


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


def _message(error: Exception) -> str | None:
    """What to say of an error; "" for nothing, None for a bug."""
    if isinstance(error, EdgePotionError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory {error}".rstrip()
    if isinstance(error, OSError):
        return _message_of_the_system(error)
    if isinstance(error, UnicodeEncodeError) and any("\udc80" <= letter <= "\udcff" for letter in error.object):
        return f"the name {error.object!r} is not UTF-8, and is to be handed to a library that needs it; rename it"
    if isinstance(error, RuntimeError) and str(error).startswith(("Symlink loop", "Could not determine home")):
        return f"a name cannot be followed: {error}"
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return f"a name holds NUL, which no file system takes ({error})"
    return None


def _message_of_the_system(error: OSError) -> str:
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if sys.stdout is None or error.errno not in STREAM_ERRORS:
        return str(error.strerror or error)
    # stdout is closed (`... | head`), full or gone: Python would try to flush it once more, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "" if error.errno == EPIPE else f"cannot write the result: {error.strerror}"


def _escaped(control: re.Match[str]) -> str:
    return repr(control[0])[1:-1]
