"""A recipe in words: every key with what it means, by the docstrings of `recipe.py`, and its default."""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields, is_dataclass
from typing import Any

from .recipe import OtherRecipe, Recipe
from .recipe_file import toml_value

__all__ = ["explained"]


def explained(recipe: Recipe) -> str:
    """A recipe as TOML that `load_recipe` reads back, with what part key means, and its default where it has another.

    The words are those of the docstrings in `recipe`.
    """
    lines = []
    for key in ("teacher", "space"):
        lines += [*_comment(_meanings(Recipe)[key]), _with_default(key, recipe, Recipe())]
    lines += ["", *_others(recipe)]
    for part in fields(Recipe):
        section, usual = getattr(recipe, part.name), getattr(Recipe(), part.name)
        if not is_dataclass(section):
            continue
        meanings = _meanings(type(section))
        lines += [*_comment((type(section).__doc__ or "").split("\n")[0]), f"[{part.name}]"]
        for key in (inner.name for inner in fields(section)):
            lines += [*_comment(meanings.get(key, "")), _with_default(key, section, usual)]
        lines.append("")
    return "\n".join(lines)


def _others(recipe: Recipe) -> list[str]:
    """A table for each further teacher; where there is none, one that is commented out."""
    lines = []
    for other in recipe.others or [OtherRecipe("a folder or hub id")]:
        mark = "" if recipe.others else "# "
        lines += [*_comment((OtherRecipe.__doc__ or "").split("\n")[0]), f"{mark}[[others]]"]
        for key in (each.name for each in fields(OtherRecipe)):
            lines += [*_comment(_meanings(OtherRecipe)[key]), f"{mark}{key} = {toml_value(getattr(other, key))}"]
        lines.append("")
    return lines


def _meanings(kind: type[Any]) -> dict[str, str]:
    """What each attribute of a section is, from its docstring and those of the sections that it is made from."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        listed = (base.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for names, words in re.findall(r"^ {8}(\w[\w, ]*): (.+(?:\n {9,}.+)*)", listed, re.MULTILINE):
            meanings.update(dict.fromkeys(names.split(", "), " ".join(words.split())))
    return meanings


def _comment(words: str) -> list[str]:
    words = re.sub(r"\bNone\b", "false", words)  # TOML has no word for it
    return textwrap.wrap(words, 100, initial_indent="# ", subsequent_indent="#   ") if words else []


def _with_default(key: str, section: Any, usual: Any) -> str:
    value, default = getattr(section, key), getattr(usual, key)
    return f"{key} = {toml_value(value)}" + (f"  # by default {toml_value(default)}" if value != default else "")
