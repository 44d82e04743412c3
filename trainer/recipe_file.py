"""Recipes as TOML: read one that ships or a file, over the defaults of `recipe`; write one; and its fingerprint.

A recipe is data: a TOML file that overrides defaults, section by section. `trainer/recipes/` holds those that ship.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_potion.errors import RecipeError

from .near_keys import meant
from .recipe import OtherRecipe, Recipe
from .recipe_values import LARGEST_SEED, WORDS_OF_TYPES, shown

__all__ = ["fingerprint", "load_recipe", "shipped_recipes", "to_toml", "toml_value"]

LARGEST_FILE = 2**20  # bytes of a recipe
OTHERS = "others"  # the one key that is a list of tables
RENAMED = {"distil": "distill"}  # sections, by their names in 0.1


def load_recipe(name: str | Path) -> Recipe:
    """A recipe that ships, by name ("potion-256d"), or one from a TOML file.

    Raises:
        RecipeError: no such recipe, no TOML, an unknown key (the nearest known one is named) or an impossible value.
    """
    file = Path(name)
    if file.suffix != ".toml" and str(name) not in shipped_recipes():
        raise RecipeError(f"there is no recipe {name}; name a .toml file, or one of {', '.join(shipped_recipes())}")
    try:
        content = tomllib.loads(_text_of(file.expanduser()) if file.suffix == ".toml" else _shipped_text(str(name)))
    except FileNotFoundError as failure:
        raise RecipeError(
            f"there is no recipe {name}; name a .toml file, or one of {', '.join(shipped_recipes())}"
        ) from failure
    except UnicodeDecodeError as failure:
        raise RecipeError(f"recipe {name} cannot be read as TOML ({failure}); save it as UTF-8") from failure
    except (OSError, ValueError, RuntimeError) as failure:  # ValueError: no TOML; RuntimeError: no home
        raise RecipeError(f"recipe {name} cannot be read as TOML ({failure})") from failure
    except RecursionError as failure:
        raise RecipeError(f"recipe {name} cannot be read as TOML (it is nested too deeply)") from failure
    return _section(Recipe, _by_todays_names(content, str(name)), str(name))


def _by_todays_names(content: dict[str, Any], where: str) -> dict[str, Any]:
    """A recipe as it is written today: models and runs of 0.1 keep theirs in their folders."""
    for old, new in RENAMED.items():
        if old in content and new in content:
            raise RecipeError(f"{where} has [{old}] and [{new}], which are the same section; keep the second")
    return {RENAMED.get(key, key): value for key, value in content.items()}


def shipped_recipes() -> dict[str, str]:
    """The recipes that ship: the first sentence of each, by name."""
    entries = (Path(entry.name) for entry in files(__package__).joinpath("recipes").iterdir())
    texts = {name: _shipped_text(name) for name in sorted(entry.stem for entry in entries if entry.suffix == ".toml")}
    return {name: text.splitlines()[0].removeprefix("# ") for name, text in texts.items()}


def _shipped_text(name: str) -> str:
    return files(__package__).joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")


def _text_of(file: Path) -> str:
    """The text of a recipe's file; ValueError where it is larger than any recipe."""
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise ValueError("it is no file")
    with file.open("rb") as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE:,} bytes")
    return content.decode("utf-8-sig")


def _section(kind: type[Any], content: Mapping[str, Any], where: str) -> Any:
    defaults = _defaults(kind)
    known = set(defaults)
    optional = {each.name for each in fields(kind) if "None" in str(each.type)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise RecipeError(f"{where}: there is no {key!r}; {meant(key, known, _keys())}")
        default = defaults[key]
        if key == OTHERS:
            values[key] = _others(value, where)
        elif is_dataclass(default):
            if not isinstance(value, dict):
                raise RecipeError(f"{where}: {key} is {value!r}; a section [{key}] was expected")
            values[key] = _section(type(default), value, f"{where}, [{key}]")
        elif value is False and key in optional:  # TOML has no word for "none"
            values[key] = None
        else:
            values[key] = _value(value, default, f"{where}: {key}")
    try:
        return kind(**values)
    except RecipeError as failure:
        raise RecipeError(f"{where}: {failure}") from None


def _defaults(kind: type[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {each.name: each.default_factory for each in fields(kind)}
    return {each.name: made[each.name]() if each.default is MISSING else each.default for each in fields(kind)}


def _others(value: Any, where: str) -> tuple[OtherRecipe, ...]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise RecipeError(f"{where}: {OTHERS} is {shown(value)}; tables [[{OTHERS}]] were expected")
    return tuple(_section(OtherRecipe, each, f"{where}, [[{OTHERS}]] {place}") for place, each in enumerate(value, 1))


def _keys() -> dict[str, set[str]]:
    """The keys of each section, by its name."""
    kinds = {name: type(section) for name, section in _sections(Recipe()).items()} | {f"[{OTHERS}]": OtherRecipe}
    return {name: {each.name for each in fields(kind)} for name, kind in kinds.items()}


def _sections(recipe: Recipe) -> dict[str, Any]:
    """The sections of a recipe by their names, in their order: all but what stands at its top."""
    values = {each.name: getattr(recipe, each.name) for each in fields(recipe)}
    return {name: value for name, value in values.items() if is_dataclass(value)}


def _value(value: Any, default: Any, where: str) -> Any:
    """A TOML value, which must be of the type of the default; a whole number may stand for a float."""
    if isinstance(default, tuple):  # of languages, whose names the section looks at
        if not isinstance(value, list):
            raise RecipeError(f"{where} is {shown(value)}; a list of words in quotes was expected")
        return tuple(value)
    if isinstance(default, float) and type(value) is int and abs(value) <= LARGEST_SEED:
        return float(value)
    if type(value) is not type(default):
        raise RecipeError(f"{where} is {shown(value)}; {WORDS_OF_TYPES[type(default)]} was expected")
    return value


def to_toml(recipe: Any) -> str:
    """A recipe, or one section with its name over it, as TOML that `load_recipe` reads back.

    What the first recipes did not have is written where it is not the default: all others keep their fingerprints.
    """
    if isinstance(recipe, Recipe):
        top = f"teacher = {toml_value(recipe.teacher)}\n"
        if recipe.space != Recipe().space:
            top += f"space = {toml_value(recipe.space)}\n"
        told = {each.name for each in _told(recipe)}
        sections = (section for name, section in _sections(recipe).items() if name in told)
        return "\n".join([top, *map(to_toml, recipe.others), *map(to_toml, sections)])
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(recipe).__name__.removesuffix("Recipe")).lower()
    title = f"[{OTHERS}]" if isinstance(recipe, OtherRecipe) else title
    values = {each.name: getattr(recipe, each.name) for each in _told(recipe)}
    return f"[{title}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())


def _told(part: Any) -> list[Field[Any]]:
    """The fields that are written: all of the first recipes, and of later ones those that are not the default."""
    later = [each for each in fields(part) if each.metadata.get("later")]
    usual = _defaults(type(part)) if later else {}
    return [each for each in fields(part) if each not in later or getattr(part, each.name) != usual[each.name]]


def fingerprint(*parts: object) -> str:
    """Twelve hex digits that change whenever a section, or what came before it, does."""
    texts = [part if isinstance(part, str) else to_toml(part) for part in parts]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def toml_value(value: object) -> str:
    """A value as TOML has it; None, for which TOML has no word, as false."""
    if value is None:
        return "false"
    if isinstance(value, tuple | list):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)
