"""What models found in the translations of a report: a row a model and set of means, and a row a language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .retrieval_rows import HALF, Found

__all__ = ["ABOUT_BITEXT", "APART", "BITEXT", "BITEXT_HALF", "BITEXT_METRICS", "Finder", "by_language", "finders"]

BITEXT, BITEXT_HALF = "BitextMining", "translations"  # the category, and the half that it is by itself
APART = (HALF, BITEXT_HALF)  # halves that have tables of their own
BITEXT_METRICS = {"accuracy": "accuracy", "f1": "F1"}
ABOUT_BITEXT = (
    "Translations as MTEB's bitext mining scores them: of each sentence the nearest English side of its language, by "
    "cosine, is the right one (accuracy) or not. F1 is MTEB's main score: it counts less where many find one English "
    "side. Means over languages; they are in no mean of other categories."
)


@dataclass(frozen=True)
class Finder(Found):
    """A model on a set of translations, over languages.

    Attributes:
        model: the model's row of the report.
        of: the name of the set.
    """

    model: Mapping[str, Any]
    of: str


def finders(report: Mapping[str, Any]) -> list[Finder]:
    """The rows, in the report's order; none where it has no translations."""
    found = []
    for model in report["models"]:
        sets: dict[str, dict[str, Mapping[str, float]]] = {}
        for task in _tasks(model):
            name, _, language = task["task"].partition("/")
            sets.setdefault(name, {})[language] = task["scores"]
        for name, scores in sets.items():
            scored = {language: each for language, each in scores.items() if each}
            found.append(Finder(scored, len(scores), model, name))
    return found


def by_language(report: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Finder], Mapping[str, int]]]:
    """Of each set its name, who searched it, and of each language how many sentences it has."""
    found = finders(report)
    rows: dict[str, dict[str, int]] = {}
    for model in report["models"]:
        for task in _tasks(model):
            name, _, language = task["task"].partition("/")
            if language:  # a set that cannot be read has none
                rows.setdefault(name, {})[language] = task["rows"]
    for name, languages in rows.items():
        yield name, [each for each in found if each.of == name], languages


def _tasks(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [task for task in model.get("tasks", ()) if task["half"] == BITEXT_HALF]
