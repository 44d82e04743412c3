"""How `--help` looks: plain lines in which no name that one must type is broken, however narrow the terminal."""

from __future__ import annotations

import logging
import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "Group", "help_pages", "show_help"]

WIDEST = 100  # columns of a line: longer ones are hard to read
BESIDE = 72  # columns from which on meanings stand beside the names
NAMES = 26  # columns of the longest name that has its meaning beside it
OPTION_AND_VALUE = re.compile(r"( -\S+) (?!-)")  # of an example: they stay on one line
QUIET = "quiet"  # the app's option that every command takes too; and the key under which it is remembered


class _Plain:
    """The layout of this file, for commands and the app alike."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_page(self, ctx, _columns()))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_usage(self, ctx, _columns()))


class Command(_Plain, TyperCommand):
    """A command whose --help is laid out here, and which takes the app's -q behind its name too."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_quiet(super().get_params(ctx), ctx)

    def invoke(self, ctx: Any) -> Any:
        if not ctx.meta.get(QUIET):
            return super().invoke(ctx)
        with _silence():
            return super().invoke(ctx)


class Group(_Plain, TyperGroup):
    """The app, or a command that has commands of its own: its --help lists them."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)
        for param in params:
            if param.is_flag and param.default is None:  # typer's own: it would load pydantic to read None as bool
                param.default = False
        return params if ctx.parent is None else _with_quiet(params, ctx)


def show_help(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(help="Whose help; by default the list of commands.", show_default=False),
    ] = None,
) -> None:
    """Show what a command does, and its options: the same as COMMAND --help.

    Example: edge-potion help encode
    """
    within = ctx.find_root()
    found: Any = within.command
    for word in command or ():
        if not hasattr(found, "commands"):
            ctx.fail(f"{within.command_path} has no commands of its own, such as {word!r}")
        name, found, _ = found.resolve_command(within, [word])
        within = found.context_class(found, info_name=name, parent=within)
    print(found.get_help(within))


def help_pages(app: typer.Typer, columns: int = 80) -> dict[str, str]:
    """The --help of the app and of each of its commands, by how it is called: "edge-potion", "edge-potion encode"."""
    group: Any = typer.main.get_command(app)
    return dict(_pages_of(group, group.name, None, columns))


def _pages_of(command: Any, name: str, parent: Any, columns: int) -> Iterator[tuple[str, str]]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield context.command_path, _page(command, context, columns)
    for held in command.list_commands(context) if hasattr(command, "commands") else ():
        yield from _pages_of(command.commands[held], held, context, columns)


def _with_quiet(params: list[Any], ctx: Any) -> list[Any]:
    """A command's own, and the app's -q before --help."""
    *own, help_option = params
    return [*own, *(param for param in ctx.find_root().command.params if param.name == QUIET), help_option]


@contextmanager
def _silence() -> Iterator[None]:
    """Within it nothing but what is raised reaches stderr."""
    logging.disable(logging.WARNING)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)


def _page(command: Any, ctx: Any, columns: int) -> str:
    """Usage, what the docstring says, and the arguments, options and commands, one block each."""
    names = command.list_commands(ctx) if hasattr(command, "commands") else ()
    blocks = [_usage(command, ctx, columns)]
    blocks += [_paragraph(text, columns) for text in (command.help or "").strip().split("\n\n")]
    for title, rows in (
        ("Commands", [(name, _first_sentence(command.commands[name].help or "")) for name in names]),
        ("Arguments", [(_argument(param), _meaning(param)) for param in _shown(command, ctx, "argument")]),
        ("Options", [(_option(param), _meaning(param)) for param in _shown(command, ctx, "option")]),
    ):
        if rows:
            width = max(len(name) for name, _ in rows if len(name) <= NAMES)
            blocks.append("\n".join([f"{title}:", *(_row(name, meaning, width, columns) for name, meaning in rows)]))
    return "\n\n".join([*blocks, *([_paragraph(command.epilog, columns)] if command.epilog else [])]) + "\n"


def _usage(command: Any, ctx: Any, columns: int) -> str:
    names = [_argument(param) for param in _shown(command, ctx, "argument")]
    rest = ["COMMAND ..."] if hasattr(command, "commands") else names
    return _wrapped(" ".join(["Usage:", ctx.command_path, "[OPTIONS]", *rest]), columns, hanging="    ")


def _shown(command: Any, ctx: Any, kind: str) -> list[Any]:
    return [param for param in command.get_params(ctx) if param.param_type_name == kind and not param.hidden]


def _paragraph(text: str, columns: int) -> str:
    """Lines that are set in stay as they are; the command line of an example can be copied as it is shown."""
    if text.startswith("Example: "):
        bound = OPTION_AND_VALUE.sub(r"\1\0", text.removeprefix("Example: "))
        return "Example:\n" + _wrapped(bound, columns - 2, "  ", "    ").replace("\n", " \\\n").replace("\0", " ")
    if any(line.startswith("  ") for line in text.splitlines()):
        return text
    return _wrapped(text, columns)


def _row(name: str, meaning: str, width: int, columns: int) -> str:
    """A name and its meaning: beside it, in a column of names `width` wide, or beneath where that is too narrow."""
    hanging = " " * (width + 4 if columns >= BESIDE else 6)
    if columns < BESIDE or len(name) > width:
        return f"  {name}\n{_wrapped(meaning, columns, hanging, hanging)}"
    return _wrapped(meaning, columns, f"  {name:{width}}  ", hanging)


def _wrapped(text: str, columns: int, begin: str = "", hanging: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        columns,
        initial_indent=begin,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return f"{name if param.required else f'[{name}]'}{'...' if param.nargs != 1 else ''}"


def _option(param: Any) -> str:
    names = ", ".join(sorted((*param.opts, *param.secondary_opts), key=len))
    return names if param.is_flag else f"{names} {param.metavar or param.name.upper()}"


def _meaning(param: Any) -> str:
    extra = "required" if param.required and param.param_type_name == "option" else ""
    if param.show_default and param.default not in (None, False, ()) and not callable(param.default):
        extra = f"default: {param.default}"
    return f"{param.help or ''} [{extra}]".strip() if extra else param.help or ""


def _first_sentence(text: str) -> str:
    return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".") + "."
