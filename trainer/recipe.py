"""Recipes: one frozen dataclass a stage, whose defaults are the published recipe of potion-256d-v3.

A recipe is data: a TOML file that overrides defaults, section by section. `trainer/recipes/` holds those that ship.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_potion.errors import RecipeError

__all__ = [
    "CorpusRecipe",
    "DistilRecipe",
    "PcaRecipe",
    "PowerRecipe",
    "Recipe",
    "fingerprint",
    "load_recipe",
    "to_toml",
]


@dataclass(frozen=True)
class CorpusRecipe:
    """Which sentences the teacher reads.

    Attributes:
        source: hub id of a data set with a `text` column; `--corpus` gives local files in its place.
        subset: its configuration on the hub, "" for none.
        sentences: N, how many are sampled; fewer when there are not so many.
        min_characters, max_characters: shorter and longer ones are left out.
        seed: of the sample.
    """

    source: str = "allenai/c4"
    subset: str = "en"
    sentences: int = 500_000
    min_characters: int = 20
    max_characters: int = 320
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("sentences", self.sentences, 1)
        _at_least("min_characters", self.min_characters, 1)
        _at_least("max_characters", self.max_characters, self.min_characters)


@dataclass(frozen=True)
class DistilRecipe:
    """How a teacher becomes a table of token vectors (Model2Vec's method).

    Attributes:
        dims: D, width of the table after PCA; the teacher's width when that is smaller. 512 in the recipe, whose
            last stage halves it; `edge-potion distill`, which ends here, asks for 256.
        sif_coefficient: a in the SIF weight a / (a + p(rank)) of a row, with Zipf's p; None leaves rows as they are.
    """

    dims: int = 512
    sif_coefficient: float | None = 1e-4

    def __post_init__(self) -> None:
        _at_least("dims", self.dims, 1)
        if self.sif_coefficient is not None and not 0 < self.sif_coefficient < 1:
            raise RecipeError(f"sif_coefficient is {self.sif_coefficient}; a number between 0 and 1 was expected")


@dataclass(frozen=True)
class PowerRecipe:
    """Power normalization of the table: sign(E) * |E|^exponent."""

    exponent: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.exponent <= 1:
            raise RecipeError(f"exponent is {self.exponent}; a number above 0, up to 1, was expected")


@dataclass(frozen=True)
class PcaRecipe:
    """PCA of the table to the width that ships."""

    dims: int = 256

    def __post_init__(self) -> None:
        _at_least("dims", self.dims, 1)


@dataclass(frozen=True)
class Recipe:
    """All stages, in the order they run."""

    corpus: CorpusRecipe = field(default_factory=CorpusRecipe)
    distil: DistilRecipe = field(default_factory=DistilRecipe)
    power: PowerRecipe = field(default_factory=PowerRecipe)
    pca: PcaRecipe = field(default_factory=PcaRecipe)


def load_recipe(name: str | Path) -> Recipe:
    """A recipe that ships, by name ("potion-256d"), or one from a TOML file.

    Raises:
        RecipeError: no such recipe, no TOML, an unknown key (the nearest known one is named) or an impossible value.
    """
    shipped = files(__package__).joinpath("recipes")
    file = Path(name)
    try:
        if file.suffix == ".toml":
            text = file.expanduser().read_text(encoding="utf-8")
        else:
            text = shipped.joinpath(f"{name}.toml").read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except FileNotFoundError as failure:
        known = sorted(entry.name.removesuffix(".toml") for entry in shipped.iterdir() if entry.name.endswith(".toml"))
        raise RecipeError(f"there is no recipe {name}; name a .toml file, or one of {', '.join(known)}") from failure
    except (OSError, ValueError) as failure:  # ValueError: no UTF-8, or no TOML
        raise RecipeError(f"recipe {name} cannot be read as TOML ({failure})") from failure
    return _section(Recipe, content, str(name))


def to_toml(recipe: Any) -> str:
    """A recipe, or one section with its name over it, as TOML that `load_recipe` reads back."""
    if isinstance(recipe, Recipe):
        return "\n".join(to_toml(getattr(recipe, section.name)) for section in fields(recipe))
    title = type(recipe).__name__.removesuffix("Recipe").lower()
    return f"[{title}]\n" + "".join(f"{key} = {_toml_value(value)}\n" for key, value in asdict(recipe).items())


def fingerprint(*parts: object) -> str:
    """Twelve hex digits that change whenever a section, or what came before it, does."""
    texts = [part if isinstance(part, str) else to_toml(part) for part in parts]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def _section(kind: type[Any], content: Mapping[str, Any], where: str) -> Any:
    defaults = kind()
    optional = {each.name for each in fields(kind) if "None" in str(each.type)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if not hasattr(defaults, key):
            near = difflib.get_close_matches(key, [each.name for each in fields(kind)], n=1, cutoff=0)
            raise RecipeError(f"{where}: there is no {key!r}; did you mean {near[0]!r}?")
        default = getattr(defaults, key)
        if is_dataclass(default):
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


def _value(value: Any, default: Any, where: str) -> Any:
    """A TOML value, which must be of the type of the default; a whole number may stand for a float."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise RecipeError(f"{where} is {value!r}; a {type(default).__name__} was expected")
    return value


def _toml_value(value: object) -> str:
    if value is None:
        return "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise RecipeError(f"{name} is {value}; at least {least} was expected")
