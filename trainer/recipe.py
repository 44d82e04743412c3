"""Recipes: one frozen dataclass a stage, whose defaults are the published recipe of potion-256d-v3.

A recipe is data: a TOML file that overrides defaults, section by section. `trainer/recipes/` holds those that ship.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from edge_potion.errors import RecipeError

__all__ = [
    "BornAgainRecipe",
    "ContrastRecipe",
    "CorpusRecipe",
    "DistilRecipe",
    "FeaturizeRecipe",
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
        _between("seed", self.seed, 0, 2**63)


@dataclass(frozen=True)
class DistilRecipe:
    """How a teacher becomes a table of token vectors (Model2Vec's method).

    Attributes:
        dims: D, width of the table after PCA; the teacher's width when that is smaller. 512 in the recipe, whose
            last stage halves it; `edge-potion distill`, which ends here, asks for 256.
        vocabulary_size: V, how many tokens: the teacher's own and, up to this number, the most frequent words of the
            corpus that are not among them; None takes every word that is given.
        sif_coefficient: a in the SIF weight a / (a + p(rank)) of a row, with Zipf's p; None leaves rows as they are.
    """

    dims: int = 512
    vocabulary_size: int | None = 63_000
    sif_coefficient: float | None = 1e-4

    def __post_init__(self) -> None:
        _at_least("dims", self.dims, 1)
        if self.vocabulary_size is not None:
            _at_least("vocabulary_size", self.vocabulary_size, 1)
        if self.sif_coefficient is not None and not 0 < self.sif_coefficient < 1:
            raise RecipeError(f"sif_coefficient is {self.sif_coefficient}; a number between 0 and 1 was expected")


@dataclass(frozen=True)
class FeaturizeRecipe:
    """How the teacher encodes the corpus.

    Attributes:
        pooling: "tokens", the mean of the token vectors without [CLS] and [SEP] (Tokenlearn's target), or "model", the
            teacher's own pooling.
        precision: the teacher's arithmetic: "float32", "bfloat16" or "float16".
        max_tokens: where a sentence is cut, special tokens included.
        shard_rows: sentences in one file of vectors; what a killed run has to do again at most.
    """

    pooling: str = "tokens"
    precision: str = "float32"
    max_tokens: int = 128
    shard_rows: int = 8192

    def __post_init__(self) -> None:
        _one_of("pooling", self.pooling, ("tokens", "model"))
        _one_of("precision", self.precision, ("float32", "bfloat16", "float16"))
        _at_least("max_tokens", self.max_tokens, 3)
        _at_least("shard_rows", self.shard_rows, 1)


@dataclass(frozen=True)
class ContrastRecipe:
    """How the table is trained on (sentence, target vector) pairs.

    Attributes:
        loss: "contrastive" (cross-entropy of the in-batch similarities), "soft" (divergence of the in-batch
            similarities from the target's own), "cosine" (1 - cosine) or "mse" (mean squared error, of vectors as they
            are).
        temperature: what similarities are divided by, for "contrastive" and "soft".
        learning_rate: of the first step; it falls linearly to 0. The card does not tell it; of 0.003, 0.01, 0.03
            and 0.06, 0.01 gave the lowest validation loss on all-MiniLM-L6-v2 (Adam, on touched rows alone).
        batch_size: B, sentences a step.
        epochs: how many times the sentences are gone through, but for the last few that do not fill a batch.
        token_weights: whether each token also learns a weight, folded into the table at the end.
        validation_rows: sentences held out to choose the best weights; at most a tenth of all.
        evaluations: how many times an epoch they are looked at, and a checkpoint is written.
        patience: evaluations without a better loss after which training stops.
        seed: of the split and of the order of the sentences.
    """

    loss: str = "contrastive"
    temperature: float = 0.07
    learning_rate: float = 0.01
    batch_size: int = 512
    epochs: int = 2
    token_weights: bool = True
    validation_rows: int = 5_000
    evaluations: int = 4
    patience: int = 4
    seed: int = 0

    fewest_epochs: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, ("contrastive", "soft", "cosine", "mse"))
        _between("temperature", self.temperature, 1e-3, 1e3)
        _between("learning_rate", self.learning_rate, 1e-9, 1e3)
        _at_least("epochs", self.epochs, self.fewest_epochs)
        for name, least in (("batch_size", 2), ("evaluations", 1), ("patience", 1), ("seed", 0)):
            _at_least(name, getattr(self, name), least)
        _at_least("validation_rows", self.validation_rows, 2)


@dataclass(frozen=True)
class BornAgainRecipe(ContrastRecipe):
    """How a fresh student is trained on the vectors of the one before it (Born-Again Networks: Furlanello et al. 2018).

    Attributes:
        alpha: weight of the loss against those vectors; 1 - alpha is the weight of the loss against the teacher's.
        epochs: 0 leaves the stage out: the model before it goes on as it is.
    """

    alpha: float = 1.0

    fewest_epochs: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise RecipeError(f"alpha is {self.alpha}; a number from 0 to 1 was expected")


@dataclass(frozen=True)
class PowerRecipe:
    """Power normalization of the table: sign(E) * |E|^exponent; an exponent of 1 leaves it as it is."""

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
    """All stages, in the order they run, and the teacher they begin with (a hub id; `--teacher` gives another)."""

    teacher: str = "mixedbread-ai/mxbai-embed-large-v1"
    corpus: CorpusRecipe = field(default_factory=CorpusRecipe)
    distil: DistilRecipe = field(default_factory=DistilRecipe)
    featurize: FeaturizeRecipe = field(default_factory=FeaturizeRecipe)
    contrast: ContrastRecipe = field(default_factory=ContrastRecipe)
    born_again: BornAgainRecipe = field(default_factory=BornAgainRecipe)
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
        sections = (getattr(recipe, each.name) for each in fields(recipe) if each.name != "teacher")
        return "\n".join([f"teacher = {_toml_value(recipe.teacher)}\n", *map(to_toml, sections)])
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(recipe).__name__.removesuffix("Recipe")).lower()
    return f"[{title}]\n" + "".join(f"{key} = {_toml_value(value)}\n" for key, value in asdict(recipe).items())


def fingerprint(*parts: object) -> str:
    """Twelve hex digits that change whenever a section, or what came before it, does."""
    texts = [part if isinstance(part, str) else to_toml(part) for part in parts]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def _section(kind: type[Any], content: Mapping[str, Any], where: str) -> Any:
    defaults = kind()
    known = {each.name for each in fields(kind)}
    optional = {each.name for each in fields(kind) if "None" in str(each.type)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0)
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


def _between(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise RecipeError(f"{name} is {value}; a number from {least:g} to {most:g} was expected")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RecipeError(f"{name} is {value!r}; one of {', '.join(known)} was expected")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise RecipeError(f"{name} is {value}; at least {least} was expected")
